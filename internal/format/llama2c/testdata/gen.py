#!/usr/bin/env python3
"""Makes the fixtures of this package with llama2.c's own export.py.

    gen.py LLAMA2_C_CHECKOUT

Each NAME.bin has a NAME.json: version, the header's numbers, and each tensor's
shape and CRC-32 of its f32 bytes; for version 2 those after llama2.c's own
quantiser and back.

Needs: torch==2.15.0 numpy, llama2.c at 350e04f
"""
import json, os, sys, zlib

here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, sys.argv[1])
import torch
import export
from model import ModelArgs, Transformer


def model(tied, hidden):
    torch.manual_seed(1)
    m = Transformer(ModelArgs(dim=8, n_layers=2, n_heads=2, n_kv_heads=1, vocab_size=5, hidden_dim=hidden, max_seq_len=3))
    for n, p in m.named_parameters():  # norms are all 1 otherwise
        if p.dim() == 1:
            torch.nn.init.normal_(p)
    if not tied:
        m.output.weight = torch.nn.Parameter(torch.randn_like(m.output.weight))
    return m


def write(name, version, tied, hidden=12, group=None):
    m = model(tied, hidden)
    path = os.path.join(here, name + ".bin")
    if version == 0:
        export.legacy_export(m, path)
    elif version == 1:
        export.version1_export(m, path)
    else:
        export.version2_export(m, path, group)
    tensors = {}
    for key, w in m.state_dict().items():
        if key.startswith("freqs_") or tied and key == "output.weight":
            continue
        if version == 2 and w.dim() == 2:
            q, scale, _ = export.quantize_q80(w, group)
            w = (q.float() * scale[:, None]).view(w.shape)
        tensors[key] = {"shape": list(w.shape), "crc": zlib.crc32(w.float().numpy().tobytes())}
    config = {"Dim": 8, "HiddenDim": hidden, "NLayers": 2, "NHeads": 2, "NKVHeads": 1, "VocabSize": 5, "SeqLen": 3}
    with open(os.path.join(here, name + ".json"), "w") as f:
        json.dump({"version": version, "tied": tied, "group": group or 0, "config": config, "tensors": tensors}, f, indent=1)
        f.write("\n")


write("v0-tied", 0, True)
write("v0-untied", 0, False)
write("v1-untied", 1, False)
write("v2-tied", 2, True, group=4)
write("v2-untied", 2, False, group=8)  # rows of w2 have 12 values: groups go on over their ends
