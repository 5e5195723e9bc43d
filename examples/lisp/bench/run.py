#!/usr/bin/python3
"""Times the benchmark programs: run.py LISP [-n TIMES] [--json FILE] [--with COMMAND]... [PROGRAM...]

Each program under each policy, and with each further command ("guile --use-srfi=69 -s"), in turn, so
that a busy machine hits all alike; the least of TIMES counts. Columns: seconds of processor time of the
whole process (markers included), seconds from start to end, MiB of peak RSS, and what the collector says
of itself: collections, longest pause in milliseconds."""
import argparse
import glob
import json
import os
import subprocess
import sys
import tempfile
import time


def run(command):
    """One run: what it cost, or None if it failed."""
    with tempfile.TemporaryFile() as errors:
        start = time.monotonic()
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=errors)
        _, status, usage = os.wait4(child.pid, 0)
        wall = time.monotonic() - start
        errors.seek(0)
        text = errors.read().decode(errors="replace")
    if status:
        print(" ".join(command), "failed:", text[-300:], file=sys.stderr)
        return None
    row = {"cpu_s": usage.ru_utime + usage.ru_stime, "wall_s": wall, "peak_rss_kib": usage.ru_maxrss}
    if text.startswith("{"):
        stats = json.loads(text)
        row["collections"] = stats["collections"] + stats.get("minor_collections", 0)
        row["pause_max_us"] = stats["pause_max_ns"] / 1000
    return row


def least(rows):
    rows = [row for row in rows if row]
    return min(rows, key=lambda row: row["cpu_s"]) if rows else None


def line(row):
    text = f"{row['cpu_s']:8.2f} {row['wall_s']:8.2f} {row['peak_rss_kib'] / 1024:7.0f}"
    if "collections" in row:
        text += f" {row['collections']:7d} {row['pause_max_us'] / 1000:9.2f}"
    return text


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("lisp")
    parser.add_argument("programs", nargs="*")
    parser.add_argument("-n", type=int, default=3)
    parser.add_argument("--json")
    parser.add_argument("--with", dest="others", action="append", default=[])
    options = parser.parse_args()
    here = os.path.dirname(os.path.abspath(__file__))
    programs = options.programs or sorted(glob.glob(os.path.join(here, "*.scm")))
    commands = {p: [options.lisp, "--stats", "--policy", p] for p in ("mark", "generational", "concurrent")}
    for other in options.others:
        commands[os.path.basename(other.split()[0])] = other.split()
    results = []
    print(f"{'program':12} {'system':14} {'cpu s':>8} {'wall s':>8} {'MiB':>7} {'gcs':>7} {'pause ms':>9}")
    for program in programs:
        name = os.path.splitext(os.path.basename(program))[0]
        rows = {system: [] for system in commands}
        for _ in range(options.n):
            for system, command in commands.items():
                if name != "weak" or "--stats" in command:
                    rows[system].append(run(command + [program]))
        for system in commands:
            row = least(rows[system])
            if row:
                print(f"{name:12} {system:14}", line(row), flush=True)
                results.append({"program": name, "system": system, **row})
    if options.json:
        with open(options.json, "w") as file:
            json.dump(results, file, indent=1)


main()
