"""Measures texts with other tools: ftfy for repair, datatrove for Gopher's and
C4's rules.

pip install ftfy==6.3.1 datatrove==0.10.1 && python gen.py
The texts are made here; words are divided by white space, as in the papers.
"""

import json, random, re
import ftfy
from ftfy import TextFixerConfig

config = TextFixerConfig(unescape_html=False, remove_terminal_escapes=False, fix_character_width=False, uncurl_quotes=False)

# Plain texts in several languages, misread once or twice, and texts that only
# look so.
plain = ["naïve café – déjà vu", "“Don’t,” she said…", "Zürich kostet 5 € für Ärzte", "señor Muñoz está aquí", "Łódź, Kraków i Gdańsk",
         "Привет, мир", "日本語のテキスト", "smörgåsbord på svenska", "El Niño’s café — 100 °C", "½ × ¾ ≠ 1", "emoji 😀 and 🎉", "Ĝis la revido", "naı̈ve résumé"]
cases = []
for p in plain:
    for codec in ["latin-1", "cp1252"]:
        bad = p
        for times in range(2):
            try:
                bad = bad.encode("utf-8").decode(codec)
            except UnicodeDecodeError:
                break
            cases.append(bad)
    cases.append(p)
cases += ["PASSÉ»", "Il a dit : « Voilà… »", "AHÅ™ TM", "no problem at all", "ﬁne ﬂuﬀ", "a\u00adb\u200bc\ufeff", "line\r\nend\rold\u2028sep\u0085nel", "bell\x07 esc",
          "cafe\u0301", "\u212b ngstrom", "tab\tkept", "C1 \x91quoted\x92 text", "«déjà»", "Â© 2020 Company", "schÃ¶n und gut", "It’s â€œfineâ€\x9d"]
cases = sorted(set(cases))
out = [{"in": c, "out": ftfy.fix_text(c, config)} for c in cases]
json.dump(out, open("ftfy.json", "w"), ensure_ascii=True, indent=0)

# Gopher and C4 on random documents of a small language with repeated words,
# lines and paragraphs.
import datatrove.pipeline.filters.gopher_repetition_filter as rep
from datatrove.utils.text import PUNCTUATION_SET

random.seed(5)
vocabulary = "the of and to a in it was he that with be have Alice rabbit very little went down thought never before time see said".split()
docs = []
for d in range(40):
    style = d % 4
    phrases = [" ".join(random.choices(vocabulary, k=random.randint(3, 12))) for _ in range(12)]
    paragraphs = []
    for _ in range(random.randint(3, 12)):
        lines = []
        for _ in range(random.randint(1, 6)):
            kind = random.random()
            if kind < 0.25 * style:
                line = random.choice(phrases)
            else:
                line = " ".join(random.choices(vocabulary, k=random.randint(2, 14)))
            line += random.choice([".", "!", "", " ...", "…", ",", "?", '"'])
            if random.random() < 0.15:
                line = random.choice(["- ", "• "]) + line
            if random.random() < 0.1:
                line += " # 12"
            lines.append(line)
        paragraphs.append("\n".join(lines))
    docs.append("\n\n".join(paragraphs))

rows = []
for text in docs:
    words = text.split()
    cores = [w.strip('.,!?"…#-•') or w for w in words]
    real = [w for w in words if any(c not in PUNCTUATION_SET and c not in "•…" for c in w)]  # datatrove lacks these two
    stop = {"the", "be", "to", "of", "and", "that", "have", "with"}
    lines = text.splitlines()
    lines = [l for l in lines if l.strip()]
    paragraphs = re.split(r"\n{2,}", text)
    line_dup, line_chars = rep.find_duplicates(lines)
    par_dup, par_chars = rep.find_duplicates(paragraphs)
    chars = sum(len(c) for c in cores)
    lower = [c.lower() for c in cores]
    row = {
        "gopher.word_count": len(real),
        "gopher.mean_word_length": sum(len(c) for c, w in zip(cores, words) if w in real) / len(real),
        "gopher.hash_ratio": text.count("#") / len(words),
        "gopher.ellipsis_ratio": (text.count("...") + text.count("…")) / len(words),
        "gopher.bullet_lines": sum(l.lstrip().startswith(("•", "-")) for l in lines) / len(lines),
        "gopher.ellipsis_lines": sum(l.rstrip().endswith(("...", "…")) for l in lines) / len(lines),
        "gopher.alphabetic_words": sum(any(c.isalpha() for c in w) for w in words) / len(words),
        "gopher.stop_words": len(stop & set(lower)),
        "repetition.duplicate_lines": line_dup / len(lines),
        "repetition.duplicate_line_chars": line_chars / sum(map(len, lines)),
        "repetition.duplicate_paragraphs": par_dup / len(paragraphs),
        "repetition.duplicate_paragraph_chars": par_chars / sum(len(l) for l in lines),
    }
    for n in (2, 3, 4):  # datatrove's n-grams hold spaces, ours do not
        grams = rep.get_n_grams(lower, n)
        count = {}
        for g in grams:
            count[g] = count.get(g, 0) + 1
        top = max(count.values())
        row[f"repetition.top_{n}gram"] = min(1, max(len(g.replace(" ", "")) for g in count if count[g] == top) * top / chars) if top > 1 else 0
    for n in range(5, 11):  # every word inside of an n-gram that was seen, once
        seen, inside = set(), [False] * len(lower)
        for i in range(len(lower) - n + 1):
            g = tuple(lower[i:i + n])
            if g in seen:
                inside[i:i + n] = [True] * n
            seen.add(g)
        row[f"repetition.duplicate_{n}grams"] = sum(len(w) for w, x in zip(lower, inside) if x) / chars
    rows.append({"text": text, "values": row})
json.dump(rows, open("gopher.json", "w"), ensure_ascii=True, indent=0)
