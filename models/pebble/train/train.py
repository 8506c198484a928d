"""Trains Pebble. The schedule runs on elapsed time, so a slower machine sees fewer tokens but still anneals.

python train.py --data DIR --out DIR --minutes 75 [--resume] [--device cuda]

On a CPU run one process of one thread per core (see run.sh): two threads in one process wait for each
other at every operation, which is ruinous as soon as anything else runs on the machine.
"""
import argparse
import math
import os
import time

import numpy as np
import torch
import torch.distributed as dist
import torch.nn.functional as F

import data as D
import evaluate as E
from model import Block, Config, Llama, document_mask
from muon import Muon


class Rows:
    """Rows of one kind, in order, each used once; waits for a shard that is still being written."""

    def __init__(self, folder, kind, at=0):
        self.folder, self.kind, self.at, self.open, self.z = folder, kind, at, -1, None
        self.shard = 0

    def state(self):
        return {"shard": self.shard, "at": self.at}

    def load(self, s):
        self.shard, self.at = s["shard"], s["at"]

    def take(self, n):
        out = []
        while n > 0:
            if self.open != self.shard:
                path = os.path.join(self.folder, f"{self.kind}-{self.shard:04d}.npz")
                if not os.path.exists(path):
                    print("waiting for", path, flush=True)
                while not os.path.exists(path):
                    time.sleep(2)
                z = np.load(path)
                self.z, self.open = (z["tok"], z["lab"], z["doc"]), self.shard
            got = self.z[0][self.at:self.at + n]
            if len(got) == 0:
                self.shard, self.at = self.shard + 1, 0
                continue
            out.append([x[self.at:self.at + n] for x in self.z])
            self.at += len(got)
            n -= len(got)
        return [np.concatenate([o[i] for o in out]) for i in range(3)]


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--data", required=True)
    p.add_argument("--out", required=True)
    p.add_argument("--minutes", type=float, default=75)
    p.add_argument("--layers", type=int, default=6)
    p.add_argument("--hidden", type=int, default=768)
    p.add_argument("--lr", type=float, default=3e-3)
    p.add_argument("--muon-lr", type=float, default=2.5e-3)
    p.add_argument("--rows", default="5,8,12,16", help="short rows a step until 8, 35, 70 and 100 % of the time")
    p.add_argument("--long-from", type=float, default=0.4)
    p.add_argument("--vast-from", type=float, default=0.75)
    p.add_argument("--save-minutes", type=float, default=3)
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--rank", type=int, default=0)
    p.add_argument("--world", type=int, default=1)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--device", default="cpu")
    p.add_argument("--compile", action="store_true", help="needs a C++ compiler; half as much time again per token without it")
    p.add_argument("--resume", action="store_true")
    p.add_argument("--no-eval", action="store_true")
    a = p.parse_args()
    torch.manual_seed(a.seed)
    torch.set_num_threads(a.threads)
    os.makedirs(a.out, exist_ok=True)
    if a.world > 1:
        dist.init_process_group("gloo", rank=a.rank, world_size=a.world)
    first = a.rank == 0

    c = Config(layers=a.layers, hidden=a.hidden)
    model = Llama(c).to(a.device)
    named = list(model.named_parameters())
    muon = Muon([x for n, x in named if x.dim() == 2 and n != "embed"])
    adam = torch.optim.AdamW([x for n, x in named if x.dim() == 1 or n == "embed"], lr=a.lr, betas=(0.9, 0.95), weight_decay=0.0)
    pools = {k: Rows(a.data, k) for k in D.ROW}
    step, tokens, answers, spent = 0, 0, 0, 0.0
    last = os.path.join(a.out, "last.pt")
    if a.resume and os.path.exists(last):
        s = torch.load(last, weights_only=False, map_location=a.device)
        model.load_state_dict(s["model"]); muon.load_state_dict(s["muon"]); adam.load_state_dict(s["adam"])
        step, tokens, answers, spent = s["step"], s["tokens"], s["answers"], s["spent"]
        for k in pools:
            pools[k].load(s["pools"][k])
    print("parameters", sum(x.numel() for _, x in named), flush=True)
    plain = [b.forward for b in model.blocks]
    if a.compile:
        forward = torch.compile(Block.forward, dynamic=True)
        for b in model.blocks:
            b.forward = forward.__get__(b)
    held = None if a.no_eval or not first else E.held_items(40, seed=11)
    tokenizer = D.load_tokenizer(a.data)

    def save(name):
        torch.save({"model": model.state_dict(), "config": c.as_dict(), "tokens": tokens, "answers": answers, "spent": spent}, os.path.join(a.out, name))

    def save_all():
        torch.save({"model": model.state_dict(), "muon": muon.state_dict(), "adam": adam.state_dict(), "config": c.as_dict(), "step": step, "tokens": tokens,
                    "answers": answers, "spent": spent, "pools": {k: v.state() for k, v in pools.items()}}, last + ".part")
        os.replace(last + ".part", last)

    total = a.minutes * 60
    rows_at = [int(x) for x in a.rows.split(",")]
    started, base, saved, said = time.time(), spent, spent, spent
    sums, seen, tok_said = 0.0, 0.0, tokens
    while True:
        f = spent / total
        if f >= 1:
            break
        scale = min(1.0, f / 0.01 + 0.02) * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * f)))
        n = rows_at[0 if f < 0.08 else 1 if f < 0.35 else 2 if f < 0.7 else 3]
        batches = []
        if f >= a.vast_from and step % 8 == 0:
            batches.append(("vast", 2)); n = max(2, n - 8)
        elif f >= a.long_from and step % 2:
            batches.append(("long", 2)); n = max(2, n - 5)
        batches.append(("short", n))
        weight = torch.tensor([0.0, 0.1 if f < 0.4 else 0.0, 1.0, 0.5, 3.0])
        loss_sum, work = 0.0, []
        for kind, rows in batches:
            tok, lab, doc = pools[kind].take(rows)
            if kind != "short":
                lab = np.where(lab == D.PROSE, 5, lab)
            work.append((torch.from_numpy(tok.astype(np.int64)), torch.from_numpy(lab.astype(np.int64)), torch.from_numpy(doc)))
        weight = torch.cat([weight, torch.tensor([0.3])])
        ws = [weight[lab[:, 1:]] * (doc[:, 1:] == doc[:, :-1]) for _, lab, doc in work]
        norm = float(sum(w.sum() for w in ws))
        for (tok, lab, doc), w in zip(work, ws):
            tokens += int((doc > 0).sum())
            answers += int(((lab == D.ANSWER) | (lab == D.RECALL)).sum())
            tok, lab, doc, w = (x[a.rank::a.world] for x in (tok, lab, doc, w))
            tok, doc, w = tok.to(a.device), doc.to(a.device), w.to(a.device)
            h = model.hidden(tok, document_mask(doc))[:, :-1]
            pick = w > 0
            loss = (F.cross_entropy(model.logits(h[pick]), tok[:, 1:][pick], reduction="none") * w[pick]).sum() / norm
            loss.backward()
            loss_sum += float(loss.detach())
        now = base + time.time() - started
        if a.world > 1:
            # One sum for the gradients of all matrices; the first process's clock travels with it.
            flat = torch.cat([x.grad.reshape(-1) for _, x in named] + [torch.tensor([loss_sum, now if first else 0.0])])
            dist.all_reduce(flat)
            at = 0
            for _, x in named:
                x.grad.copy_(flat[at:at + x.numel()].view_as(x))
                at += x.numel()
            loss_sum, now = float(flat[-2]), float(flat[-1])
        torch.nn.utils.clip_grad_norm_([x for _, x in named if x.dim() == 1] + [model.embed], 1.0)
        muon.step(a.muon_lr * scale)
        for g in adam.param_groups:
            g["lr"] = a.lr * scale
        adam.step()
        model.zero_grad(set_to_none=True)
        step += 1
        sums += loss_sum; seen += 1
        spent = now
        if first and spent - said > 15:
            print(f"{spent / 60:6.2f} min step {step} tokens {tokens / 1e6:.2f}M answers {answers / 1e6:.2f}M loss {sums / seen:.4f} {int((tokens - tok_said) / (spent - said))} tok/s lr {scale:.3f}", flush=True)
            said, sums, seen, tok_said = spent, 0.0, 0.0, tokens
        if first and spent - saved > a.save_minutes * 60:
            save_all()
            save(f"m{spent / 60:04.0f}.pt")
            if held:
                fast = [b.forward for b in model.blocks]
                for b, f0 in zip(model.blocks, plain):
                    b.forward = f0
                print("   " + E.brief(E.teacher_forced(model, tokenizer, held, a.device)), flush=True)
                for b, f1 in zip(model.blocks, fast):
                    b.forward = f1
            saved = spent
    if not first:
        return
    save_all()
    save("final.pt")
    print(f"done: {spent / 60:.1f} min, {step} steps, {tokens} tokens, {answers} answer tokens", flush=True)


if __name__ == "__main__":
    main()
