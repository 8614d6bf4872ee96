#!/usr/bin/env python3
"""Makes the small models of this folder and their logits with transformers.

    gen.py [NAME...]     writes NAME/ (a Hugging Face directory), NAME.json (token
                         ids and the rows kept) and NAME.f32 (their logits, little
                         endian), and for some also meta/NAME/1, 2 and 4: the same
                         weights as Meta's directories with that many shards

The logits come from the written directory, read back by transformers and run
in float32 with eager attention, all positions in one forward.

Needs: torch==2.15.0 transformers==5.24.0 safetensors==0.8.0 sentencepiece==0.2.3 protobuf==7.36.2
"""
import json, os, shutil, sys
import torch
from safetensors.torch import save_file
from sentencepiece import sentencepiece_model_pb2 as pb
from transformers import LlamaConfig, LlamaForCausalLM

here = os.path.dirname(os.path.abspath(__file__))
DTYPES = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}

# Shapes by Hugging Face's names. heads is (heads, KV heads, head dimension);
# runs is a list of (tokens, context asked for, rows kept); None keeps all rows.
MODELS = {
    # Llama 1 in small: as many KV heads as heads, a vocabulary of 3 + 256 bytes
    # + 21 pieces with its tokenizer.model, so that Meta's vocab_size -1 works.
    "mha-bf16": dict(dim=32, layers=2, heads=(4, 4, 8), hidden=88, vocab=280, ctx=64, eps=1e-6, dtype="BF16", style=4,
                     runs=[(40, 64, range(0, 40, 3))], meta=dict(multiple_of=8, vocab_size=-1), tokenizer=True),
    # Llama 2 70B in small: hidden = 32*4*2/3 = 85, times 1.3 is 110, up to a multiple of 8.
    "gqa-f16": dict(dim=32, layers=2, heads=(8, 4, 4), hidden=112, vocab=64, ctx=96, eps=1e-5, dtype="F16", style=4,
                    runs=[(70, 96, range(0, 70, 5))], meta=dict(multiple_of=8, ffn_dim_multiplier=1.3, n_kv_heads=4)),
    # Two files with an index, and inverse frequencies that nobody needs.
    "gqa-f32": dict(dim=48, layers=2, heads=(6, 2, 8), hidden=64, vocab=72, ctx=64, eps=1e-5, dtype="F32", style=4,
                    runs=[(64, 64, range(0, 64, 4))], shards=2, inv_freq=True),
    # Nothing is a multiple of 8, and heads * head dimension is not dim.
    "mqa-odd-f16": dict(dim=45, layers=2, heads=(3, 1, 14), hidden=77, vocab=83, ctx=50, eps=1e-5, dtype="F16", style=5,
                        runs=[(50, 50, range(0, 50, 3))]),
    "tied-f32": dict(dim=40, layers=1, heads=(5, 5, 8), hidden=56, vocab=100, ctx=64, eps=1e-5, dtype="F32", style=5,
                     tied=True, theta=1e6, runs=[(33, 64, range(33))]),
    "tied-odd-bf16": dict(dim=44, layers=2, heads=(4, 2, 10), hidden=50, vocab=61, ctx=64, eps=1e-5, dtype="BF16", style=4,
                          tied=True, runs=[(45, 64, range(0, 45, 2))]),
    "long-f32": dict(dim=32, layers=2, heads=(2, 1, 16), hidden=40, vocab=60, ctx=2048, eps=1e-5, dtype="F32", style=5,
                     runs=[(1700, 2048, [0, 1, 63, 64, 65, 127, 255, 256, 257, 511, 512, 1023, 1024, 1300, 1499, 1500, 1699])]),
    "linear-f16": dict(dim=24, layers=2, heads=(3, 1, 8), hidden=32, vocab=48, ctx=64, eps=1e-5, dtype="F16", style=4,
                       scaling=("linear", 4.0), runs=[(200, 256, range(0, 200, 9))]),
    "linear5-f16": dict(dim=24, layers=2, heads=(3, 3, 8), hidden=32, vocab=48, ctx=64, eps=1e-5, dtype="F16", style=5,
                        scaling=("linear", 2.5), runs=[(150, 160, range(0, 150, 9))]),
    # transformers moves the base with the sequence, so a sequence as long as the
    # context gives the base that is fixed for that context.
    "dynamic-f16": dict(dim=24, layers=2, heads=(3, 1, 8), hidden=32, vocab=48, ctx=64, eps=1e-5, dtype="F16", style=4,
                        scaling=("dynamic", 2.0), runs=[(120, 120, range(0, 120, 7)), (64, 64, range(0, 64, 7))]),
    "dynamic5-f16": dict(dim=24, layers=2, heads=(3, 3, 8), hidden=32, vocab=48, ctx=64, eps=1e-5, dtype="F16", style=5,
                         scaling=("dynamic", 4.0), runs=[(250, 250, range(0, 250, 14))]),
}


