#!/usr/bin/env python3
"""Makes this package's fixtures with gguf-py, and reads with it what this package
writes.

    gen.py                  writes py*.gguf and py.json beside this file
    gen.py check FILE...    reads files and prints what py.json has

The JSON has the metadata, and each tensor's type, shape as in the file, and the
CRC-32 of its bytes.

Needs: gguf==0.19.0 numpy==2.4.6
"""
import json, os, sys, zlib
import numpy as np
import gguf
from gguf import GGMLQuantizationType as T, GGUFValueType as V

here = os.path.dirname(os.path.abspath(__file__))


def fixture(name, **split):
    rng = np.random.default_rng(1)
    w = gguf.GGUFWriter(os.path.join(here, name), "llama", **split)
    w.add_block_count(2)
    w.add_layer_norm_rms_eps(1e-5)
    w.add_add_bos_token(True)
    w.add_name("ü\n")
    w.add_token_list(["<unk>", "<s>", "▁été", "a\u0000b"])
    w.add_token_scores([0.0, -1.5, 3.25, -1e9])
    w.add_token_types([2, 3, 1, 1])
    for key, value, typ in [("u8", 200, V.UINT8), ("i8", -3, V.INT8), ("u16", 65535, V.UINT16), ("i16", -3, V.INT16), ("u64", 2**64 - 1, V.UINT64),
                            ("i64", -2**63, V.INT64), ("f64", 0.1, V.FLOAT64)]:
        w.add_key_value("x." + key, value, typ)
    w.add_array("x.bools", [True, False])
    for i, typ in enumerate([T.F32, T.F16, T.BF16, T.Q4_0, T.Q4_1, T.Q5_0, T.Q5_1, T.Q8_0, T.Q2_K, T.Q3_K, T.Q4_K, T.Q5_K, T.Q6_K, T.IQ4_NL, T.IQ4_XS,
                             T.I8, T.I32, T.I64, T.F64]):
        block, size = gguf.GGML_QUANT_SIZES[typ]
        shape = [2, 3, 1][: i % 3] + [size * (1 + i % 2)]  # in bytes, outermost first
        w.add_tensor(f"blk.{i}.{typ.name.lower()}", rng.integers(0, 256, shape, dtype=np.uint8), raw_dtype=typ)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def listing(path):
    r = gguf.GGUFReader(path)
    kvs = {k: str(f.contents()) for k, f in r.fields.items() if not k.startswith("GGUF.")}
    return {"kvs": kvs, "tensors": [
        {"name": t.name, "type": t.tensor_type.name, "shape": [int(d) for d in t.shape], "crc": zlib.crc32(t.data.tobytes())} for t in r.tensors]}


if len(sys.argv) == 1:
    fixture("py.gguf")
    fixture("pysplit.gguf", split_max_tensors=8)
    with open(os.path.join(here, "py.json"), "w") as f:
        json.dump(listing(os.path.join(here, "py.gguf")), f, indent=1, ensure_ascii=False)
        f.write("\n")
else:
    for path in sys.argv[2:]:
        print(json.dumps(listing(path), ensure_ascii=False))
