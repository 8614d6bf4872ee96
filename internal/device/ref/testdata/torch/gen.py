#!/usr/bin/env python3
"""Writes golden.json: losses, gradients and optimiser steps of PyTorch in float64.

    pip install torch==2.15.0 && python3 gen.py

Numbers that Cria's interfaces take as float32 are chosen to be exact in it.
"""

import json

import torch
import torch.nn.functional as F

torch.manual_seed(3)
torch.set_default_dtype(torch.float64)


def rand(*shape):
    """Random numbers that are exact in float32, so that Upload keeps them."""
    return (torch.randn(*shape) * 1024).round() / 1024


def flat(t):
    return t.detach().reshape(-1).tolist()


def adamw():
    p = torch.nn.Parameter(rand(7))
    start = flat(p)
    opt = torch.optim.AdamW([p], lr=2**-7, betas=(0.875, 0.96875), eps=2**-20, weight_decay=0.125)
    grads, values = [], []
    for _ in range(6):
        p.grad = rand(7)
        grads.append(flat(p.grad))
        opt.step()
        values.append(flat(p))
    s = opt.state[p]
    return dict(start=start, grads=grads, values=values, m=flat(s["exp_avg"]), v=flat(s["exp_avg_sq"]))


def rmsnorm():
    x, g, c = rand(3, 5).requires_grad_(), rand(5).requires_grad_(), rand(3, 5)
    y = F.rms_norm(x, (5,), g, eps=2**-10)
    (y * c).sum().backward()
    return dict(x=flat(x), gain=flat(g), dy=flat(c), y=flat(y), dx=flat(x.grad), dgain=flat(g.grad))


def swiglu():
    g, u, c = rand(9).requires_grad_(), rand(9).requires_grad_(), rand(9)
    y = F.silu(g) * u
    (y * c).sum().backward()
    return dict(gate=flat(g), up=flat(u), dy=flat(c), y=flat(y), dgate=flat(g.grad), dup=flat(u.grad))


def attention():
    """Two documents of 5 and 3 rows, 4 heads of 4, 2 KV heads; q comes scaled."""
    rows, heads, kv, h = 8, 4, 2, 4
    q, k, v = (rand(rows, n * h).requires_grad_() for n in (heads, kv, kv))
    c = rand(rows, heads * h)
    doc = torch.tensor([0] * 5 + [1] * 3)
    mask = (doc[:, None] == doc[None, :]) & torch.ones(rows, rows, dtype=torch.bool).tril()
    split = lambda t, n: t.view(rows, n, h).transpose(0, 1)
    y = F.scaled_dot_product_attention(split(q, heads), split(k, kv), split(v, kv), attn_mask=mask, scale=1.0, enable_gqa=True)
    y = y.transpose(0, 1).reshape(rows, heads * h)
    (y * c).sum().backward()
    return dict(q=flat(q), k=flat(k), v=flat(v), dy=flat(c), y=flat(y), dq=flat(q.grad), dk=flat(k.grad), dv=flat(v.grad))


def head():
    """Hidden states, a head of 11 tokens, targets with a gap, weights, z-loss."""
    x, w = rand(5, 6).requires_grad_(), rand(11, 6).requires_grad_()
    targets, weights, z = torch.tensor([3, -1, 0, 10, 7]), torch.tensor([1.0, 1.0, 0.5, 0.0, 2.0]), 2**-5
    logits = x @ w.T
    lse = logits.logsumexp(-1)
    dist = torch.distributions.Categorical(logits=logits)
    logprob = dist.log_prob(targets.clamp(min=0)).where(targets >= 0, torch.zeros(5))
    entropy = dist.entropy()
    out = dict(hidden=flat(x), head=flat(w), targets=targets.tolist(), weights=weights.tolist(), z=z,
               logprob=flat(logprob), entropy=flat(entropy), lse=flat(lse))
    nll = F.cross_entropy(logits, targets, ignore_index=-1, reduction="none")
    loss = (weights * (targets >= 0) * (nll + z * lse**2)).sum()
    gx, gw = torch.autograd.grad(loss, (x, w), retain_graph=True)
    out["ce"] = dict(loss=loss.item(), dhidden=flat(gx), dhead=flat(gw))
    a, b, c = rand(5), rand(5), rand(5)
    gx, gw = torch.autograd.grad((a * logprob + b * entropy + c * lse).sum(), (x, w))
    out["all"] = dict(dlogprob=flat(a), dentropy=flat(b), dlse=flat(c), dhidden=flat(gx), dhead=flat(gw))
    return out


with open("golden.json", "w") as f:
    json.dump(dict(adamw=adamw(), rmsnorm=rmsnorm(), swiglu=swiglu(), attention=attention(), head=head()), f)
    f.write("\n")
