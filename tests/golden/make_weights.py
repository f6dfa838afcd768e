"""Writes weights/: checkpoints by torch.save (both forms) and safetensors, and weights.json: what is in them."""
import argparse
import collections
import io
import json
import os
import pickle
import struct
import zipfile

import safetensors
import safetensors.torch
import torch

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "weights")
os.makedirs(HERE, exist_ok=True)
torch.manual_seed(0)
expected = {}
refused = {}


def path(name):
    return os.path.join(HERE, name)


def leaves(value, prefix=""):
    if isinstance(value, torch.Tensor):
        yield prefix, value
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, (list, tuple)) else []
    for key, item in items:
        yield from leaves(item, "%s.%s" % (prefix, key) if prefix else str(key))


def describe(name, value):
    expected[name] = {
        key: {"type": str(t.dtype).split(".")[-1], "shape": list(t.shape),
              "contiguous": int(t.is_contiguous()),
              "values": [float(v) for v in t.detach().to(torch.float64).flatten()]}
        for key, t in leaves(value)}


def save(name, value, **options):
    torch.save(value, path(name), **options)
    describe(name, value)


base = torch.arange(24, dtype=torch.float32).reshape(2, 3, 4) / 7
views = collections.OrderedDict(
    whole=base, part=base[1:, 1:, ::2], transposed=base.permute(2, 0, 1), expanded=torch.ones(3, 1).expand(3, 5),
    scalar=torch.tensor(2.5), empty=torch.zeros(0, 4), parameter=torch.nn.Parameter(torch.randn(2, 2)),
    channels_last=torch.randn(1, 2, 3, 3).to(memory_format=torch.channels_last))
types = {str(t).split(".")[-1]: (torch.tensor([0.5, -1.25, 3e4]) if t.is_floating_point else
                                 torch.tensor([0, 1, 100])).to(t)
         for t in [torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.int8, torch.uint8, torch.int16,
                   torch.int32, torch.int64, torch.bool]}
wide = {"uint16": torch.tensor([0, 65535], dtype=torch.uint16), "uint32": torch.tensor([7, 2**32 - 1], dtype=torch.uint32)}

network = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))
optimizer = torch.optim.AdamW(network.parameters())
network(torch.randn(4, 3)).sum().backward()
optimizer.step()
# As the public SiT and DiT code saves: model, ema, opt and the command line's Namespace.
checkpoint = {"model": network.state_dict(), "ema": network.state_dict(), "opt": optimizer.state_dict(),
              "args": argparse.Namespace(model="SiT-S/2", lr=1e-4, sizes=[1, 2], device=torch.device("cpu"),
                                         dtype=torch.float32), "steps": 10**30, "none": None}

for form, zipped in [("zip", True), ("stream", False)]:
    options = {"_use_new_zipfile_serialization": zipped}
    save("views-%s.pt" % form, views, **options)
    save("types-%s.pt" % form, types, **options)
    save("checkpoint-%s.pt" % form, checkpoint, **options)
    save("protocol4-%s.pt" % form, {"a": {"b": [base, (base[0],)]}, 3: base[0, 0]}, pickle_protocol=4, **options)
    save("single-%s.pt" % form, base[0, 0], **options)
save("wide-zip.pt", wide)

# The same file as a big-endian machine writes it.
big = {"float32": types["float32"], "float16": types["float16"], "int64": types["int64"]}
plain = io.BytesIO()
torch.save(big, plain)
with zipfile.ZipFile(plain) as source, zipfile.ZipFile(path("big-endian-zip.pt"), "w") as target:
    sizes = dict(zip(["data/0", "data/1", "data/2"], [4, 2, 8]))
    for name in source.namelist():
        data = source.read(name)
        size = sizes.get(name.split("/", 1)[1])
        if name.endswith("/byteorder"):
            data = b"big"
        elif size:
            data = b"".join(data[i:i + size][::-1] for i in range(0, len(data), size))
        target.writestr(name, data)
describe("big-endian-zip.pt", big)

# Python 2's torch.save wrote an OrderedDict as a call with a list of pairs, and str keys as SHORT_BINSTRING.
stream = (b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19." b"\x80\x02M\xe9\x03." b"\x80\x02}q\x00."
          b"\x80\x02ccollections\nOrderedDict\nq\x01]q\x02]q\x03(U\x01wq\x04ctorch._utils\n_rebuild_tensor\nq\x05("
          b"(U\x07storageq\x06ctorch\nFloatStorage\nq\x07U\x015U\x03cpuK\x02NtQK\x00K\x02\x85K\x01\x85tRea\x85Rq\x08."
          b"\x80\x02]q\x00U\x015a." + struct.pack("<q2f", 2, 1.5, -2))
