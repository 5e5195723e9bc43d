// One thread makes every block, the others free them: batches of 512 pass through a bounded queue.
//
// Stresses: remote frees and nothing else. The producer never frees, the consumers never make;
// memory has to travel back to the producer, or it grows without end. Who has it: a network thread
// in front of workers, a reader in front of parsers, loggers, every pipeline.
#include "../kit/kit.h"

#include <pthread.h>

enum { BATCH = 512, QUEUE = 32, FULL = 16000000 };

struct batch {
    struct slot blocks[BATCH];
};

struct queue {
    pthread_mutex_t lock;
    pthread_cond_t filled, emptied;
    struct batch *batches[QUEUE];
    size_t put, taken;
    size_t total; // batches in all
};

static void queue_put(struct queue *queue, struct batch *batch)
{
    pthread_mutex_lock(&queue->lock);
    while (queue->put - queue->taken == QUEUE) pthread_cond_wait(&queue->emptied, &queue->lock);
    queue->batches[queue->put++ % QUEUE] = batch;
    pthread_mutex_unlock(&queue->lock);
    pthread_cond_signal(&queue->filled);
}

// The next batch, or NULL after the last.
static struct batch *queue_take(struct queue *queue)
{
    struct batch *batch = NULL;
    pthread_mutex_lock(&queue->lock);
    while (queue->put == queue->taken && queue->taken < queue->total)
        pthread_cond_wait(&queue->filled, &queue->lock);
    if (queue->taken < queue->total) batch = queue->batches[queue->taken++ % QUEUE];
    bool last = queue->taken == queue->total;
    pthread_mutex_unlock(&queue->lock);
    pthread_cond_signal(&queue->emptied);
    if (last) pthread_cond_broadcast(&queue->filled);
    return batch;
}

static void producer_make(struct queue *queue)
{
    struct random random = random_seeded(0);
    for (size_t i = 0; i < queue->total; i++) {
        struct batch *batch = block_new(sizeof *batch);
        for (size_t b = 0; b < BATCH; b++)
            slot_fill(&batch->blocks[b], random_between(&random, 16, 256), (uint32_t)(i + b));
        queue_put(queue, batch);
    }
}

static void producer_consume(struct queue *queue)
{
    for (struct batch *batch; (batch = queue_take(queue));) {
        for (size_t b = 0; b < BATCH; b++) slot_drop(&batch->blocks[b]);
        free(batch);
    }
}

static void producer_work(void *shared, unsigned index)
{
    if (index == 0)
        producer_make(shared);
    else
        producer_consume(shared);
}

void producer_run(struct job *job)
{
    struct queue queue = {
        .lock = PTHREAD_MUTEX_INITIALIZER,
        .filled = PTHREAD_COND_INITIALIZER,
        .emptied = PTHREAD_COND_INITIALIZER,
        .total = job_total(job, FULL / BATCH),
    };
    crew_run(job->threads, producer_work, &queue);
}
