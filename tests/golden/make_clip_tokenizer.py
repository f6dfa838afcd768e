#!/usr/bin/env python3
"""The data of CLIP's tokenizer, and golden tokens, from open_clip (whose tokenizer is OpenAI's, MIT):

    pip install open_clip_torch
    python tests/golden/make_clip_tokenizer.py

Writes
  analysis/embed/clip_merges.bin      48,894 merges in order of rank: two tokens each, uint16, little-endian
  analysis/embed/clip_text_tables.c   what ftfy, html.unescape, str.lower and \\p{L}, \\p{N} know about characters
  tests/golden/clip_tokenizer.json    strings with their tokens, and hashes of those of 10,000 made-up strings

A made-up string is a function of its number (make() below, the same in tests/analysis/embed/test_clip_tokenizer.c).
Left out are those in which ftfy sees text that was decoded in a wrong encoding, and repairs it: we take text as it is.
"""
import gzip
import hashlib
import html
import html.entities
import json
import pathlib
import struct
import sys
import unicodedata

import ftfy
import ftfy.chardata
import open_clip
import regex
from open_clip.tokenizer import SimpleTokenizer, bytes_to_unicode, default_bpe

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import random_weights as rw

HERE = pathlib.Path(__file__).parent
EMBED = HERE.parents[1] / "analysis" / "embed"
VOCABULARY = "924691ac288e54409236115652ad4aa250f48203de50a9e4722a6ecd48d6804a"  # SHA-256 of the published file
BYTES = 256
CHARACTERS = [chr(c) for c in range(0x110000) if not 0xD800 <= c < 0xE000]


def write_merges():
    data = pathlib.Path(default_bpe()).read_bytes()
    assert hashlib.sha256(data).hexdigest() == VOCABULARY
    lines = gzip.decompress(data).decode().split("\n")[1 : 49152 - BYTES - 2 + 1]
    tokens = list(bytes_to_unicode().values())
    ids = {t: i for i, t in enumerate(tokens + [t + "</w>" for t in tokens])}
    out = b""
    for line in lines:
        a, b = line.split()
        assert a + b not in ids
        out += struct.pack("<HH", ids[a], ids[b])
        ids[a + b] = len(ids)
    (EMBED / "clip_merges.bin").write_bytes(out)


def ranges(holds) -> list[tuple[int, int]]:
    found = []
    for c in map(ord, filter(holds, CHARACTERS)):
        if found and found[-1][1] == c - 1:
            found[-1][1] = c
        else:
            found.append([c, c])
    return found


def lower_runs() -> list[tuple[int, int, int, int]]:
    """first, last, step, what is added."""
    runs = []
    for c in map(ord, CHARACTERS):
        low = chr(c).lower()
        if low == chr(c) or len(low) > 1:
            assert len(low) == 1 or low == "i\u0307", hex(c)
            continue
        add = ord(low) - c
        last = runs[-1] if runs else None
        if last and last[3] == add and c - last[1] <= 2 and (last[0] == last[1] or c - last[1] == last[2]):
            last[2] = c - last[1]
            last[1] = c
        else:
            runs.append([c, c, 1, add])
    return runs


def classes() -> list[tuple[int, int, int]]:
    """first, last, canonical combining class."""
    runs = []
    for c in CHARACTERS:
        k = unicodedata.combining(c)
        if k and runs and runs[-1][1] == ord(c) - 1 and runs[-1][2] == k:
            runs[-1][1] = ord(c)
        elif k:
            runs.append([ord(c), ord(c), k])
    return runs


def decompositions() -> list[tuple[int, int, int, int]]:
    """character, its one or two parts, 1 if the two compose to it."""
    rows = []
    for c in CHARACTERS:
        text = unicodedata.decomposition(c)
        if not text or text.startswith("<"):
            continue
        parts = [int(p, 16) for p in text.split()] + [0]
        composes = unicodedata.normalize("NFC", c) == c
        assert len(parts) <= 3 and (parts[1] or not composes)
        rows.append((ord(c), parts[0], parts[1], int(composes)))
    return rows


def replacements() -> list[tuple[int, int, int, int]]:
    """Ligatures, widths and quotes as ftfy has them: character, up to three others."""
    rows = {c: t.replace("\u02bc", "'") for c, t in (ftfy.chardata.LIGATURES | ftfy.chardata.WIDTH_MAP).items()}
    rows |= {c: "'" for c in [0x2BC, *range(0x2018, 0x201C)]} | {c: '"' for c in range(0x201C, 0x2020)}
    for c, text in rows.items():
        assert ftfy.fixes.uncurl_quotes(ftfy.fixes.fix_character_width(ftfy.fixes.fix_latin_ligatures(chr(c)))) in \
            (text, "\u02bcn")
    return [(c, *(ord(x) for x in t), *[0] * (3 - len(t))) for c, t in sorted(rows.items())]


