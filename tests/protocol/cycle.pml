/*
 * One concurrent cycle at the level of colours, barrier and handshakes. docs/gc-protocol.md states it in
 * words; its claims P1 and P2 are the assertions here. Two mutators run any program of a few steps over three
 * objects and a static variable, while the collector runs one cycle, in every order there is.
 *
 * What is one step here may be one step because there the thread is busy, and no handshake reaches it, or
 * because nobody else looks. How a thread is reached (by itself, by a signal, while it is blocked) is
 * handshake.pml; here a handshake finds a thread wherever it is not busy, also between the test and the
 * store of its barrier.
 *
 * To keep it small: object 1 is held by a handle, so its two slots are at hand to everybody, and with
 * them the slot of what the first refers to; a mutator has one register, which also lets it at the slot of
 * what it holds; sets of candidates never contain what is
 * marked already, which makes no difference to anybody.
 *
 * FEATURES, MUTANT and STEPS come from the environment, so one compiled verifier serves all runs. A mutant
 * is the protocol with one thing left out. check.sh wants an error in each, or the model would prove
 * nothing.
 */
#define OBJECTS 3 /* 1, 2, 3; 0 is NULL */
/* Slots: 0 and 1 are object 1's, 2 and 3 those of objects 2 and 3; 4 is a static variable. */
#define STATIC 4
#define NOWHERE 5

#define bit(o) (1 << (o))
#define shade(set, o) set = (set | bit(o)) & 254 & ~marked
#define has(f) ((features & (f)) != 0)

/* What the program does besides loads and stores: bits of FEATURES. */
#define ALLOCATES has(1)
#define ATTACHES has(2)   /* mutator 1 comes and goes */
#define WEAKNESS has(4)   /* a weak reference to object 3 */
#define EPHEMERON has(8)  /* held by a handle; its key is object 1, its value object 2 */
#define UNROOTS has(16)   /* the static variable is a registered root, which is taken back */
#define FINALIZES has(32) /* object 2 has a finalizer */
#define ASSISTS has(128)  /* a thread of the program marks before all are scanned */
#define ROOTS has(256)    /* the static variable is memory of a thread's own, then a registered root */
                          /* 64: the second slot of object 1 and the static variable are used */

/* What a mutant does wrong. */
#define NO_OLD (mutant == 1)           /* the barrier remembers no old value */
#define NO_SNOOP (mutant == 2)         /* threads are armed with LOG at once */
#define SNOOP_OLD_ONLY (mutant == 3)   /* SNOOP remembers no new value */
#define NEW_WHITE (mutant == 4)        /* what a scanned thread allocates is not spared */
#define NO_CONTENT (mutant == 5)       /* SETTLE does not look into slots of stores under way */
#define ATTACH_OFF (mutant == 6)       /* a thread that attaches in a cycle has no barrier, */
#define ATTACH_WHITE (mutant == 7)     /* ... allocates white, */
#define ATTACH_ANYTIME (mutant == 8)   /* ... or comes in the middle of the snapshot */
#define DETACH_LOSES (mutant == 9)     /* the log of a thread that leaves is dropped */
#define WEAK_UNSHADED (mutant == 10)   /* weak reads do not shade */
#define NO_SETTLING (mutant == 11)     /* weak references are decided on without a round before */
#define NO_ROUNDS (mutant == 12)       /* no handshake after the snapshot */
#define EPHEMERON_LATE (mutant == 13)  /* ephemerons are settled after the last round */
#define QUEUE_EARLY (mutant == 15)     /* finalizers run before all they need is marked */
#define NO_VALUE (mutant == 16)        /* ARM does not keep what stores under way will store */
#define ROOTS_EARLY (mutant == 17)     /* shared roots are visited before all threads are armed */
#define ROOT_UNSHADED (mutant == 18)   /* a root that is added in a snapshot is not shaded */
#define CONTENT_AT_ARM (mutant == 19)  /* the slots of stores under way are looked into by ARM, not by SETTLE */
#define ATTACH_LOG (mutant == 14)      /* a thread that attaches between ARM and SETTLE does not snoop */

