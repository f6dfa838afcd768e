#!/usr/bin/env python3
"""same_tensors.py A.safetensors B.safetensors: are two checkpoints the same, tensor by tensor, but for the time they took?"""
import hashlib
import json
import sys

TIMES = {"state.seconds", "state.xxh64"}  # the second has the hash of the first
SECONDS_OF_A_LINE = slice(8, 16)  # of state.log (train/loop/trainer_log.c)


def digests(path):
    with open(path, "rb") as f:
        header = json.loads(f.read(int.from_bytes(f.read(8), "little")))
        start = f.tell()
        found = {}
        for name, tensor in header.items():
            if name == "__metadata__" or name in TIMES:
                continue
            f.seek(start + tensor["data_offsets"][0])
            data = bytearray(f.read(tensor["data_offsets"][1] - tensor["data_offsets"][0]))
            if name == "state.log":
                del data[SECONDS_OF_A_LINE]
            found[name] = (tensor["dtype"], tensor["shape"], hashlib.sha256(data).hexdigest())
        return found


a, b = map(digests, sys.argv[1:3])
other = sorted(name for name in a.keys() | b.keys() if a.get(name) != b.get(name))
print(f"{len(a)} tensors, {len(other)} differ" + (": " + ", ".join(other[:3]) if other else ""))
sys.exit(1 if other or not a else 0)
