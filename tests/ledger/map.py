#!/usr/bin/env python3
"""freehold map: the rows add up to the kernel's RSS on stopped processes, each row is what the program
did, what a trim would give back is what it gives back, one address is what it is, and processes that
cannot be looked at are refused in a line."""
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

FREEHOLD, HERE, LIBRARY, LIBGC = (os.environ[name] for name in ('FREEHOLD', 'HERE', 'LIBRARY', 'LIBGC'))
MIB = 1 << 20
for name in ('LD_PRELOAD', 'FREEHOLD_OPTIONS', 'FREEHOLD_LIBRARY'):
    os.environ.pop(name, None)


def check(condition, what):
    if not condition:
        sys.exit('FAILED: ' + what)


def freehold(*arguments, **more):
    return subprocess.run([FREEHOLD, *map(str, arguments)], capture_output=True, text=True, **more)


def ledger(pid, *more):
    result = freehold('map', '--json', *more, pid)
    check(result.returncode == 0, f'map: {result.returncode}: {result.stderr}')
    return json.loads(result.stdout)


class Program:
    """Runs while the block is executed; preloaded with a library if one is given. Freehold gives nothing
    back by itself there, or the figures would depend on how long the machine takes."""

    def __init__(self, *command, preload=None, ready=True):
        environment = dict(os.environ, FREEHOLD_OPTIONS='purge=0', **({'LD_PRELOAD': preload} if preload else {}))
        self.process = subprocess.Popen([*command], env=environment, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.pid = self.process.pid
        self.words = self.process.stdout.readline().split()[1:] if ready else []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGCONT)
        self.process.stdin.close()
        self.process.kill()
        self.process.wait()

    def stop(self):
        self.process.send_signal(signal.SIGSTOP)
        while open(f'/proc/{self.pid}/stat').read().rsplit(')')[1].split()[0] != 'T':
            time.sleep(0.001)


def kernel_rss(pid):
    for line in open(f'/proc/{pid}/smaps_rollup'):
        if line.startswith('Rss:'):
            return int(line.split()[1]) * 1024
    return None


def rows(found):
    return {row['owner']: row['bytes'] for row in found['rows']}


def library(name):
    for folder in ('/usr/lib/x86_64-linux-gnu/', '/usr/lib/aarch64-linux-gnu/', '/usr/lib/'):
        if os.path.exists(folder + name):
            return folder + name
    return None


ALLOCATORS = {'glibc': None, 'Freehold': LIBRARY, 'jemalloc': library('libjemalloc.so.2'),
              'mimalloc': library('libmimalloc.so.2'),
              'gperftools tcmalloc': library('libtcmalloc_minimal.so.4')}


def check_sum(program, name):
    """The process is stopped: the sum is the kernel's to the byte, and so is every mapping."""
    program.stop()
    found = ledger(program.pid, '--mappings')
    check(sum(rows(found).values()) == found['resident'], f'{name}: the rows are not the sum')
    check(found['resident'] == kernel_rss(program.pid) == found['kernel_resident'],
          f"{name}: {found['resident']} is not {kernel_rss(program.pid)}")
    resident = {}
    for line in open(f'/proc/{program.pid}/smaps'):
        word = line.split()
        if '-' in word[0] and not word[0].endswith(':'):
            start = int(word[0].split('-')[0], 16)
        elif word[0] == 'Rss:':
            resident[start] = int(word[1]) * 1024
    check({m['start']: m['resident'] for m in found['mappings']} == resident, f'{name}: a mapping differs')
    check(found['mapping_count'] == len(resident), f'{name}: the number of mappings')
    return found


def test_adds_up_on_every_allocator():
    for name, preload in ALLOCATORS.items():
        if name != 'glibc' and not preload:
            continue
        with Program(HERE + '/spread', '3', preload=preload) as program:
            found = check_sum(program, name)
            check(found['allocator'] == name, f"{name} is taken for {found['allocator']}")


def test_adds_up_on_real_programs():
    with tempfile.TemporaryDirectory() as folder:
        real_programs(folder)


