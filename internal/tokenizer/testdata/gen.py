#!/usr/bin/env python3
"""Makes the goldens of this package with Google's SentencePiece.

    gen.py models                        trains the small models (*.model); needs the shared text
    gen.py json                          writes some of them as *.tokenizer.json
    gen.py goldens                       writes *.jsonl beside them
    gen.py fuzz MODEL N SEED OUT.jsonl   N random strings, for TestOracleFile:
                                         CRIA_TOKENIZER_ORACLE=MODEL:OUT.jsonl go test -run OracleFile

Each line of a golden: {"in": text or {"hex": bytes}, "ids": [...]} for encoding,
{"ids": [...], "out": text} for decoding. Llama 2's own tokenizer is not
committed, its ids are: shared data has the file.

Needs: sentencepiece==0.2.3 protobuf==7.36.2 tokenizers==0.23.3
"""
import io, json, os, random, sys
import sentencepiece as spm
from sentencepiece import sentencepiece_model_pb2 as pb

here = os.path.dirname(os.path.abspath(__file__))
data = os.environ.get("CRIA_TEST_DATA", os.path.join(here, "../../../../shared/data"))
llama2 = os.path.join(data, "tokenizer/llama2.tokenizer.model")


def train(name, edit=None, **kw):
    text = open(os.path.join(data, "text/botchan/botchan.txt"), encoding="utf8").read().splitlines()[:1500]
    rng = random.Random(name)
    text += ["".join(rng.choice("日本語の文章をéàü  ") for _ in range(20)) for _ in range(60)]
    text += ["  ".join(rng.choice(["ab", "cd 12", "   x", "1984"]) for _ in range(8)) for _ in range(60)]
    out = io.BytesIO()
    args = dict(model_type="bpe", normalization_rule_name="identity", remove_extra_whitespaces=False,
                character_coverage=0.9995, num_threads=1, minloglevel=2)
    args.update(kw)
    spm.SentencePieceTrainer.train(sentence_iterator=iter(text), model_writer=out, **args)
    m = pb.ModelProto()
    m.ParseFromString(out.getvalue())
    if edit:
        edit(m)
    with open(os.path.join(here, name + ".model"), "wb") as f:
        f.write(m.SerializeToString())


def unused(m):
    """Every fourth piece is taken out of use."""
    for i, p in enumerate(m.pieces):
        if p.type == 1 and len(p.piece) > 1 and i % 4 == 0:
            p.type = 5


def ties(m):
    """Scores become so coarse that most are equal."""
    for p in m.pieces:
        if p.type == 1:
            p.score = int(p.score) // 40 * 40


def models():
    train("llama", vocab_size=600, byte_fallback=True, split_digits=True, allow_whitespace_only_pieces=True)
    train("noprefix", vocab_size=500, add_dummy_prefix=False)
    train("squeeze", vocab_size=500, remove_extra_whitespaces=True)
    train("user", vocab_size=700, byte_fallback=True, pad_id=3, control_symbols=["<ctl>", "[X]"],
          user_defined_symbols=["<sep>", "\u2581\u2581", "日本", "the", "then", "foo bar", "\u2581with"])
    train("squeezeuser", vocab_size=600, byte_fallback=True, remove_extra_whitespaces=True,
          user_defined_symbols=["<a>", "<a><b>", "\u2581end\u2581", "\u2581\u2581"])
    train("cross", vocab_size=500, split_by_whitespace=False, add_dummy_prefix=False)
    train("unused", edit=unused, vocab_size=400, split_by_whitespace=False)
    train("ties", edit=ties, vocab_size=700, byte_fallback=True, allow_whitespace_only_pieces=True)


