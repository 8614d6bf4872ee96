#!/usr/bin/env python3
"""Makes the goldens of training with Google's SentencePiece and transformers.

    gen.py text         writes text.txt and held.txt; needs the shared text
    gen.py trainer      trains with SentencePiece and writes trainer.json: its alphabets,
                        and how many tokens its vocabularies make of text held out
    gen.py ids          writes the ids that SentencePiece (plain.jsonl, user.jsonl) and
                        transformers (plain.hf.jsonl) give with plain.model and user.model,
                        which `go test -run TrainedModels -update` writes

Needs: sentencepiece==0.2.3 protobuf==7.36.2 transformers==5.24.0 tokenizers==0.23.3
"""
import glob, importlib.util, io, json, os, random, sys
import sentencepiece as spm

here = os.path.dirname(os.path.abspath(__file__))
spec = importlib.util.spec_from_file_location("gen", os.path.join(here, "../gen.py"))
gen = importlib.util.module_from_spec(spec)
spec.loader.exec_module(gen)
data = gen.data


def text():
    lines = open(os.path.join(data, "text/botchan/botchan.txt"), encoding="utf8").read().splitlines()
    rng = random.Random("text")
    extra = ["".join(rng.choice("日本語の文章をカナと、混ぜて書く。") for _ in range(24)) for _ in range(40)]
    extra += [" ".join(rng.choice("été élève naïve façade Привет мир λόγος 12,5 1984 don't x=1;".split()) for _ in range(8)) for _ in range(80)]
    extra += ["    " * rng.randint(1, 3) + rng.choice(["return x", "if a:", "for i in y:"]) for _ in range(120)]
    extra += ["a<sep>b the [INST] then\tthe tab", "cafe\u0301 e\u0301te\u0301", "\u2581under\u2581score", "👍🏽 ok 🦙🦙", "same  same   spaces    here"] * 6
    for name, part in [("text.txt", lines[:700] + extra), ("held.txt", lines[2000:2200] + extra[::7])]:
        part = part[:]
        random.Random(name).shuffle(part)
        with open(os.path.join(here, name), "w", encoding="utf8", newline="") as f:
            f.write("\n".join(part) + "\n")


LLAMA = dict(model_type="bpe", normalization_rule_name="identity", remove_extra_whitespaces=False, byte_fallback=True,
             split_digits=True, allow_whitespace_only_pieces=True, character_coverage=0.99995, num_threads=2,
             max_sentence_length=1 << 20, minloglevel=2)


def trained(files, size, **kw):
    out = io.BytesIO()
    spm.SentencePieceTrainer.train(input=files, model_writer=out, vocab_size=size, **{**LLAMA, **kw})
    return spm.SentencePieceProcessor(model_proto=out.getvalue())


def tokens(sp, files):
    return sum(len(ids) for f in files for ids in sp.encode(open(f, encoding="utf8", newline="").read().split("\n")))


def trainer():
    small = os.path.join(here, "text.txt")
    shared = [f for d in ("gutenberg", "wikitext-2", "tinystories", "tinyshakespeare") for f in sorted(glob.glob(os.path.join(data, "text", d, "*.txt")))]
    held = {"held.txt": os.path.join(here, "held.txt"), "text/botchan/botchan.txt": os.path.join(data, "text/botchan/botchan.txt"),
            "text/gutenberg/Treasure-Island_120.txt": os.path.join(data, "text/gutenberg/Treasure-Island_120.txt"),
            "text/tinystories/v1_valid_head.txt": os.path.join(data, "text/tinystories/v1_valid_head.txt")}
    cases = []

    def case(name, files, sizes, tests, **kw):
        for size in sizes:
            sp = trained(files, size, **kw)
            meta = [i for i in range(size) if sp.is_control(i) or sp.is_unknown(i) or sp.is_byte(i) or sp.id_to_piece(i) in kw.get("user_defined_symbols", [])]
            # SentencePiece puts the characters behind the pieces, the most frequent first.
            n = size
            while n > 0 and len(sp.id_to_piece(n - 1)) == 1 and n - 1 not in meta:
                n -= 1
            cases.append({"train": name, "options": kw, "vocab_size": size, "alphabet": "".join(sp.id_to_piece(i) for i in range(n, size)),
                          "tokens": {t: tokens(sp, [held[t]]) for t in tests}})

    case("text.txt", small, [420, 700, 1500], ["held.txt"])
    case("text.txt", small, [420, 700], ["held.txt"], character_coverage=0.99)
    case("text.txt", small, [700], ["held.txt"], split_digits=False, allow_whitespace_only_pieces=False, max_sentencepiece_length=5)
    case("text.txt", small, [700], ["held.txt"], control_symbols=["<ctl>"], user_defined_symbols=["<sep>", "[INST]", "the"])
    out = [t for t in held if t != "held.txt"]
    case("shared", [f for f in shared if f not in held.values()], [512, 4096, 32000], out)
    with open(os.path.join(here, "trainer.json"), "w", encoding="utf8") as f:
        f.write(json.dumps(cases, ensure_ascii=False, indent=1) + "\n")


def ids():
    for name in ("plain", "user"):
        gen.dump(os.path.join(here, name + ".jsonl"), gen.golden_lines(os.path.join(here, name + ".model"), 150, name))
    # transformers reads the directory that `cria tokenizer train` writes.
    from transformers import AutoTokenizer
    t = AutoTokenizer.from_pretrained(os.path.join(here, "plain"))
    sp = spm.SentencePieceProcessor(model_file=os.path.join(here, "plain.model"))
    rng = random.Random("hf")
    lines = []
    while len(lines) < 150:
        s = gen.string(rng).decode("utf8", "replace")
        # transformers takes the texts of control tokens for the tokens; SentencePiece never does.
        if len(s) <= 200 and not any(x in s for x in ("<s>", "</s>", "<unk>")):
            lines.append({"in": s, "ids": t.encode(s, add_special_tokens=False)})
    assert all(l["ids"] == sp.encode(l["in"]) for l in lines)
    gen.dump(os.path.join(here, "plain.hf.jsonl"), lines)


if __name__ == "__main__":
    {"text": text, "trainer": trainer, "ids": ids}[sys.argv[1]]()
