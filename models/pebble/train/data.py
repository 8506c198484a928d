"""Tokenizer training and the packed training rows.

python data.py tokenizer DIR            train the byte-level BPE, write DIR/tokenizer.json
python data.py rows DIR KIND SHARDS SEED  write DIR/KIND-0000.npz ...; KIND is short, long or vast
"""
import json
import os
import random
import re
import sys
import time

import numpy as np

import families as F
from lexicon import mine

SPECIALS = ["<|pad|>", "<|bos|>", "<|end|>", "<|system|>", "<|tools|>", "<|user|>", "<|assistant|>", "<|tool|>", "<tool_call>", "</tool_call>"]
PAD, BOS, END, SYSTEM, TOOLS, USER, ASSISTANT, TOOL = range(8)
VOCAB = 1024
ROW = {"short": 384, "long": 1024, "vast": 2048}
SHARD_TOKENS = 3_000_000
SYSTEM_LINES = ["You are Pebble.", "You are a helpful assistant.", "Answer exactly.", "Be brief.", "Follow the instructions."]
# What a token is to the loss; train.py turns these into weights.
NOTHING, PROMPT, ANSWER, PROSE, RECALL = range(5)


def render(turns, tools=None, system=None):
    """The text of a chat, as chat_template.jinja prints it."""
    out = "<|bos|>"
    if system:
        out += f"<|system|>{system}<|end|>"
    if tools:
        out += f"<|tools|>{F.tools_text(tools)}<|end|>"
    for user, answer in turns:
        out += f"<|user|>{user}<|end|><|assistant|>"
        if answer is not None:
            out += f"{answer}<|end|>"
    return out


def short_document(rng, name):
    if name == "prose" and rng.random() < 0.6:
        return "<|bos|>" + " ".join(F.paragraph(rng, rng.randint(3, 9))[1]) + "<|end|>"
    system = rng.choice(SYSTEM_LINES) if rng.random() < 0.15 else None
    it = F.make(name, rng, "train")
    turns = [(it["user"], it["answer"])]
    if name == "tool_call":
        text = render(turns, it["tools"], system)
        for _ in range(rng.choice([0, 1, 1, 2])):
            more = F.tool_use(rng, "train", it["rung"], it["toolset"])
            if not mine("train", more["key"]):
                continue
            if rng.random() < 0.1:
                text += "<|tool|>{\"ok\": true}<|end|><|assistant|>Done.<|end|>"
            text += f"<|user|>{more['user']}<|end|><|assistant|>{more['answer']}<|end|>"
        return text
    if name == "needle":
        turns += it["follow"]
    elif name == "fact":
        for _ in range(rng.randint(2, 6)):
            it = F.make(name, rng, "train")
            turns.append((it["user"], it["answer"]))
    else:
        for _ in range(rng.choice([0, 0, 1, 2])):
            if sum(len(a) + len(b) for a, b in turns) > 450:
                break
            it = F.make(name, rng, "train")
            turns.append((it["user"], it["answer"]))
    return render(turns, None, system)


