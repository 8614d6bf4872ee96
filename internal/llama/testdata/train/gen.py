"""Twenty AdamW steps of a small Llama in PyTorch: golden.json.

    pip install torch==2.15.0 numpy==2.4.6
    python gen.py            # writes golden.json beside this file

The model is written from the papers (RMSNorm arXiv 1910.07467, RoPE 2104.09864
with the interleaved pairs of Meta's code, GQA 2305.13245, SwiGLU 2002.05202)
with torch's own autograd, AdamW and clip_grad_norm_. Everything is computed in
float64, so that what a float32 program differs by is its own error. Weights come
from a formula (below, and in train_golden_test.go), so only results are stored.

The batch is two packed sequences; the first is two documents, which do not see
each other: their positions begin at 0, and the last token of the first document
has no target.
"""

import base64
import json
import math
import pathlib

import numpy as np
import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)
torch.manual_seed(0)

DIM, LAYERS, HEADS, KV_HEADS, HEAD_DIM, HIDDEN, VOCAB = 16, 2, 4, 2, 4, 24, 32
EPS, THETA, LENGTH = 1e-5, 10000.0, 12
STEPS, WARMUP, PEAK, FINAL = 20, 5, 1e-2, 0.1
BETAS, ADAM_EPS, DECAY, CLIP, Z_LOSS = (0.9, 0.95), 1e-5, 0.1, 1.0, 1e-3
DOCUMENTS = [[5, 7], [12]]  # lengths of the documents of each sequence
GRADIENTS_AT = [1, 20]


def noise(key, n):
    """n numbers in [-1, 1): SplitMix64 of key * 2**32 + i, exact in float32."""
    with np.errstate(over="ignore"):
        x = (np.uint64(key) << np.uint64(32)) + np.arange(n, dtype=np.uint64) + np.uint64(0x9E3779B97F4A7C15)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        x = x ^ (x >> np.uint64(31))
    return (x >> np.uint64(41)).astype(np.float64) / 2**22 - 1


def weights(tied):
    """All parameters by GGUF name, in the order in which models are written."""
    shapes = [("token_embd.weight", (VOCAB, DIM))]
    for i in range(LAYERS):
        for name, shape in [
            ("attn_norm", (DIM,)),
            ("attn_q", (HEADS * HEAD_DIM, DIM)),
            ("attn_k", (KV_HEADS * HEAD_DIM, DIM)),
            ("attn_v", (KV_HEADS * HEAD_DIM, DIM)),
            ("attn_output", (DIM, HEADS * HEAD_DIM)),
            ("ffn_norm", (DIM,)),
            ("ffn_gate", (HIDDEN, DIM)),
            ("ffn_up", (HIDDEN, DIM)),
            ("ffn_down", (DIM, HIDDEN)),
        ]:
            shapes.append((f"blk.{i}.{name}.weight", shape))
    shapes.append(("output_norm.weight", (DIM,)))
    if not tied:
        shapes.append(("output.weight", (VOCAB, DIM)))
    params = {}
    for key, (name, shape) in enumerate(shapes):
        x = noise(key + 1, math.prod(shape)).reshape(shape)
        x = 1 + x / 4 if len(shape) == 1 else x / 2
        params[name] = torch.nn.Parameter(torch.from_numpy(x))
    return params


def batch():
    """Tokens, targets (-1 is none), positions, and the number of each row's document."""
    n = sum(sum(d) for d in DOCUMENTS)
    ids = ((noise(1000, n + len(DOCUMENTS)) + 1) / 2 * VOCAB).astype(np.int64)
    tokens, targets, positions, documents = [], [], [], []
    at = document = 0
    for sequence in DOCUMENTS:
        for i, length in enumerate(sequence):
            for j in range(length):
                tokens.append(int(ids[at]))
                last = j == length - 1 and i < len(sequence) - 1
                targets.append(-1 if last else int(ids[at + 1]))
                positions.append(j)
                documents.append(document)
                at += 1
            document += 1
        at += 1  # the last target is no input
    return tokens, targets, positions, documents


def norm(x, gain):
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + EPS) * gain


