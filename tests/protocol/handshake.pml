/*
 * How a thread is reached: the state and `wanted` words of thread.c and world.c, one thread, one collector, which asks
 * for one action three times. The thread runs, goes into slow paths (busy) and out, waits (SAFE) and comes
 * back; a signal may find it at any of these places. docs/gc-protocol.md, H1 to H4.
 *
 * The signal is sent once. The code sends it again when 5 ms have passed; here that would hide what is lost.
 * Memory order is not modelled: these words are accessed in one order, or are the thread's own.
 */
#define RUNS 0
#define SAFE 1
#define HELD 2

#define NO_RECHECK (mutant == 1) /* a slow path ends without a look at `wanted` */
#define NO_BUSY (mutant == 2)    /* the signal does not mind slow paths */
#define NO_HELD (mutant == 3)    /* the collector acts for a SAFE thread without holding it */
#define NO_SECOND (mutant == 4)  /* who has held a thread does not look at `wanted` again */
#define NO_WAKE (mutant == 5)    /* a held thread is not woken */
#define TAIL (mutant == 6)       /* thread_safepoint does not look again once it is not busy any more */

c_decl { \#include <stdlib.h> }

byte mutant;
byte state, busy;
bool wanted, signalled, asleep;
byte acting; /* who is in the action */
byte asked, done;
bool over;

inline action(who)
{
    atomic {
        assert(acting == 0);              /* H2: one at a time */
        assert(wanted);                   /* H1: once for each request */
        assert(who == 2 || state == RUNS);
        acting = who
    }
    atomic {
        assert(who == 2 -> state != RUNS || NO_HELD : true);
        acting = 0;
        done++;
        wanted = false
    }
}

/* The handler; it runs in place of the thread, between any two of its steps. */
inline signal_handler()
{
    if
    :: atomic { signalled && (busy && !NO_BUSY || !wanted || state != RUNS) -> signalled = false }
    :: atomic { signalled && (!busy || NO_BUSY) && wanted && state == RUNS -> signalled = false }
       assert(!busy); /* H3: never inside the collector's own slow paths */
       action(1)
    :: !signalled
    fi
}

inline safepoint()
{
    do
    :: wanted ->
       busy++;
       signal_handler();
       do
       :: wanted -> action(1)
       :: !wanted -> break
       od;
       signal_handler();
       busy--;
       if
       :: TAIL -> break
       :: else
       fi
    :: !wanted -> break
    od
}

inline leave()
{
    busy--;
    signal_handler();
    if
    :: busy == 0 && !NO_RECHECK -> safepoint()
    :: else
    fi
}

active proctype thread()
{
    do
    :: signal_handler();
       if
       :: true -> signalled || over /* work of its own, in which nothing but a signal reaches it */
       :: busy++; signal_handler(); leave() /* a slow path */
       :: busy++;                           /* thread_wait */
          signal_handler();
          state = SAFE;
          signal_handler();
          do
          :: atomic { state == SAFE -> state = RUNS; break }
          :: atomic { state == HELD -> asleep = true }
             !asleep
          od;
          signal_handler();
          leave()
       :: over && !signalled -> break
       fi
    od
}

/* action_for */
inline try()
{
    if
    :: !wanted
    :: wanted ->
       if
       :: atomic { state == SAFE -> state = (NO_HELD -> SAFE : HELD) }
          if
          :: wanted || NO_SECOND -> action(2)
          :: else
          fi;
          if
          :: !NO_HELD -> state = SAFE
          :: else
          fi;
          atomic {
              if
              :: !NO_WAKE -> asleep = false
              :: else
              fi
          }
       :: state != SAFE -> failed = true
       fi
    fi
}

active proctype collector()
{
    bool failed;
    c_code { now.mutant = getenv("MUTANT") ? atoi(getenv("MUTANT")) : 0; };
    do
    :: asked < 3 ->
       asked++;
       wanted = true;
       failed = false;
       try();
       if
       :: failed -> signalled = true
       :: else
       fi;
       do
       :: !wanted -> break
       :: atomic { wanted && state == SAFE -> failed = false } try()
       od;
       assert(done == asked) /* H1 */
    :: asked == 3 -> over = true; break
    od
}