def entities() -> list[tuple[str, str, int]]:
    """name, text, kind: 1 also without a semicolon, 2 only to ftfy, else 0."""
    html5 = html.entities.html5
    rows = [(n[:-1], t, int(n[:-1] in html5)) for n, t in html5.items() if n.endswith(";")]
    known = {n for n, _, _ in rows}
    assert all(n in known and html5[n] == html5[n + ";"] for n in html5 if not n.endswith(";"))
    rows += [(n[1:-1], t, 2) for n, t in ftfy.chardata.HTML_ENTITIES.items() if n[1:-1] not in known]
    assert all(len(n) <= 32 for n, _, _ in rows)
    return sorted(rows)


def table(kind: str, name: str, rows: list, item) -> str:
    """A table in lines of at most 120 columns."""
    lines, line = [], "\t"
    for row in rows:
        text = item(row) + ","
        if len(line) + len(text) + 8 > 118:
            lines.append(line)
            line = "\t"
        line += (" " if line != "\t" else "") + text
    lines.append(line)
    body = "\n".join(lines)
    return f"const {kind} {name}[] = {{\n{body}\n}};\nconst size_t {name}_count = sizeof {name} / sizeof *{name};\n"


def numbers(row) -> str:
    return "{ " + ", ".join(f"0x{v:x}" if v > 9 else str(v) for v in row) + " }"


def quoted(text: str) -> str:
    return '"' + "".join(f"\\{b:03o}" if b < 32 or b > 126 or chr(b) in '"\\?' else chr(b) for b in text.encode()) + '"'


def is_final_sigma(before: str) -> bool:
    return (before + "\u03a3").lower().endswith("\u03c2")


def write_tables():
    cased = ranges(lambda c: is_final_sigma("1" + c))
    passed = ranges(lambda c: is_final_sigma("a" + c) and not is_final_sigma("1" + c))
    letter, number = (regex.compile(rf"[\p{{{k}}}]", regex.IGNORECASE) for k in "LN")
    entity = lambda row: f"{{ {quoted(row[0])}, {quoted(row[1])}, {row[2]} }}"
    removed = ranges(lambda c: ord(c) in ftfy.chardata.CONTROL_CHARS)
    parts = [
        "/* Made by tests/golden/make_clip_tokenizer.py: Unicode " + unicodedata.unidata_version +
        ", letters and numbers of regex " + regex.__version__ + ". */",
        '#include "analysis/embed/clip_text_tables.h"\n',
        "// clang-format off",
        table("struct ek_clip_text_range", "ek_clip_text_letters", ranges(letter.match), numbers),
        table("struct ek_clip_text_range", "ek_clip_text_numbers", ranges(number.match), numbers),
        table("struct ek_clip_text_range", "ek_clip_text_cased", cased, numbers),
        table("struct ek_clip_text_range", "ek_clip_text_passed", passed, numbers),
        table("struct ek_clip_text_range", "ek_clip_text_removed", removed, numbers),
        table("struct ek_clip_text_lower", "ek_clip_text_lowers", lower_runs(), lambda r:
              "{ " + ", ".join([f"0x{r[0]:x}", f"0x{r[1]:x}", str(r[2]), str(r[3])]) + " }"),
        table("struct ek_clip_text_class", "ek_clip_text_classes", classes(), numbers),
        table("struct ek_clip_text_decomposition", "ek_clip_text_decompositions", decompositions(), numbers),
        table("struct ek_clip_text_replacement", "ek_clip_text_replacements", replacements(), numbers),
        table("struct ek_clip_text_entity", "ek_clip_text_entities", entities(), entity),
    ]
    (EMBED / "clip_text_tables.c").write_text("\n".join(parts))


FRAGMENTS = """a photo of a|A PHOTO OF THE|dog|Cat|person|children's|it's|IT'S|we'll|they've|I'd|I'm|we're|don't|'s|'T|'RE|''|
'|"|“quoted”|‘single’|don’t|1920s|3.14|1,000,000|2nd|½|²|Ⅻ|٣|₹500|&amp;|&lt;b&gt;|&eacute;|P&EACUTE;REZ|&amp;amp;|
&#233;|&#x1F600;|&#150;|&#xD800;|&#0;|&#59;|&notit;|&not|&copy|&nbsp;|&Jscr;|&SZLIG;|&;|&#;|&bogus;|AT&T|x&y=1|é|é|Å|
ﬁne|ﬀ|Straße|STRASSE|İstanbul|ΟΔΥΣΣΕΥΣ|Σ|ΑΣ.|ΑΣΑ|ǅ|Ω|K|ſ|'ſ|e\u0301|a\u0323\u0302|A\u030a|\u1100\u1161\u11a8|q\u0307\u0323|naïve|CAFÉ|coöperate|
北京|日本語のテキスト|한국어|각|العربية|עברית|हिन्दी|ไทย|தமிழ்|Ελληνικά|Привет|ＦＵＬＬ　ｗｉｄｔｈ|ｶﾞｷﾞ|ﾊﾟ|
🙂|👨‍👩‍👧‍👦|🏳️‍🌈|👍🏽|🇩🇪|❤️|☃|™|®|€|→|∑|…|—|–|•|!!!|?!|...|#hashtag|@user|http://a.b/c?d=e|C++|e-mail|
under_score|<start_of_text>|<end_of_text>|<START_OF_TEXT>|<|>|tab\there|line\nbreak|cr\rlf\r\nx|\u2028|\u00a0|\u3000|
\u200b|\u200d|\ufeff|\u00ad|\u001b[31mred\u001b[0m|\u0007|\u007f|\u202e|\ufffd|\U000e0067|pneumonoultramicroscopic|
supercalifragilisticexpialidocious|aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa|antidisestablishmentarianism|zzzz|qwrtpsdfg|
the quick brown fox jumps over the lazy dog|close-up|black & white|rock 'n' roll|o'clock|y'all|can't've"""
FRAGMENTS = [f.encode("latin-1", "backslashreplace").decode("unicode_escape") for f in
             FRAGMENTS.replace("|\n", "|").split("|")]
