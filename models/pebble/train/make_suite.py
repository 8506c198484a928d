"""Writes suites/pebble from the held-out split. It needs no model: which items are in does not depend on results.

python make_suite.py TOKENIZER_DIR OUT_DIR
"""
import json
import os
import random
import re
import sys

import data as D
import families as F
from lexicon import mine

# behaviour -> (easy, hard). The long needles are few because a prompt of 900 tokens costs as much as forty short ones.
COUNTS = {"arithmetic": (60, 70), "word_problem": (50, 60), "program": (50, 50), "json_extraction": (50, 50), "tool_call": (60, 60), "xml": (40, 40),
          "needle": (40, 40), "fact": (60, 90), "refusal": (50, 60), "translation": (40, 50), "format": (50, 60), "prose": (24, 0), "echo": (30, 30)}
LONG_NEEDLES = 12
CHOICES = 24


def wrong_choices(rng, it):
    """Three near misses: the right answer with two words swapped or one replaced."""
    words, out = it["answer"].split(), set()
    while len(out) < 3:
        w = list(words)
        i, j = rng.sample(range(len(w)), 2)
        if rng.random() < 0.5:
            w[i], w[j] = w[j], w[i]
        else:
            w[i] = rng.choice(sorted(F.LANGS["Zor"].values())) if "from-english" in it["tags"] else rng.choice(sorted(F.LANGS["Zor"]))
        if w != words:
            out.add(" ".join(w))
    return sorted(out)


def suite_item(name, number, it, tokenizer):
    domain = F.FAMILIES[name][2]
    n = len(tokenizer.encode(it["answer"], add_special_tokens=False).ids)
    rung = it["rung"]
    out = {"id": f"{it['short']}-{rung}-{number:04d}", "domain": domain, "behaviour": it["behaviour"], "rung": rung, "tags": it["tags"],
           "critical": bool(it.get("critical")), "messages": [{"role": "user", "content": it["user"]}]}
    if it.get("tools"):
        out["tools"] = it["tools"]
    if it.get("schema"):
        out["response_format"] = {"type": "json_schema", "json_schema": {"name": "record", "strict": True, "schema": it["schema"]}}
    out["max_tokens"] = n + 12
    out["reference"] = it["answer"]
    out["scorer"] = it["scorer"]
    return out


def build(tokenizer):
    rng = random.Random(2024)
    items, used = [], set()

    def take(name, rung, count, make=None):
        got = 0
        while got < count:
            it = make() if make else F.make(name, rng, "held", rung)
            if it["user"] in used:
                continue
            used.add(it["user"])
            it.setdefault("rung", rung)
            yield it
            got += 1

    for name, (easy, hard) in COUNTS.items():
        for rung, count in (("easy", easy), ("hard", hard)):
            for k, it in enumerate(take(name, rung, count)):
                items.append(suite_item(name, k, it, tokenizer))

    def long_needle():
        while True:
            it = F.needle(rng, "held", "hard", rng.randint(20, 42))
            if mine("held", it["key"]):
                it["tags"].append("long")
                it["short"] = "longneedle"
                return it
    for k, it in enumerate(take("needle", "hard", LONG_NEEDLES, long_needle)):
        items.append(suite_item("needle", k, it, tokenizer))
    k = 0
    while k < CHOICES:
        it = F.make("translation", rng, "held", "easy")
        if it["user"] in used:
            continue
        used.add(it["user"])
        wrong = wrong_choices(rng, it)
        at = rng.randrange(4)
        choices = wrong[:at] + [it["answer"]] + wrong[at:]
        it["short"], it["scorer"] = "choice", {"type": "choice", "choices": choices, "answer": it["answer"]}
        it["behaviour"] = "translation_choice"
        items.append(suite_item("translation", k, it, tokenizer))
        k += 1
    return items


def texts():
    rng = random.Random(77)
    out = []
    for k in range(48):
        lines = F.paragraph(rng, rng.randint(6, 14))[1]
        out.append({"id": f"prose-{k:03d}", "text": " ".join(lines)})
    for k in range(16):
        name = rng.choice(["word_problem", "json_extraction", "tool_call", "format", "translation", "xml", "program", "refusal"])
        it = F.make(name, rng, "held")
        # The beginning-of-text token is left to the program that reads this.
        out.append({"id": f"chat-{k:03d}", "text": D.render([(it["user"], it["answer"])], it.get("tools"))[len("<|bos|>"):]})
    return out


def main(tokenizer_dir, out):
    tokenizer = D.load_tokenizer(tokenizer_dir)
    os.makedirs(out, exist_ok=True)
    items = build(tokenizer)
    assert len({i["id"] for i in items}) == len(items)
    with open(os.path.join(out, "items.jsonl"), "w", encoding="utf-8") as f:
        for i in items:
            f.write(json.dumps(i, ensure_ascii=False) + "\n")
    text = texts()
    with open(os.path.join(out, "text.jsonl"), "w", encoding="utf-8") as f:
        for t in text:
            f.write(json.dumps(t, ensure_ascii=False) + "\n")
    with open(os.path.join(out, "suite.json"), "w", encoding="utf-8") as f:
        json.dump({"name": "pebble", "version": "1", "description": "Held-out items for the bundled Pebble model: thirteen behaviours, each with an easy and a hard rung. "
                   "Generated by models/pebble/train/make_suite.py; every reference is computed, none is a model's output.",
                   "domains": ["logic", "schema_and_tools", "retrieval", "safety", "language", "runtime"],
                   "items": ["items.jsonl"], "texts": ["text.jsonl"]}, f, indent=2)
        f.write("\n")
    count = lambda s: len(tokenizer.encode(s, add_special_tokens=False).ids)
    prompt = sum(count(D.render([(i["messages"][0]["content"], None)], i.get("tools"))) for i in items)
    print(len(items), "items,", prompt, "prompt tokens,", sum(count(i["reference"]) + 1 for i in items), "reference tokens,", sum(count(t["text"]) for t in text), "text tokens,",
          sum(i["critical"] for i in items), "critical")


if __name__ == "__main__":
    main(*sys.argv[1:3])