def to_json(name, metaspace, strings):
    """Writes a model with Hugging Face's tokenizers, with merges in the order that transformers' converter gives them."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
    m = pb.ModelProto()
    m.ParseFromString(open(os.path.join(here, name + ".model"), "rb").read())
    vocab = {p.piece: i for i, p in enumerate(m.pieces)}
    merges = [(p.piece[:i], p.piece[i:], p.score) for p in m.pieces for i in range(1, len(p.piece))
              if p.type == 1 and p.piece[:i] in vocab and p.piece[i:] in vocab]
    merges.sort(key=lambda x: (x[2], len(x[0]), len(x[1])), reverse=True)
    t = Tokenizer(models.BPE(vocab, [x[:2] for x in merges], unk_token="<unk>", fuse_unk=True,
                             byte_fallback=m.trainer_spec.byte_fallback))
    prefix = m.normalizer_spec.add_dummy_prefix
    if metaspace:
        t.pre_tokenizer = pre_tokenizers.Metaspace(replacement="\u2581", prepend_scheme="first" if prefix else "never", split=False)
    else:
        t.normalizer = normalizers.Sequence([normalizers.Prepend("\u2581")] * prefix + [normalizers.Replace(" ", "\u2581")])
    t.add_special_tokens([AddedToken(p.piece, normalized=False) for p in m.pieces if p.type in (2, 3)])
    # SentencePiece never finds a user-defined symbol with a plain space, tokenizers would.
    t.add_tokens([AddedToken(p.piece, normalized=False) for p in m.pieces if p.type == 4 and " " not in p.piece])
    t.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    t.decoder = decoders.Sequence([decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    j = json.loads(t.to_str())
    if strings:
        j["model"]["merges"] = [" ".join(x) for x in j["model"]["merges"]]
    with open(os.path.join(here, name + ".tokenizer.json"), "w", encoding="utf8") as f:
        json.dump(j, f, ensure_ascii=False, separators=(",", ":"))


def jsons():
    to_json("llama", metaspace=False, strings=True)
    to_json("noprefix", metaspace=True, strings=False)
    to_json("user", metaspace=True, strings=True)


WORDS = ("the of and to in is that it was for on are with as his they at be this from I have or by one had not but what "
         "all were when we there can an your which their said if do will each about how up out them then she many some so "
         "these would other into has more her two like him see time could no make than first been its who now people "
         "Once upon a time little girl named Lily Tokenization antidisestablishmentarianism naïve café Straße "
         "Привет мир здравствуйте こんにちは世界 日本語 中文字符 한국어 العربية שלום ไทย हिन्दी ελληνικά").split()
TAGS = ["<s>", "</s>", "<unk>", "[INST]", "[/INST]", "<<SYS>>", "<</SYS>>", "<0x0A>", "<0x41>", "\u2581", "\u2581\u2581",
        "<|im_start|>", "<sep>", "<ctl>", "[X]", "<a>", "<a><b>", " end ", "foo bar", "<pad>", "\u2047", "\ufffd", "\ufeff", "\u200b"]
EMOJI = ["😀", "👩‍👩‍👧‍👦", "🇩🇪", "👍🏽", "❤️", "🦙", "1️⃣"]
CODE = ["def f(x):\n    return x+1\n", "for (int i=0;i<n;i++) {\n\t\tfoo();\n}\n", "https://example.com/a?b=c&d=%20", "a@b.org", "\\frac{1}{2}"]


def code_point(rng):
    """Any character of any plane, the planes being equally likely."""
    while True:
        plane = rng.choice([0, 0, 0, 1, 1, 2, 3, 14, 15, 16])
        c = plane << 16 | rng.randrange(1 << 16)
        if not 0xD800 <= c <= 0xDFFF:
            return chr(c)


def part(rng):
    k = rng.randrange(16)
    if k <= 4:
        return " ".join(rng.choice(WORDS) for _ in range(rng.randint(1, 8))).encode()
    if k == 5:
        return (" " * rng.choice([1, 2, 3, 4, 5, 8, 15, 16, 17, 33, 100])).encode()
    if k == 6:
        return str(rng.randrange(10 ** rng.randint(1, 20))).encode()
    if k == 7:
        return rng.choice(TAGS).encode()
    if k == 8:
        return "".join(rng.choice(EMOJI) for _ in range(rng.randint(1, 4))).encode()
    if k == 9:
        return "".join(code_point(rng) for _ in range(rng.randint(1, 8))).encode()
    if k == 10:
        return bytes(rng.randrange(256) for _ in range(rng.randint(1, 8)))
    if k == 11:  # broken UTF-8: cut, overlong, surrogates, beyond the last plane
        b = code_point(rng).encode() + rng.choice([b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe0\x80\xaf", b"\xf8\x88\x80\x80\x80", b"\x80", b"\xe2\x96"])
        return b[: rng.randint(1, len(b))]
    if k == 12:  # long words, often without any place to cut
        return (rng.choice(["a", "ab", "the", "xyz", "é", "字", "="]) * rng.choice([3, 20, 50, 120])).encode()
    if k == 13:
        return "".join(rng.choice("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ'-") for _ in range(rng.randint(1, 60))).encode()
    if k == 14:
        return rng.choice(CODE).encode()
    return rng.choice(["\n", "\t", "\r\n", "\0", "\u00a0", "\u3000", "\n\n\n", " \n "]).encode()


def string(rng):
    b = b""
    for _ in range(rng.choice([0, 1, 1, 2, 3, 4, 6, 10])):
        b += part(rng)
        if rng.random() < 0.5:
            b += b" "
    return b


def line(sp, b):
    try:
        text = b.decode()
    except UnicodeDecodeError:
        text = {"hex": b.hex()}
    return {"in": text, "ids": sp.encode(b)}


def dump(path, lines):
    with open(path, "w", encoding="utf8") as f:
        for l in lines:
            f.write(json.dumps(l, ensure_ascii=True, separators=(",", ":")) + "\n")


def golden_lines(model, n, seed):
    sp = spm.SentencePieceProcessor(model_file=model)
    rng = random.Random(seed)
    lines = []
    while len(lines) < n:
        b = string(rng)
        if len(b) <= 300:
            lines.append(line(sp, b))
    for _ in range(n // 4):
        if rng.random() < 0.5:
            ids = [rng.randrange(sp.vocab_size()) for _ in range(rng.randint(0, 12))]
        else:  # mostly bytes, some of them cut characters
            ids = [i for i in sp.encode("".join(code_point(rng) for _ in range(4))) if rng.random() < 0.8]
        lines.append({"ids": ids, "out": sp.decode(ids)})
    return lines


def bin_model(path):
    """Makes a model of llama2.c's tokenizer.bin."""
    import struct, tempfile
    b = open(path, "rb").read()
    m, at = pb.ModelProto(), 4
    while at < len(b):
        score, n = struct.unpack_from("<fI", b, at)
        i, text = len(m.pieces), b[at + 8 : at + 8 + n].decode()
        p = m.pieces.add()
        p.piece, p.score, p.type = text.strip("\n") if i in (1, 2) else text.replace(" ", "\u2581"), score, 2 if i == 0 else 3 if i < 3 else 6 if i < 259 else 1
        at += 8 + n
    m.trainer_spec.model_type, m.trainer_spec.byte_fallback = 2, True
    m.normalizer_spec.name, m.normalizer_spec.remove_extra_whitespaces = "identity", False
    f = tempfile.NamedTemporaryFile(suffix=".model", delete=False)
    f.write(m.SerializeToString())
    f.close()
    return f.name