def long_document(rng, kind):
    low, high = (12, 42) if kind == "long" else (44, 86)
    if rng.random() < 0.12:
        return "<|bos|>" + " ".join(s for _ in range(low // 6) for s in F.paragraph(rng, rng.randint(4, 9))[1]) + "<|end|>"
    while True:
        it = F.needle(rng, "train", rng.choice(["easy", "hard", "hard"]), rng.randint(low, high))
        if mine("train", it["key"]):
            return render([(it["user"], it["answer"])] + it["follow"])


def documents(rng, kind, chars):
    """Texts until `chars`; the short pool always takes the family that is furthest behind its share."""
    done = {n: rng.random() * 100 for n in F.FAMILIES}
    total = 0
    while total < chars:
        if kind == "short":
            name = min(done, key=lambda n: done[n] / F.FAMILIES[n][1])
            text = short_document(rng, name)
            done[name] += len(text)
        else:
            text = long_document(rng, kind)
        total += len(text)
        yield text


def label(ids, kind):
    """PROMPT / ANSWER / PROSE for every token of a document, from the role token before it."""
    ids = np.asarray(ids, dtype=np.uint16)
    is_role = (ids == BOS) | ((ids >= SYSTEM) & (ids <= TOOL))
    where = np.maximum.accumulate(np.where(is_role, np.arange(len(ids)), 0))
    role = ids[where]
    out = np.where(role == ASSISTANT, RECALL if kind != "short" else ANSWER, np.where(role == BOS, PROSE, PROMPT)).astype(np.uint8)
    out[is_role] = PROMPT
    out[0] = NOTHING
    return ids, out


def pack(docs, length):
    """Best-fit decreasing: whole documents only, at most one row of waste per size."""
    docs = sorted((d for d in docs if len(d[0]) <= length), key=lambda d: -len(d[0]))
    rows, room = [], [[] for _ in range(length + 1)]
    for d in docs:
        n = len(d[0])
        for r in range(n, length + 1):
            if room[r]:
                i = room[r].pop()
                rows[i].append(d)
                room[r - n].append(i)
                break
        else:
            rows.append([d])
            room[length - n].append(len(rows) - 1)
    return rows


def shard(seed, kind, tokenizer):
    rng = random.Random(seed)
    length = ROW[kind]
    texts = list(documents(rng, kind, int(SHARD_TOKENS * (2.5 if kind == "short" else 1.5))))
    docs = []
    for i in range(0, len(texts), 4000):
        docs += [label(e.ids, kind) for e in tokenizer.encode_batch(texts[i:i + 4000], add_special_tokens=False)]
    rng.shuffle(docs)
    rows = []
    for i in range(0, len(docs), 6000):
        rows += pack(docs[i:i + 6000], length)
    rng.shuffle(rows)
    n = len(rows)
    tok, kindof, doc = np.zeros((n, length), np.uint16), np.zeros((n, length), np.uint8), np.zeros((n, length), np.uint8)
    for i, row in enumerate(rows):
        at = 0
        for j, (ids, lab) in enumerate(row):
            tok[i, at:at + len(ids)], kindof[i, at:at + len(ids)], doc[i, at:at + len(ids)] = ids, lab, j + 1
            at += len(ids)
    return tok, kindof, doc


def train_tokenizer(folder):
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
    rng = random.Random(3)
    texts = list(documents(rng, "short", 4_000_000))
    tok = Tokenizer(models.BPE())
    tok.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)])
    tok.decoder = decoders.ByteLevel()
    strip = lambda t: [s for s in re.split(r"<\|[a-z]+\|>|</?tool_call>", t) if s]
    trainer = trainers.BpeTrainer(vocab_size=VOCAB, special_tokens=SPECIALS, initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()), show_progress=False)
    tok.train_from_iterator((s for t in texts for s in strip(t)), trainer)
    tok.add_special_tokens([AddedToken(s, special=True, normalized=False) for s in SPECIALS])
    os.makedirs(folder, exist_ok=True)
    tok.save(os.path.join(folder, "tokenizer.json"))
    got = tok.encode_batch(texts[:2000], add_special_tokens=False)
    print("vocab", tok.get_vocab_size(), "chars per token", sum(map(len, texts[:2000])) / sum(len(e.ids) for e in got))
    for i, s in enumerate(SPECIALS):
        assert tok.token_to_id(s) == i


def load_tokenizer(folder):
    from tokenizers import Tokenizer
    return Tokenizer.from_file(os.path.join(folder, "tokenizer.json"))


if __name__ == "__main__":
    if sys.argv[1] == "tokenizer":
        train_tokenizer(sys.argv[2])
    else:
        folder, kind, count, seed = sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5])
        tk = load_tokenizer(folder)
        for i in range(count):
            path = os.path.join(folder, f"{kind}-{i:04d}.npz")
            if os.path.exists(path):
                continue
            t0 = time.time()
            tok, lab, doc = shard(seed * 1000 + i, kind, tk)
            np.savez(path + ".part.npz", tok=tok, lab=lab, doc=doc)
            os.replace(path + ".part.npz", path)
            print(path, tok.shape, f"fill {(doc > 0).mean():.3f} answers {(lab == ANSWER).mean() + (lab == RECALL).mean():.3f} {int(tok.size / (time.time() - t0))} tok/s", flush=True)