def weights(m, rng):
    """Weights whose attention is not flat and whose logits have a deviation near 1.5."""
    h, kv, hd = m["heads"]
    dim, hidden, vocab = m["dim"], m["hidden"], m["vocab"]

    def mat(rows, cols, gain=1.0):
        return torch.randn(rows, cols, generator=rng) * (gain / cols**0.5)

    def norm():
        return 1 + 0.2 * torch.randn(dim, generator=rng)

    t = {"model.embed_tokens.weight": torch.randn(vocab, dim, generator=rng) * (0.25 if m.get("tied") else 1)}
    for i in range(m["layers"]):
        p = f"model.layers.{i}."
        t[p + "input_layernorm.weight"] = norm()
        t[p + "self_attn.q_proj.weight"] = mat(h * hd, dim, 1.4)
        t[p + "self_attn.k_proj.weight"] = mat(kv * hd, dim, 1.4)
        t[p + "self_attn.v_proj.weight"] = mat(kv * hd, dim)
        t[p + "self_attn.o_proj.weight"] = mat(dim, h * hd)
        t[p + "post_attention_layernorm.weight"] = norm()
        t[p + "mlp.gate_proj.weight"] = mat(hidden, dim, 1.5)
        t[p + "mlp.up_proj.weight"] = mat(hidden, dim)
        t[p + "mlp.down_proj.weight"] = mat(dim, hidden, 1.5)
    t["model.norm.weight"] = norm()
    if not m.get("tied"):
        t["lm_head.weight"] = mat(vocab, dim, 1.5)
    return {k: v.to(DTYPES[m["dtype"]]).contiguous() for k, v in t.items()}


def config(m):
    """config.json as transformers 4 wrote it for Llama 2, or as the installed transformers writes it."""
    h, kv, hd = m["heads"]
    name = {"F32": "float32", "F16": "float16", "BF16": "bfloat16"}[m["dtype"]]
    scaling = m.get("scaling")
    c = dict(hidden_size=m["dim"], intermediate_size=m["hidden"], num_hidden_layers=m["layers"], num_attention_heads=h,
             num_key_value_heads=kv, vocab_size=m["vocab"], max_position_embeddings=m["ctx"], rms_norm_eps=m["eps"],
             tie_word_embeddings=bool(m.get("tied")), bos_token_id=1, eos_token_id=2)
    if h * hd != m["dim"]:
        c["head_dim"] = hd
    if m["style"] == 4:
        c |= dict(architectures=["LlamaForCausalLM"], model_type="llama", hidden_act="silu", initializer_range=0.02,
                  attention_bias=False, pretraining_tp=1, use_cache=True, torch_dtype=name, transformers_version="4.31.0",
                  rope_theta=m.get("theta", 10000.0), rope_scaling={"type": scaling[0], "factor": scaling[1]} if scaling else None)
        return json.dumps(c, indent=2, sort_keys=True)
    rope = {"rope_type": "default", "rope_theta": m.get("theta", 10000.0)}
    if scaling:
        rope |= {"rope_type": scaling[0], "factor": scaling[1]}
    c = LlamaConfig(**c, rope_parameters=rope, dtype=name, architectures=["LlamaForCausalLM"])
    return c.to_json_string()


