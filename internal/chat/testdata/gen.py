#!/usr/bin/env python3
"""Makes the goldens of this package.

    gen.py meta GENERATION.PY    meta.jsonl and meta-small.jsonl: dialogs by Meta's own chat_completion
    gen.py hf                    hf.jsonl: dialogs by transformers' apply_chat_template

GENERATION.PY is llama/generation.py of github.com/meta-llama/llama, commit
689c7f261b9c5514636ecc3c5fefefcbb3e6eed7, with tokenizer.py beside it. It runs as
it is; only the model behind it is replaced by one that keeps the prompt.

A line of meta*.jsonl: the dialog, "unsafe" if Meta's code answers with its error
text, else "ids"; where the dialog is complete, also "answers": from which id to
which each answer goes, its end token included.

Needs: sentencepiece==0.2.3 torch==2.15.0 transformers==5.23.0
"""
import importlib.util, json, os, random, sys, types

here = os.path.dirname(os.path.abspath(__file__))
data = os.environ.get("CRIA_TEST_DATA", os.path.join(here, "../../../../shared/data"))
small = os.path.join(here, "../../tokenizer/testdata/llama.model")
small_json = os.path.join(here, "../../tokenizer/testdata/llama.tokenizer.json")
llama2 = os.path.join(data, "tokenizer/llama2.tokenizer.model")

SPACE = [" ", "  ", "\n", "\t", "\r\n", "\x0b", "\x0c", "\x1c", "\x1f", "\x85", "\xa0", "\u1680", "\u2003", "\u2028", "\u202f", "\u3000", "\u200b", "\ufeff"]
TEXT = ["Hi", "Hello there!", "Why is the sky blue?", "1 + 1 = 2", "def f(x):\n    return x", "naïve café", "日本語", "Привет", "🦙👍🏽", "</s><s>", "<s>",
        "[ INST]", "[INST", "SYS>>", "<0x0A>", "▁", "a  b   c", "\n\n", "It’s fine…", "x" * 40, "2023-07-18", "<unk>", "\\n"]
TAGS = ["[INST]", "[/INST]", "<<SYS>>", "<</SYS>>"]


def content(rng, tags=False):
    parts = [rng.choice(TEXT) if rng.random() < 0.7 else rng.choice(SPACE) for _ in range(rng.randint(0, 4))]
    if tags:
        parts.insert(rng.randrange(len(parts) + 1), rng.choice(TAGS))
    return (rng.choice(SPACE) if rng.random() < 0.3 else "") + rng.choice(["", " "]).join(parts) + (rng.choice(SPACE) if rng.random() < 0.3 else "")


def dialog(rng, complete, tags=False):
    d = [{"role": "system", "content": content(rng)}] if rng.random() < 0.4 else []
    for i in range(rng.choice([1, 1, 2, 2, 3, 4])):
        d += [{"role": "user", "content": content(rng)}, {"role": "assistant", "content": content(rng)}]
    if not complete:
        d.pop()
    if tags:
        m = rng.choice(d)
        m["content"] = content(rng, True)
    return d


def dump(name, lines):
    with open(os.path.join(here, name), "w", encoding="utf8") as f:
        for l in lines:
            f.write(json.dumps(l, separators=(",", ":")) + "\n")


def load_meta(path, model):
    def module(name, **attrs):
        m = types.ModuleType(name)
        m.__dict__.update(attrs)
        sys.modules[name] = m
        return m

    def source(name, path):
        spec = importlib.util.spec_from_file_location(name, path)
        m = importlib.util.module_from_spec(spec)
        sys.modules[name] = m
        spec.loader.exec_module(m)
        return m

    for n in ["fairscale", "fairscale.nn", "fairscale.nn.model_parallel"]:
        module(n)
    module("fairscale.nn.model_parallel.initialize", get_model_parallel_rank=None, initialize_model_parallel=None, model_parallel_is_initialized=None)
    module("llama")
    module("llama.model", ModelArgs=object, Transformer=object)
    tokenizer = source("llama.tokenizer", os.path.join(os.path.dirname(path), "tokenizer.py"))
    generation = source("llama.generation", path)

    class Kept(generation.Llama):
        def __init__(self):
            self.tokenizer = tokenizer.Tokenizer(model)
            self.model = types.SimpleNamespace(params=types.SimpleNamespace(max_seq_len=1 << 20))

        def generate(self, prompt_tokens, **kw):
            self.kept = prompt_tokens
            return [[] for _ in prompt_tokens], None

        def prompt(self, d):
            out = self.chat_completion([d])
            return self.kept[0], out[0]["generation"]["content"] == generation.UNSAFE_ERROR

    return Kept()


def meta_line(m, d):
    system, turns = (d[:1], d[1:]) if d[0]["role"] == "system" else ([], d)
    if d[-1]["role"] == "user":
        ids, unsafe = m.prompt(d)
        return {"dialog": d, "unsafe": True} if unsafe else {"dialog": d, "ids": ids}
    # A complete dialog is what stands before one more user message.
    more = {"role": "user", "content": "x"}
    tail = len(m.prompt([more])[0])
    ids, unsafe = m.prompt(d + [more])
    if unsafe:
        return {"dialog": d, "unsafe": True}
    answers = []
    for i in range(0, len(turns), 2):
        begin = len(m.prompt(system + turns[: i + 1])[0])
        answers.append([begin, len(m.prompt(system + turns[: i + 2] + [more])[0]) - tail])
    return {"dialog": d, "ids": ids[:-tail], "answers": answers}


def meta(path):
    for name, model, n in [("meta.jsonl", llama2, 240), ("meta-small.jsonl", small, 60)]:
        m, rng = load_meta(path, model), random.Random(name)
        dump(name, [meta_line(m, dialog(rng, i % 2 == 0, i % 8 == 7)) for i in range(n)])


def hf():
    """Every template of the table, with a tokenizer that has the tokens it needs."""
    from transformers import PreTrainedTokenizerFast
    lines = []
    for number, (name, template) in enumerate(json.load(open(os.path.join(here, "templates.json"), encoding="utf8"))):
        t = PreTrainedTokenizerFast(tokenizer_file=small_json, bos_token="<s>", eos_token="</s>", unk_token="<unk>")
        if name == "chatml":
            t.add_special_tokens({"additional_special_tokens": ["<|im_start|>", "<|im_end|>"]})
        t.chat_template = template
        rng = random.Random(number)
        for i in range(8):
            while True:
                d = dialog(rng, i % 2 == 0)
                # Special tokens in messages: transformers makes ids of them, we do not.
                if not any(x in m["content"] for m in d for x in ("<s>", "</s>", "<unk>")):
                    break
            kw = dict(add_generation_prompt=i % 2 == 1)
            text = t.apply_chat_template(d, tokenize=False, **kw)
            ids = t.apply_chat_template(d, tokenize=True, return_dict=False, **kw)
            lines.append({"template": number, "dialog": d, "text": text, "ids": ids})
    dump("hf.jsonl", lines)


if __name__ == "__main__":
    {"meta": meta, "hf": hf}[sys.argv[1]](*sys.argv[2:])
