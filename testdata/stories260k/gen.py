#!/usr/bin/env python3
"""Makes greedy.json: 200 tokens of stories260K at temperature 0.

    gen.py TEXT      TEXT is a file with what llama2.c's run printed:
                     run stories260K.bin -z tok512.bin -t 0.0 -n 200

The ids come from transformers on the same weights (float32, eager attention);
the script fails unless their text is llama2.c's, byte for byte. Commit 350e04f
of llama2.c printed it, and its test_all.py publishes the same.

Needs: torch==2.15.0 transformers==5.24.0 numpy==2.4.6
"""
import json, os, struct, sys
import numpy as np
import torch
from transformers import LlamaConfig, LlamaForCausalLM

here = os.path.dirname(os.path.abspath(__file__))
data = os.environ.get("CRIA_TEST_DATA", os.path.join(here, "../../../shared/data"))
stories = os.path.join(data, "weights/stories260K")


def model():
    with open(os.path.join(stories, "stories260K.bin"), "rb") as f:
        dim, hidden, layers, heads, kv, vocab, ctx = struct.unpack("<7i", f.read(28))
        w = torch.from_numpy(np.frombuffer(f.read(), "<f4").copy())
    assert vocab > 0, "a negative vocabulary would mean an output matrix of its own"
    hd, at = dim // heads, 0

    def take(*shape):
        nonlocal at
        n = int(np.prod(shape))
        at += n
        return w[at - n : at].view(*shape)

    def halves(x, heads):  # neighbouring rotary pairs to half-split ones
        return x.view(heads, hd // 2, 2, dim).transpose(1, 2).reshape(x.shape)

    embed = take(vocab, dim)
    norm1, wq, wk, wv, wo = take(layers, dim), take(layers, dim, dim), take(layers, kv * hd, dim), take(layers, kv * hd, dim), take(layers, dim, dim)
    norm2, w1, w2, w3, norm = take(layers, dim), take(layers, hidden, dim), take(layers, dim, hidden), take(layers, hidden, dim), take(dim)
    take(ctx, hd)  # tables of the rotary angles
    assert at == len(w)
    t = {"model.embed_tokens.weight": embed, "lm_head.weight": embed, "model.norm.weight": norm}
    for i in range(layers):
        for name, x in [("input_layernorm", norm1[i]), ("self_attn.q_proj", halves(wq[i], heads)), ("self_attn.k_proj", halves(wk[i], kv)),
                        ("self_attn.v_proj", wv[i]), ("self_attn.o_proj", wo[i]), ("post_attention_layernorm", norm2[i]),
                        ("mlp.gate_proj", w1[i]), ("mlp.down_proj", w2[i]), ("mlp.up_proj", w3[i])]:
            t[f"model.layers.{i}.{name}.weight"] = x
    c = LlamaConfig(hidden_size=dim, intermediate_size=hidden, num_hidden_layers=layers, num_attention_heads=heads, num_key_value_heads=kv,
                    vocab_size=vocab, max_position_embeddings=ctx, rms_norm_eps=1e-5, tie_word_embeddings=True, attn_implementation="eager")
    m = LlamaForCausalLM(c).float().eval()
    m.load_state_dict(t)
    return m


def pieces():
    with open(os.path.join(stories, "tok512.bin"), "rb") as f:
        b = f.read()
    out, at = [], 4
    while at < len(b):
        n = struct.unpack_from("<i", b, at + 4)[0]
        out.append(b[at + 8 : at + 8 + n])
        at += 8 + n
    return out


def main():
    m, ids = model(), [1]
    with torch.no_grad():
        while len(ids) < 201:
            ids.append(int(m(torch.tensor([ids]), use_cache=False).logits[0, -1].argmax()))
    vocab, text = pieces(), b""
    for i in ids[1:]:
        p = vocab[i]
        text += bytes([int(p[3:5], 16)]) if len(p) == 6 and p.startswith(b"<0x") else p
    text = text.removeprefix(b" ")  # the piece after <s> loses its space
    want = open(sys.argv[1], "rb").read().removesuffix(b"\n")
    assert text == want, f"llama2.c gives {want!r}, transformers {text!r}"
    with open(os.path.join(here, "greedy.json"), "w") as f:
        json.dump({"ids": ids[1:], "text": text.decode()}, f)
        f.write("\n")


if __name__ == "__main__":
    main()
