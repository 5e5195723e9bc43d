// A server: each thread replaces blocks in its table at random, then hands the table to a new
// thread and ends; the successor frees what its predecessors made.
//
// Stresses: blocks that outlive their thread, heaps of ended threads that must serve the living,
// remote frees to owners that are gone. The idea is Larson and Krishnan's, 1998. Who has it:
// servers whose thread pool shrinks and grows, one thread per connection, sessions that wander
// between threads.
#include "../kit/kit.h"

#include <pthread.h>

enum { TABLE = 5000, STEPS_PER_LIFE = 20000, FULL = 24000000 };

struct session {
    struct slot *table;
    struct random random;
    size_t steps_left;
};

static void session_steps(struct session *session, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct slot *slot = &session->table[random_below(&session->random, TABLE)];
        slot_drop(slot);
        slot_fill(slot, random_between(&session->random, 16, 500), (uint32_t)i);
    }
    session->steps_left -= count;
}

static void *session_life(void *argument)
{
    struct session *session = argument;
    size_t left = session->steps_left;
    session_steps(session, left < STEPS_PER_LIFE ? left : STEPS_PER_LIFE);
    return NULL;
}

// One chain of lives, one after the other. The thread that starts them only waits.
static void server_chain(void *shared, unsigned index)
{
    struct session session = {
        .table = slots_new(TABLE),
        .random = random_seeded(index),
        .steps_left = job_share(shared, FULL),
    };
    while (session.steps_left) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, session_life, &session))
            fail("no thread for the next life of chain %u", index);
        pthread_join(thread, NULL);
    }
    slots_drop(session.table, TABLE);
}

void server_run(struct job *job)
{
    crew_run(job->threads, server_chain, job);
}
