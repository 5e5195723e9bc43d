#!/usr/bin/env python3
"""freehold map --why: of blocks that are kept in a known way each step of the path is the one that is there, on
glibc, on Freehold and in a core file; what is lost, free or no block is told so. What could break: a parent that
is not the one it was found by, a longer way than the shortest, an offset, the name of a root."""
import glob
import json
import os
import shutil
import subprocess
import sys
import tempfile

FREEHOLD, PARTS, LIBRARY = (os.environ[name] for name in ('FREEHOLD', 'PARTS', 'LIBRARY'))
SIZE, LINK, SLOT = 96, 40, 3
for name in ('LD_PRELOAD', 'FREEHOLD_OPTIONS', 'FREEHOLD_LIBRARY'):
    os.environ.pop(name, None)


def check(condition, what):
    if not condition:
        sys.exit(f'FAILED: {what}')


def why(subject, address, status=0, *more):
    result = subprocess.run([FREEHOLD, 'map', '--json', '--why', address, *map(str, subject), *more],
                            capture_output=True, text=True)
    if result.returncode == 2 and 'may not' in result.stderr:
        print(result.stderr)
        sys.exit(77)
    check(result.returncode == status, f'{address}: status {result.returncode}: {result.stderr}')
    return json.loads(result.stdout)


def check_static(found, blocks):
    """The tenth of a list, by nine links and not by the detour of thirty."""
    list_of = blocks[::-1]
    check([step['address'] for step in found['path']] == list_of, f"path: {found['path']}, not {list_of}")
    check([step.get('pointer_at') for step in found['path']] == [LINK] * 9 + [None], f"offsets: {found['path']}")
    check(all(SIZE <= step['size'] <= 4 * SIZE and step['pointed_to_at'] == 0 for step in found['path']), 'sizes')


def check_all(subject, said, threads):
    variables = said['variables']
    found = why(subject, said['static'][0])
    check_static(found, said['static'])
    root = found['root']
    check(root['kind'] == 'static' and root['address'] == variables[0], f'root: {root}')
    check(root['what'].endswith('kept: kept_list'), f'root: {root}')
    inside = why(subject, hex(int(said['static'][0], 16) + 90))
    check(inside['block'] == said['static'][0] and len(inside['path']) == 10, f'inside: {inside}')

    found = why(subject, said['zeroed'][0])
    check(found['root']['address'] == variables[1] and len(found['path']) == 1, f'zeroed: {found}')
    check(found['root']['what'].endswith(f'kept: kept_table+0x{8 * SLOT:x}'), f'zeroed: {found}')

    for kind in ('tls', 'stack', 'register'):
        if kind not in said:
            continue
        found = why(subject, said[kind][0])
        check(found['root']['kind'] == kind and found['root']['thread'] in threads, f'{kind}: {found}')
        check(len(found['path']) == 1 and found['path'][0]['address'] == said[kind][0], f'{kind}: {found}')
    check('register rbx' in found['root']['what'] or 'register' not in said, f'{found}')

    found = why(subject, said['both'][0])
    check(found['root']['kind'] == 'stack' and len(found['path']) == 1, f'both: {found}')
    check(found['other_root']['what'].endswith(f'kept: kept_table+0x{8 * (SLOT + 2):x}'), f'both: {found}')
    check([step['address'] for step in found['other_path']] == said['both'][::-1], f'both: {found}')
    check('other_path' not in why(subject, said['static'][0]), 'a second path where none is needed')

    found = why(subject, said['interior'][0])
    check(found['by_interior_pointers_only'] and found['path'][-1]['pointed_to_at'] == 24, f'interior: {found}')
    for address in said['lost']:
        found = why(subject, address, 1)
        check(found['kind'] == 'block' and not found['reachable'] and 'path' not in found, f'lost: {found}')
    check(why(subject, said['free'][0])['kind'] == 'free', 'free')
    found = why(subject, variables[0])
    check(found['kind'] == 'static' and found['holds'].endswith('kept: kept_list'), f'a variable: {found}')
    check(why(subject, '0x10')['kind'] == 'nothing', 'nothing')


def check_text(pid, said):
    text = subprocess.run([FREEHOLD, 'map', '--why', said['static'][0], str(pid)], capture_output=True, text=True).stdout
    lines = text.splitlines()
    check(len(lines) <= 20 and lines[0].startswith(f'kept (pid {pid}): {said["static"][0]} is byte 0'), text)
    check('alive by static data of kept: kept_list' in lines[0] and 'its word at +40 points to' in text, text)
    both = subprocess.run([FREEHOLD, 'map', '--why', said['both'][0], str(pid)], capture_output=True, text=True).stdout
    check('  also        static data of kept: kept_table+' in both and ' over 2 blocks' in both, both)
    lost = subprocess.run([FREEHOLD, 'map', '--why', said['lost'][0], str(pid)], capture_output=True, text=True)
    check('no root leads to: it is lost' in lost.stdout and lost.returncode == 1, lost.stdout)


def start(preload):
    """The program, and what it says of its blocks."""
    environment = dict(os.environ, **({'LD_PRELOAD': preload} if preload else {}))
    process = subprocess.Popen([PARTS + '/kept'], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               text=True)
    said = {}
    for line in iter(process.stdout.readline, 'ready\n'):
        word = line.split()
        said[word[0]] = word[1:]
    return process, said


def check_owner(name, library):
    """Whose heap a free block is in."""
    process, said = start(library)
    with process:
        holds = why([process.pid], said['free'][0])['holds']
        process.stdin.close()
    check(holds.startswith(f"in {name}'s heap, but in no live block"), f'{name}: {holds}')


def run(preload):
    process, said = start(preload)
    with process:
        threads = {int(tid) for tid in os.listdir(f'/proc/{process.pid}/task')}
        check_all([process.pid], said, threads)
        check_text(process.pid, said)
        if shutil.which('gcore'):
            with tempfile.TemporaryDirectory() as folder:
                subprocess.run(['gcore', '-o', folder + '/core', str(process.pid)], capture_output=True, check=False)
                core = f'{folder}/core.{process.pid}'
                if os.path.exists(core):
                    check_all([core], said, threads)
                    check_all([core, PARTS + '/kept'], said, threads)
        process.stdin.close()
        check(process.wait() == 0, f'it ended with {process.returncode}')


for preload in (None, LIBRARY):
    run(preload)
    print('Freehold' if preload else 'glibc', flush=True)
check_owner('glibc', None)
for name, file in (('jemalloc', 'libjemalloc.so.2'), ('mimalloc', 'libmimalloc.so.2.0'),
                   ('gperftools tcmalloc', 'libtcmalloc_minimal.so.4')):
    for library in glob.glob('/usr/lib/*/' + file):
        check_owner(name, library)
        print(name, flush=True)
result = subprocess.run([FREEHOLD, 'map', '--why', '0x10', PARTS + '/kept'], capture_output=True, text=True)
check(result.returncode == 2 and 'is no core file' in result.stderr, result.stderr)
result = subprocess.run([FREEHOLD, 'map', '--why', '0x10', '--apply', '1'], capture_output=True, text=True)
check(result.returncode == 2 and 'only' in result.stderr, result.stderr)
