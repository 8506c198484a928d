"""Makes tokenizer.json files, for tests only, from vocabularies that come in other shapes.

SHARED/tokenizers holds vocab-only GGUF files, tiktoken rank files and a few tokenizer.json files;
make_all() writes one tokenizer.json each into a cache folder, as the converters of the Hugging Face
hub would have made it: same ids, merges, and the pre-tokenizer that the model's family uses."""

import base64
import json
import struct
from pathlib import Path

LLAMA3_REGEX = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+")
QWEN2_REGEX = LLAMA3_REGEX.replace(r"\p{N}{1,3}", r"\p{N}")
QWEN35_REGEX = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+")
UPPER, LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
SUFFIX = "(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
O200K_REGEX = (
    rf"[^\r\n\p{{L}}\p{{N}}]?{UPPER}*{LOWER}+{SUFFIX}|[^\r\n\p{{L}}\p{{N}}]?{UPPER}+{LOWER}*{SUFFIX}"
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")
DEEPSEEK3_REGEX = (
    r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+"
    r"| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")


def split(regex, behavior="Isolated", invert=False):
    return {"type": "Split", "pattern": {"Regex": regex}, "behavior": behavior, "invert": invert}


def sequence(*parts):
    return {"type": "Sequence", "pretokenizers": list(parts)}


def byte_level(use_regex):
    return {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True,
            "use_regex": use_regex}


DIGITS = {"type": "Digits", "individual_digits": True}
PRE_TOKENIZERS = {
    "gpt-2": byte_level(True),
    "mpt": byte_level(True),
    "gpt-neox": byte_level(True),
    "starcoder": sequence(DIGITS, byte_level(True)),
    "refact": sequence(DIGITS, byte_level(True)),
    "falcon": sequence({"type": "Punctuation", "behavior": "Contiguous"}, byte_level(True),
                       {"type": "Digits", "individual_digits": False}, split("[0-9][0-9][0-9]")),
    "deepseek-coder": sequence(
        split("[\r\n]"), split(r"\s?\p{L}+"), split(r"\s?\p{P}+"), split("[一-龥ࠀ-一가-퟿]+"),
        DIGITS, byte_level(False)),
    # The family's own letter class is a list of some 400 ranges: the cased scripts.
    "deepseek-llm": sequence(
        split("[\r\n]"), split(r"\s?[\p{Lu}\p{Ll}]+"), split(r"\s?[!-/:-~！-／：-～‘-‟　-。]+"),
        split(r"\s+$"), split("[一-龥ࠀ-一가-퟿]+"), DIGITS, byte_level(False)),
    "llama-bpe": sequence(split(LLAMA3_REGEX), byte_level(False)),
    "llama4": sequence(split(O200K_REGEX), byte_level(False)),
}


def read_gguf_metadata(path):
    raw, at = path.read_bytes(), 4

    def number(kind):
        nonlocal at
        value = struct.unpack_from("<" + kind, raw, at)[0]
        at += struct.calcsize(kind)
        return value

    def string():
        nonlocal at
        size = number("Q")
        at += size
        return raw[at - size:at].decode("utf-8", "replace")

    def value(kind):
        if kind == 8:
            return string()
        if kind == 9:
            item = number("I")
            return [value(item) for _ in range(number("Q"))]
        return number({0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q",
                       11: "q", 12: "d"}[kind])

    assert raw[:4] == b"GGUF", path
    number("I"), number("Q")
    return {string(): value(number("I")) for _ in range(number("Q"))}


def added(id, content, special, normalized=False):
    return {"id": id, "content": content, "single_word": False, "lstrip": False, "rstrip": False,
            "normalized": normalized, "special": special}


def document(vocab, merges, added_tokens, pre_tokenizer, decoder, normalizer=None, post=None, **model):
    fields = {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
              "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False,
              "ignore_merges": False}
    return {"version": "1.0", "truncation": None, "padding": None, "added_tokens": added_tokens,
            "normalizer": normalizer, "pre_tokenizer": pre_tokenizer, "post_processor": post,
            "decoder": decoder, "model": {**fields, **model, "vocab": vocab, "merges": merges}}


BYTE_LEVEL_DECODER = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True,
                      "use_regex": True}


