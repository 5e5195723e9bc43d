#!/usr/bin/env python3
"""Runs the attack corpus under allocators and says what each did about every case.

    run.py CORPUS --under glibc                                 the C library's own malloc
    run.py CORPUS --under 'mine=/path/lib.so VARIABLE=value'    preloaded, with an environment
    run.py CORPUS --under 'mine=/path/one.so:/path/lib.so'      several; malloc is in one of them
    run.py CORPUS --under ... --under ...                       side by side

Every case is run --runs times, each in a process of its own. What came of a run:

    detected   the allocator ended the process with a message before the goal was reached
    stopped    it ended before the goal without one: a trap at a guard, or an abort that says nothing
    harmless   the program went on to its end and the goal was not reached
    late       the goal was reached; the process was ended afterwards
    silent     the goal was reached, and nothing happened
    hang       no end within --limit seconds, and no goal
    missing    a function that the case is about does not exist there     (counted nowhere)
    refused    the case could not be set up                               (counted nowhere)

Legal programs: passed, warned (it passed, but something was written to stderr) or broken.
Protected is detected, stopped or harmless, as a share of the runs that count. All averages are over
cases, and a case counts by the share of its runs. Cases of kind `hygiene` have no attacker: their goal
is that the mistake goes unnoticed; they are summed apart.

    --expect FILE --level LEVEL   compares with what is expected (see expect.txt); exit status 1 if not so
    --skeleton LEVEL              prints lines for such a file from what was seen
    --reached                     exit status 1 if there is a goal that was reached under none of them:
                                  such a case proves nothing
    --json FILE                   everything, for other programs
"""

import argparse
import collections
import concurrent.futures
import fnmatch
import json
import os
import re
import resource
import signal
import subprocess
import sys

PROTECTED = ("detected", "stopped", "harmless")
COUNTED = PROTECTED + ("late", "silent", "hang")
LEGAL = ("passed", "warned", "broken")
OUTCOMES = COUNTED + ("missing", "refused") + LEGAL
SAYS = ("GOAL", "DONE", "PASS", "MISSING", "REFUSED", "BROKEN")
CLASSES = {
    "A": "out of bounds", "B": "double free", "C": "bad free", "D": "mismatch", "E": "use after free",
    "F": "leaks", "G": "glibc's", "H": "records", "I": "arguments", "J": "fork, threads", "L": "legal",
}

Case = collections.namedtuple("Case", "id kind title goal")
Under = collections.namedtuple("Under", "name preload settings")
Run = collections.namedtuple("Run", "outcome message ended")


def split_said(said):
    """Lines of the corpus, and lines of the allocator: some write their messages to stdout."""
    ours = [line for line in said.splitlines() if line.split(" ", 1)[0] in SAYS]
    return ours, [line for line in said.splitlines() if line not in ours]


def classify(kind, said, errors, status, timed_out):
    """What a run came to. status is as subprocess has it: negative for a signal."""
    ours, foreign = split_said(said)
    words = {line.split(" ", 1)[0] for line in ours}
    errors += "\n".join(foreign)
    ended = status != 0 or timed_out
    if kind == "legal":
        if ended or "PASS" not in words:
            return "missing" if status == 77 else "broken"
        return "warned" if errors.strip() else "passed"
    if "GOAL" in words:
        return "late" if ended and "REFUSED" not in words else "silent"
    if timed_out:
        return "hang"
    if "MISSING" in words:
        return "missing"
    if "REFUSED" in words:
        return "refused"
    if ended:
        return "detected" if errors.strip() else "stopped"
    return "harmless" if "DONE" in words else "refused"


def how_it_ended(status, timed_out):
    if timed_out:
        return "time"
    if status >= 0:
        return "exit %d" % status
    try:
        return signal.Signals(-status).name
    except ValueError:
        return "signal %d" % -status


def environment(under):
    settings = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "LIBC_FATAL_STDERR_": "1"}
    settings.update(under.settings)
    if under.preload:
        settings["LD_PRELOAD"] = under.preload
    return settings


