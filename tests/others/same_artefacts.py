"""same_artefacts.py OLD NEW [KNOWN]: what two folders hold that differs: the file, of JSON the member, of arrays how far.

KNOWN names differences that are meant, a line each: a file, a member ("-": the file), a reason, separated by tabs; file
and member as a shell has it ("*" is anything). They are counted by their reasons; whatever else differs is printed, and
then the end is 1.
"""
import array
import collections
import fnmatch
import json
import os
import struct
import sys


def members(value, path=""):
    if isinstance(value, (dict, list)) and value:
        pairs = value.items() if isinstance(value, dict) else (("[]", item) for item in value)
        for key, item in pairs:
            yield from members(item, path + key if key == "[]" else f"{path}.{key}".lstrip("."))
    else:
        yield path, value


def load(path):
    """{member: [values]}; lists are one member."""
    out = collections.defaultdict(list)
    with open(path, encoding="utf-8") as file:
        document = [json.loads(line) for line in file] if path.endswith(".jsonl") else json.load(file)
    for member, value in members(document):
        out[member].append(value)
    return out


def is_close(a, b, bound=1e-6):
    def close(x, y):
        numbers = all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in (x, y))
        return x == y or (numbers and abs(x - y) <= bound * max(abs(x), abs(y)))

    return len(a) == len(b) and all(close(x, y) for x, y in zip(a, b))


def tensors(path):
    """The float32 tensors of a safetensors file."""
    with open(path, "rb") as file:
        data = file.read()
    size = struct.unpack("<Q", data[:8])[0]
    out = {}
    for name, about in json.loads(data[8 : 8 + size]).items():
        if about.get("dtype") == "F32":
            begin, end = about["data_offsets"]
            out[name] = array.array("f", data[8 + size + begin : 8 + size + end])
    return out


def compare_tensors(a, b):
    x, y = tensors(a), tensors(b)
    for name in sorted(set(x) | set(y)):
        if name not in x or name not in y or len(x[name]) != len(y[name]):
            yield name, "another tensor"
            continue
        most = max((abs(v) for v in x[name]), default=0)
        far = max((abs(v - w) for v, w in zip(x[name], y[name])), default=0)
        if far > 0:
            yield name, "rounds otherwise" if far <= 1e-4 * most else f"{far / most:.1e} of its largest value apart"


def compare(a, b):
    """(member or "-", what) for each difference of two files."""
    if os.path.islink(a) or os.path.islink(b):
        if os.readlink(a) != os.readlink(b):
            yield "-", "another link"
        return
    with open(a, "rb") as x, open(b, "rb") as y:
        if x.read() == y.read():
            return
    if a.endswith((".json", ".jsonl", ".evenkeel-export")):
        x, y = load(a), load(b)
        for member in sorted(set(x) | set(y)):
            if member not in x or member not in y:
                yield member, "new" if member in y else "gone"
            elif x[member] != y[member]:
                what = f"{str(x[member])[:50]} -> {str(y[member])[:50]}"
                yield member, "rounds otherwise" if is_close(x[member], y[member]) else what
    elif a.endswith(".safetensors"):
        yield from compare_tensors(a, b)
    else:
        yield "-", "other bytes"


def files(root):
    return {
        os.path.relpath(os.path.join(folder, name), root) for folder, _, names in os.walk(root) for name in names
    }


def differences(old, new):
    here, there = files(old), files(new)
    for name in sorted(here | there):
        if name not in here or name not in there:
            yield name, "-", "new" if name in there else "gone"
        else:
            for member, what in compare(os.path.join(old, name), os.path.join(new, name)):
                yield name, member, what


def main():
    old, new = sys.argv[1:3]
    known, counts, wrong = [], collections.Counter(), 0
    if len(sys.argv) > 3:
        with open(sys.argv[3], encoding="utf-8") as file:
            known = [line.rstrip("\n").split("\t") for line in file if line.strip() and not line.startswith("#")]
    touched = set()
    for name, member, what in differences(old, new):
        touched.add(name)
        for pattern, inside, reason in known:
            wanted = inside.removeprefix("~")
            if fnmatch.fnmatchcase(name, pattern) and fnmatch.fnmatchcase(member, wanted):
                if not inside.startswith("~") or what == "rounds otherwise":
                    counts[reason] += 1
                    break
        else:
            wrong += 1
            print(f"{name}: {member}: {what}")
    total = len(files(old) | files(new))
    print(f"{total} files, {total - len(touched)} the same to the byte")
    for reason, count in counts.most_common():
        print(f"{count:6d} known: {reason}")
    print(f"{wrong} not known" if wrong else "nothing else differs")
    return 1 if wrong else 0


sys.exit(main())
