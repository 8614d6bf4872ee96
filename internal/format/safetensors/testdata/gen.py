#!/usr/bin/env python3
"""Makes this package's fixture with Hugging Face's safetensors library, and
checks with it what this package writes.

    gen.py                       writes *.safetensors and *.json beside this file
    gen.py check FILE...         reads files and prints each tensor's name, type, shape and CRC-32

The JSON has the metadata and each tensor's type, shape and the CRC-32 of its bytes.

Needs: safetensors==0.8.0 numpy==2.4.6
"""
import json, os, sys, zlib
import numpy as np
from safetensors import TensorSpec, deserialize, safe_open, serialize_file

here = os.path.dirname(os.path.abspath(__file__))


def fixture(name, kinds, metadata):
    rng = np.random.default_rng(1)
    tensors, keep = {}, []
    for key, dtype, size, shape in kinds:
        n = int(np.prod(shape)) * size
        data = rng.integers(0, 2 if dtype == "bool" else 256, n, dtype=np.uint8)
        keep.append(data)
        tensors[key] = TensorSpec(dtype=dtype, shape=shape, data_ptr=data.ctypes.data, data_len=n)
    path = os.path.join(here, name + ".safetensors")
    serialize_file(tensors, path, metadata)
    with open(os.path.join(here, name + ".json"), "w") as f:
        json.dump(listing(path), f, indent=1, ensure_ascii=False)
        f.write("\n")


def listing(path):
    with open(path, "rb") as f:
        raw = f.read()
    with safe_open(path, framework="numpy") as f:
        metadata = f.metadata()
    return {"metadata": metadata, "tensors": {
        name: {"dtype": t["dtype"], "shape": list(t["shape"]), "crc": zlib.crc32(bytes(t["data"]))} for name, t in sorted(deserialize(raw))}}


written = [
    ("model.embed_tokens.weight", "bfloat16", 2, [5, 4]), ("lm_head.weight", "float16", 2, [3, 3]), ("model.norm.weight", "float32", 4, [7]),
    ("double", "float64", 8, [2, 1]), ("long", "int64", 8, [1]), ("int", "int32", 4, [3]), ("byte", "int8", 1, [3]),
    ("scalar", "float32", 4, []), ("empty", "float32", 4, [0, 4]), ('odd "name"\\ <é>', "float32", 4, [1]),
]
other = [
    ("short", "int16", 2, [3]), ("ubyte", "uint8", 1, [1, 1, 1]), ("bool", "bool", 1, [3]), ("fp8", "float8_e4m3fn", 1, [5]),
    ("ushort", "uint16", 2, [1]), ("uint", "uint32", 4, [1]), ("ulong", "uint64", 8, [1]), ("complex", "complex64", 8, [2]),
    ("e5m2", "float8_e5m2", 1, [1]), ("e8m0", "float8_e8m0fnu", 1, [1]), ("fp4", "float4_e2m1fn_x2", 1, [2, 3]),
]
if len(sys.argv) == 1:
    fixture("written", written, {"format": "pt"})
    fixture("all", written + other, {"format": "pt", "note": "\"é\"\n"})
else:
    for path in sys.argv[2:]:
        print(json.dumps(listing(path), ensure_ascii=False))
