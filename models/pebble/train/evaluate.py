"""Held-out accuracy for each behaviour and rung, and what rounding the weights does to it.

python evaluate.py CHECKPOINT DATA_DIR [ITEMS_PER_SET [REPORT.json --json]] [--damage]
"""
import json
import random
import sys

import numpy as np
import torch
import torch.nn.functional as F

import data as D
import families as Fam


def held_items(count, seed=21, names=None):
    rng = random.Random(seed)
    out = []
    for name in names or Fam.FAMILIES:
        for rung in ("easy", "hard"):
            if name == "prose" and rung == "hard":
                continue
            seen = set()
            while len(seen) < count:
                it = Fam.make(name, rng, "held", rung)
                if it["user"] not in seen:
                    seen.add(it["user"])
                    it["set"] = f"{name}/{rung}"
                    out.append(it)
    return out


@torch.no_grad()
def teacher_forced(model, tokenizer, items, device="cpu", dtype=torch.bfloat16, tokens_per_batch=8192):
    """For every item: would greedy decoding give exactly the reference (argmax right at every answer token), and its NLL.
    Greedy decoding reproduces the reference if and only if every teacher-forced argmax is right."""
    enc = []
    for i, it in enumerate(items):
        p = tokenizer.encode(D.render([(it["user"], None)], it.get("tools")), add_special_tokens=False).ids
        r = tokenizer.encode(it["answer"] + "<|end|>", add_special_tokens=False).ids
        enc.append((i, len(p), p + r))
    enc.sort(key=lambda e: len(e[2]))
    out = [None] * len(items)
    at = 0
    while at < len(enc):
        n = 1
        while at + n < len(enc) and (n + 1) * len(enc[at + n][2]) <= tokens_per_batch:
            n += 1
        part = enc[at:at + n]
        at += n
        L = max(len(e[2]) for e in part)
        ids = torch.zeros(len(part), L, dtype=torch.long)
        for j, e in enumerate(part):
            ids[j, :len(e[2])] = torch.tensor(e[2])
        ids = ids.to(device)
        h = model.hidden(ids, None, dtype)
        for j, (i, start, seq) in enumerate(part):
            lg = model.logits(h[j, start - 1:len(seq) - 1])
            want = ids[j, start:len(seq)]
            nll = F.cross_entropy(lg, want, reduction="none")
            top = lg.gather(1, want[:, None])[:, 0]
            rest = lg.scatter(1, want[:, None], -1e9).max(1).values
            out[i] = (bool((lg.argmax(1) == want).all()), float(nll.sum()), float((top - rest).min()), len(want))
    return [dict(set=it["set"], right=o[0], nll=o[1], margin=o[2], n=o[3]) for it, o in zip(items, out)]


def table(results):
    sets = {}
    for r in results:
        sets.setdefault(r["set"], []).append(r)
    return sets


def brief(results):
    bits = []
    for k, rs in table(results).items():
        if k.startswith("prose"):
            bits.append(f"prose nll {sum(r['nll'] for r in rs) / sum(r['n'] for r in rs):.3f}")
        else:
            bits.append(f"{k.replace('/easy', ' e').replace('/hard', ' h')} {100 * np.mean([r['right'] for r in rs]):.0f}")
    return " | ".join(bits)


def facts_known(model, tokenizer):
    """How many of the facts, often shown and seldom shown, the model gives through the held-out wording."""
    items = [dict(user=Fam.FACT_HELD[0].replace("{k}", k), answer=v, set="often" if i < Fam.OFTEN else "seldom") for i, (k, v) in enumerate(Fam.fact_table())]
    return {k: [sum(r["right"] for r in v), len(v)] for k, v in table(teacher_forced(model, tokenizer, items)).items()}


def rounded(state, bits, group=64):
    """Round to nearest: asymmetric, a minimum and a step for each group of weights along the input."""
    out = {}
    for k, w in state.items():
        if w.dim() != 2:
            out[k] = w
            continue
        g = w.float().reshape(w.shape[0], -1, group)
        lo, hi = g.amin(-1, keepdim=True), g.amax(-1, keepdim=True)
        step = ((hi - lo) / (2 ** bits - 1)).clamp(min=1e-12)
        out[k] = (((g - lo) / step).round() * step + lo).reshape(w.shape)
    return out


def load(path):
    from model import Config, Llama
    s = torch.load(path, weights_only=False, map_location="cpu")
    m = Llama(Config(**s["config"]))
    # BF16 is what is shipped, so BF16 is what is measured.
    m.load_state_dict({k: v.to(torch.bfloat16).float() for k, v in s["model"].items()})
    return m.eval(), s


if __name__ == "__main__":
    args = [a for a in sys.argv[1:] if not a.startswith("--")]
    model, s = load(args[0])
    tok = D.load_tokenizer(args[1])
    items = held_items(int(args[2]) if len(args) > 2 else 100)
    print("tokens", s["tokens"], "minutes", s["spent"] / 60)
    base = teacher_forced(model, tok, items)
    report = {"bf16": {k: [sum(r["right"] for r in v), len(v), sum(r["nll"] for r in v) / sum(r["n"] for r in v)] for k, v in table(base).items()}}
    for k, v in report["bf16"].items():
        print(f"{k:24s} {100 * v[0] / v[1]:5.1f} %  of {v[1]}  nll/token {v[2]:.4f}")
    report["facts"] = facts_known(model, tok)
    print("facts known", report["facts"])
    if "--damage" in sys.argv:
        state = {k: v.clone() for k, v in model.state_dict().items()}
        for bits in (8, 4, 3, 2):
            model.load_state_dict(rounded(state, bits))
            now = teacher_forced(model, tok, items)
            scored = [(b, n) for b, n in zip(base, now) if not b["set"].startswith("prose")]
            lost = sum(b["right"] and not n["right"] for b, n in scored)
            won = sum(n["right"] and not b["right"] for b, n in scored)
            worse = np.mean([n["nll"] > b["nll"] for b, n in zip(base, now)])
            ratio = np.median([n["nll"] / max(b["nll"], 1e-9) for b, n in zip(base, now)])
            report[f"int{bits}"] = {k: [sum(r["right"] for r in v), len(v), sum(r["nll"] for r in v) / sum(r["n"] for r in v)] for k, v in table(now).items()}
            report[f"int{bits}"]["flips"] = [lost, won, float(worse), float(ratio), sum(b["right"] for b, _ in scored), len(scored)]
            print(f"INT{bits}: lost {lost} won {won} of {len(scored)}; items with a worse NLL {100 * worse:.0f} %, median NLL ratio {ratio:.2f}")
            print("   " + brief(now))
            report[f"int{bits}"]["facts"] = facts_known(model, tok)
            print("   facts known", report[f"int{bits}"]["facts"])
    if "--json" in sys.argv:
        json.dump(report, open(args[3], "w"), indent=1)