def from_gguf_bpe(path, name):
    meta = read_gguf_metadata(path)
    tokens, kinds = meta["tokenizer.ggml.tokens"], meta["tokenizer.ggml.token_type"]
    # Control tokens, and user-defined ones as llama.cpp's converter marks them, are added tokens.
    extra = [added(i, t, kinds[i] == 3) for i, t in enumerate(tokens) if kinds[i] in (3, 4)]
    merges = [m.split(" ", 1) for m in meta["tokenizer.ggml.merges"]]
    return document({t: i for i, t in enumerate(tokens)}, merges, extra, PRE_TOKENIZERS[name],
                    BYTE_LEVEL_DECODER)


def spm_document(tokens, scores, kinds, unk, gemma=False):
    vocab = {t: i for i, t in enumerate(tokens)}
    merges = []
    for i, token in enumerate(tokens):
        if kinds[i] == 1:
            pairs = [(token[:k], token[k:]) for k in range(1, len(token))]
            pairs = [p for p in pairs if p[0] in vocab and p[1] in vocab]
            merges += [(-scores[i], vocab[a], vocab[b], a, b) for a, b in pairs]
    merges.sort(key=lambda m: m[:3])
    extra = [added(i, t, True) for i, t in enumerate(tokens) if kinds[i] in (2, 3)]
    space = {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}
    back = [{"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"},
            {"type": "Fuse"}]
    if gemma:
        return document(vocab, [m[3:] for m in merges], extra,
                        {"type": "Split", "pattern": {"String": " "},
                         "behavior": "MergedWithPrevious", "invert": False},
                        {"type": "Sequence", "decoders": back}, normalizer=space,
                        unk_token=unk, fuse_unk=True, byte_fallback=True)
    bos = tokens[1]
    return document(
        vocab, [m[3:] for m in merges], extra, None,
        {"type": "Sequence",
         "decoders": back + [{"type": "Strip", "content": " ", "start": 1, "stop": 0}]},
        normalizer={"type": "Sequence",
                    "normalizers": [{"type": "Prepend", "prepend": "▁"}, space]},
        post={"type": "TemplateProcessing",
              "single": [{"SpecialToken": {"id": bos, "type_id": 0}},
                         {"Sequence": {"id": "A", "type_id": 0}}],
              "pair": [{"Sequence": {"id": "A", "type_id": 0}},
                       {"Sequence": {"id": "B", "type_id": 1}}],
              "special_tokens": {bos: {"id": bos, "ids": [1], "tokens": [bos]}}},
        unk_token=unk, fuse_unk=True, byte_fallback=True)


def from_gguf_spm(path, gemma=False):
    meta = read_gguf_metadata(path)
    return spm_document(meta["tokenizer.ggml.tokens"], meta["tokenizer.ggml.scores"],
                        meta["tokenizer.ggml.token_type"], "<unk>", gemma)


def byte_letters():
    plain = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    rest = [b for b in range(256) if b not in plain]
    return {**{b: chr(b) for b in plain}, **{b: chr(0x100 + i) for i, b in enumerate(rest)}}