c_decl { \#include <stdlib.h> }

short features;
byte mutant;

/* ---- the heap ----------------------------------------------------------------------------------- */

byte slot[5];
byte armed;        /* slots whose log bit is set */
byte made;         /* objects that there are */
byte marked, gray; /* gray: what markers and their pool have */
byte fresh;        /* younger than the snapshot of their thread */
byte weak, key, value;
byte finalizable, queued; /* an object, or 0 */
bool rooted = true;

#define alive(o) ((marked | fresh) & bit(o))

/* ---- threads ------------------------------------------------------------------------------------ */

#define OFF 0
#define LOG 1
#define SNOOP 2

byte reg[2], barrier[2], log[2], steps[2];
byte under_way[2]; /* the slot between test and store */
bool black[2], busy[2], attached[2];

/* ---- the cycle ---------------------------------------------------------------------------------- */

#define IDLE 0
#define ARMED 1
#define MARKING 2
#define SETTLING 3
#define WEAK 4
#define ENDED 5

byte phase;
bool world;   /* the lock: handshakes, threads that come and go */
bool helping; /* an assisting thread is at an object, and busy */

/* ---- mutators ----------------------------------------------------------------------------------- */

/* In IDLE only a store begins, to be under way when the cycle does: the rest is the beginnings' to choose.
 * And when marking is over only who can still get at what is not marked is of interest. */
#define late has(4 | 8 | 32)
#define runs(m) (steps[m] && attached[m] && phase != ENDED && (phase != WEAK || late))
#define steps_on(m) (runs(m) && phase != IDLE)

inline done()
{
    steps[m]--;
    s = 0;
    v = 0
}

inline pick_slot()
{
    if
    :: s = 0
    :: has(64) -> s = 1
    :: reg[m] == 2 || slot[0] == 2 -> s = 2
    :: reg[m] == 3 || slot[0] == 3 -> s = 3
    :: has(16 | 64 | 256) && rooted -> s = STATIC
    fi
}

inline step_load()
{
    atomic {
        steps_on(m);
        pick_slot();
        reg[m] = slot[s];
        done()
    }
}

/* fh_gc_store_inline and _slow up to the point from which the thread is busy, or the store is all that
 * is left to do. */
inline store_test()
{
    atomic {
        runs(m);
        pick_slot();
        if
        :: v = 0
        :: reg[m] -> v = reg[m]
        fi;
        if
        :: barrier[m] == OFF || (barrier[m] == LOG && !(armed & bit(s))) -> under_way[m] = s
        :: else -> busy[m] = true
        fi
    }
}

/* store_remembering: the barrier may have changed since the test. SNOOP exchanges. In LOG another thread may
 * be there between the look at the bit and the exchange of it. */
inline store_remember()
{
    if
    :: atomic {
           busy[m] && barrier[m] == SNOOP;
           old = slot[s];
           slot[s] = v
       }
       atomic {
           if
           :: !NO_OLD -> shade(log[m], old)
           :: else
           fi;
           if
           :: !SNOOP_OLD_ONLY -> shade(log[m], v)
           :: else
           fi;
           old = 0;
           busy[m] = false;
           done()
       }
    :: atomic { busy[m] && barrier[m] == LOG && armed & bit(s) -> old = slot[s] }
       atomic {
           if
           :: armed & bit(s) && !NO_OLD -> shade(log[m], old)
           :: else
           fi;
           armed = armed & ~bit(s);
           old = 0
       }
       atomic { slot[s] = v; busy[m] = false; done() }
    :: atomic {
           busy[m] && (barrier[m] == OFF || (barrier[m] == LOG && !(armed & bit(s))));
           slot[s] = v;
           busy[m] = false;
           done()
       }
    fi
}

inline step_store()
{
    store_test();
    if
    :: atomic { !busy[m] -> slot[s] = v; under_way[m] = NOWHERE; done() }
    :: store_remember()
    fi
}

/* Slots of new objects need not be armed, even if the thread is not scanned yet: what is in them came there
 * by stores in SNOOP. (The code arms them all the same.) */
inline step_allocate()
{
    atomic {
        ALLOCATES && (made & 12) != 12 && steps_on(m);
        v = (made & 4 -> 3 : 2);
        made = made | bit(v);
        slot[v] = 0;
        armed = armed & ~bit(v);
        if
        :: black[m] && !NEW_WHITE -> fresh = fresh | bit(v)
        :: else
        fi;
        reg[m] = v;
        done()
    }
}

/* weak_read: the phase, and then the word. Who comes in SETTLING waits, unless it is marked. */
inline step_weak()
{
    atomic { WEAKNESS && (phase != SETTLING || alive(weak)) && steps_on(m) -> busy[m] = true; seen = phase }
    atomic {
        reg[m] = (seen != WEAK || alive(weak) -> weak : 0);
        if
        :: (seen == ARMED || seen == MARKING) && !WEAK_UNSHADED -> shade(log[m], weak)
        :: else
        fi;
        busy[m] = false;
        seen = 0;
        done()
    }
}

/* fh_gc_ephemeron_value: the key as a weak reference, then the value, and the phase again. */
inline step_ephemeron()
{
    atomic { EPHEMERON && (phase != SETTLING || alive(key)) && steps_on(m) -> busy[m] = true; seen = phase }
    atomic {
        reg[m] = (key && (seen != WEAK || alive(key)) -> value : 0);
        if
        :: seen == ARMED || seen == MARKING -> shade(log[m], key)
        :: else
        fi;
        if
        :: phase == ARMED || phase == MARKING -> shade(log[m], reg[m])
        :: else
        fi;
        busy[m] = false;
        seen = 0;
        done()
    }
}

/* fh_gc_root_remove, by a program that has no store to it under way. Nothing is shaded: what was there when
 * shared roots were visited is grey, what came later was remembered, and before it no thread is scanned. */
inline step_unroot()
{
    atomic {
        UNROOTS && rooted && steps_on(m) && under_way[1 - m] != STATIC && !busy[1 - m];
        rooted = false;
        slot[STATIC] = 0;
        done()
    }
}

/* Plain stores to memory of a thread's own, and fh_gc_root_add. */
inline step_root()
{
    atomic {
        ROOTS && m == 0 && !rooted && reg[m] && steps_on(m);
        slot[STATIC] = reg[m];
        rooted = true;
        if
        :: (phase == ARMED || phase == MARKING) && !ROOT_UNSHADED -> shade(log[m], slot[STATIC])
        :: else
        fi;
        done()
    }
}

/* fh_gc_finalize */
inline step_finalize()
{
    atomic {
        FINALIZES && queued && steps_on(m);
        reg[m] = queued;
        if
        :: phase != IDLE && phase != ENDED -> shade(log[m], queued)
        :: else
        fi;
        queued = 0;
        done()
    }
}

inline step_detach()
{
    atomic {
        ATTACHES && m == 1 && !world && steps_on(m);
        if
        :: phase != IDLE && !DETACH_LOSES -> gray = gray | log[m]
        :: else
        fi;
        log[m] = 0;
        reg[m] = 0;
        attached[m] = false;
        barrier[m] = OFF;
        black[m] = false;
        done()
    }
}

/* With a reference on its stack that something else still keeps. */
inline step_attach()
{
    atomic {
        !attached[m] && steps[m] && phase != ENDED && (!world || ATTACH_ANYTIME);
        attached[m] = true;
        if
        :: phase == ARMED && !world -> barrier[m] = (ATTACH_LOG -> LOG : SNOOP)
        :: phase != IDLE && (phase != ARMED || world) ->
           barrier[m] = (ATTACH_OFF -> OFF : LOG);
           black[m] = !ATTACH_WHITE
        :: phase == IDLE
        fi;
        if
        :: reg[m] = reg[0]
        :: reg[m] = slot[STATIC]
        fi;
        done()
    }
}

proctype mutator(byte m)
{
    byte s, v, old, seen;
    do
    :: atomic { steps_on(m) && reg[m] -> reg[m] = 0; done() }
    :: step_load()
    :: step_store()
    :: step_allocate()
    :: step_weak()
    :: step_ephemeron()
    :: step_unroot()
    :: step_root()
    :: step_finalize()
    :: step_attach()
    :: step_detach()
    od
}

/* ---- handshakes --------------------------------------------------------------------------------- */

inline flush(m)
{
    gray = gray | log[m];
    log[m] = 0
}

/* The slot of a store under way is in a register, too. What is not in the heap is a shared root, and was
 * visited after ARM. */
inline look_into(m)
{
    if
    :: under_way[m] < STATIC && !NO_CONTENT -> shade(log[m], slot[under_way[m]])
    :: else
    fi
}

/* What a store under way will store is in a register. (The code keeps what all words of an interrupted
 * thread's registers and stack refer to.) */
inline action_arm(m)
{
    log[m] = 0;
    barrier[m] = (NO_SNOOP -> LOG : SNOOP);
    if
    :: under_way[m] != NOWHERE && !NO_VALUE -> shade(log[m], reg[m])
    :: else
    fi;
    if
    :: CONTENT_AT_ARM -> look_into(m)
    :: else
    fi
}

inline action_settle(m)
{
    if
    :: !CONTENT_AT_ARM -> look_into(m)
    :: else
    fi
}

inline action_scan(m)
{
    shade(gray, reg[m]);
    black[m] = true;
    flush(m)
}

#define everybody (attached[0] | (attached[1] << 1))

#define ARM 0
#define SETTLE 1
#define SCAN 2
#define FLUSH 3

inline act(action, m)
{
    if
    :: action == ARM -> action_arm(m)
    :: action == SETTLE -> action_settle(m)
    :: action == SCAN -> action_scan(m)
    :: action == FLUSH -> flush(m)
    fi
}

/* Each attached thread, in any order, where it is not busy. */
inline handshake(action)
{
    do
    :: atomic {
           if
           :: todo & 1 && !busy[0] -> act(action, 0); todo = todo & 2
           :: todo & 2 && !busy[1] -> act(action, 1); todo = todo & 1
           fi;
           if
           :: !todo -> break
           :: else
           fi
       }
    od
}

/* ---- marking ------------------------------------------------------------------------------------ */

#define work (gray & made & ~marked)

inline mark(o)
{
    marked = marked | bit(o);
    gray = gray & ~marked;
    log[0] = log[0] & ~marked;
    log[1] = log[1] & ~marked
}

/* A candidate, and a slot at a time, while the program runs. */
inline drain()
{
    do
    :: atomic {
           work;
           o = (work & 2 -> 1 : (work & 4 -> 2 : 3));
           mark(o);
           if
           :: o > 1 -> shade(gray, slot[o])
           :: o == 1 -> shade(gray, slot[0])
           fi
       }
       if
       :: atomic { o == 1 -> shade(gray, slot[1]); o = 0 }
       :: atomic { o != 1 -> o = 0 }
       fi
    :: atomic { !work -> gray = 0; break }
    od
}

/* A scanned thread that assists while others are not; later it is like the collector's own marking. */
proctype assist()
{
    byte o;
    do
    :: atomic {
           phase == MARKING && world && work;
           o = (work & 2 -> 1 : (work & 4 -> 2 : 3));
           mark(o);
           helping = true
       }
       atomic { shade(gray, slot[(o == 1 -> 0 : o)]); helping = false; o = 0 }
    od
}

inline ephemeron_settle()
{
    if
    :: atomic { EPHEMERON && key && alive(key) && !alive(value) -> shade(gray, value) }
       drain()
    :: else
    fi
}

inline rounds()
{
    do
    :: atomic { !world -> world = true; before = marked; todo = everybody }
       handshake(FLUSH);
       world = false;
       drain();
       if
       :: EPHEMERON && !EPHEMERON_LATE -> ephemeron_settle()
       :: else
       fi;
       if
       :: atomic { marked == before -> before = 0; break }
       :: else
       fi
    od
}

/* ---- the cycle, as one page of verbs ------------------------------------------------------------ */

inline roots_visit()
{
    shade(gray, 1); /* a handle */
    if
    :: rooted -> shade(gray, slot[STATIC])
    :: else
    fi
}

inline snapshot()
{
    atomic {
        !world;
        world = true;
        phase = ARMED;
        todo = everybody;
        if
        :: ROOTS_EARLY -> roots_visit()
        :: else
        fi
    }
    handshake(ARM);
    world = false;
    atomic {
        if
        :: !ROOTS_EARLY -> roots_visit()
        :: else
        fi
    }
    atomic { !world -> world = true; todo = everybody }
    handshake(SETTLE);
    armed = 15; /* slots_arm: nobody looks at log bits in SNOOP */
    atomic { phase = MARKING; todo = everybody }
    handshake(SCAN);
    atomic {
        !helping;
        barrier[0] = LOG;
        if
        :: attached[1] && !ATTACH_OFF -> barrier[1] = LOG
        :: else
        fi;
        world = false
    }
}

inline settle()
{
    if
    :: !NO_ROUNDS -> rounds()
    :: else
    fi;
    phase = SETTLING;
    if
    :: !NO_ROUNDS && !NO_SETTLING -> rounds()
    :: else
    fi;
    phase = WEAK
}

inline weak_process()
{
    if
    :: EPHEMERON && EPHEMERON_LATE -> ephemeron_settle()
    :: else
    fi;
    atomic {
        if
        :: EPHEMERON && key && !alive(key) -> key = 0; value = 0
        :: else
        fi;
        if
        :: WEAKNESS && weak && !alive(weak) -> weak = 0
        :: else
        fi
    }
    if
    :: atomic {
           FINALIZES && !alive(finalizable) ->
           queued = (QUEUE_EARLY -> finalizable : 0)
       }
       atomic { shade(gray, (QUEUE_EARLY -> queued : finalizable)) }
       drain();
       atomic { queued = (QUEUE_EARLY -> queued : finalizable) }
    :: else
    fi
}

/* All that the program can reach now: handle, static variable, queue, threads. */
inline reach()
{
    set = 2 | bit(slot[0]) | bit(slot[1]) | (rooted -> bit(slot[STATIC]) : 0) | bit(queued) | bit(reg[0]) | bit(reg[1]);
    do
    :: o < 4 ->
       set = set | (set & 4 -> bit(slot[2]) : 0) | (set & 8 -> bit(slot[3]) : 0);
       set = set | (EPHEMERON && key && set & bit(key) -> bit(value) : 0);
       o++
    :: else -> break
    od;
    o = 0
}

inline sweep()
{
    d_step {
        reach();
        assert(!(set & made & ~marked & ~fresh));  /* P1: what can be reached is not freed */
        assert(!weak || alive(weak) || !WEAKNESS); /* P2: nor what a weak reference still names */
        phase = ENDED
    }
}

proctype collector()
{
    byte o, todo, before, set;
    snapshot();
    drain();
    settle();
    weak_process();
    sweep()
}

init
{
    atomic {
        c_code {
            now.features = getenv("FEATURES") ? atoi(getenv("FEATURES")) : 0;
            now.mutant = getenv("MUTANT") ? atoi(getenv("MUTANT")) : 0;
            now.steps[0] = getenv("STEPS") ? getenv("STEPS")[0] - 48 : 2;
            now.steps[1] = getenv("STEPS") ? getenv("STEPS")[1] - 48 : 2;
        };
        under_way[0] = NOWHERE;
        under_way[1] = NOWHERE;
        attached[0] = true;
        attached[1] = !ATTACHES;
        if
        :: attached[1] && !UNROOTS && !ASSISTS -> reg[1] = 2
        :: reg[0] = 2
        :: skip
        fi;
        made = (ALLOCATES -> 2 : 14);
        if
        :: !ALLOCATES && !UNROOTS && !EPHEMERON && !ASSISTS -> slot[0] = 2; slot[2] = 3
        :: !ALLOCATES && !UNROOTS && !ASSISTS -> slot[2] = 3
        :: ASSISTS -> slot[0] = 2; reg[0] = 2; reg[1] = 3
        :: UNROOTS -> slot[STATIC] = 2
        :: ALLOCATES -> made = 6
        fi;
        if
        :: WEAKNESS -> weak = 3
        :: else
        fi;
        if
        :: EPHEMERON -> key = 1; value = 2
        :: else
        fi;
        if
        :: FINALIZES -> finalizable = 2
        :: else
        fi;
        rooted = !ROOTS;
        run mutator(0);
        run mutator(1);
        if
        :: ASSISTS -> run assist()
        :: else
        fi;
        run collector()
    }
}
