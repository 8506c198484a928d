#!/usr/bin/env python3
"""Sinter beside llama.cpp and ik_llama.cpp: the same weights, the same machine, taking turns.

    peers.py --sinter build/sinter [--llama DIR] [--ik DIR] [--document docs/performance.md]

DIR holds a peer's programs (llama-bench, llama-batched-bench; ik_llama.cpp's llama-quantize for its own
format). They can also be named by SINTER_PEER_LLAMA and SINTER_PEER_IK. A peer that is not given is left
out, and the table says so. Needs only Python.

Made-up weights of one shape (`sinter synth`) are written once to --work as GGUF, and as Sinter's own 4-bit
and 8-bit checkpoints. In every round each participant of a class (4-bit, 8-bit, 16-bit) runs once, in an
order that turns by one each round; so what the machine does in the meantime, it does to all. A ratio is
the geometric mean over rounds of (Sinter's figure / theirs in the same round), with a 95 % bootstrap
interval. A figure that other programs disturbed is taken again; on a busy machine this one gives up, unless
--allow-load is given, which marks the table.
"""

import argparse
import datetime
import json
import math
import os
import random
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

BEGIN, END = "<!-- peers:begin -->", "<!-- peers:end -->"
CASES = ["decode", "prefill:512", "batch:16"]
TITLES = {"decode": "decode", "prefill:512": "prefill 512", "batch:16": "16 sequences"}
TOKENS = 64  # that each decoding sequence takes
CONFIDENCE, RESAMPLES = 0.95, 10000
MAX_OTHERS = 0.1  # cores that other programs may use while a figure is taken

# The files: name -> arguments of `sinter synth`. FILE.gguf or a directory.
FILES = {
    "q4_0.gguf": ["--format", "q4_0"],
    "q8_0.gguf": ["--format", "q8_0"],
    "f16.gguf": ["--format", "f16"],
    "bf16.gguf": ["--format", "bf16"],
    "i4_group128": ["--format", "i4_group:128"],
    "i8_row": ["--format", "i8_row"],
}
# Made by ik_llama.cpp's llama-quantize from bf16.gguf: a format of its own.
IK_FILES = {"iq4_ks.gguf": "IQ4_KS"}

# (class, who, file, extra arguments). The first of ours in a class is the one that ratios are of.
PARTICIPANTS = [
    ("4-bit", "sinter", "i4_group128", ["--activations", "int8"]),
    ("4-bit", "sinter", "i4_group128", ["--activations", "exact"]),
    ("4-bit", "sinter", "q4_0.gguf", ["--activations", "int8"]),
    ("4-bit", "llama", "q4_0.gguf", []),
    ("4-bit", "ik", "q4_0.gguf", []),
    ("4-bit", "ik", "q4_0.gguf", ["-rtr", "1"]),
    ("4-bit", "ik", "iq4_ks.gguf", []),
    ("4-bit", "ik", "iq4_ks.gguf", ["-rtr", "1"]),
    ("8-bit", "sinter", "i8_row", ["--activations", "int8"]),
    ("8-bit", "sinter", "i8_row", ["--activations", "exact"]),
    ("8-bit", "sinter", "q8_0.gguf", ["--activations", "int8"]),
    ("8-bit", "llama", "q8_0.gguf", []),
    ("8-bit", "ik", "q8_0.gguf", []),
    ("8-bit", "ik", "q8_0.gguf", ["-rtr", "1"]),
    ("16-bit", "sinter", "bf16.gguf", ["--activations", "exact"]),
    ("16-bit", "sinter", "f16.gguf", ["--activations", "exact"]),
    ("16-bit", "llama", "bf16.gguf", []),
    ("16-bit", "llama", "f16.gguf", []),
    ("16-bit", "ik", "bf16.gguf", []),
    ("16-bit", "ik", "f16.gguf", []),
]
PEERS = {"llama": "llama.cpp", "ik": "ik_llama.cpp"}


def say(text):
    print(text, file=sys.stderr, flush=True)


