#!/usr/bin/env python3
"""freehold run between a program and its signals: passed on once, kept from ending us first, and the
end repeated. Waits for lines, never for a time."""
import os
import pty
import signal
import subprocess
import sys

FREEHOLD = os.environ['FREEHOLD']
os.environ['FREEHOLD_LIBRARY'] = os.environ['STANDIN_SO']
LISTEN = os.environ['PARTS'] + '/listen'


def check(condition, what):
    if not condition:
        sys.exit('FAILED: ' + what)


def start(**more):
    return subprocess.Popen([FREEHOLD, 'run', '-q', '--', LISTEN], text=True,
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE, **more)


def test_passes_each_signal_on():
    program = start()
    check(program.stdout.readline() == 'ready\n', 'the program did not start')
    for name in ('HUP', 'INT', 'QUIT', 'TERM', 'USR1', 'USR2', 'WINCH'):
        program.send_signal(getattr(signal, 'SIG' + name))
        # A line that the program reads afterwards proves that the signal came once only.
        check(program.stdout.readline() == name + '\n', name + ' did not arrive')
        program.stdin.write('x\n')
        program.stdin.flush()
        check(program.stdout.readline() == 'read x\n', name + ' arrived twice')
    program.stdin.close()
    check(program.wait() == 42, 'the exit status was lost')


def test_dies_of_the_same_signal():
    for number in (signal.SIGTERM, signal.SIGKILL, signal.SIGABRT):
        command = f'kill -{int(number)} $$'
        status = subprocess.run([FREEHOLD, 'run', '-q', '--', 'sh', '-c', command]).returncode
        check(status == -number, f'{number.name}: status {status}')


def test_waits_although_children_are_ignored():
    ignore = lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    status = subprocess.run([FREEHOLD, 'run', '-q', '--', 'sh', '-c', 'exit 5'], preexec_fn=ignore)
    check(status.returncode == 5, f'status {status.returncode}')


def test_gives_back_what_was_blocked_and_ignored():
    def prepare():
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
        signal.signal(signal.SIGUSR2, signal.SIG_IGN)
    show = ['grep', '-E', '^Sig(Blk|Ign):', '/proc/self/status']
    plain = subprocess.run(show, preexec_fn=prepare, capture_output=True).stdout
    ours = subprocess.run([FREEHOLD, 'run', '-q', '--'] + show, preexec_fn=prepare,
                          capture_output=True).stdout
    check(plain == ours, f'{plain} became {ours}')


class Terminal:
    """A shell with job control on a terminal of its own."""

    def __init__(self):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ.update(PS1='shell> ', TERM='dumb')
            os.execvp('bash', ['bash', '--norc', '--noprofile', '-i'])
        self.passed = self.seen = ''  # up to what was expected last, and behind it

    def send(self, text):
        os.write(self.fd, text.encode())

    def expect(self, text):
        while text not in self.seen:
            try:
                piece = os.read(self.fd, 4096)
            except OSError:
                piece = b''
            check(piece, f'the terminal ended before it showed {text!r}: {self.seen!r}')
            self.seen += piece.decode(errors='replace')
        self.passed, self.seen = self.seen.split(text, 1)


def test_stops_and_continues_with_the_terminal():
    shell = Terminal()
    shell.expect('shell> ')
    shell.send(f'{FREEHOLD} run -- {LISTEN}\n')
    shell.expect('\nready')
    shell.send('one\n')
    shell.expect('read one')
    shell.send('\x1a')  # ^Z
    shell.expect('Stopped')
    shell.expect('shell> ')
    shell.send('fg\n')
    shell.expect('\nCONT')
    shell.send('two\n')
    shell.expect('read two')
    shell.send('\x03')  # ^C: once from the terminal, not again from us
    shell.expect('INT\r\n')
    shell.send('three\n')
    shell.expect('three\r\n')  # the terminal's echo
    shell.expect('\n')
    check('read three' in shell.passed, f'^C arrived twice: {shell.passed!r}')
    shell.send('\x04')  # ^D
    shell.expect('peak 40.0 MiB of memory')  # we lived on to tell
    shell.expect('shell> ')
    shell.send('echo status $?\n')
    shell.expect('\nstatus 42')
    shell.send('exit\n')
    os.waitpid(shell.pid, 0)


tests = [test for name, test in sorted(globals().items()) if name.startswith('test_')]
for test in tests:
    test()
print(len(tests), 'cases')