def real_programs(folder):
    programs = {
        'python3': ['python3', '-u', '-c', 'x = [str(i) * 9 for i in range(200000)]\nprint("ready"); input()'],
        'perl': ['perl', '-e', '$|=1; $h{$_} = "x" x 99 for 1..100000; print "ready\\n"; <STDIN>'],
        'sqlite3': ['sqlite3', ':memory:', '-cmd', 'create table t as with recursive c(x) as (select 1 union all '
                    'select x+1 from c where x<100000) select hex(x) from c;', '-cmd', '.shell echo ready'],
        'redis-server': ['redis-server', '--port', '0', '--save', '', '--unixsocket', f'{folder}/redis'],
        'node': ['node', '-e', 'x=Array(1e5).fill(0).map((_,i)=>String(i)); console.log("ready"); process.stdin.resume()'],
    }
    seen = 0
    for name, command in programs.items():
        if not shutil.which(command[0]):
            continue
        for preload in (None, LIBRARY):
            with Program(*command, preload=preload) as program:
                found = check_sum(program, name)
                seen += 1
                if preload and name != 'redis-server':  # that one calls its own allocator by name
                    check(found['allocator'] == 'Freehold', f"{name} is on {found['allocator']}")
                check(found['resident'] > 2 * MIB, f'{name}: {found}')
    check(seen > 0 or 'no real program here', 'none')


def within(value, low, high, what):
    check(low <= value <= high, f'{what}: {value}, not {low}..{high}')


def test_rows_are_what_the_program_did():
    for name in ('glibc', 'Freehold'):
        with Program(HERE + '/spread', '3', preload=ALLOCATORS[name]) as program:
            row = rows(check_sum(program, name))
            within(row['stacks'], 3 * MIB, 3.2 * MIB, f'{name}: stacks')
            within(row['data'], 3 * MIB, 3.6 * MIB, f'{name}: variables')
            within(row['shared'], 3 * MIB, 3 * MIB, f'{name}: shared')
            within(row['main_stack'], 4096, 200000, f'{name}: main stack')
            if name == 'glibc':
                live = 20200 * 272 + 3 * 100000
                within(row['glibc_live'], live, live * 1.01, 'live')
                within(row['glibc_between'], 19800 * 272 * 0.99, 19800 * 272 * 1.01, 'fragmentation')
                check('break' not in row and 'glibc_arenas' not in row, f'not divided: {row}')
                within(row['anonymous'] + row.get('glibc_mmapped', 0), 25 * MIB, 25.2 * MIB, 'anonymous')
            else:
                live = 20 * MIB + 20200 * 256 + 3 * 100000
                within(row['heap_live'], live, live * 1.02, 'live')
                within(row['heap_partly'], 19800 * 256 * 0.9, 19800 * 256 * 1.1, 'fragmentation')
                within(row['anonymous'], 5 * MIB, 5.2 * MIB, 'anonymous')
                within(row['heap_metadata'], 8192, 200000, 'metadata')


def test_heaps_of_the_collector_are_told():
    """In a process whose malloc is not ours, too."""
    if not shutil.which('guile') or not os.path.exists(LIBGC):
        return
    with Program('env', 'LD_LIBRARY_PATH=' + os.path.dirname(LIBGC), 'guile', '-c',
                 '(define x (iota 1000000)) (display "ready\\n") (force-output) (read-char)') as program:
        found = check_sum(program, 'guile')
        check(found['allocator'] == 'glibc', f"guile's malloc is {found['allocator']}")
        within(rows(found)['gc'], 15 * MIB, 60 * MIB, 'a million pairs')


def test_zero_page_is_not_resident():
    with Program(HERE + '/spread', preload=LIBRARY) as program:
        row = rows(check_sum(program, 'zero page'))
        within(row['anonymous'], 5 * MIB, 5.3 * MIB, 'memory that was only read counts')


def test_trim_gives_back_what_was_said():
    with Program(HERE + '/spread', preload=LIBRARY) as program:
        before = ledger(program.pid)
        said = {r['remedy']: r['gives_back'] for r in before['remedies']}['malloc_trim']
        program.process.stdin.write('\n')
        program.process.stdin.flush()
        check(program.process.stdout.readline() == 'trimmed\n', 'no trim')
        after = ledger(program.pid)
        gave = before['resident'] - after['resident']
        check(gave > 3 * MIB and abs(gave - said) <= gave / 10, f'said {said}, gave {gave}')
        left = {r['remedy']: r['gives_back'] for r in after['remedies']}['malloc_trim']
        check(left < said / 10, f'{left} of {said} are still there')


def remedies(found):
    return {r['remedy']: r['gives_back'] for r in found['remedies']}


HEAPS = [(1, 100, 0, 0), (2, 500, 3, 0), (3, 900, 5, 2), (4, 990, 4, 4), (5, 0, 2, 1), (6, 1000, 3, 1)]


