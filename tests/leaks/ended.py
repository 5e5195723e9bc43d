#!/usr/bin/env python3
"""Kills a program at random points while it is looked into, by `run --leaks` and by `leaks PID`: the command
ends in time, and `run` as the program did. usage: ended.py ROUNDS"""
import os
import random
import signal
import subprocess
import sys
import time

command = os.environ["FREEHOLD"]
program = os.environ["PARTS"] + "/ends"
library = os.environ["LIBRARY"]
rounds = int(sys.argv[1])
seed = random.randrange(1 << 32)
random.seed(seed)
print(f"seed {seed}")
quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
if os.path.exists("/proc/sys/kernel/yama/ptrace_scope"):
    if int(open("/proc/sys/kernel/yama/ptrace_scope").read()) > 1:
        print("ptrace is forbidden here")
        sys.exit(77)


def children(pid):
    try:
        return [int(p) for p in open(f"/proc/{pid}/task/{pid}/children").read().split()]
    except FileNotFoundError:
        return []


def kill(pid):
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def end_of(process, what):
    try:
        return process.wait(60)
    except subprocess.TimeoutExpired:
        process.kill()
        sys.exit(f"{what} does not end")


def one_run():
    how = random.choice(["return", "thread", "fork"])
    run = subprocess.Popen([command, "run", "--leaks-children", "-q", "--", program, how, "3000", "3000", "4"], **quiet)
    time.sleep(random.random() * 0.06)
    for child in children(run.pid):
        kill(child)
    status = end_of(run, "run")
    if status not in (0, -signal.SIGKILL):
        sys.exit(f"run ended with {status}")
    return status != 0


def one_look():
    target = subprocess.Popen([program, "wait", "3000", "3000", "8"], stdout=subprocess.PIPE,
                              env={**os.environ, "LD_PRELOAD": library})
    target.stdout.readline()
    look = subprocess.Popen([command, "leaks", str(target.pid)], **quiet)
    time.sleep(random.random() * 0.03)
    kill(target.pid)
    end_of(look, "leaks")
    end_of(target, "the program")
    target.stdout.close()


killed = 0
for _ in range(rounds):
    killed += one_run()
    one_look()
print(f"{rounds} rounds, {killed} killed before their end")
sys.exit(0 if killed > 0 else 98)
