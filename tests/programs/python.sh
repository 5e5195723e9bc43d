# CPython with every object from malloc: dictionaries, big integers, JSON, regular expressions,
# threads, and a few of its own unit tests' subjects.
. "$(dirname "$0")/tools.sh"
need python3
# Not a shim that starts other programs: the interpreter itself.
python=$(python3 -c 'import sys; print(sys.executable)')
export PYTHONMALLOC=malloc PYTHONHASHSEED=0 PYTHONDONTWRITEBYTECODE=1
on "$python" - <<'PYTHON'
import collections, gc, hashlib, itertools, json, queue, re, threading, unittest, zlib

class Shapes(unittest.TestCase):
    def test_dict_of_lists(self):
        d = collections.defaultdict(list)
        for i in range(200000):
            d[i * 7919 % 10007].append(str(i))
        print(len(d), sum(len(v) for v in d.values()), hashlib.sha256(repr(sorted(d)).encode()).hexdigest())

    def test_big_integers(self):
        n = 1
        for i in range(1, 1500):
            n *= i
        print(hashlib.sha256(str(n).encode()).hexdigest())

    def test_json_and_text(self):
        data = [{'id': i, 'name': 'n' * (i % 50), 'tags': list(range(i % 9))} for i in range(5000)]
        text = json.dumps(data)
        self.assertEqual(json.loads(text), data)
        words = re.findall(r'"name": "(n*)"', text)
        print(len(text), len(words), zlib.crc32(zlib.compress(text.encode())))

    def test_cycles(self):
        for _ in range(20000):
            a, b = [], {}
            a.append(b)
            b['a'] = a
        gc.collect()
        print('cycles', len(gc.garbage))

    def test_threads(self):
        box, results = queue.Queue(), queue.Queue()
        def work():
            for text in iter(box.get, None):
                results.put(hashlib.md5(text.encode() * 100).hexdigest())
        threads = [threading.Thread(target=work) for _ in range(4)]
        for t in threads: t.start()
        for i in range(2000): box.put('x' * i)
        for t in threads: box.put(None)
        for t in threads: t.join()
        print(hashlib.sha256(''.join(sorted(results.queue)).encode()).hexdigest())

    def test_strings_grow(self):
        s, b = '', bytearray()
        for i in range(100000):
            s += chr(97 + i % 26)
            b.extend(b'ab')
        print(len(s), zlib.crc32(b), sum(map(len, itertools.permutations('abcdefg'))))

import io
result = unittest.TextTestRunner(stream=io.StringIO()).run(unittest.defaultTestLoader.loadTestsFromTestCase(Shapes))
print(result.testsRun, len(result.failures), len(result.errors))
PYTHON
