/*
 * From samples to a verdict.
 *
 * The score of an allocator in a round is its time times its peak, each as a ratio to the program as it
 * is in the same round: half the time is worth twice the memory. Time is that of the clock or of the
 * processor, whichever is worse: on a busy machine the clock alone makes winners out of luck (seen with
 * short programs: 0.42 of the time with 1.28 of the work). Best is the lowest median; but it is said to be
 * better only if it was in three rounds out of four, that is by its upper quartile; and whoever it did not
 * beat as often is as good. Whoever failed in one round is out.
 */
#include <stdlib.h>

#include "compare.h"

static int order(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Between the two values that are nearest to this part of the way through them. */
static double quantile(const double *sorted, size_t count, double part)
{
    double at = part * (double)(count - 1);
    size_t below = (size_t)at;
    if (below + 1 >= count) return sorted[count - 1];
    return sorted[below] + (at - (double)below) * (sorted[below + 1] - sorted[below]);
}

static struct spread spread_of(double *values, size_t count)
{
    if (count == 0) return (struct spread){0};
    qsort(values, count, sizeof *values, order);
    return (struct spread){quantile(values, count, 0.5), quantile(values, count, 0.25),
                           quantile(values, count, 0.75), count};
}

/* A measure of a sample; `base` is the first candidate's of the same round. False: not known. */
typedef bool measure_fn(const struct sample *s, const struct sample *base, double *value);

static bool measure_ns(const struct sample *s, const struct sample *base, double *value)
{
    (void)base;
    *value = (double)s->ns;
    return true;
}

static bool measure_cpu(const struct sample *s, const struct sample *base, double *value)
{
    (void)base;
    *value = (double)s->cpu_ns;
    return true;
}

static bool measure_peak(const struct sample *s, const struct sample *base, double *value)
{
    (void)base;
    *value = (double)s->peak;
    return true;
}

static bool measure_end(const struct sample *s, const struct sample *base, double *value)
{
    (void)base;
    *value = (double)s->end;
    return s->end > 0;
}

static bool measure_time_ratio(const struct sample *s, const struct sample *base, double *value)
{
    *value = (double)s->ns / (double)(base->ns ? base->ns : 1);
    return base->good;
}

static bool measure_cpu_ratio(const struct sample *s, const struct sample *base, double *value)
{
    *value = (double)s->cpu_ns / (double)(base->cpu_ns ? base->cpu_ns : 1);
    return base->good;
}

static bool measure_peak_ratio(const struct sample *s, const struct sample *base, double *value)
{
    *value = (double)s->peak / (double)(base->peak ? base->peak : 1);
    return base->good;
}

static bool measure_score(const struct sample *s, const struct sample *base, double *value)
{
    double time, cpu, peak;
    bool known = measure_time_ratio(s, base, &time) && measure_cpu_ratio(s, base, &cpu) &&
                 measure_peak_ratio(s, base, &peak);
    if (known) *value = (time > cpu ? time : cpu) * peak;
    return known;
}

static struct spread spread_against(const struct compare *compare, const struct candidate *c,
                                    const struct sample *base, measure_fn *measure)
{
    double values[ROUNDS_MAX];
    size_t count = 0;
    for (size_t i = 0; i < compare->done; i++) {
        const struct sample *s = &c->samples[i];
        if (s->good && measure(s, &base[i], &values[count])) count++;
    }
    return spread_of(values, count);
}

static struct spread spread_over(const struct compare *compare, const struct candidate *c,
                                 measure_fn *measure)
{
    return spread_against(compare, c, compare->candidates[0].samples, measure);
}

/* Only if the program as it is wrote the same each time, does another output mean something. */
static void judge_output(struct compare *compare, struct candidate *c)
{
    const struct sample *base = compare->candidates[0].samples;
    for (size_t i = 1; i < compare->done; i++) {
        if (base[i].output != base[0].output) return;
    }
    for (size_t i = 0; i < compare->done; i++)
        c->other_output += c->samples[i].good && c->samples[i].output != base[0].output;
}

static void judge_candidate(struct compare *compare, struct candidate *c)
{
    c->ns = spread_over(compare, c, measure_ns);
    c->cpu_ns = spread_over(compare, c, measure_cpu);
    c->peak = spread_over(compare, c, measure_peak);
    c->end = spread_over(compare, c, measure_end);
    c->time_ratio = spread_over(compare, c, measure_time_ratio);
    c->cpu_ratio = spread_over(compare, c, measure_cpu_ratio);
    c->peak_ratio = spread_over(compare, c, measure_peak_ratio);
    c->score = spread_over(compare, c, measure_score);
    judge_output(compare, c);
}

bool candidate_is_fit(const struct compare *compare, const struct candidate *c)
{
    return c->score.count == compare->done && !c->other_output;
}

void compare_judge(struct compare *compare)
{
    compare->best = NULL;
    for (size_t i = 0; i < compare->count; i++) judge_candidate(compare, &compare->candidates[i]);
    for (size_t i = 1; i < compare->count && compare->done >= ROUNDS_TO_TELL; i++) {
        const struct candidate *c = &compare->candidates[i];
        bool clear = candidate_is_fit(compare, c) && c->score.high < 1;
        if (clear && (!compare->best || c->score.median < compare->best->score.median))
            compare->best = c;
    }
    for (size_t i = 1; compare->best && i < compare->count; i++) {
        struct candidate *c = &compare->candidates[i];
        struct spread s = spread_against(compare, c, compare->best->samples, measure_score);
        c->as_good = c != compare->best && candidate_is_fit(compare, c) && s.low <= 1;
    }
}
