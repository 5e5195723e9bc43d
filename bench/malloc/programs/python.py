# Python with every object from malloc (PYTHONMALLOC=malloc): objects, dicts, strings, JSON,
# sorting. The argument says how much; 1 takes a second or two. Prints a checksum of the results.
import json
import re
import sys

scale = float(sys.argv[1])


class Node:
    def __init__(self, key, left=None, right=None):
        self.key, self.left, self.right, self.seen = key, left, right, []


def tree(low, high):
    if low >= high:
        return None
    middle = (low + high) // 2
    return Node(middle, tree(low, middle), tree(middle + 1, high))


def walk(node, depth=0):
    if node is None:
        return 0
    node.seen.append((depth, str(node.key)))
    return walk(node.left, depth + 1) + walk(node.right, depth + 1) + depth


def words(count):
    state = 12345
    for _ in range(count):
        state = (state * 1103515245 + 12345) % 2147483648
        yield "w%x" % (state >> 16)


def count_words(count):
    counts = {}
    for word in words(count):
        counts.setdefault(word, []).append(len(word))
    return sorted((len(v), k) for k, v in counts.items())[-3:], len(counts)


def documents(count):
    total = 0
    for i in range(count):
        data = {"id": i, "tags": ["t%d" % (i * k % 97) for k in range(20)],
                "nested": [{"x": k * 1.5, "name": "n" * (k % 17)} for k in range(30)]}
        back = json.loads(json.dumps(data))
        total += len(back["nested"]) + len(back["tags"][i % 20])
    return total


def text(count):
    page = " ".join(words(count))
    upper = re.sub(r"w([0-9a-f]+)", lambda match: match.group(1).upper(), page)
    parts = upper.split()
    return len(parts), len("".join(reversed(parts))), sum(int(part, 16) for part in parts) % 999983


def integers(count):
    a, b = 0, 1
    for _ in range(count):
        a, b = b, a + b
    return a % 1000000007


print(walk(tree(0, int(150000 * scale))))
print(count_words(int(400000 * scale)))
print(documents(int(4000 * scale)))
print(text(int(250000 * scale)))
print(integers(int(20000 * scale)))
