#!/usr/bin/env python3
"""damage.py KIND SEED CORE: overwrites words of a core file.

KIND random: anywhere in its memory. Otherwise the descriptors of an allocator's heap, which are found by
what they look like: many of them, so that the heap as a whole contradicts itself.
"""
import random
import struct
import sys

PAGE = 4096


def loads(core):
    """(address, offset in the file, bytes) of every writable stretch of memory."""
    header = struct.unpack_from('<HHIQQQIHHHHHH', core, 16)
    offset, size, count = header[4], header[8], header[9]
    for i in range(count):
        kind, flags, at, address, _, length, _, _ = struct.unpack_from('<IIQQQQQQ', core, offset + i * size)
        if kind == 1 and flags & 2 and length:
            yield address, at, length


def damage_random(core):
    stretches = list(loads(core))
    for _ in range(4000):
        _, at, length = random.choice(stretches)
        where = at + random.randrange(0, length - 8) // 8 * 8
        core[where:where + 8] = random.choice([b'\xff' * 8, b'\0' * 8, random.randbytes(8)])
    return True


def damage_musl(core):
    """Pages of descriptors begin with the secret, and have 101 descriptors of 40 bytes."""
    pages = {}
    for _, at, length in loads(core):
        for where in range(at, at + length - PAGE + 1, PAGE):
            if core[where + 16:where + 20] == struct.pack('<I', 101):
                pages.setdefault(bytes(core[where:where + 8]), []).append(where)
    found = max(pages.values(), key=len, default=[])
    for where in found:
        for i in range(0, 101, 2):
            mask = where + 24 + i * 40 + 24
            core[mask:mask + 8] = b'\xff' * 8
    return len(found) > 0


def damage_jemalloc(core):
    """Metadata begins at 2 MiB with its size; a descriptor has an address and a size by pages."""
    huge, count = 2 << 20, 0
    for address, at, length in loads(core):
        for start in range(-address % huge, length - huge + 1, huge):
            size, _, bits = struct.unpack_from('<QQQ', core, at + start)
            if size == 0 or size % huge or bits & 0xfff != 0xfff:
                continue
            for where in range(at + start + 256, at + min(start + size, length), 128):
                bits, block, pages = struct.unpack_from('<QQQ', core, where)
                if block >> 40 == 0x7f and block % PAGE == 0 and pages >> 12 and pages < 1 << 30:
                    struct.pack_into('<Q', core, where, bits ^ 3 << 28 ^ 1 << 21)
                    count += 1
    return count > 0


def damage_mimalloc(core):
    """A segment begins at 32 MiB with its numbers; its pages' descriptors have 80 bytes."""
    segment, count = 32 << 20, 0
    for address, at, length in loads(core):
        for start in range(-address % segment, length - 41304 + 1, segment):
            slices, info = struct.unpack_from('<QQ', core, at + start + 224)
            if slices != 512 or info != 1:
                continue
            for page in range(1, 512):
                where = at + start + 264 + 80 * page
                if struct.unpack_from('<I', core, where)[0]:
                    core[where + 10] ^= 1
                    count += 1
    return count > 0


def damage_tcmalloc(core):
    """The cache of a thread has the sizes 0, 8 and 16 in its first three lists of 32 bytes."""
    count = 0
    for address, at, length in loads(core):
        for where in range(at + -address % 64, at + length - 4160, 64):
            if core[where + 56] != 8 or struct.unpack_from('<III', core, where + 24)[0] != 0:
                continue
            sizes = [struct.unpack_from('<I', core, where + 24 + 32 * i)[0] for i in range(4)]
            if sizes[:3] != [0, 8, 16] or sizes[3] not in (24, 32):
                continue
            for i in range(1, 80):
                head = struct.unpack_from('<Q', core, where + 32 * i)[0]
                if head:
                    struct.pack_into('<Q', core, where + 32 * i, head + 1)
                    count += 1
    return count > 0


def main():
    kind, seed, path = sys.argv[1:]
    random.seed(int(seed))
    with open(path, 'rb') as file:
        core = bytearray(file.read())
    if not globals()['damage_' + kind](core):
        sys.exit('found nothing to damage')
    with open(path, 'wb') as file:
        file.write(core)


main()