RANGES = [(0x21, 0x7E), (0xA1, 0x24F), (0x250, 0x3FF), (0x400, 0x52F), (0x531, 0x6FF), (0x900, 0x97F), (0xE00, 0xE7F),
          (0x1100, 0x11FF), (0x1E00, 0x1FFF), (0x2000, 0x23FF), (0x2460, 0x27BF), (0x3000, 0x30FF), (0x4E00, 0x9FFF),
          (0xA640, 0xA7FF), (0xAC00, 0xD7A3), (0xF900, 0xFAFF), (0xFB00, 0xFFEF), (0x10330, 0x103FF), (0x10400, 0x104FF),
          (0x1D400, 0x1D7FF), (0x1F300, 0x1FAFF)]
COUNT, BLOCK, SHOWN = 10000, 100, 300


def make(number: int) -> str:
    r = rw.bits24(f"string {number}", 1 + 8 * 64)
    pieces = 1 + int(r[0]) % (64 if number % 16 == 15 else 10)
    text = ""
    for k in range(pieces):
        p = [int(v) for v in r[1 + 8 * k : 9 + 8 * k]]
        if p[0] % 8 < 4:
            text += FRAGMENTS[p[1] % len(FRAGMENTS)]
        elif p[0] % 8 == 4:
            text += "".join(chr(ord("Aa"[p[2] >> j & 1]) + (p[3] >> 2 * j) % 26) for j in range(1 + p[1] % 10))
        elif p[0] % 8 == 5:
            text += str(p[1] % 10 ** (p[2] % 8))
        else:
            low, high = RANGES[p[1] % len(RANGES)]
            text += "".join(chr(low + p[3 + j] % (high - low + 1)) for j in range(1 + p[2] % 3))
        text += "" if p[7] % 3 == 0 else " "
    return text


def is_repaired(text: str) -> bool:
    """Does ftfy see a wrong encoding?"""
    return ftfy.fix_text(text) != ftfy.fix_text(text, fix_encoding=False)


def write_golden():
    tokenize = SimpleTokenizer()
    tokens_of = lambda text: [int(t) for t in tokenize(text)[0]]
    left_out, strings, blocks = [], [], []
    number = taken = 0
    digest, block = hashlib.sha256(), hashlib.sha256()
    while taken < COUNT:
        text = make(number)
        if is_repaired(text):
            left_out.append(number)
        else:
            tokens = struct.pack("<77i", *tokens_of(text))
            digest.update(tokens)
            block.update(tokens)
            taken += 1
            if taken % BLOCK == 0:
                blocks.append(block.hexdigest()[:16])
                block = hashlib.sha256()
        number += 1
    for text in FRAGMENTS + [make(n) for n in range(SHOWN) if n not in left_out]:
        if not is_repaired(text):
            tokens = tokens_of(text)
            strings.append([text, tokens[: len(tokens) - tokens[::-1].index(49407)]])
    golden = {"versions": {"open_clip": open_clip.__version__, "ftfy": ftfy.__version__, "regex": regex.__version__,
                           "unicode": unicodedata.unidata_version, "vocabulary": VOCABULARY},
              "fragments": FRAGMENTS, "ranges": RANGES, "count": COUNT, "left_out": left_out,
              "sha256": digest.hexdigest(), "block": BLOCK, "blocks": blocks, "strings": strings}
    text = ",\n".join(f' {json.dumps(k)}: ' + ("[\n" + ",\n".join("  " + json.dumps(s) for s in v) + "\n ]"
                                              if k == "strings" else json.dumps(v)) for k, v in golden.items())
    (HERE / "clip_tokenizer.json").write_text("{\n" + text + "\n}\n")
    print(f"{COUNT} of {number} strings, {len(left_out)} left out, {len(strings)} whole")


if __name__ == "__main__":
    write_merges()
    write_tables()
    write_golden()
