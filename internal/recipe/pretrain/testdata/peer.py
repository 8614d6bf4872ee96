"""Trains what a run of `cria pretrain` trained, in PyTorch and transformers.

    pip install torch==2.15.0 transformers==5.24.0 numpy==2.4.6 pyyaml==6.0.4
    python peer.py RUN INIT

RUN is the run's directory (config.yaml and the shards in data/), INIT a Hugging
Face directory with the weights it began with. Prints one JSON object: the loss
of every step and the validation loss after the last one.

The order of sequences is shard.Sequences', written again from its comments: a
Feistel network over SplitMix64.
"""

import json
import math
import pathlib
import sys

import numpy as np
import torch
import torch.nn.functional as F
import yaml
from transformers import AutoModelForCausalLM

M64 = (1 << 64) - 1


def mix(x):
    x = (x + 0x9E3779B97F4A7C15) & M64
    x = ((x ^ x >> 30) * 0xBF58476D1CE4E5B9) & M64
    x = ((x ^ x >> 27) * 0x94D049BB133111EB) & M64
    return x ^ x >> 31


def permute(i, n, key):
    half = max(1, ((n - 1).bit_length() + 1) // 2)
    mask = (1 << half) - 1
    while True:
        left, right = i >> half, i & mask
        for r in range(6):
            left, right = right, left ^ (mix((key + right + (r << 56)) & M64) & mask)
        i = left << half | right
        if i < n:
            return i


class Split:
    """One split's tokens, and the number of each token's document."""

    def __init__(self, data, name):
        self.tokens = np.fromfile(data / f"{name}-00000.bin", dtype="<u2").astype(np.int64)
        ends = np.fromfile(data / f"{name}-00000.idx", dtype="<u8").astype(np.int64)
        self.document = np.searchsorted(ends, np.arange(len(self.tokens)), side="right")

    def shuffled(self, k, seed, length):
        n = len(self.tokens) // length
        epoch, i = divmod(k, n)
        key = mix(seed ^ mix(epoch))
        start = permute(i, n, key) * length + key_offset(key, len(self.tokens))
        at = (start + np.arange(length + 1)) % len(self.tokens)
        # A ring: what comes after its end is another document.
        turn = (start % len(self.tokens) + np.arange(length + 1)) // len(self.tokens)
        return self.tokens[at], self.document[at] + turn * (self.document[-1] + 1)

    def in_order(self, k, length):
        at = np.arange(k * length, min((k + 1) * length + 1, len(self.tokens)))
        return self.tokens[at], self.document[at]


def key_offset(key, tokens):
    return mix(key) % tokens


def rows(tokens, document, isolate):
    """Inputs, targets (-100 is none), positions and an additive mask."""
    if not isolate:
        document = np.zeros_like(document)
    n = len(tokens) - 1
    begin = np.maximum.accumulate(np.where(np.r_[True, document[1:n] != document[: n - 1]], np.arange(n), 0))
    targets = np.where(document[1:] == document[:-1], tokens[1:], -100)
    sees = (document[:n, None] == document[None, :n]) & np.tril(np.ones((n, n), bool))
    mask = np.where(sees, 0.0, np.finfo(np.float32).min).astype(np.float32)
    return tokens[:n], targets, np.arange(n) - begin, mask[None]


def loss_of(model, sequences, isolate):
    parts = [rows(t, d, isolate) for t, d in sequences]
    x, y, pos, mask = (torch.from_numpy(np.stack(p)) for p in zip(*parts))
    logits = model(input_ids=x, position_ids=pos, attention_mask=mask).logits
    has = y.flatten() >= 0
    return F.cross_entropy(logits.flatten(0, 1)[has], y.flatten()[has], reduction="sum"), int(has.sum())


def main(run, init):
    c = yaml.safe_load((run / "config.yaml").read_text())
    # YAML 1.1, which PyYAML reads, takes 1e-05 for a text.
    o = {k: float(v) for k, v in c["optimizer"].items()}
    isolate, length = c["isolate_documents"], c["sequence"]
    torch.manual_seed(0)
    torch.set_num_threads(2)
    model = AutoModelForCausalLM.from_pretrained(init, dtype=torch.float32, attn_implementation="eager")
    params = list(model.parameters())
    opt = torch.optim.AdamW(
        [
            {"params": [p for p in params if p.ndim > 1], "weight_decay": o["weight_decay"]},
            {"params": [p for p in params if p.ndim == 1], "weight_decay": 0.0},
        ],
        betas=(o["beta1"], o["beta2"]), eps=o["eps"],
    )
    train, valid = Split(run / "data", "train"), Split(run / "data", "valid")
    losses = []
    for step in range(1, c["steps"] + 1):
        if step < o["warmup_steps"]:
            rate = o["learning_rate"] * step / o["warmup_steps"]
        else:
            done = (step - o["warmup_steps"]) / (c["steps"] - o["warmup_steps"])
            rate = o["learning_rate"] * (o["final_rate"] + (1 - o["final_rate"]) * 0.5 * (1 + math.cos(math.pi * done)))
        for group in opt.param_groups:
            group["lr"] = rate
        first = (step - 1) * c["batch"]
        total, n = loss_of(model, [train.shuffled(k, c["seed"], length) for k in range(first, first + c["batch"])], isolate)
        (total / n).backward()
        torch.nn.utils.clip_grad_norm_(params, o["gradient_clip"])
        opt.step()
        opt.zero_grad()
        losses.append(total.item() / n)
    most = min(-(-(len(valid.tokens) - 1) // length), max(1, c["validate_tokens"] // length))
    total, n = 0.0, 0
    with torch.no_grad():
        for k in range(most):
            t, m = loss_of(model, [valid.in_order(k, length)], isolate)
            total, n = total + t.item(), n + m
    print(json.dumps({"loss": losses, "val_loss": total / n}))


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), sys.argv[2])