def write_hf(m, t, path):
    shutil.rmtree(path, ignore_errors=True)
    os.makedirs(path)
    with open(os.path.join(path, "config.json"), "w") as f:
        f.write(config(m) + "\n")
    t = dict(t)
    if m.get("inv_freq"):
        hd = m["heads"][2]
        for i in range(m["layers"]):
            t[f"model.layers.{i}.self_attn.rotary_emb.inv_freq"] = 1 / 10000 ** (torch.arange(0, hd, 2).float() / hd)
    n = m.get("shards", 1)
    if n == 1:
        save_file(t, os.path.join(path, "model.safetensors"), metadata={"format": "pt"})
        return
    index = {"metadata": {"total_size": sum(v.numel() * v.element_size() for v in t.values())}, "weight_map": {}}
    names = list(t)
    for s in range(n):
        part = names[s * len(names) // n : (s + 1) * len(names) // n]
        file = f"model-{s + 1:05}-of-{n:05}.safetensors"
        save_file({k: t[k] for k in part}, os.path.join(path, file), metadata={"format": "pt"})
        index["weight_map"] |= {k: file for k in part}
    with open(os.path.join(path, "model.safetensors.index.json"), "w") as f:
        json.dump(index, f, indent=2)


def tokenizer_model(path):
    """A SentencePiece model of 3 special pieces, 256 bytes and 21 more, as Llama's is laid out."""
    m = pb.ModelProto()
    pieces = [("<unk>", 0, 2), ("<s>", 0, 3), ("</s>", 0, 3)] + [(f"<0x{b:02X}>", 0, 6) for b in range(256)]
    words = ["\u2581t", "he", "\u2581the", "an", "in"]
    letters = ["\u2581", *"etaoinshrdlcumw"]
    pieces += [(w, -float(i), 1) for i, w in enumerate(words + letters)]
    for piece, score, kind in pieces:
        p = m.pieces.add()
        p.piece, p.score, p.type = piece, score, kind
    m.trainer_spec.model_type, m.trainer_spec.vocab_size, m.trainer_spec.byte_fallback = 2, len(pieces), True
    m.trainer_spec.unk_id, m.trainer_spec.bos_id, m.trainer_spec.eos_id, m.trainer_spec.pad_id = 0, 1, 2, -1
    m.normalizer_spec.name, m.normalizer_spec.remove_extra_whitespaces = "identity", False
    with open(path, "wb") as f:
        f.write(m.SerializeToString())


# Meta's names and the axis along which model-parallel ranks cut each (column-
# parallel layers their outputs, row-parallel ones and the embedding their
# inputs); None means that every rank has all of it.
META = {
    "model.embed_tokens.weight": ("tok_embeddings.weight", 1),
    "model.norm.weight": ("norm.weight", None),
    "lm_head.weight": ("output.weight", 0),
    "input_layernorm.weight": ("attention_norm.weight", None),
    "self_attn.q_proj.weight": ("attention.wq.weight", 0),
    "self_attn.k_proj.weight": ("attention.wk.weight", 0),
    "self_attn.v_proj.weight": ("attention.wv.weight", 0),
    "self_attn.o_proj.weight": ("attention.wo.weight", 1),
    "post_attention_layernorm.weight": ("ffn_norm.weight", None),
    "mlp.gate_proj.weight": ("feed_forward.w1.weight", 0),
    "mlp.down_proj.weight": ("feed_forward.w2.weight", 1),
    "mlp.up_proj.weight": ("feed_forward.w3.weight", 0),
}


def interleave(w, heads):
    """Half-split rotary pairs to neighbours: the inverse of the conversion script's permutation."""
    hd = w.shape[0] // heads
    return w.view(heads, 2, hd // 2, w.shape[1]).transpose(1, 2).reshape(w.shape).contiguous()


def write_meta(m, t, path, ranks):
    os.makedirs(path)
    h, kv, hd = m["heads"]
    params = dict(dim=m["dim"], n_layers=m["layers"], n_heads=h, norm_eps=m["eps"], vocab_size=m["vocab"]) | m["meta"]
    with open(os.path.join(path, "params.json"), "w") as f:
        json.dump(params, f)
    if m.get("tokenizer"):
        tokenizer_model(os.path.join(path, "tokenizer.model"))
    full = {}
    for name, w in t.items():
        layer = ""
        if name.startswith("model.layers."):
            _, _, i, name = name.split(".", 3)
            layer = f"layers.{i}."
        to, axis = META[name]
        if "q_proj" in name:
            w = interleave(w, h)
        if "k_proj" in name:
            w = interleave(w, kv)
        full[layer + to] = (w, axis)
    freqs = (1 / 10000 ** (torch.arange(0, hd, 2)[: hd // 2].float() / hd)).to(DTYPES[m["dtype"]])
    for r in range(ranks):
        shard = {k: w.clone() if axis is None else w.chunk(ranks, axis)[r].contiguous().clone() for k, (w, axis) in full.items()}
        torch.save(shard | {"rope.freqs": freqs.clone()}, os.path.join(path, f"consolidated.{r:02}.pth"))


def logits(path, ids):
    model = LlamaForCausalLM.from_pretrained(path, dtype=torch.float32, attn_implementation="eager").eval()
    assert model.dtype == torch.float32
    with torch.no_grad():
        return model(torch.tensor([ids]), use_cache=False).logits[0]


def main():
    torch.set_num_threads(1)
    for k, name in enumerate(MODELS):
        if sys.argv[1:] and name not in sys.argv[1:]:
            continue
        m, rng = MODELS[name], torch.Generator().manual_seed(1000 + k)
        t = weights(m, rng)
        path = os.path.join(here, name)
        write_hf(m, t, path)
        if m.get("tokenizer"):
            tokenizer_model(os.path.join(path, "tokenizer.model"))
        runs, kept = [], []
        for n, context, rows in m["runs"]:
            ids = [1] + torch.randint(0, m["vocab"], (n - 1,), generator=rng).tolist()
            out = logits(path, ids)
            runs.append({"context": context, "ids": ids, "rows": list(rows)})
            kept.append(out[list(rows)].reshape(-1))
            print(f"{name}: {n} tokens, deviation of the logits {out.std():.3f}")
        with open(os.path.join(here, name + ".json"), "w") as f:
            json.dump(runs, f, separators=(",", ":"))
            f.write("\n")
        torch.cat(kept).numpy().astype("<f4").tofile(os.path.join(here, name + ".f32"))
        if "meta" in m:
            shutil.rmtree(os.path.join(here, "meta", name), ignore_errors=True)
            for ranks in (1, 2, 4):
                write_meta(m, t, os.path.join(here, "meta", name, str(ranks)), ranks)


if __name__ == "__main__":
    main()