def goldens():
    dump(os.path.join(here, "tok512.jsonl"), golden_lines(bin_model(os.path.join(data, "weights/stories260K/tok512.bin")), 60, "tok512"))
    for f in sorted(os.listdir(here)):
        if f.endswith(".model"):
            dump(os.path.join(here, f[:-6] + ".jsonl"), golden_lines(os.path.join(here, f), 60, f))
    dump(os.path.join(here, "llama2.jsonl"), golden_lines(llama2, 400, "llama2"))


def fuzz(model, n, seed, out):
    sp = spm.SentencePieceProcessor(model_file=model)
    rng = random.Random(seed)
    with open(out, "w", encoding="utf8") as f:
        for i in range(int(n)):
            l = line(sp, string(rng))
            if i % 4 == 0:
                l = {"ids": (ids := [rng.randrange(sp.vocab_size()) if rng.random() < 0.5 else rng.randrange(min(260, sp.vocab_size())) for _ in range(rng.randint(0, 20))]), "out": sp.decode(ids)}
                l2 = line(sp, string(rng))
                f.write(json.dumps(l2) + "\n")
            f.write(json.dumps(l) + "\n")


if __name__ == "__main__":
    {"models": models, "json": jsons, "goldens": goldens, "fuzz": fuzz}[sys.argv[1]](*sys.argv[2:])