with open(path("python2-stream.pth"), "wb") as f:
    f.write(stream)
describe("python2-stream.pth", torch.load(path("python2-stream.pth"), weights_only=False))


class Call:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


class Custom:
    pass


Custom.__module__ = "somewhere.else"


def refuse(name, value, text, **options):
    torch.save(value, path(name), **options)
    refused[name] = text


import builtins
import sys
import types as python_types
module = python_types.ModuleType("somewhere.else")
module.Custom = Custom
sys.modules["somewhere"] = python_types.ModuleType("somewhere")
sys.modules["somewhere.else"] = module
for form, zipped in [("zip", True), ("stream", False)]:
    options = {"_use_new_zipfile_serialization": zipped}
    refuse("system-%s.pt" % form, {"w": base, "x": Call(os.system, "touch /tmp/evenkeel-pwned")}, "posix.system",
           **options)
    refuse("eval-%s.pt" % form, Call(builtins.eval, "1"), "__builtin__.eval", **options)
    refuse("eval4-%s.pt" % form, Call(builtins.eval, "1"), "builtins.eval", pickle_protocol=4, **options)
    refuse("custom-%s.pt" % form, {"w": base, "x": Custom()}, "somewhere.else.Custom", **options)
    refuse("module-%s.pt" % form, network, "torch.nn.modules.container.Sequential", **options)
    refuse("called-%s.pt" % form, {"x": Call(argparse.Namespace)}, "calls argparse.Namespace", **options)
    refuse("sparse-%s.pt" % form, torch.eye(2).to_sparse(), "torch._utils._rebuild_sparse_tensor", **options)
    refuse("nothing-%s.pt" % form, {"lr": 1.0}, "holds no tensor", **options)
    nested = [base]
    for _ in range(70):
        nested = [nested]
    refuse("deep-%s.pt" % form, nested, "nested deeper", **options)
    bomb = [base]
    for _ in range(40):
        bomb = [bomb, bomb]
    refuse("bomb-%s.pt" % form, bomb, "too many times", **options)
    cycle = {"w": base}
    cycle["self"] = cycle
    refuse("cycle-%s.pt" % form, cycle, "nested deeper", **options)
    refuse("twice-%s.pt" % form, {"a.b": base, "a": {"b": base}}, "two tensors are called a.b", **options)
    refuse("long-%s.pt" % form, {"n" * 2000: base}, "longer than 1023", **options)
# As OpenAI publishes CLIP: a program with its weights, here without the places in the source (debug_pkl).
program = io.BytesIO()
torch.jit.save(torch.jit.script(torch.nn.Linear(3, 2)), program)
with zipfile.ZipFile(program) as source, zipfile.ZipFile(path("torchscript-zip.pt"), "w") as target:
    for name in source.namelist():
        if not name.endswith(".debug_pkl"):
            target.writestr(name, source.read(name))
refused["torchscript-zip.pt"] = "a TorchScript archive"
with open(path("plain-pickle.pt"), "wb") as f:
    pickle.dump({"w": 1}, f, protocol=2)
refused["plain-pickle.pt"] = "not one that torch.save wrote"
with zipfile.ZipFile(path("other-zip.pt"), "w") as f:
    f.writestr("word/document.xml", "x")
refused["other-zip.pt"] = "without data.pkl"
with zipfile.ZipFile(io.BytesIO(open(path("types-zip.pt"), "rb").read())) as source, \
        zipfile.ZipFile(path("deflated-zip.pt"), "w", zipfile.ZIP_DEFLATED) as target:
    for name in source.namelist():
        target.writestr(name, source.read(name))
refused["deflated-zip.pt"] = "compressed"

tensors = {name: t.clone() for name, t in types.items() if name != "complex"}
tensors.update(wide)
tensors.update(matrix=base, scalar=torch.tensor(2.5), empty=torch.zeros(0, 4))
safetensors.torch.save_file(tensors, path("types.safetensors"), metadata={"format": "pt", "note": "a \"quote\""})
describe("types.safetensors", tensors)

with open(os.path.join(HERE, "..", "weights.json"), "w") as f:
    json.dump({"torch": torch.__version__, "safetensors": safetensors.__version__, "files": expected,
               "refused": refused}, f, indent=0)
    f.write("\n")
