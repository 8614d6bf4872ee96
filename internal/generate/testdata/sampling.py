"""Distributions that Hugging Face's logits processors leave, as goldens.

transformers 5.24.0, torch 2.15.0: python sampling.py > sampling.json
The order is ours: repetition penalty, temperature, top-k, typical, top-p, min-p.
"""
import json
import torch
from transformers import (MinPLogitsWarper, RepetitionPenaltyLogitsProcessor, TemperatureLogitsWarper,
                          TopKLogitsWarper, TopPLogitsWarper, TypicalLogitsWarper)

STEPS = [("repeat", lambda v: RepetitionPenaltyLogitsProcessor(v)), ("temperature", TemperatureLogitsWarper),
         ("top_k", TopKLogitsWarper), ("typical", TypicalLogitsWarper), ("top_p", TopPLogitsWarper),
         ("min_p", MinPLogitsWarper)]
torch.manual_seed(7)
cases = []
for n in range(40):
    logits = (torch.randn(24) * 3).half().float()
    past = torch.randint(0, 24, (6,))
    params = {}
    pick = lambda: torch.rand(()).item()
    if pick() < 0.5: params["repeat"] = round(0.7 + pick(), 2)
    if pick() < 0.7: params["temperature"] = round(0.3 + 1.5 * pick(), 2)
    if pick() < 0.4: params["top_k"] = 1 + int(15 * pick())
    if pick() < 0.4: params["typical"] = round(0.1 + 0.85 * pick(), 2)
    if pick() < 0.5: params["top_p"] = round(0.1 + 0.85 * pick(), 2)
    if pick() < 0.4: params["min_p"] = round(0.3 * pick(), 2)
    scores = logits[None].clone()
    for name, make in STEPS:
        if name in params:
            scores = make(params[name])(past[None], scores)
    cases.append({"logits": logits.tolist(), "past": past.tolist(), "params": params,
                  "p": [round(v, 6) for v in torch.softmax(scores[0].double(), -1).tolist()]})
print("[" + ",\n".join(json.dumps(c) for c in cases) + "]")
