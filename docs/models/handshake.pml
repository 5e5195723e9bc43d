/*
 * The snapshot protocol of docs/gc-concurrent.md at the level of colours, barrier and handshakes, for spin:
 *
 *      spin -a handshake.pml && cc -O2 -DSAFETY -DCOLLAPSE -o pan pan.c && ./pan -m200000
 *
 * Two threads, three objects with one field each, one root slot outside of the heap. A thread holds one
 * reference, and may load, store (through the barrier), drop. A store is two steps, the test of the barrier
 * and the store itself; a handshake may come between them. Claim: when marking has ended, every object
 * that a thread or the root can still reach is marked.
 *
 * Parts of the protocol that are switched off by -D must make the claim fail:
 *      NO_SNOOP   stores of the time between the handshakes are remembered once a slot, old value only
 *      NO_SETTLE  roots are taken while a store of the time before may still be on its way
 *      NO_OLD     old values are not remembered
 */
#define OBJECTS 3
#define NONE 7

byte field[OBJECTS];  /* reference in each object's field */
bool fresh[OBJECTS]; /* its log bit: the field has not been remembered in this epoch */
bool marked[OBJECTS], scanned[OBJECTS];
byte root = 0;
byte held[2];         /* on each thread's stack */
mtype = { OFF, SNOOP, LOG };
mtype mode[2] = OFF;
bool armed[2], settled[2], taken[2], flushed[2]; /* has answered this handshake */
byte slot[2] = NONE;     /* the field that an interrupted store is about to write; NONE */
bool ended = false;
byte phase = 0; /* 0 idle, 1 arming, 2 settling, 3 taking roots, 4 marking, 5 asking whether threads remember more */

#define drained ((!marked[0] || scanned[0]) && (!marked[1] || scanned[1]) && (!marked[2] || scanned[2]))

inline shade(o) { atomic { if :: (o != NONE) -> marked[o] = true :: else fi } }

/* A handshake, answered at any point of the thread's own steps. */
inline answer(me)
{
    if
    :: atomic { (phase == 1 && !armed[me]) -> mode[me] = SNOOP; armed[me] = true }
#ifndef NO_SETTLE
    /* Not in the middle of a store. */
    :: atomic { (phase == 2 && !settled[me] && slot[me] == NONE) -> settled[me] = true }
#endif
    :: atomic { (phase == 3 && !taken[me]) -> shade(held[me]); taken[me] = true }
    :: atomic { (phase == 5 && !flushed[me]) -> flushed[me] = true }
    fi
}

/* The barrier's slow half: no handshake is answered inside of it, but the other thread may step in between
 * any two of its steps. */
inline store_slowly(me, o, value)
{
    if
    :: atomic { (mode[me] == SNOOP) -> old = field[o]; field[o] = value }; /* an exchange */
#ifndef NO_OLD
        shade(old);
#endif
#ifndef NO_SNOOP
        shade(value);
#endif
        skip
    :: (mode[me] == LOG) -> old = field[o];
        if
        :: atomic { fresh[o] -> fresh[o] = false };
#ifndef NO_OLD
            shade(old);
#endif
            skip
        :: !fresh[o]
        fi;
        field[o] = value
    fi;
    old = NONE
}

/* The root is a slot without a log bit: only while roots are being taken does it matter. */
inline clear_root(me)
{
    if
#ifndef NO_SNOOP
    :: (mode[me] == SNOOP) -> shade(root)
#else
    :: false -> skip
#endif
    :: else
    fi;
    root = NONE
}

proctype thread(byte me)
{
    byte o = 0, value = NONE, old = NONE;
    do
    :: ended -> break
    :: answer(me)
    :: atomic { (held[me] != NONE && field[held[me]] != NONE) -> held[me] = field[held[me]] } /* load */
    :: atomic { (root != NONE) -> held[me] = root }
    :: held[me] = NONE
    :: atomic { (held[me] != NONE) -> select(o : 0 .. 2) }
        /* o is written only if the thread could have found it: it is reachable from what it holds */
        if
        :: atomic { (o == held[me] || (held[me] != NONE && field[held[me]] == o)) ->
            value = (o == held[me] -> NONE : held[me]) }
            if
            :: atomic { (mode[me] == OFF) -> slot[me] = o } /* the inline half: test, ... */
                do /* ... a handshake or two, ... */
                :: answer(me)
                :: atomic { field[o] = value; slot[me] = NONE } -> break /* ... store */
                od
            :: (mode[me] != OFF) -> store_slowly(me, o, value)
            fi
        :: else
        fi
    :: atomic { (mode[me] != OFF && root != NONE) -> clear_root(me) }
    od
}

active proctype collector()
{
    byte i;
    phase = 1;
    (armed[0] && armed[1]);
    atomic { i = 0; do :: i < OBJECTS -> fresh[i] = true; i++ :: else -> break od }
#ifndef NO_SETTLE
    phase = 2;
    (settled[0] && settled[1]);
#endif
    phase = 3;
    (taken[0] && taken[1]);
    shade(root);
    mode[0] = LOG;
    mode[1] = LOG;
    phase = 4;
mark:
    do
    :: atomic { (marked[0] && !scanned[0]) -> scanned[0] = true; shade(field[0]) }
    :: atomic { (marked[1] && !scanned[1]) -> scanned[1] = true; shade(field[1]) }
    :: atomic { (marked[2] && !scanned[2]) -> scanned[2] = true; shade(field[2]) }
    :: drained -> break
    od;
    atomic { flushed[0] = false; flushed[1] = false; phase = 5 }
    (flushed[0] && flushed[1]);
    phase = 4;
    if :: !drained -> goto mark :: else fi;
    /* Everything held or in the root is marked, and what it refers to, transitively. */
    atomic {
        assert(held[0] == NONE || marked[held[0]]);
        assert(held[1] == NONE || marked[held[1]]);
        assert(root == NONE || marked[root]);
        i = 0;
        do
        :: i < OBJECTS -> assert(!marked[i] || field[i] == NONE || marked[field[i]]); i++
        :: else -> break
        od;
        ended = true
    }
}

init
{
    atomic {
        field[0] = 1; field[1] = 2; field[2] = NONE;
        held[0] = NONE; held[1] = NONE;
        run thread(0);
        run thread(1)
    }
}