def run(command, with_errors=False):
    """Standard output of a program (and standard error, if asked for); ends this one if it fails."""
    result = subprocess.run([str(word) for word in command], capture_output=True, text=True,
                            errors="replace")
    if result.returncode != 0:
        sys.exit(f"peers.py: {' '.join(map(str, command))}\n  ended with {result.returncode}:\n"
                 + (result.stdout + result.stderr)[-2000:])
    return result.stdout + (result.stderr if with_errors else "")


class Company:
    """How many cores other programs kept busy since it was made: all CPU time less ours and our children's."""

    def __init__(self):
        self.start = self.clocks()

    @staticmethod
    def clocks():
        fields = [int(x) for x in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
        busy = (sum(fields) - fields[3] - fields[4]) / os.sysconf("SC_CLK_TCK")
        own = sum(u.ru_utime + u.ru_stime for u in (resource.getrusage(resource.RUSAGE_SELF),
                                                    resource.getrusage(resource.RUSAGE_CHILDREN)))
        return time.monotonic(), busy, own

    def cores(self):
        wall, busy, own = (b - a for a, b in zip(self.start, self.clocks()))
        return max(0.0, (busy - own) / wall)


class Participant:
    def __init__(self, options, entry):
        self.kind, self.who, self.file, self.extra = entry
        self.options = options
        self.path = options.work / self.file
        self.rounds = {case: [] for case in CASES}

    @property
    def label(self):
        name = PEERS.get(self.who, "sinter")
        words = self.file.removesuffix(".gguf").replace("group", "group:").replace("_", " ") \
            if self.who == "sinter" and not self.file.endswith(".gguf") else self.file
        extra = {"int8": ", int8 activations", "exact": ", exact"}.get(self.extra[-1], "") \
            if self.who == "sinter" else (", repacked" if self.extra else "")
        return f"{name}: {words}{extra}"

    def measure(self, limits):
        """One round: {case: tokens per second}. `limits` receives Sinter's document once a round. What others
        disturbed is measured again, three times at most."""
        for attempt in range(1, 4):
            company, seen = Company(), []
            figures = self.measure_sinter(seen if limits is not None else None) \
                if self.who == "sinter" else self.measure_peer()
            others = company.cores()
            if others <= MAX_OTHERS or self.options.allow_load:
                break
            say(f"  others kept {others:.2f} cores busy (attempt {attempt} of 3)")
            if attempt == 3:
                sys.exit("peers.py: this machine is busy, so figures would mislead; wait, or pass "
                         "--allow-load, which marks the table")
        self.options.under_load = self.options.under_load or others > MAX_OTHERS
        for case in CASES:
            self.rounds[case].append(figures[case])
        if limits is not None:
            limits.extend(seen)

    def measure_sinter(self, limits):
        o = self.options
        command = [o.sinter, "bench", self.path, "--cases", ",".join(CASES), "--tokens", TOKENS,
                   "--rounds", 1, "--threads", o.threads, "--json", "--progress", "none", *self.extra]
        command += ["--allow-load"] if o.allow_load else []
        command += [] if limits is not None else ["--no-limits"]
        document = json.loads(run(command))
        if limits is not None:
            limits.append(document)
        o.under_load = o.under_load or document["under_load"]
        return {c["case"]: c["tokens_per_s"]["median"] for c in document["cases"]}

    def measure_peer(self):
        o = self.options
        programs = o.peers[self.who]
        entries = json.loads(run([programs / "llama-bench", "-m", self.path, "-t", o.threads, "-p", 512,
                                  "-n", TOKENS, "-r", 1, *self.extra, "-o", "json"]))
        o.commits.setdefault(self.who, entries[0].get("build_commit", "unknown"))
        figures = {}
        for entry in entries:
            figures["decode" if entry["n_gen"] else "prefill:512"] = entry["avg_ts"]
        batched = [programs / "llama-batched-bench", "-m", self.path, "-t", o.threads, "-c", 16 * 128, "-b",
                   2048, "-ub", 512, "-npp", 1, "-ntg", TOKENS, "-npl", 16,
                   *(["-rtr"] if self.extra else [])]
        # Now and then llama.cpp's ends before its logging thread has printed the row.
        rate = next((rate for rate in (batched_rate(run(batched, True)) for _ in range(5)) if rate), None)
        if rate is None:
            sys.exit(f"peers.py: {' '.join(map(str, batched))}\n  printed no table, five times")
        figures["batch:16"] = rate
        return figures


def batched_rate(table):
    """Tokens per second of decoding, from llama-batched-bench's only row: its column S_TG t/s. None if
    there is no such row."""
    rows = [[cell.strip() for cell in line.strip().strip("|").split("|")]
            for line in table.splitlines() if line.strip().startswith("|")]
    header = next((row for row in rows if "S_TG t/s" in row), None)
    if header is None or len(rows[-1]) != len(header) or not rows[-1][0].isdigit():
        return None
    return float(rows[-1][header.index("S_TG t/s")])


def make_files(options, wanted):
    options.work.mkdir(parents=True, exist_ok=True)
    if wanted & set(IK_FILES):
        wanted = wanted | {"bf16.gguf"}
    for name, arguments in FILES.items():
        path = options.work / name
        if name in wanted and not path.exists():
            say(f"making {path}")
            subprocess.run([options.sinter, "synth", options.shape, "-o", path, *arguments], check=True,
                           stdout=subprocess.DEVNULL)
    for name, format_name in IK_FILES.items():
        path = options.work / name
        if name in wanted and not path.exists():
            say(f"making {path} (ik_llama.cpp's quantiser: minutes)")
            unfinished = path.with_suffix(".part")
            run([options.peers["ik"] / "llama-quantize", "--pure", options.work / "bf16.gguf", unfinished,
                 format_name, options.threads])
            unfinished.rename(path)


def size_of(path):
    if path.is_file():
        return path.stat().st_size
    return sum(f.stat().st_size for f in path.glob("*.safetensors"))


def ratio(ours, theirs):
    """Geometric mean of the rounds' ratios, and its interval: (ratio, low, high)."""
    logs = [math.log(a / b) for a, b in zip(ours, theirs)]
    draws = random.Random(1)
    means = sorted(statistics.fmean(draws.choices(logs, k=len(logs))) for _ in range(RESAMPLES))
    tail = (1 - CONFIDENCE) / 2
    ends = means[int(tail * RESAMPLES)], means[int((1 - tail) * RESAMPLES) - 1]
    return tuple(math.exp(x) for x in (statistics.fmean(logs), *ends))


def spread(values):
    middle, digits = statistics.median(values), 1 if statistics.median(values) >= 10 else 2
    return f"{middle:.{digits}f} ({min(values):.{digits}f}-{max(values):.{digits}f})"


def median_of(documents, path):
    values = []
    for document in documents:
        for key in path:
            document = document[key]
        values.append(document["median"])
    return statistics.median(values)


def table(rows):
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    lines.insert(1, "|---|" + "---:|" * (len(rows[0]) - 1))
    return "\n".join(lines) + "\n"


def render(options, participants, documents):
    first = documents[0]
    machine, limits = first["machine"], first["limits"]
    peaks = ", ".join(f"{name} {median_of(documents, ['limits', 'Gops_per_s', name]):.0f}"
                      for name in limits["Gops_per_s"])
    commits = "; ".join(f"{PEERS[who]} {options.commits.get(who, 'unknown')}" for who in options.peers)
    text = (f"{datetime.date.today()}, {machine['cpu']}, {machine['cores']} cores, "
            f"{machine['memory_bytes'] / 2**30:.0f} GiB, {machine['os']}; {options.threads} threads; shape "
            f"{options.shape}, made-up weights; {options.rounds} rounds.\n\n"
            f"Builds: {first['build']}, {first['backend']}; {commits or 'no peers'}.\n\n"
            f"In the same rounds: plain read of memory "
            f"{median_of(documents, ['limits', 'memory_GB_per_s']):.1f} GB/s; peak Gop/s: {peaks}.\n\n")
    for who in PEERS:
        if who not in options.peers:
            text += f"Skipped: {PEERS[who]} (not given).\n\n"
    if options.under_load:
        text += "**Taken under load: others were using this machine. Not for quoting.**\n\n"
    bits = first["model"]["parameters"]
    for kind in dict.fromkeys(p.kind for p in participants):
        group = [p for p in participants if p.kind == kind]
        rows = [[kind, "bits/weight", *(TITLES[c] + " tok/s" for c in CASES)]]
        for p in group:
            rows.append([p.label, f"{8 * size_of(p.path) / bits:.2f}",
                         *(spread(p.rounds[c]) for c in CASES)])
        text += table(rows) + "\n"
        ours = next(p for p in group if p.who == "sinter")
        theirs = [p for p in group if p.who != "sinter"]
        if not theirs:
            continue
        rows = [[f"{ours.label} / ...", *(TITLES[c] for c in CASES)]]
        for p in theirs:
            cells = [ratio(ours.rounds[c], p.rounds[c]) for c in CASES]
            rows.append([p.label, *(f"{x:.2f} ({low:.2f}-{high:.2f})" for x, low, high in cells)])
        text += table(rows) + "\n"
    return text


def write_between_markers(document, text):
    old = document.read_text()
    if old.count(BEGIN) != 1 or old.count(END) != 1:
        sys.exit(f"peers.py: {document}: expected one {BEGIN} and one {END}")
    head, rest = old.split(BEGIN)
    document.write_text(f"{head}{BEGIN}\n{text.rstrip()}\n{END}{rest.split(END)[1]}")


def parse(arguments):
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0],
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sinter", type=Path, default=Path("build/sinter"))
    parser.add_argument("--llama", type=Path, default=os.environ.get("SINTER_PEER_LLAMA"),
                        help="folder of llama.cpp's programs")
    parser.add_argument("--ik", type=Path, default=os.environ.get("SINTER_PEER_IK"),
                        help="folder of ik_llama.cpp's programs")
    parser.add_argument("--llama-commit", default=os.environ.get("SINTER_PEER_LLAMA_COMMIT"),
                        help="if its programs do not know")
    parser.add_argument("--ik-commit", default=os.environ.get("SINTER_PEER_IK_COMMIT"))
    parser.add_argument("--shape", default="tinyllama-1.1b")
    parser.add_argument("--classes", default="4-bit,8-bit,16-bit")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--work", type=Path, default=Path("build/bench-peers"),
                        help="where the files are made, and kept; some 9 GB for a shape of 1.1 G parameters")
    parser.add_argument("--document", type=Path, help="put the table between this file's markers")
    parser.add_argument("--allow-load", action="store_true")
    options = parser.parse_args(arguments)
    options.work = options.work / options.shape
    options.sinter = options.sinter.resolve()
    options.peers = {who: Path(path).resolve()
                     for who, path in (("llama", options.llama), ("ik", options.ik)) if path}
    options.commits = {who: commit for who, commit in (("llama", options.llama_commit),
                                                       ("ik", options.ik_commit)) if commit}
    options.under_load = False
    return options


