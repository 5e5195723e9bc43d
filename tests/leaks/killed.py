#!/usr/bin/env python3
"""killed.py TIMES: freehold leaks is killed at random points of its work, and the program that it looked
at goes on as if nothing had been: it stands still nowhere, and says the same in the end as a twin that
nobody disturbed. The seed is printed; SEED=n repeats it."""
import os
import random
import signal
import subprocess
import sys
import time

freehold, parts = os.environ['FREEHOLD'], os.environ['PARTS']
times = int(sys.argv[1])
seed = int(os.environ.get('SEED', random.randrange(1 << 30)))
random.seed(seed)


def fail(why):
    print(f'FAILED: {why} (SEED={seed})')
    sys.exit(1)


def status(pid):
    with open(f'/proc/{pid}/status') as f:
        return dict(line.split(':\t', 1) for line in f.read().splitlines() if ':\t' in line)


def look():
    return subprocess.Popen([freehold, 'leaks', '--json', str(target.pid)], stdout=subprocess.DEVNULL,
                            stderr=subprocess.PIPE)


target = subprocess.Popen([parts + '/twin'], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
if target.stdout.readline() != 'ready\n':
    fail('the program does not run')
began = time.monotonic()
command = look()
said = command.stderr.readline().decode()
announced = time.monotonic()
said += command.communicate()[1].decode()
if command.returncode > 1:
    if 'may not' in said:
        print(said)
        sys.exit(77)
    fail(said)
whole, touched = time.monotonic() - began, time.monotonic() - announced

killed = i = 0
while killed < times:
    i += 1
    if i > 20 * times:
        fail(f'only {killed} of {i} were still running when they were to be killed')
    command = look()
    # Most of the attempts fall into the part in which the program is touched: from the announcement on.
    if i % 4:
        command.stderr.readline()
        time.sleep(random.random() ** 2 * touched)
    else:
        time.sleep(random.random() * whole)
    command.send_signal(signal.SIGKILL)
    killed += command.wait() < 0
    command.stderr.close()
    for _ in range(2000):
        s = status(target.pid)
        if s['TracerPid'] == '0' and s['State'][0] in 'SR':
            break
        time.sleep(0.01)
    else:
        fail(f'after {i} times the program is in state {s["State"]}, traced by {s["TracerPid"]}')
    if target.poll() is not None:
        fail(f'after {i} times the program has ended with {target.returncode}')

command = look()
if command.wait() > 1:
    fail('it can no longer be looked at: ' + command.stderr.read().decode())
said, _ = target.communicate()
if target.returncode != 0:
    fail(f'the program ended with {target.returncode}')
rounds = [line.split()[0] for line in said.splitlines()]
twin = subprocess.run([parts + '/twin', *rounds], stdin=subprocess.DEVNULL, capture_output=True, text=True)
if twin.stdout != said or len(rounds) != 3:
    fail(f'the twins differ:\n{said}{twin.stdout}')
print(f'{killed} of {i} killed; {" ".join(rounds)} rounds; seed {seed}')
