#!/usr/bin/env python3
"""freehold top: a process that is known is in it with its figures; the screen opens, obeys and is left as
it was; it ends with the process that it watches. Waits for what it expects, never for a time alone."""
import json
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import time
import fcntl
import termios

FREEHOLD, HERE = os.environ['FREEHOLD'], os.environ['HERE']
MIB = 1 << 20
os.environ.update(TERM='xterm', LC_ALL='C.UTF-8')


def check(condition, what):
    if not condition:
        sys.exit('FAILED: ' + what)


class Spread:
    def __enter__(self):
        self.process = subprocess.Popen([HERE + '/spread', '2'], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.process.stdout.readline()
        return self.process

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


def freehold(*arguments):
    return subprocess.run([FREEHOLD, *map(str, arguments)], capture_output=True, text=True, stdin=subprocess.DEVNULL)


class Screen:
    """Runs the command on a terminal that has a line for everybody, and keeps what it wrote."""

    def __init__(self, *arguments):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack('HHHH', 900, 100, 0, 0))
            os.execv(FREEHOLD, [FREEHOLD, 'top', *map(str, arguments)])
        self.text = ''

    def expect(self, words, what):
        end = time.monotonic() + 60
        while words not in self.text:
            ready, _, _ = select.select([self.fd], [], [], 1)
            if ready:
                try:
                    self.text += os.read(self.fd, 65536).decode(errors='replace')
                except OSError:
                    break
            check(time.monotonic() < end, f'{what}: no {words!r} in {self.text[-500:]!r}')
        check(words in self.text, f'{what}: {self.text[-500:]!r}')

    def press(self, keys):
        self.text = ''
        os.write(self.fd, keys.encode())

    def end(self):
        while True:
            try:
                more = os.read(self.fd, 65536).decode(errors='replace')
            except OSError:
                break
            if not more:
                break
            self.text += more
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def test_tells_what_a_process_has():
    with Spread() as program:
        result = freehold('top', '--json', program.pid)
        found = json.loads(result.stdout)['processes']
        check(len(found) == 1 and found[0]['pid'] == program.pid and found[0]['name'] == 'spread', result.stdout)
        check(40 * MIB < found[0]['rss'] < 60 * MIB, 'RSS')
        check(3 * MIB < found[0]['shared'] < 10 * MIB, 'shared')
        everybody = json.loads(freehold('top', '--json').stdout)
        check(program.pid in [p['pid'] for p in everybody['processes']], 'not among all')
        check(os.getpid() in [p['pid'] for p in everybody['processes']], 'we are not among all')
        text = freehold('top', '--once', '--sort', 'name', program.pid).stdout.splitlines()
        check(text[0].startswith('freehold top: 1 process, RSS ') and 'by name' in text[0], text)
        check(len(text) == 3 and 'spread' in text[2] and 'glibc' in text[2], text)
    check(len(freehold('top', '--once').stdout.splitlines()) <= 20, 'more than 20 lines')


def test_a_process_lives_on_after_its_first_thread():
    process = subprocess.Popen([HERE + '/outlive'], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    process.stdout.readline()
    for arguments, status, words in ((('top', '--once'), 0, 'glibc'), (('which',), 1, 'allocates with glibc'),
                                     (('map',), 0, 'MiB resident')):
        result = freehold(*arguments, process.pid)
        check(result.returncode == status and words in result.stdout, f'{arguments}: {result}')
        check('out?live' in result.stdout, f'the name: {result.stdout}')
    found = json.loads(freehold('map', '--json', process.pid).stdout)
    check(8 * MIB < found['resident'] < 16 * MIB, found['resident'])
    check(process.pid in [p['pid'] for p in json.loads(freehold('top', '--json').stdout)['processes']], 'not among all')
    task = max(os.listdir(f'/proc/{process.pid}/task'), key=int)
    start = open(f'/proc/{process.pid}/task/{task}/maps').readline().split('-')[0]
    walked = json.loads(freehold('map', '--json', '--walk', '0x' + start, process.pid).stdout)
    check(walked['present'] and walked['mapping'].endswith('outlive'), walked)
    process.stdin.close()
    process.wait()


def test_reads_cheaply():
    cost = min(json.loads(freehold('top', '--json').stdout)['cost_us'] for _ in range(5))
    count = len(os.listdir('/proc'))
    check(cost < 1000 * count, f'{cost} us for {count} entries of /proc')


def test_screen_obeys():
    with Spread():
        screen = Screen('--delay', '0.1', '--sort', 'name')
        screen.expect('spread', 'the list')
        screen.expect('by name', 'the order')
        screen.press('s')
        screen.expect('process id', 'the next order')
        screen.press('p')
        screen.expect('go on', 'pause')
        screen.press('x\033[A\033[B\033[6~\033[5~\033[Z+-')
        screen.press('q')
        check(screen.end() == 0, 'the status')
        check('\033[?1049l' in screen.text, f'the terminal is not given back: {screen.text[-500:]!r}')


def test_screen_opens_the_ledger():
    with Spread() as program:
        screen = Screen('--delay', '0.1', program.pid)
        screen.expect('resident', 'the ledger')
        screen.expect('page tables', 'the ledger')
        program.kill()
        program.wait()
        check(screen.end() == 0, 'the status')
        check(f'process {program.pid} has ended' in screen.text, screen.text[-500:])


def test_a_bad_moment_is_told_on_the_screen():
    screen = Screen('--delay', '0.1', '--sort', 'pid')
    screen.expect('PID', 'the list')
    screen.press('\033[H\n')  # the first: init, or what stands for it; ours or not
    screen.expect('\033[', 'something')
    screen.press('q')
    check(screen.end() == 0, 'the status')


def test_refusals():
    for arguments, words in ((['4194305'], 'there is no process'), (['x'], 'not a process id'),
                             (['--sort', 'size'], 'none of rss'), (['--delay', '0'], 'not a number of seconds'),
                             ([], 'no terminal')):
        result = freehold('top', *arguments)
        check(result.returncode == 2 and words in result.stderr, f'{arguments}: {result}')
    screen = Screen()
    screen.expect('PID', 'the list')
    os.kill(screen.pid, signal.SIGTERM)
    check(screen.end() != 0 and '\033[?1049l' in screen.text, 'SIGTERM leaves the terminal as it is')


def has_screen():
    """Not if it was built without ncurses."""
    screen = Screen('--delay', '0.1')
    while 'PID' not in screen.text and 'without' not in screen.text:
        screen.text += os.read(screen.fd, 65536).decode(errors='replace')
    found = 'without' not in screen.text
    os.kill(screen.pid, signal.SIGKILL)
    os.waitpid(screen.pid, 0)
    return found


if not has_screen():
    print('no screen: only what is printed is tested')
    del test_screen_obeys, test_screen_opens_the_ledger, test_a_bad_moment_is_told_on_the_screen, test_refusals
for test in [value for name, value in sorted(globals().items()) if name.startswith('test_')]:
    test()
    print(test.__name__, flush=True)