def test_chunks_of_glibc_are_what_they_are():
    """Of a stopped process to the byte: what malloc itself says is free is told as free, resident or not."""
    for heap in HEAPS:
        with Program(HERE + '/chunks', *map(str, heap)) as program:
            live, free, fast, cached = map(int, program.words)
            found = check_sum(program, f'chunks {heap}')
            total = {r['owner']: r['bytes'] + r['not_resident'] for r in found['rows'] if 'not_resident' in r}
            said = total.get('glibc_between', 0) + total['glibc_top']
            check(said == free, f'{heap}: {said} bytes free, and not {free}')
            within(total['glibc_cached'], fast + cached, fast + 7 * 64 * 536 * (heap[2] - heap[3] + 1), f'{heap}: caches')
            within(total['glibc_live'], live, live + 40000, f'{heap}: live')
            told = found['glibc']
            check(told['torn'] == 0, f'{heap}: {told}')
            check(told['arenas'] == heap[2] + 1 and told['arenas_of_ended_threads'] == heap[3], f'{heap}: {told}')
            check(('fewer_arenas' in remedies(found)) == (heap[3] > 0), f'{heap}: {found["remedies"]}')


def test_trim_of_glibc_gives_back_what_was_said():
    for heap in HEAPS:
        with Program(HERE + '/chunks', *map(str, heap)) as program:
            before = ledger(program.pid)
            said = remedies(before)['malloc_trim']
            program.process.stdin.write('\n')
            program.process.stdin.flush()
            check(program.process.stdout.readline() == 'trimmed\n', 'no trim')
            after = ledger(program.pid)
            gave = before['resident'] - after['resident']
            check(abs(gave - said) <= max(gave / 10, 1 << 18), f'{heap}: said {said}, gave {gave}')
            check(heap[1] < 500 or gave > MIB, f'{heap}: gave {gave}')
            print(f'  {heap}: said {said}, gave {gave}')
            left = remedies(after)['malloc_trim']
            check(left <= max(said / 10, 1 << 18), f'{heap}: {left} of {said} are still there')


def test_a_busy_heap_of_glibc_is_divided():
    """While its threads allocate: the sum holds, and nearly all of its heaps is divided, but where a heap has grown since
    it was walked, which may be by 132 KiB at a time."""
    whole = 0
    with Program(os.environ['TWIN']) as program:
        for _ in range(30):
            found = ledger(program.pid, '--mappings')
            check(sum(rows(found).values()) == found['resident'], f'not the sum: {found}')
            mappings = found['mappings']
            # A mapping that grows while the kernel lists it may be listed twice.
            if all(a['end'] <= b['start'] for a, b in zip(mappings, mappings[1:])):
                mapped = sum(mapping['resident'] for mapping in mappings)
                check(found['resident'] == mapped, f'{mapped} are mapped: {found}')
            row = rows(found)
            left = row.get('break', 0) + row.get('glibc_arenas', 0)
            check(found['glibc'], f'its heap is not known: {found}')
            whole += left <= 50000
    check(whole >= 15, f'in {whole} of 30 looks nearly all is divided')


def walk(program, address):
    result = freehold('map', '--walk', address, '--json', program.pid)
    check(result.returncode == 0, result.stderr)
    return json.loads(result.stdout)


def test_huge_pages_without_content_are_told():
    """Of each huge page one byte is written: all but 4 KiB of it would not be there without."""
    script = ('import mmap; m = mmap.mmap(-1, 34 << 20, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)\n'
              'm.madvise(mmap.MADV_HUGEPAGE)\n'
              'for i in range(0, 34 << 20, 2 << 20): m[i + 9] = 1\n'
              'print("ready", flush=True); input()')
    with Program('python3', '-c', script) as program:
        found = check_sum(program, 'huge pages')
        if found['in_huge_pages'] < 16 * MIB:
            return  # the kernel has none, or does not give any
        gives = {r['remedy']: r['gives_back'] for r in found['remedies']}['no_huge_pages']
        within(gives, found['in_huge_pages'] * 0.97, found['in_huge_pages'], 'zeros in huge pages')
        check('without huge pages' in freehold('map', program.pid).stdout, 'the text says nothing')


