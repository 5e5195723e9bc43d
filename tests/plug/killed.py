#!/usr/bin/env python3
"""killed.py TIMES: freehold plug is killed at random points, while it looks, writes its list or waits; the server that it
looked into holds all that it should hold, and ends well. The seed is printed; SEED=n repeats it."""
import os
import random
import signal
import subprocess
import sys
import time

freehold, parts, library = os.environ['FREEHOLD'], os.environ['PARTS'], os.environ['LIBRARY']
times = int(sys.argv[1])
seed = int(os.environ.get('SEED', random.randrange(1 << 30)))
random.seed(seed)


def fail(why):
    server.kill()
    print(f'FAILED: {why} (SEED={seed})')
    sys.exit(1)


def status():
    with open(f'/proc/{server.pid}/status') as f:
        return dict(line.split(':\t', 1) for line in f.read().splitlines() if ':\t' in line)


env = dict(os.environ, MAY_INTERRUPT='1', LD_PRELOAD=library, FREEHOLD_OPTIONS='plug,plug_age=3600000,plug_rate=1G')
server = subprocess.Popen([parts + '/plug_server', '4096', '8'], env=env, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True)
time.sleep(0.5)
killed = 0
while killed < times:
    command = subprocess.Popen([freehold, 'plug', '--quiet', '--age', '40ms', '--every', '40ms', str(server.pid)],
                               stderr=subprocess.PIPE)
    time.sleep(random.random() * 0.6)
    command.send_signal(signal.SIGKILL)
    if command.wait() >= 0:
        fail('it ended by itself: ' + command.stderr.read().decode())
    command.stderr.close()
    killed += 1
    for _ in range(2000):
        if server.poll() is not None:
            fail('the server has ended: ' + server.stderr.read())
        s = status()
        if s['TracerPid'] == '0' and s['State'][0] in 'SR':
            break
        time.sleep(0.01)
    else:
        fail(f'the server is in state {s["State"]}, traced by {s["TracerPid"]}')

last = subprocess.run([freehold, 'plug', '--age', '40ms', '--every', '40ms', '--times', '4', str(server.pid)],
                      capture_output=True, text=True)
if last.returncode != 0 or 'given back so far' not in last.stderr or ' 0 blocks, 0 B, given' in last.stderr:
    fail('it can no longer be looked into: ' + last.stderr)
server.send_signal(signal.SIGTERM)
said = server.communicate()[1]
if server.returncode != 0 or 'FAILED' in said:
    fail(f'the server ended with {server.returncode}: {said}')
print(f'{killed} killed; {last.stderr.splitlines()[-1]}; seed {seed}')
