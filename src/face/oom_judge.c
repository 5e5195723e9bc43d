/*
 * Whether it is time for a report. No clock, no file: all of it is given, so that tests play any course of events.
 *
 *     used    0 ------------------ 8/10 ------- 9/10 ------ limit
 *                 may be told again  |   as it was |  told, once
 *
 * One report is for all causes that are near just then. Two are at least OOM_PAUSE_MS apart; a cause that comes
 * near meanwhile is told when that has passed, if it still is. Stall has no level: it may be told again after
 * as long without any.
 */
#include "face/oom.h"

uint64_t oom_near(uint64_t limit)
{
    return limit - limit / 10;
}

uint64_t oom_far(uint64_t limit)
{
    return limit - limit / 5;
}

static bool is_near(const struct oom_level *level)
{
    return level->limit != CGROUP_NONE && level->used >= oom_near(level->limit);
}

static bool is_far(const struct oom_level *level)
{
    return level->limit == CGROUP_NONE || level->used < oom_far(level->limit);
}

static bool is_due(const struct oom_judge *judge, const struct oom_level level[OOM_CAUSES],
                   enum oom_cause cause, bool stalled)
{
    return !judge->spent[cause] && (cause == OOM_STALL ? stalled : is_near(&level[cause]));
}

enum oom_cause oom_judge(struct oom_judge *judge, const struct oom_level level[OOM_CAUSES],
                         bool stalled, uint64_t now_ms)
{
    for (int c = OOM_LIMIT; c < OOM_STALL; c++)
        if (is_far(&level[c])) judge->spent[c] = false;
    if (!stalled && now_ms >= judge->stalled_ms + OOM_PAUSE_MS) judge->spent[OOM_STALL] = false;
    if (stalled) judge->stalled_ms = now_ms;
    if (judge->told && now_ms < judge->told_ms + OOM_PAUSE_MS) return OOM_NONE;
    enum oom_cause first = OOM_NONE;
    for (int c = OOM_CAUSES - 1; c >= OOM_LIMIT; c--)
        if (is_due(judge, level, (enum oom_cause)c, stalled)) first = (enum oom_cause)c;
    if (first == OOM_NONE) return OOM_NONE;
    for (int c = OOM_LIMIT; c < OOM_CAUSES; c++)
        if (is_due(judge, level, (enum oom_cause)c, stalled)) judge->spent[c] = true;
    judge->told = true;
    judge->told_ms = now_ms;
    return first;
}

bool oom_is_close(const struct oom_judge *judge, const struct oom_level level[OOM_CAUSES])
{
    for (int c = OOM_LIMIT; c < OOM_STALL; c++)
        if (!judge->spent[c] && level[c].limit != CGROUP_NONE &&
            level[c].used >= level[c].limit / 10 * 7)
            return true;
    return false;
}

uint64_t oom_room(const struct oom_judge *judge, const struct oom_level level[OOM_CAUSES])
{
    uint64_t room = CGROUP_NONE;
    for (int c = OOM_LIMIT; c < OOM_STALL; c++) {
        if (judge->spent[c] || level[c].limit == CGROUP_NONE) continue;
        uint64_t near = oom_near(level[c].limit);
        /* Past that point: how much is left at all. */
        uint64_t to = level[c].used < near ? near : base_max(level[c].limit, level[c].used);
        room = base_min(room, to - level[c].used);
    }
    return room;
}
