#!/usr/bin/env python3
"""Token files for comparing compressors: what they are calibrated on, and what they are judged on.

    texts.py pebble DIR
    texts.py stories DIR --tokenizer MODEL/tokenizer.json --text STORIES.txt
    texts.py random DIR --vocabulary 32000      for speed: 128 x 512 tokens that mean nothing

Writes DIR/calibration.jsonl and DIR/evaluation.jsonl, one {"id", "ids"} a line: the form that `sinter
compress --calibration` and `sinter perplexity --ids` read. Calibration sequences are of unequal length.
Nothing is in both files: Pebble's calibration comes from its generator's training split and its evaluation
from the held-out one, under seeds that neither its training nor its suite used; stories are taken from the
front and from the back of the text, less those that occur twice. Needs the `tokenizers` package.
"""

import argparse
import json
import random
import sys
from pathlib import Path

from tokenizers import Tokenizer

PEBBLE = Path(__file__).resolve().parents[2] / "models/pebble"
SEED = 40_961
CUTS = [64, 128, 192, 256]  # a calibration sequence is a document cut to one of these


def pebble_documents():
    sys.path.insert(0, str(PEBBLE / "train"))
    import data
    import families

    def held(rng, name):
        item = families.make(name, rng, "held")
        if name == "prose":
            return "<|bos|>" + " ".join(families.paragraph(rng, rng.randint(6, 14))[1]) + "<|end|>"
        return data.render([(item["user"], item["answer"])], item.get("tools"))

    def endless(seed, make):
        rng = random.Random(seed)
        while True:
            for name in families.FAMILIES:
                yield make(rng, name)

    return endless(SEED, data.short_document), endless(SEED + 1, held)


def stories(path):
    # Whatever stands before the first mark and after the last one may be cut off.
    whole = list(dict.fromkeys(s.strip() for s in path.read_text("utf-8").split("<|endoftext|>")[1:-1]))
    return iter(whole), reversed(whole)


def take(documents, encode, done):
    out = []
    while not done(out):
        ids = encode(next(documents), len(out))
        if len(ids) >= 16:
            out.append(ids)
    return out


def write(folder, name, documents):
    folder.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps({"id": f"{name}-{i:04d}", "ids": d}) for i, d in enumerate(documents)]
    (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n")
    lengths = sorted(map(len, documents))
    print(f"{name}: {len(lengths)} sequences, {sum(lengths)} tokens, lengths {lengths[0]} to {lengths[-1]}")


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("corpus", choices=["pebble", "stories", "random"])
    p.add_argument("out", type=Path)
    p.add_argument("--tokenizer", type=Path, default=PEBBLE / "tokenizer.json")
    p.add_argument("--text", type=Path, help="stories: text with <|endoftext|> between them")
    p.add_argument("--sequences", type=int, default=128, help="of calibration")
    p.add_argument("--evaluation-tokens", type=int, default=40_000)
    p.add_argument("--context", type=int, default=512, help="tokens of an evaluation document at most")
    p.add_argument("--vocabulary", type=int, default=32_000, help="random: ids are below it")
    p.add_argument("--length", type=int, default=512, help="random: tokens of a sequence")
    o = p.parse_args()

    if o.corpus == "random":
        rng = random.Random(SEED)
        write(o.out, "calibration", [[rng.randrange(o.vocabulary) for _ in range(o.length)] for _ in range(o.sequences)])
        return
    tokenizer = Tokenizer.from_file(str(o.tokenizer))
    calibration, evaluation = pebble_documents() if o.corpus == "pebble" else stories(o.text)
    # Pebble's documents begin with its own mark; the stories' tokenizer adds one.
    ids = lambda text: tokenizer.encode(text, add_special_tokens=o.corpus != "pebble").ids
    files = {
        "calibration": take(calibration, lambda t, k: ids(t)[:CUTS[k % 4]],
                            lambda got: len(got) == o.sequences),
        "evaluation": take(evaluation, lambda t, k: ids(t)[:o.context],
                           lambda got: sum(map(len, got)) >= o.evaluation_tokens)}
    both = {tuple(x) for x in files["calibration"]} & {tuple(x) for x in files["evaluation"]}
    assert not both, f"{len(both)} documents are in both files"
    for name, documents in files.items():
        write(o.out, name, documents)


if __name__ == "__main__":
    main()
