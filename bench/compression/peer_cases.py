#!/usr/bin/env python3
"""Every case of the peer for one model, one process each: OUT/CASE/ and OUT/CASE.json.

    peer_cases.py MODEL OUT --calibration IDS.jsonl [--cases gptq-4-sym ...]

A case that has its JSON already is left alone, so a run that was stopped goes on. Three bits are saved as a
dense copy: transformers and vLLM have no kernel for them, and what is compared is the weights.
"""

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

W8A8 = ["--bits", "8", "--group", "0", "--int8-inputs", "--method"]
CASES = {"w8a8-rtn": [*W8A8, "rtn"],
         "w8a8-sq05-rtn": [*W8A8, "smoothquant+rtn"],
         "w8a8-sq05-gptq": [*W8A8, "smoothquant+gptq"],
         "w8a8-sq08-rtn": [*W8A8, "smoothquant+rtn", "--alpha", "0.8"],
         "w8a8-sq08-gptq": [*W8A8, "smoothquant+gptq", "--alpha", "0.8"]}
METHODS = {"rtn": ["--method", "rtn"],
           "gptq": ["--method", "gptq"],
           "awq": ["--method", "awq"],
           "awqboth": ["--method", "awq", "--duo", "both"],
           "awqgptq": ["--method", "awq+gptq"],
           "rtnmse": ["--method", "rtn", "--observer", "memoryless_mse"],
           "gptqmse": ["--method", "gptq", "--observer", "memoryless_mse"]}
for _name, _words in METHODS.items():
    for _bits in ("4", "3"):
        _save = ["--save", "dense"] if _bits == "3" else []
        CASES[f"{_name}-{_bits}-sym"] = [*_words, "--bits", _bits, *_save]
        CASES[f"{_name}-{_bits}-asym"] = [*_words, "--bits", _bits, *_save, "--asymmetric"]


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("model")
    p.add_argument("out", type=Path)
    p.add_argument("--calibration", required=True)
    p.add_argument("--python", default=sys.executable)
    p.add_argument("--group", default="128")
    p.add_argument("--dtype", default="auto")
    p.add_argument("--threads", default="2")
    p.add_argument("--cases", nargs="+", choices=list(CASES), default=list(CASES), metavar="CASE",
                   help=f"of {', '.join(CASES)}; default: all")
    o = p.parse_args()
    o.out.mkdir(parents=True, exist_ok=True)
    # Threads that wait in a loop cost more than they give on matrices this small.
    env = os.environ | {"OMP_WAIT_POLICY": "passive"}
    failed = 0
    for name in o.cases:
        done, folder = o.out / f"{name}.json", o.out / name
        if done.exists():
            continue
        shutil.rmtree(folder, ignore_errors=True)
        words = CASES[name] if "--group" in CASES[name] else [*CASES[name], "--group", o.group]
        with open(o.out / f"{name}.log", "w") as log:
            run = subprocess.run([o.python, Path(__file__).parent / "llmcompressor_peer.py", o.model, folder,
                                  "--calibration", o.calibration, "--threads", o.threads, "--dtype", o.dtype, *words],
                                 stdout=subprocess.PIPE, stderr=log, text=True, env=env)
        print(f"{name}: {'done' if run.returncode == 0 else f'failed, see {name}.log'}", flush=True)
        failed += run.returncode != 0
        if run.returncode == 0:
            done.write_text(run.stdout)
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
