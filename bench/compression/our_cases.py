#!/usr/bin/env python3
"""Every case of ours for one model: its recipe, `sinter compress`, and what measure.py says of the result.

    our_cases.py MODEL OUT --sinter build/sinter --calibration C.jsonl --ids E.jsonl -o RESULTS.json [--suite DIR]

OUT/recipes/CASE.yaml is the recipe, OUT/CASE/ the checkpoint, OUT/reports/CASE/ the gate's report where there is a
suite. What is there already is not made again, so a run that was stopped goes on; RESULTS.json is measure.py's.
The names are those of peer_cases.py, so that frontier.py puts both sides beside each other. Needs only Python.
"""

import argparse
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def steps(*lines):
    return "".join(f"  - {line}\n" for line in lines)


def cases(group):
    """name -> the steps of a recipe."""
    out = {}
    for bits in (8, 4, 3, 2):
        for kind in ("sym", "asym"):
            if bits == 8 and kind == "asym":
                continue
            grid = f"num_bits: {bits}, group_size: {group}, symmetric: {str(kind == 'sym').lower()}"
            out |= {
                f"rtn-{bits}-{kind}": steps(f"rtn: {{{grid}}}"),
                f"awq-{bits}-{kind}": steps("awq: {}", f"rtn: {{{grid}, observer: inputs}}"),
                f"gptq-{bits}-{kind}": steps(f"gptq: {{{grid}}}"),
                f"awqgptq-{bits}-{kind}": steps("awq: {}", f"gptq: {{{grid}}}"),
            }
    for alpha in ("0.5", "0.8", "search"):
        smooth = f"smoothquant: {{alpha: {alpha}}}"
        name = "sq" + alpha.replace(".", "")
        out |= {f"w8a8-{name}-rtn": steps(smooth, "rtn: {scheme: W8A8}"),
                f"w8a8-{name}-gptq": steps(smooth, "gptq: {scheme: W8A8}")}
    out |= {
        "w8a8-rtn": steps("rtn: {scheme: W8A8}"),
        "w8a8-gptq": steps("gptq: {scheme: W8A8}"),
        "w8a8-static": steps("rtn: {scheme: W8A8_STATIC}"),
        "w8a8-static-sq08": steps("smoothquant: {alpha: 0.8}", "rtn: {scheme: W8A8_STATIC}"),
        "fp8-dynamic": steps("rtn: {scheme: FP8_DYNAMIC}"),
        "fp8-static": steps("rtn: {scheme: FP8}"),
        "fp8-block": steps("rtn: {scheme: FP8_BLOCK}"),
        "nvfp4-rtn": steps("rtn: {scheme: NVFP4A16}"),
        "nvfp4-gptq": steps("gptq: {scheme: NVFP4A16}"),
        "mxfp4-rtn": steps("rtn: {scheme: MXFP4A16}"),
        "mxfp4-gptq": steps("gptq: {scheme: MXFP4A16}"),
    }
    return out


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("model")
    p.add_argument("out", type=Path)
    p.add_argument("--sinter", default="build/sinter")
    p.add_argument("--calibration", required=True)
    p.add_argument("--ids", required=True, help="evaluation tokens")
    p.add_argument("-o", "--results", type=Path, required=True)
    p.add_argument("--suite", help="also the gate's flips")
    p.add_argument("--group", default="128")
    p.add_argument("--threads", default="0")
    p.add_argument("--recipe", type=Path, action="append", default=[], metavar="FILE",
                   help="a case more, named as the file is")
    p.add_argument("--cases", nargs="+", metavar="CASE", help=f"of {', '.join(cases(128))}; default: all")
    o = p.parse_args()

    known = cases(o.group)
    chosen = known if o.cases is None else {name: known.get(name) for name in o.cases}
    if unknown := [name for name, text in chosen.items() if text is None]:
        p.error(f"no such case: {', '.join(unknown)}")
    recipes = o.out / "recipes"
    recipes.mkdir(parents=True, exist_ok=True)
    files = {name: recipes / f"{name}.yaml" for name in chosen} | {f.stem: f for f in o.recipe}
    for name, text in chosen.items():
        files[name].write_text(f"name: {name}\nsteps:\n{text}")

    failed = 0
    for name, recipe in files.items():
        folder = o.out / name
        command = [o.sinter, "compress", o.model, "-r", recipe, "-o", folder, "--calibration", o.calibration,
                   "--threads", o.threads, "--no-check", "--progress", "none"]
        done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        if done.returncode == 0:
            measure = [sys.executable, HERE / "measure.py", "--sinter", o.sinter, "--dense", o.model, "--ids", o.ids,
                       "-o", o.results, "--threads", o.threads, f"{name}={folder}"]
            if o.suite:
                measure += ["--suite", o.suite, "--reports", o.out / "reports"]
            done = subprocess.run(measure, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        failed += done.returncode != 0
        line = done.stderr.strip().splitlines()[-1:] if done.returncode else [
            row for row in done.stdout.splitlines() if row.split()[0] == name]
        print(line[0] if line else f"{name}: exit {done.returncode}", flush=True)
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