def rope(x, positions):
    inv = 1.0 / THETA ** (torch.arange(0, HEAD_DIM, 2) / HEAD_DIM)
    # The angle is rounded to float32, as released models were trained.
    angle = (positions[:, None].float() * inv.float()[None]).double()
    pairs = torch.view_as_complex(x.reshape(*x.shape[:-1], -1, 2))
    turned = pairs * torch.polar(torch.ones_like(angle), angle)[:, None]
    return torch.view_as_real(turned).flatten(-2)


def forward(p, tokens, positions, documents):
    x = p["token_embd.weight"][tokens]
    n = len(tokens)
    sees = (documents[:, None] == documents[None]) & torch.tril(torch.ones(n, n, dtype=torch.bool))
    for i in range(LAYERS):
        w = lambda name: p[f"blk.{i}.{name}.weight"]
        h = norm(x, w("attn_norm"))
        q = rope((h @ w("attn_q").T).view(n, HEADS, HEAD_DIM), positions)
        k = rope((h @ w("attn_k").T).view(n, KV_HEADS, HEAD_DIM), positions)
        v = (h @ w("attn_v").T).view(n, KV_HEADS, HEAD_DIM)
        k, v = (t.repeat_interleave(HEADS // KV_HEADS, 1) for t in (k, v))
        scores = torch.einsum("qhd,khd->hqk", q, k) / math.sqrt(HEAD_DIM)
        scores = scores.masked_fill(~sees, -math.inf)
        y = torch.einsum("hqk,khd->qhd", scores.softmax(-1), v)
        x = x + y.reshape(n, -1) @ w("attn_output").T
        h = norm(x, w("ffn_norm"))
        x = x + (F.silu(h @ w("ffn_gate").T) * (h @ w("ffn_up").T)) @ w("ffn_down").T
    x = norm(x, p["output_norm.weight"])
    return x @ p.get("output.weight", p["token_embd.weight"]).T


def rate(step):
    if step < WARMUP:
        return PEAK * step / WARMUP
    return PEAK * (FINAL + (1 - FINAL) * 0.5 * (1 + math.cos(math.pi * (step - WARMUP) / (STEPS - WARMUP))))


def packed(tensors):
    flat = torch.cat([t.detach().flatten() for t in tensors]).to(torch.float32)
    return base64.b64encode(flat.numpy().astype("<f4").tobytes()).decode()


def run(tied):
    p = weights(tied)
    tokens, targets, positions, documents = (torch.tensor(x) for x in batch())
    opt = torch.optim.AdamW(
        [
            {"params": [t for t in p.values() if t.ndim > 1], "weight_decay": DECAY},
            {"params": [t for t in p.values() if t.ndim == 1], "weight_decay": 0.0},
        ],
        lr=PEAK, betas=BETAS, eps=ADAM_EPS,
    )
    result = {"tied": tied, "loss": [], "z_loss": [], "grad_norm": [], "lr": [], "gradients": {}}
    for step in range(1, STEPS + 1):
        for group in opt.param_groups:
            group["lr"] = rate(step)
        opt.zero_grad()
        logits = forward(p, tokens, positions, documents)
        has = targets >= 0
        loss = F.cross_entropy(logits[has], targets[has])
        z = Z_LOSS * torch.logsumexp(logits[has], -1).pow(2).mean()
        (loss + z).backward()
        if step in GRADIENTS_AT:
            result["gradients"][str(step)] = packed([t.grad for t in p.values()])
        total = torch.nn.utils.clip_grad_norm_(list(p.values()), CLIP)
        opt.step()
        for name, value in [("loss", loss), ("z_loss", z), ("grad_norm", total)]:
            result[name].append(round(value.item(), 9))
        result["lr"].append(round(rate(step), 12))
    result["weights"] = packed(p.values())
    return result


if __name__ == "__main__":
    tokens, targets, positions, documents = batch()
    golden = {
        "torch": torch.__version__.split("+")[0],
        "tokens": tokens, "targets": targets, "documents": DOCUMENTS,
        "runs": [run(False), run(True)],
    }
    path = pathlib.Path(__file__).with_name("golden.json")
    path.write_text(json.dumps(golden, indent=1) + "\n")
    for r in golden["runs"]:
        print(r["loss"][:3], r["loss"][-1], r["grad_norm"][:3], r["grad_norm"][-1])
