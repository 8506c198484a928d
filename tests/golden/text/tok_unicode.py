"""Writes src/text/unicode_tables.inc: where `tokenizers` disagrees with the Unicode tables at hand.

`tokenizers` carries four Unicode versions at once: Oniguruma (16) for regexes, Rust's own (17) for
Digits and Lowercase, and two old crates for Punctuation and for normalisation. Ours are PCRE2 10.42
(Unicode 14) and utf8proc 2.8 (15). Every difference, found by asking about every code point, is a
row below. Needs Python 3.11 (Unicode 14.0), tokenizers==0.23.3 and libutf8proc.so.2 (2.8.0).

usage: tok_unicode.py > src/text/unicode_tables.inc
"""

import ctypes
import sys
import unicodedata

import tokenizers
from tokenizers import Regex, normalizers, pre_tokenizers

assert unicodedata.unidata_version == "14.0.0", unicodedata.unidata_version
assert tokenizers.__version__ == "0.23.3", tokenizers.__version__

CATEGORIES = (
    "Cn Lu Ll Lt Lm Lo Mn Mc Me Nd Nl No Pc Pd Ps Pe Pi Pf Po Sm Sc Sk So Zs Zl Zp Cc Cf Cs Co"
).split()
CODES = [c for c in range(0x110000) if not 0xD800 <= c <= 0xDFFF]

proc = ctypes.CDLL("libutf8proc.so.2")
libc = ctypes.CDLL("libc.so.6")
libc.free.argtypes = [ctypes.c_void_p]
proc.utf8proc_map.restype = ctypes.c_ssize_t
proc.utf8proc_map.argtypes = [
    ctypes.c_char_p, ctypes.c_ssize_t, ctypes.POINTER(ctypes.c_void_p), ctypes.c_int]


def utf8proc_map(text, options):
    raw, out = text.encode(), ctypes.c_void_p()
    size = proc.utf8proc_map(raw, len(raw), ctypes.byref(out), options)
    assert size >= 0
    result = ctypes.string_at(out.value, size)
    libc.free(out)
    return result.decode()


def removed(pre_tokenizer):
    """The code points that a pre-tokenizer which removes its matches leaves nothing of."""
    gone = set(CODES)
    for i in range(0, len(CODES), 8192):
        text = "".join(map(chr, CODES[i:i + 8192]))
        for piece, _ in pre_tokenizer.pre_tokenize_str(text):
            gone.difference_update(map(ord, piece))
    return gone


def isolated(pre_tokenizer):
    out = set()
    for i in range(0, len(CODES), 4096):
        text = "a" + "a".join(map(chr, CODES[i:i + 4096])) + "a"
        for piece, _ in pre_tokenizer.pre_tokenize_str(text):
            if len(piece) == 1 and piece != "a":
                out.add(ord(piece))
    return out


def ranges(codes):
    rows = []
    for c in sorted(codes):
        if rows and rows[-1][1] == c - 1:
            rows[-1][1] = c
        else:
            rows.append([c, c])
    return rows


def emit(comment, name, row_type, rows):
    for line in comment:
        print("// " + line)
    print(f"constexpr {row_type} {name}[] = {{")
    line = "   "
    for row in rows:
        cell = " {" + ", ".join(hex(v) if isinstance(v, int) else v for v in row) + "},"
        if len(line) + len(cell) > 100:
            print(line)
            line = "   "
        line += cell
    print(line)
    print("};\n")


def main():
    category = {}
    for name in CATEGORIES:
        if name != "Cs":
            for c in removed(pre_tokenizers.Split(Regex(r"\p{%s}" % name), "removed")):
                category[c] = name
    changed = {}
    for c in CODES:
        if category[c] != unicodedata.category(chr(c)):
            changed.setdefault(category[c], set()).add(c)
    rows = []
    for name, codes in changed.items():
        rows += [[a, b, "%d" % CATEGORIES.index(name)] for a, b in ranges(codes)]
    print("// Written by tests/golden/text/tok_unicode.py (tokenizers 0.23.3, utf8proc 2.8.0); not edited"
          " by hand.\n")
    emit(["General categories of Unicode 16 that Unicode 14 lacks: what Oniguruma says for \\p{..}.",
          "{first, last, category as utf8proc numbers them}"],
         "kSinceUnicode14", "CategoryRange", sorted(rows))

    han = removed(pre_tokenizers.Split(Regex(r"\p{Han}"), "removed"))
    emit(["The script Han."], "kHan", "CodeRange", ranges(han))

    stable, compat, compose, decompose = 2, 4, 8, 16
    newer = {0x11930, 0x11935, 0x11938}  # whose composition (Unicode 13) tokenizers does not know
    forms = {"NFC": stable | compose, "NFD": stable | decompose,
             "NFKC": stable | compose | compat, "NFKD": stable | decompose | compat}
    for form, options in forms.items():
        normalize = getattr(normalizers, form)().normalize_str
        for c in CODES:
            for text in ("a" + chr(c) + "b", "a\u0316" + chr(c) + "\u0334\u0301b"):
                if c and normalize(text) != utf8proc_map(text, options):
                    newer.add(c)
    emit(["Normalised by utf8proc, but unassigned (a starter, copied) to the crate that tokenizers uses."],
         "kUnknownToNormalizer", "CodeRange", ranges(newer))

    strip = normalizers.StripAccents().normalize_str
    flips = {c for c in CODES if (strip("a" + chr(c)) == "a") != (category[c][0] == "M")}
    emit(["Where what StripAccents strips is not M: the opposite holds."], "kAccentFlips", "CodeRange",
         ranges(flips))

    punctuation = {c for c in CODES if category[c][0] == "P"} | set(map(ord, "$+<=>^`|~"))
    emit(["Where the pre-tokenizer Punctuation is not P plus ASCII punctuation: the opposite holds."],
         "kPunctuationFlips", "CodeRange",
         ranges(punctuation ^ isolated(pre_tokenizers.Punctuation("isolated"))))

    numbers = {c for c in CODES if category[c][0] == "N"}
    emit(["Numbers of Unicode 17, known to the pre-tokenizer Digits only."], "kNewestNumbers",
         "CodeRange", ranges(numbers ^ isolated(pre_tokenizers.Digits(True))))

    word = removed(pre_tokenizers.Split(Regex(r"\w"), "removed"))
    base = {c for c in CODES if category[c][0] in "LM" or category[c] in ("Nd", "Nl", "Pc")}
    assert not base - word
    emit(["Word characters (\\w of Oniguruma) that are not L, M, Nd, Nl or Pc."], "kOtherWord",
         "CodeRange", ranges(word - base))

    lower = normalizers.Lowercase().normalize_str
    rows = []
    for c in CODES:
        target = lower(chr(c))
        if len(target) == 1 and ord(target) != proc.utf8proc_tolower(c):
            if rows and rows[-1][1] == c - 1 and rows[-1][2] + c - rows[-1][0] == ord(target):
                rows[-1][1] = c
            else:
                rows.append([c, c, ord(target)])
    emit(["Lower case that utf8proc lacks: {first, last, lower case of the first}."],
         "kNewLowercase", "LowercaseRange", rows)


if __name__ == "__main__":
    sys.exit(main())
