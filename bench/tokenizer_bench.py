#!/usr/bin/env python3
"""Encodes and decodes the same text with Sinter and with the `tokenizers` package, one thread each.

usage: tokenizer_bench.py TOKENIZE_MAIN TOKENIZER TEXT [REPEATS]

Needs tokenizers (pinned in tests/requirements.txt). TOKENIZE_MAIN is the test tool of
tests/interop/tokenize_main.cc. The two take turns; the best of REPEATS (5) counts. `tokenizers` is
slow on one long text, so it also gets the text by paragraphs, and its faster way counts; Sinter gets
it whole."""

import os
import subprocess
import sys
import time

os.environ["RAYON_NUM_THREADS"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
import tokenizers  # noqa: E402


def best(numbers):
    return min(float(n) for n in numbers)


def main():
    tool, path, text_path = sys.argv[1:4]
    repeats = sys.argv[4] if len(sys.argv) > 4 else "5"
    with open(text_path, encoding="utf-8", newline="") as f:
        text = f.read()
    megabytes = len(text.encode()) / 1e6

    start = time.perf_counter()
    theirs = tokenizers.Tokenizer.from_file(path)
    load = time.perf_counter() - start
    encode, decode, pieces = [], [], []
    paragraphs = text.split("\n\n")
    ours_lines = []
    for _ in range(int(repeats)):
        start = time.perf_counter()
        ids = theirs.encode(text).ids
        encode.append(time.perf_counter() - start)
        start = time.perf_counter()
        theirs.decode(ids)
        decode.append(time.perf_counter() - start)
        start = time.perf_counter()
        for paragraph in paragraphs:
            theirs.encode(paragraph)
        pieces.append(time.perf_counter() - start)
        ours_lines += subprocess.run([tool, path, "--bench", text_path, "2"], check=True,
                                     capture_output=True, text=True).stdout.splitlines()
    lines = [line.split() for line in ours_lines]
    ours = {name: best(line[1] for line in lines if line[0] == name)
            for name in ("load", "encode", "decode")}
    count = {line[2] for line in lines if line[0] == "encode"}
    assert count == {str(len(ids))}, (count, len(ids))
    print(f"{path}: {megabytes:.1f} MB of text, {len(ids)} tokens, one thread")
    print(f"{'':16} {'sinter':>12} {'tokenizers':>12}  ratio")
    print(f"{'load':16} {ours['load']:10.3f} s {load:10.3f} s  {load / ours['load']:.1f}")
    for name, their_times in (("encode", encode + pieces), ("decode", decode)):
        mine = ours[name]
        them = best(their_times)
        print(f"{name:16} {megabytes / mine:7.1f} MB/s {megabytes / them:8.1f} MB/s  {them / mine:.1f}")


if __name__ == "__main__":
    main()
