#!/usr/bin/env python3
"""What compression cost, by one measure for everybody's checkpoints: `sinter perplexity --against DENSE`.

    measure.py --sinter build/sinter --dense MODEL --ids EVALUATION.jsonl -o RESULTS.json NAME=DIR ...

DIR is a checkpoint that Sinter reads, its own or a peer's. Where llmcompressor_peer.py's line of JSON lies in
DIR.json, it is kept under "peer". What RESULTS.json has already is not measured again. With --suite the gate
counts the items that each model lost and won against DENSE; its reports go to --reports.

Bits per weight are those of the decoder's linears as stored: codes, scales, zero points and order. A dense
copy that stands for a format stores more than the format would; there they are the format's, with 16-bit
scales. Needs only Python.
"""

import argparse
import json
import shutil
import struct
import subprocess
import sys
from pathlib import Path

BYTES = {"F64": 8, "I64": 8, "U64": 8, "F32": 4, "I32": 4, "U32": 4, "F16": 2, "BF16": 2, "I16": 2, "U16": 2,
         "I8": 1, "U8": 1, "F8_E4M3": 1, "F8_E5M2": 1, "F8_E8M0": 1, "BOOL": 1}


def tensors(folder):
    """name -> (bytes, shape) of every tensor, from the files' headers."""
    out = {}
    for file in sorted(folder.glob("*.safetensors")):
        with open(file, "rb") as f:
            header = json.loads(f.read(struct.unpack("<Q", f.read(8))[0]))
        for name, t in header.items():
            if name != "__metadata__":
                count = 1
                for d in t["shape"]:
                    count *= d
                out[name] = (count * BYTES[t["dtype"]], t["shape"])
    return out


def bits_per_weight(folder, dense, peer):
    if peer and peer["saved"] == "dense" and peer["method"] != "none":
        zero = 0 if peer["symmetric"] else peer["bits"]
        return peer["bits"] + (16 + zero) / peer["group"]
    linears = {n.removesuffix(".weight") for n, (_, shape) in tensors(dense).items()
               if ".layers." in n and len(shape) == 2}
    weights = sum(s[0] * s[1] for n, (_, s) in tensors(dense).items() if n.removesuffix(".weight") in linears)
    stored = sum(size for n, (size, _) in tensors(folder).items()
                 if n.rpartition(".")[0] in linears and not n.endswith((".weight_shape", ".bias")))
    return 8 * stored / weights


def divergence(o, name, folder, peer):
    run = subprocess.run([o.sinter, "perplexity", folder, o.ids, "--ids", "--json", "--against", o.dense,
                          "--threads", o.threads], capture_output=True, text=True)
    if run.returncode:
        sys.exit(f"{name}: {run.stderr.strip().splitlines()[-1]}")
    out = json.loads(run.stdout)
    return {"name": name, "bits_per_weight": round(bits_per_weight(folder, o.dense, peer), 4),
            "kl": out["against"]["kl"], "top1_agreement": out["against"]["top1_agreement"],
            "perplexity": out["perplexity"], "dense_perplexity": out["against"]["perplexity"],
            "tokens": out["predicted_tokens"]}


def flips(o, name, folder):
    """{behaviour: [lost, won, items]}, "all" first. What the dense model answered is taken from the first report."""
    report, dense = o.reports / name, o.reports / "baseline.jsonl"
    if dense.exists() and not report.exists():
        report.mkdir()
        shutil.copyfile(dense, report / "baseline.jsonl")
    gate = subprocess.run([o.sinter, "gate", o.dense, folder, "--suite", o.suite, "-o", report, "--threads", o.threads,
                           *(["--resume"] if report.exists() else [])], capture_output=True, text=True)
    if gate.returncode not in (0, 3):  # 3: refused, which is what is being counted
        sys.exit(f"{name}: {gate.stderr.strip().splitlines()[-1]}")
    if not dense.exists():
        shutil.copyfile(report / "baseline.jsonl", dense)
    found = json.loads((report / "report.json").read_text())
    return {t["name"]: [t["lost"], t["won"], t["items"]]
            for t in [found["all"] | {"name": "all"}, *found["behaviours"]]}


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--sinter", required=True)
    p.add_argument("--dense", type=Path, required=True)
    p.add_argument("--ids", type=Path, required=True)
    p.add_argument("-o", "--out", type=Path, required=True)
    p.add_argument("--threads", default="0")
    p.add_argument("--suite", type=Path)
    p.add_argument("--reports", type=Path)
    p.add_argument("models", nargs="+", metavar="NAME=DIR")
    o = p.parse_args()

    if bool(o.suite) != bool(o.reports):
        p.error("--suite and --reports belong together")
    results = json.loads(o.out.read_text()) if o.out.exists() else []
    by_name = {r["name"]: r for r in results}
    for spec in o.models:
        name, _, folder = spec.partition("=")
        folder = Path(folder)
        row = by_name.get(name)
        if row is None:
            line = folder.parent / (folder.name + ".json")
            peer = json.loads(line.read_text()) if line.exists() else None
            row = divergence(o, name, folder, peer) | ({"peer": peer} if peer else {})
            results.append(row)
        if o.suite and "flips" not in row:
            row["flips"] = flips(o, name, folder)
        o.out.write_text(json.dumps(results, indent=1) + "\n")
    for r in results:
        print(f"{r['name']:28} {r['bits_per_weight']:7.3f} bits  KL {r['kl']['mean']:.6f}  p99 {r['kl']['p99']:.4f}"
              f"  ppl {r['perplexity']:.4f} ({r['dense_perplexity']:.4f})  agree {100 * r['top1_agreement']:.2f} %")


if __name__ == "__main__":
    main()