def test_walk_says_what_an_address_is():
    with Program(HERE + '/spread', preload=LIBRARY) as program:
        live, freed, large, stack, zero, forbidden = program.words
        for word, holds in ((live, 'live;'), (freed, 'free;'), (large, 'a live large block of 20.0 MiB')):
            found = walk(program, word)
            check(holds in found['holds'] and found['present'] and not found['file'], f'{word}: {found}')
        holds = walk(program, hex(int(live, 16) + 5))['holds']  # a small heap may serve it from a larger class
        check(holds.startswith('byte 5 of a block of ') and f' at {live}, live' in holds, holds)
        check(walk(program, stack)['mapping'] == '[stack]', 'the stack')
        check(walk(program, zero)['zero_page'], 'the zero page')
        check(walk(program, forbidden)['state'] == 'mapped, but without memory yet', 'what is not touched')
        check(walk(program, '0x10')['state'] == 'not mapped', 'nothing')
        found, address = walk(program, live), int(live, 16)
        again = 0
        for level in found['levels']:
            again |= level['index'] << level['low_bit']
        check(again + found['offset'] == address, 'the indices are not the address')
        if os.geteuid() == 0 and os.path.exists('/proc/kpageflags'):
            check(found['frame'] and {'anon', 'mmap'} <= set(found['frame_flags']), f'{found}')
        text = freehold('map', '--walk', live, program.pid).stdout
        check('PGD' in text and 'PTE' in text and 'holds' in text, text)


def test_text_is_short_and_begins_with_the_verdict():
    for preload in (None, LIBRARY):
        with Program(HERE + '/spread', '3', preload=preload) as program:
            program.stop()
            result = freehold('map', program.pid)
            lines = result.stdout.splitlines()
            check(lines[0].startswith(f'spread (pid {program.pid}) on ') and len(lines) <= 20, result.stdout)
            check("the kernel's sum is the same to the byte" in result.stdout, result.stdout)
            check('\033' not in result.stdout and result.stderr == '', 'colours or words')


def refused(arguments, words, **more):
    result = freehold('map', *arguments, **more)
    check(result.returncode == 2, f'{arguments}: status {result.returncode}: {result.stdout}')
    check(result.stderr.count('\n') == 1 or 'Usage' in result.stderr or 'Try' in result.stderr, result.stderr)
    check(words in result.stderr, f'{arguments}: {result.stderr}')


def test_refuses_what_cannot_be_looked_at():
    refused([4194305], 'there is no process')
    refused(['12x'], 'not a process id')
    refused([], 'which process?')
    refused(['1', '2'], 'Too many arguments')
    refused(['--walk', 'nonsense', os.getpid()], 'is no address')
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
    refused([child], f'a zombie, until its parent, process {os.getpid()}')
    os.waitpid(child, 0)
    # Others may end at any time: only the parent of all kernel threads is asked about.
    if os.geteuid() == 0 and os.path.exists('/proc/2/comm') and open('/proc/2/comm').read() == 'kthreadd\n':
        refused(['2'], 'a kernel thread')
    if os.geteuid() == 0 and os.access(FREEHOLD, os.X_OK):
        with Program('sleep', '60', ready=False) as program:
            time.sleep(0.1)
            drop = lambda: (os.setgroups([]), os.setgid(65534), os.setuid(65534))
            copy = '/tmp/freehold-map-test-%d' % os.getpid()
            shutil.copy(FREEHOLD, copy)
            os.chmod(copy, 0o755)
            result = subprocess.run([copy, 'map', str(program.pid)], preexec_fn=drop, cwd='/',
                                    capture_output=True, text=True)
            os.unlink(copy)
            check(result.returncode == 2 and 'sudo freehold map' in result.stderr, result.stderr)


def test_bears_processes_that_end_meanwhile():
    for _ in range(60):
        process = subprocess.Popen([HERE + '/leave', str(random.choice((0, 5, 40))), 'return'])
        time.sleep(random.random() * 0.02)
        result = freehold('map', process.pid)
        process.wait()
        check(result.returncode in (0, 2), f'status {result.returncode}: {result.stderr}')
        check(len(result.stderr.splitlines()) == (result.returncode == 2), result.stderr)


def test_bears_many_mappings():
    with Program(HERE + '/shreds', '60000') as program:
        began = time.process_time()
        found = check_sum(program, 'shreds')
        check(found['mapping_count'] > 50000, f"{found['mapping_count']} mappings")
        check(time.process_time() - began < 60, 'too slow')


for test in [value for name, value in sorted(globals().items()) if name.startswith('test_')]:
    test()
    print(test.__name__, flush=True)
