"""Writes the checkpoints of this directory and what PyTorch finds in them.

    pip install torch==2.15.0 numpy
    python gen.py          all but big.sparse
    python gen.py big      big.sparse, by way of a file of 4.3 GB

Each NAME.pth has a NAME.json: name, type, shape and row-major bytes of every
tensor, in the file's order. Files that Cria refuses have none. big.sparse is
the size of a file and what it begins and ends with; between them are zeros.
"""

import json
import os
import sys

import torch
from torch.utils.serialization import config

here = os.path.dirname(os.path.abspath(__file__))
gen = torch.Generator().manual_seed(20230718)


def rand(*shape, dtype=torch.float32):
    return torch.randn(*shape, generator=gen).to(dtype)


def tensors(value, path=()):
    """Names as Cria gives them: keys and indices joined by dots."""
    if isinstance(value, torch.Tensor):
        yield ".".join(path), value
    elif isinstance(value, dict):
        for k, v in value.items():
            yield from tensors(v, path + (str(k),))
    elif isinstance(value, (list, tuple)) and not isinstance(value, torch.Size):
        for i, v in enumerate(value):
            yield from tensors(v, path + (str(i),))


def row_major(t):
    t = t.detach().resolve_conj().contiguous()
    return bytes(t.reshape(-1).view(torch.uint8).numpy()) if t.numel() else b""


def save(name, value, **options):
    path = os.path.join(here, name + ".pth")
    torch.save(value, path, **options)
    # What is expected comes from the file, read by PyTorch.
    value = torch.load(path, weights_only=True)
    found = [
        {"name": n, "type": str(t.dtype).removeprefix("torch."), "dims": list(t.shape), "data": row_major(t).hex()}
        for n, t in tensors(value)
    ]
    with open(os.path.join(here, name + ".json"), "w") as f:
        f.write("[\n" + ",\n".join(json.dumps(t) for t in found) + "\n]\n")


def meta():
    """A small consolidated.00.pth: a plain dict of bfloat16 and the frequencies."""
    state = {"tok_embeddings.weight": rand(5, 4, dtype=torch.bfloat16), "norm.weight": rand(4, dtype=torch.bfloat16)}
    state["output.weight"] = rand(5, 4, dtype=torch.bfloat16)
    for m in ("wq", "wk", "wv", "wo"):
        state[f"layers.0.attention.{m}.weight"] = rand(4, 4, dtype=torch.bfloat16)
    state["rope.freqs"] = 1 / 10000 ** (torch.arange(0, 2, 2).float() / 2)
    return state


class Module(torch.nn.Module):
    """Its state dict is an OrderedDict with attributes."""

    def __init__(self):
        super().__init__()
        self.wq = torch.nn.Linear(3, 2, bias=True)
        self.norm = torch.nn.LayerNorm(3)
        self.register_buffer("steps", torch.tensor(7))
        with torch.no_grad():
            for p in self.parameters():
                p.copy_(rand(*p.shape))


def types():
    bits = torch.arange(6).reshape(2, 3)
    names = "float32 float16 bfloat16 float64 int8 int16 int32 int64 uint8 uint16 uint32 uint64 bool float8_e4m3fn float8_e5m2"
    state = {n: bits.to(getattr(torch, n)) for n in names.split()}
    state["complex64"] = torch.complex(rand(2), rand(2))
    state["scalar"] = torch.tensor(2.5)
    state["empty"] = torch.zeros(0, 3)
    state["half empty"] = torch.zeros(2, 0, 3, dtype=torch.float16)
    return state


def views():
    """Tensors that share storages and do not lie row after row."""
    m = rand(40, 6)
    h = rand(4, 5, 6, dtype=torch.float16)
    attributed = rand(2, 2)
    attributed.tensor_parallel = True
    parameter = torch.nn.Parameter(rand(3))
    parameter.note = "kept by PyTorch"
    return {
        "whole": m,
        "tied": m,
        "rows": m[3:7],
        "columns": m[:, 1:4],
        "transposed": m.t(),
        "every other": m[::2, ::3],
        "permuted": h.permute(2, 0, 1),
        "inner": h[1:3, ::2, 1:],
        "one row": h[:, 2:3, :],
        "column": m[:, 2],
        "one column": m[:, 2:3],
        "item": m[5, 5],
        "untyped": torch.arange(6, dtype=torch.int32).to(torch.uint16).reshape(2, 3).t(),
        "parameter": torch.nn.Parameter(rand(2, 3)),
        "parameter with state": parameter,
        "tensor with state": attributed,
    }


def nested():
    return {
        "model": {"layers": [rand(2), rand(2), {"w": rand(1, 2)}], "tied": (rand(2), None)},
        "optimizer": {"state": {0: {"step": torch.tensor(3.0), "exp_avg": rand(2)}}, "betas": (0.9, 0.95), "lr": 3e-4},
        "epoch": 3,
        "tokens": 2**40,
        "debt": -5,
        "far": -(2**40),
        "many": 70000,
        "done": False,
        "shape": torch.Size([2, 3]),
        "note": "größer",
    }


def big():
    """More than 4 GiB: sizes and offsets that need zip64 fields."""
    w = torch.zeros((1 << 30) + (1 << 21))
    w[-3:] = torch.tensor([1.0, 2.0, 3.0])
    path = os.path.join(here, "big.pth")
    torch.save({"big": w.reshape(-1, 1024), "small": torch.arange(4.0)}, path)
    size, edge = os.path.getsize(path), 2048
    with open(path, "rb") as f:
        head = f.read(edge)
        f.seek(size - edge)
        tail = f.read()
    os.remove(path)
    with open(os.path.join(here, "big.sparse"), "w") as f:
        f.write(json.dumps({"size": size, "head": head.rstrip(b"\0").hex(), "tail": tail.lstrip(b"\0").hex()}) + "\n")


if sys.argv[1:] == ["big"]:
    big()
    sys.exit()

save("meta", meta())
save("module", Module().state_dict())
save("types", types())
save("views", views())
save("nested", nested())
# As versions before 2.1 wrote: no byteorder, and more than 256 memo entries.
save("old", {f"layers.{i}.weight": rand(1) for i in range(40)}, _disable_byteorder_record=True)
torch.serialization.set_crc32_options(False)
save("nocrc", {"w": rand(2, 3)})
torch.serialization.set_crc32_options(True)
config.save.storage_alignment = 256
save("aligned", {"w": rand(2, 3), "v": rand(3, dtype=torch.float16)})
config.save.storage_alignment = 64

# Refused.
torch.save({"w": rand(2)}, os.path.join(here, "legacy.pth"), _use_new_zipfile_serialization=False)
torch.save({"w": rand(2)}, os.path.join(here, "protocol4.pth"), pickle_protocol=4)
torch.save(rand(2), os.path.join(here, "bare.pth"))
torch.save({"w": torch.complex(rand(2), rand(2)).conj()}, os.path.join(here, "conj.pth"))
torch.save({"w": rand(1).expand(4)}, os.path.join(here, "expanded.pth"))
torch.save({"w": rand(2).to_sparse()}, os.path.join(here, "sparse.pth"))
torch.save(torch.nn.Linear(1, 1), os.path.join(here, "object.pth"))
torch.jit.script(torch.nn.Linear(1, 1)).save(os.path.join(here, "script.pth"))