def main():
    options = parse(sys.argv[1:])
    for who in PEERS:
        if who not in options.peers:
            say(f"skipped: {PEERS[who]}: give --{who} DIR or SINTER_PEER_{who.upper()}")
    classes = options.classes.split(",")
    entries = [e for e in PARTICIPANTS
               if e[0] in classes and (e[1] == "sinter" or e[1] in options.peers)]
    if not entries:
        sys.exit(f"peers.py: --classes {options.classes}: expected some of 4-bit, 8-bit, 16-bit")
    make_files(options, {e[2] for e in entries})
    participants = [Participant(options, e) for e in entries]
    documents = []
    for number in range(options.rounds):
        turn = number % len(participants)
        limited = False
        for p in participants[turn:] + participants[:turn]:
            say(f"round {number + 1} of {options.rounds}: {p.label}")
            wants_limits = p.who == "sinter" and not limited
            p.measure(documents if wants_limits else None)
            limited = limited or wants_limits
    results = {"documents": documents,
               "rounds": [{"class": p.kind, "participant": p.label, "tokens_per_s": p.rounds}
                          for p in participants]}
    (options.work / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    text = render(options, participants, documents)
    if options.document:
        write_between_markers(options.document, text)
        say(f"written: {options.document}, {options.work / 'results.json'}")
    print(text)


if __name__ == "__main__":
    main()