def from_ranks(path, name, specials):
    letters = byte_letters()
    ranks = {}
    for line in path.read_bytes().splitlines():
        if line:
            token, rank = line.split()
            ranks[base64.b64decode(token)] = int(rank)

    def halves(token, limit):
        """What merging by ranks below `limit` leaves of the token."""
        parts = [token[i:i + 1] for i in range(len(token))]
        while len(parts) > 2:
            found = [(ranks.get(parts[i] + parts[i + 1], limit), i) for i in range(len(parts) - 1)]
            rank, i = min(found)
            if rank >= limit:
                return None
            parts[i:i + 2] = [parts[i] + parts[i + 1]]
        return parts

    def spell(token):
        return "".join(letters[b] for b in token)

    merges = []
    for token, rank in sorted(ranks.items(), key=lambda item: item[1]):
        if len(token) > 1 and (pair := halves(token, rank)) is not None:
            merges.append([spell(part) for part in pair])
    extra = [added(len(ranks) + i, text, True) for i, text in enumerate(specials)]
    bos = extra[0]
    return document({spell(t): r for t, r in ranks.items()}, merges, extra, PRE_TOKENIZERS[name],
                    BYTE_LEVEL_DECODER, ignore_merges=True,
                    post={"type": "Sequence", "processors": [
                        {**byte_level(True), "trim_offsets": False},
                        {"type": "TemplateProcessing",
                         "single": [{"SpecialToken": {"id": bos["content"], "type_id": 0}},
                                    {"Sequence": {"id": "A", "type_id": 0}}],
                         "pair": [{"Sequence": {"id": "A", "type_id": 0}}],
                         "special_tokens": {bos["content"]: {
                             "id": bos["content"], "ids": [bos["id"]],
                             "tokens": [bos["content"]]}}}]})


def make_all(shared, cache):
    """{name: path of a tokenizer.json}; what is already in the cache is not made again."""
    source = Path(shared) / "tokenizers"
    cache = Path(cache)
    cache.mkdir(parents=True, exist_ok=True)
    gguf = source / "gguf_vocab"
    specials = ["<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>",
                "<|eot_id|>"]
    makers = {
        **{name: (gguf / f"ggml-vocab-{name}.gguf", lambda p, n=name: from_gguf_bpe(p, n))
           for name in ("gpt-2", "mpt", "gpt-neox", "starcoder", "refact", "falcon",
                        "deepseek-coder", "deepseek-llm")},
        **{name: (gguf / f"ggml-vocab-{name}.gguf", from_gguf_spm)
           for name in ("llama-spm", "phi-3", "baichuan")},
        "gemma-like": (gguf / "ggml-vocab-llama-spm.gguf", lambda p: from_gguf_spm(p, gemma=True)),
        "llama-bpe": (source / "llama3/tokenizer.model",
                      lambda p: from_ranks(p, "llama-bpe", specials)),
        "llama4": (source / "llama4/tokenizer.model", lambda p: from_ranks(p, "llama4", specials)),
        **{f"{name}-hf": (source / name / "tokenizer.hf.json",
                          lambda p: json.loads(p.read_text()))
           for name in ("gpt2", "falcon", "llama2")},
    }
    made = {}
    for name, (path, maker) in makers.items():
        target = cache / f"{name}.json"
        if not path.exists():
            continue
        if not target.exists():
            target.write_text(json.dumps(maker(path), ensure_ascii=False))
        made[name] = target
    # The remaining families differ from these by their pre-tokenizer and normalizer alone.
    base = json.loads(made["llama-bpe"].read_text()) if "llama-bpe" in made else None
    if base:
        variants = {
            "qwen2-like": sequence(split(QWEN2_REGEX), byte_level(False)),
            "qwen3.5-like": sequence(split(QWEN35_REGEX), byte_level(False)),
            "deepseek3-like": sequence(split(r"\p{N}{1,3}"), split("[一-龥぀-ゟ゠-ヿ]+"),
                                       split(DEEPSEEK3_REGEX), byte_level(False)),
        }
        for name, pre_tokenizer in variants.items():
            target = cache / f"{name}.json"
            if not target.exists():
                base["pre_tokenizer"] = pre_tokenizer
                base["normalizer"] = {"type": "NFC"} if name.startswith("qwen") else None
                base["model"]["ignore_merges"] = False
                target.write_text(json.dumps(base, ensure_ascii=False))
            made[name] = target
    return made