def run_once(corpus, under, case, limit):
    child = subprocess.Popen([corpus, case.id], env=environment(under), stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
    timed_out = False
    try:
        said, errors = child.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        timed_out = True
        os.killpg(child.pid, signal.SIGKILL)
        said, errors = child.communicate()
    said, errors = said.decode(errors="replace"), errors.decode(errors="replace")
    outcome = classify(case.kind, said, errors, child.returncode, timed_out)
    ours, foreign = split_said(said)
    errors = "\n".join([errors, *foreign, *(line for line in ours if line.startswith("BROKEN"))])
    return Run(outcome, errors.strip()[:2000], how_it_ended(child.returncode, timed_out))


def read_cases(corpus, pattern):
    listed = subprocess.run([corpus, "list"], stdout=subprocess.PIPE, check=True, text=True).stdout
    cases = [Case(*line.split("\t")) for line in listed.splitlines()]
    return [case for case in cases if re.search(pattern, case.id)]


def takes_effect(corpus, under):
    """Why malloc does not come from what was preloaded; None if it does."""
    try:
        where = subprocess.run([corpus, "where"], env=environment(under), stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL, text=True, timeout=20).stdout.strip()
    except subprocess.TimeoutExpired:
        return "no process comes to an end under it"
    preloaded = [os.path.realpath(path) for path in under.preload.split(":")]
    if not under.preload or os.path.realpath(where) in preloaded:
        return None
    return "malloc comes from %s" % (where or "nowhere: the process ends at once")


def parse_under(text):
    words = text.split()
    name, _, path = words[0].partition("=")
    paths = path.split(":") if path else []
    for each in paths:
        if not os.path.exists(each):
            raise argparse.ArgumentTypeError("%s: no such library" % each)
    settings = dict(word.split("=", 1) for word in words[1:])
    return Under(name, ":".join(map(os.path.abspath, paths)), settings)


def run_all(corpus, unders, cases, options):
    """{(name of allocator, id of case): [Run]}; allocators take turns within each case."""
    results = collections.defaultdict(list)
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        waiting = {}
        for case in cases:
            for _ in range(options.runs):
                for under in unders:
                    job = pool.submit(run_once, corpus, under, case, options.limit)
                    waiting[job] = (under.name, case.id)
        for number, job in enumerate(concurrent.futures.as_completed(waiting)):
            results[waiting[job]].append(job.result())
            if sys.stderr.isatty() and number % 50 == 0:
                print("\r%d of %d" % (number, len(waiting)), end="", file=sys.stderr)
    if sys.stderr.isatty():
        print("\r", end="", file=sys.stderr)
    return results


def shares(runs):
    """The share of each outcome among the runs that count; empty if none does."""
    counted = [run.outcome for run in runs if run.outcome in COUNTED]
    return {word: counted.count(word) / len(counted) for word in COUNTED if word in counted}


def protected(runs):
    share = shares(runs)
    return sum(share.get(word, 0) for word in PROTECTED) if share else None


def sum_up(results, name, cases):
    """Sum of the shares over cases, and the number of cases that count."""
    total, number = collections.Counter(), 0
    for case in cases:
        share = shares(results[name, case.id])
        number += bool(share)
        total.update(share)
    return total, number


def percent(part, whole):
    return "%.0f" % (100 * part / whole) if whole else "-"


def cell(results, name, cases):
    total, number = sum_up(results, name, cases)
    return percent(sum(total[word] for word in PROTECTED), number)


def outcome_cell(results, name, cases):
    total, number = sum_up(results, name, cases)
    words = ("detected", "stopped", "harmless", "late", "silent")
    text = "/".join(percent(total[word], number) for word in words)
    return text + (" hang %s" % percent(total["hang"], number) if total["hang"] else "")


def table(rows):
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        print("  ".join(text.ljust(width) if i == 0 else text.rjust(width)
                        for i, (text, width) in enumerate(zip(row, widths))).rstrip())
    print()


def split_cases(cases):
    exploits = [case for case in cases if case.kind == "exploit"]
    return exploits, [case for case in cases if case.kind == "hygiene"], \
        [case for case in cases if case.kind == "legal"]


def print_summary(results, unders, cases):
    exploits, hygiene, legal = split_cases(cases)
    letters = sorted({case.id[0] for case in exploits})
    of = {letter: [case for case in exploits if case.id[0] == letter] for letter in letters}
    print(", ".join("%s %s" % (letter, CLASSES.get(letter, "?")) for letter in letters), end="\n\n")
    print("protected, percent of the exploits of a class (detected, stopped or harmless)")
    rows = [["", *("%s (%d)" % (letter, len(of[letter])) for letter in letters),
             "all (%d)" % len(exploits), "hygiene (%d)" % len(hygiene)]]
    for under in unders:
        rows.append([under.name, *(cell(results, under.name, of[letter]) for letter in letters),
                     cell(results, under.name, exploits), cell(results, under.name, hygiene)])
    table(rows)
    print("detected/stopped/harmless/late/silent, percent")
    rows = [["", *(rows[0][1:])]]
    for under in unders:
        rows.append([under.name, *(outcome_cell(results, under.name, of[letter]) for letter in letters),
                     outcome_cell(results, under.name, exploits), outcome_cell(results, under.name, hygiene)])
    table(rows)
    print_legal(results, unders, legal)


def print_legal(results, unders, legal):
    for under in unders:
        bad = collections.Counter()
        for case in legal:
            bad.update({"%s %s" % (case.id, run.outcome): 1 for run in results[under.name, case.id]
                        if run.outcome != "passed"})
        good = sum(all(run.outcome == "passed" for run in results[under.name, case.id]) for case in legal)
        print("%s: %d of %d legal programs pass%s" % (under.name, good, len(legal),
                                                    "; not " + ", ".join(sorted(bad)) if bad else ""))
    print()


def short(runs):
    count = collections.Counter(run.outcome for run in runs)
    return "/".join("%s%s" % (word, "" if len(count) == 1 else number) for word, number in count.most_common())


def print_cases(results, unders, cases):
    table([["case", *(under.name for under in unders)]] +
          [[case.id, *(short(results[under.name, case.id]) for under in unders)] for case in cases])


def first_message(runs):
    for run in runs:
        if run.message and run.outcome in ("detected", "late", "warned", "broken"):
            return next((line for line in run.message.splitlines() if line.strip(" =*-")), "")
    return ""


def print_messages(results, unders, cases):
    for under in unders:
        print("%s: what it said" % under.name)
        for case in cases:
            message = first_message(results[under.name, case.id])
            if message:
                print("  %s  %s" % (case.id, message[:140]))
        print()


def print_losses(results, ours, unders, cases):
    """Cases in which another allocator protects more often than ours does."""
    print("%s is behind in" % ours)
    behind = 0
    for case in cases:
        mine = protected(results[ours, case.id]) if case.kind != "legal" else None
        better = {under.name: share for under in unders
                  if (share := protected(results[under.name, case.id])) is not None and mine is not None
                  and share > mine}
        if better:
            behind += 1
            best = sorted(better, key=better.get, reverse=True)[:4]
            print("  %s %3.0f %%  %s (%s)" % (case.id, 100 * mine, case.title,
                                            ", ".join("%s %.0f" % (name, 100 * better[name]) for name in best)))
    print("  nothing" if not behind else "  %d of %d cases" % (behind, len(cases)), end="\n\n")


# --- what is expected -------------------------------------------------------------------------------

Expected = collections.namedtuple("Expected", "case level outcomes pattern")


def read_expected(path):
    lines = []
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            words = line.split("#", 1)[0].split(None, 3)
            if not words:
                continue
            if len(words) < 3:
                sys.exit("%s:%d: want: case level outcomes [pattern]" % (path, number))
            outcomes = words[2].split("|")
            wrong = [word for word in outcomes if word not in OUTCOMES]
            if wrong:
                sys.exit("%s:%d: no outcome: %s" % (path, number, ", ".join(wrong)))
            lines.append(Expected(words[0], words[1], outcomes, words[3].strip() if len(words) > 3 else ""))
    return lines


def expected_for(lines, case, level):
    """The last line that fits."""
    fits = [line for line in lines
            if fnmatch.fnmatchcase(case.id, line.case) and fnmatch.fnmatchcase(level, line.level)]
    return fits[-1] if fits else None


def unexpected(line, runs):
    """What is not as it was expected to be, in words; None if all is."""
    if not line:
        return "nothing is expected"
    for run in runs:
        if run.outcome not in line.outcomes:
            return "%s (%s), expected %s: %s" % (run.outcome, run.ended, "|".join(line.outcomes),
                                               run.message.split("\n")[0][:200])
        if run.outcome == "detected" and line.pattern and not re.search(line.pattern, run.message):
            return "said %r, expected /%s/" % (run.message[:300], line.pattern)
    return None


def compare(results, name, cases, path, level):
    lines, bad = read_expected(path), 0
    for case in cases:
        why = unexpected(expected_for(lines, case, level), results[name, case.id])
        if why:
            bad += 1
            print("%s %s: %s\n    %s" % (name, case.id, why, case.title))
    print("%s: %d of %d cases are not as expected at level %s" % (name, bad, len(cases), level))
    return bad


def print_skeleton(results, name, cases, level):
    for case in cases:
        seen = {run.outcome for run in results[name, case.id]}
        print("%-4s %-9s %-28s # %s" % (case.id, level, "|".join(word for word in OUTCOMES if word in seen),
                                      case.title))


def print_unreached(results, unders, cases):
    """Cases whose goal nobody reached."""
    never = [case for case in cases if case.kind != "legal" and not any(
        run.outcome in ("late", "silent") for under in unders for run in results[under.name, case.id])]
    for case in never:
        print("%s: its goal is reached under none of them: %s" % (case.id, case.title))
    print("%d of %d goals were reached" % (len(cases) - len(never), len(cases)))
    return len(never)


def write_json(path, results, unders, cases):
    rows = [{"allocator": under.name, "preload": under.preload, "settings": under.settings, "case": case.id,
             "kind": case.kind, "title": case.title, "protected": protected(results[under.name, case.id]),
             "outcomes": dict(collections.Counter(run.outcome for run in results[under.name, case.id])),
             "ended": dict(collections.Counter(run.ended for run in results[under.name, case.id])),
             "message": first_message(results[under.name, case.id])}
            for case in cases for under in unders]
    with open(path, "w", encoding="utf-8") as file:
        json.dump(rows, file, indent=1)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", help="the program")
    parser.add_argument("--under", action="append", type=parse_under, metavar="NAME[=LIBRARY] [VARIABLE=value ...]",
                        help="an allocator; glibc if none is named")
    parser.add_argument("--cases", default="", metavar="REGEX", help="only these")
    parser.add_argument("--runs", type=int, default=10, help="runs of each case (10)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes at once")
    parser.add_argument("--limit", type=float, default=20, metavar="SECONDS", help="time for a run (20)")
    parser.add_argument("--list", action="store_true", help="print every case's outcome")
    parser.add_argument("--messages", action="store_true", help="print what the allocators said")
    parser.add_argument("--ours", metavar="NAME", help="print where this one is behind the others")
    parser.add_argument("--reached", action="store_true", help="is every goal reached under one of them?")
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--expect", metavar="FILE")
    parser.add_argument("--level", default="standard", help="of --expect (standard)")
    parser.add_argument("--skeleton", metavar="LEVEL")
    return parser.parse_args()


def report(results, unders, cases, options):
    """Returns the exit status."""
    bad = 0
    if options.skeleton:
        for under in unders:
            print_skeleton(results, under.name, cases, options.skeleton)
        return 0
    if options.reached:
        return 1 if print_unreached(results, unders, cases) else 0
    if options.list:
        print_cases(results, unders, cases)
    if options.messages:
        print_messages(results, unders, cases)
    if options.expect:
        bad = sum(compare(results, under.name, cases, options.expect, options.level) for under in unders)
    else:
        print_summary(results, unders, cases)
    if options.ours in [under.name for under in unders]:
        print_losses(results, options.ours, unders, cases)
    return 1 if bad else 0


def main():
    options = parse_arguments()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    corpus = os.path.abspath(options.corpus)
    cases = read_cases(corpus, options.cases)
    if not cases:
        sys.exit("no case matches")
    unders = []
    for under in options.under or [Under("glibc", "", {})]:
        why = takes_effect(corpus, under)
        if why:
            print("left out: %s: %s" % (under.name, why), file=sys.stderr)
        else:
            unders.append(under)
    if not unders:
        sys.exit("no allocator is left")
    results = run_all(corpus, unders, cases, options)
    if options.json:
        write_json(options.json, results, unders, cases)
    sys.exit(report(results, unders, cases, options))


if __name__ == "__main__":
    main()
