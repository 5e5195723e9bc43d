#!/usr/bin/env python3
"""freehold map --apply: what it gives back is what was told, and the process does not notice: it says the
same as a twin that nobody disturbed after hundreds of times, under load, also when the command is killed in
the middle. What could break: a lock that is held, a register, a sleep, errno, a signal; a refusal without
a reason."""
import json
import os
import random
import re
import signal
import subprocess
import sys
import time

FREEHOLD, HERE, LIBRARY, TWIN, LEAKS = (os.environ[name] for name in ('FREEHOLD', 'HERE', 'LIBRARY', 'TWIN', 'LEAKS'))
MIB = 1 << 20
TIMES = int(os.environ.get('TIMES', '60'))
seed = int(os.environ.get('SEED', random.randrange(1 << 30)))
random.seed(seed)
for name in ('LD_PRELOAD', 'FREEHOLD_OPTIONS', 'FREEHOLD_LIBRARY'):
    os.environ.pop(name, None)


def check(condition, what):
    if not condition:
        sys.exit(f'FAILED: {what} (SEED={seed})')


def apply(pid, status=0):
    result = subprocess.run([FREEHOLD, 'map', '--apply', '--json', str(pid)], capture_output=True, text=True)
    check(result.returncode == status, f'status {result.returncode}: {result.stderr}')
    return json.loads(result.stdout) if status == 0 else result.stderr


class Program:
    def __init__(self, *command, preload=None):
        environment = dict(os.environ, FREEHOLD_OPTIONS='purge=0', **({'LD_PRELOAD': preload} if preload else {}))
        self.process = subprocess.Popen([*command], env=environment, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.pid = self.process.pid
        self.process.stdout.readline()

    def __enter__(self):
        return self

    def end(self):
        out, err = self.process.communicate()
        check(self.process.returncode == 0, f'the program ended with {self.process.returncode}: {err}')
        return out

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()


def await_tracer(pid, command):
    """The thread that the command holds; 0: it has ended before it held one, or nobody saw it."""
    while command.poll() is None:
        for tid in os.listdir(f'/proc/{pid}/task'):
            if status(pid, tid)['TracerPid'] == str(command.pid):
                return int(tid)
    return 0


def status(pid, thread=0):
    with open(f'/proc/{pid}/task/{thread or pid}/status') as file:
        return dict(line.split(':\t', 1) for line in file.read().splitlines() if ':\t' in line)


HEAPS = [(1, 100, 0, 0), (2, 500, 3, 0), (3, 900, 5, 2), (4, 990, 4, 4), (6, 1000, 3, 1)]


def test_gives_back_what_was_told():
    programs = [(('chunks', *map(str, heap)), None) for heap in HEAPS] + [(('spread', '3'), LIBRARY)]
    for command, preload in programs:
        with Program(HERE + '/' + command[0], *command[1:], preload=preload) as program:
            found = apply(program.pid)
            told, gave = found['applied']['told'], -found['applied']['resident_difference']
            print(f'  {command}: told {told}, gave {gave}, {found["applied"]["borrowed_us"]} us')
            check(abs(told - gave) <= max(gave / 10, 1 << 18), f'{command}: told {told}, gave {gave}')
            change = found['before']['resident'] - found['after']['resident']
            check(abs(change - gave) <= 1 << 18, f'{command}: the ledgers differ by {change}, not {gave}')
            check(gave > 900000, f'{command}: {gave}')
            check(status(program.pid)['TracerPid'] == '0', 'it is traced still')
            check(found['applied']['changed_meanwhile'] == 0, f'it stood still: {found["applied"]}')
            again = apply(program.pid)['applied']
            check(abs(again['told']) <= 1 << 18 and abs(again['resident_difference']) <= 1 << 18, f'again: {again}')


def test_what_the_program_does_meanwhile_is_told():
    """RSS differs by both; nothing is given back that is less than nothing."""
    grow = 'import time\nprint("ready", flush=True)\nheld = []\nwhile len(held) < 2000:\n' \
        '    held.append(b"x" * 300000)\n    time.sleep(0.002)\ntime.sleep(60)'
    with Program(sys.executable, '-c', grow) as program:
        for _ in range(5):
            said = subprocess.run([FREEHOLD, 'map', '--apply', str(program.pid)], capture_output=True, text=True)
            check(said.returncode == 0 and 'gave back' not in said.stdout, said)
            check('the process changed ' in said.stdout and 'before malloc_trim(0)' in said.stdout, said)
            check(re.search(r'after it: (no difference|[0-9.]+ \w+ (less|more)); ', said.stdout), said)


def rounds_of(said):
    return [line.split()[0] for line in said.splitlines()]


def compare_with_twin(said):
    rounds = rounds_of(said)
    check(len(rounds) == 3 and all(int(r) > 0 for r in rounds), f'rounds: {said}')
    twin = subprocess.run([TWIN, *rounds], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    check(twin.stdout == said, f'the twins differ:\n{said}{twin.stdout}')


def test_a_busy_program_goes_on_as_its_twin():
    for name, preload in (('glibc', None), ('Freehold', LIBRARY)):
        with Program(TWIN, 'splice', preload=preload) as program:
            threads = set()
            for _ in range(TIMES):
                threads.add(apply(program.pid)['applied']['thread'])
            compare_with_twin(program.end())
            check(program.pid not in threads, 'the first thread was borrowed')
            print(f'  {name}: {TIMES} times in {len(threads)} threads')


def test_killed_it_leaves_no_trace():
    with Program(TWIN, 'splice') as program:
        killed = held = 0
        for _ in range(TIMES):
            command = subprocess.Popen([FREEHOLD, 'map', '--apply', '--json', str(program.pid)],
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            # Mostly while a thread is borrowed, which is a small part of what the command does.
            traced = random.randrange(4) > 0 and await_tracer(program.pid, command)
            time.sleep(random.random() ** 2 * (0.002 if traced else 0.03))
            held += status(program.pid, traced)['TracerPid'] != '0'
            command.kill()
            killed += command.wait() < 0
            for _ in range(2000):
                now = [status(program.pid, tid) for tid in os.listdir(f'/proc/{program.pid}/task')]
                if all(s['TracerPid'] == '0' and s['State'][0] in 'SRD' for s in now):
                    break
                time.sleep(0.005)
            else:
                check(False, f'it stands still, or is traced: {now}')
        apply(program.pid)
        compare_with_twin(program.end())
        print(f'  {killed} of {TIMES} killed, {held} while they held a thread')
        check(held > 0, f'only {held} of {TIMES} were killed while they held a thread')
        check(killed > TIMES // 10, f'only {killed} of {TIMES} were killed')


def test_waits_are_not_disturbed():
    """Each of the calls that a stop may cut, by the thread that is borrowed; see tests/leaks/calls.c."""
    for call in ([], *([str(i)] for i in range(7))):
        with Program(LEAKS + '/calls', *call) as program:
            for _ in range(8):
                apply(program.pid)
            program.end()


def test_a_sleep_and_errno_are_kept():
    with Program(HERE + '/lent', 'sleep') as program:
        began = time.monotonic()
        count = 0
        while time.monotonic() - began < 2 or count < 10:
            apply(program.pid)
            count += 1
        check(int(program.end().split()[0]) > 0, 'it never slept')


def test_a_thread_that_computes_is_borrowed():
    with Program(HERE + '/lent', 'compute') as program:
        for _ in range(20):
            apply(program.pid)
        check(int(program.end().split()[0]) > 0, 'it never computed')


def test_signals_arrive_once():
    with Program(HERE + '/lent', 'signals') as program:
        sent = 0
        for _ in range(TIMES // 3):
            command = subprocess.Popen([FREEHOLD, 'map', '--apply', str(program.pid)], stdout=subprocess.DEVNULL)
            while command.poll() is None:
                os.kill(program.pid, signal.SIGRTMIN)
                sent += 1
                time.sleep(0.0007)
        time.sleep(0.1)
        got = int(program.end().split()[1])
        check(got == sent, f'{got} of {sent} signals arrived')
        print(f'  {sent} signals')


def refused(command, words, preload=None, stop=False):
    with Program(*command, preload=preload) as program:
        if stop:
            program.process.send_signal(signal.SIGSTOP)
            while status(program.pid)['State'][0] != 'T':
                time.sleep(0.001)
        said = apply(program.pid, status=2)
        check(words in said and said.count('\n') == 1, f'{command}: {said}')
        check(status(program.pid)['TracerPid'] == '0', 'it is traced still')
        if stop:
            check(status(program.pid)['State'][0] == 'T', 'it is stopped no longer')


def test_refuses_in_one_line():
    refused([HERE + '/spread'], 'was stopped already', stop=True)
    refused([LEAKS + '/plant_stripped_static', '100', '10', '1'], 'does not tell where its malloc_trim or its errno is')
    refused([LEAKS + '/confined'], 'runs under seccomp')
    for path in ('/usr/lib/x86_64-linux-gnu/libjemalloc.so.2',):
        if os.path.exists(path):
            refused([HERE + '/spread'], "no heap of glibc's or Freehold's", preload=path)
    check('there is no process' in apply(4194305, status=2), 'no process')


for test in [value for name, value in sorted(globals().items()) if name.startswith('test_')]:
    test()
    print(test.__name__, flush=True)
