"""Checks an exported directory with the transformers package, which shares no code with the trainer.

python check.py MODEL_DIR SUITE_DIR [EVERY_NTH_ITEM] [CHECKPOINT DATA_DIR]

Greedy decoding in float32 through apply_chat_template; prints exact matches for each behaviour and rung, and
how often that agrees with evaluate.py's teacher-forced test when a checkpoint is given.
"""
import json
import os
import sys
import warnings

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

import data as D

warnings.filterwarnings("ignore")


def main(model_dir, suite_dir, nth=20, checkpoint=None, data_dir=None):
    torch.set_num_threads(1)
    tok = AutoTokenizer.from_pretrained(model_dir)
    model = AutoModelForCausalLM.from_pretrained(model_dir, dtype=torch.float32).eval()
    items = [json.loads(x) for x in open(os.path.join(suite_dir, "items.jsonl"), encoding="utf-8")]
    items = [i for i in items[::int(nth)] if i["behaviour"] not in ("prose", "translation_choice")]
    sets, right = {}, []
    for i in items:
        text = tok.apply_chat_template(i["messages"], tools=i.get("tools"), tokenize=False, add_generation_prompt=True)
        assert text == D.render([(i["messages"][0]["content"], None)], i.get("tools")), (text, i["id"])
        ids = tok(text, add_special_tokens=False, return_tensors="pt").input_ids
        with torch.no_grad():
            out = model.generate(ids, max_new_tokens=i["max_tokens"], do_sample=False)[0, ids.shape[1]:]
        got = tok.decode([t for t in out.tolist() if t not in (D.END, D.PAD)], skip_special_tokens=False)
        ok = got == i["reference"]
        right.append(ok)
        s = sets.setdefault(i["behaviour"] + "/" + i["rung"], [0, 0])
        s[0] += ok
        s[1] += 1
        if not ok and "-v" in sys.argv:
            print(i["id"], repr(i["messages"][0]["content"][-200:]), "\n   want", repr(i["reference"]), "\n   got ", repr(got))
    for k, v in sets.items():
        print(f"{k:26s} {v[0]}/{v[1]}")
    print("exact", sum(right), "of", len(right))
    if checkpoint:
        import evaluate as E
        ours, _ = E.load(checkpoint)
        tf = E.teacher_forced(ours, D.load_tokenizer(data_dir), [dict(user=i["messages"][0]["content"], answer=i["reference"], tools=i.get("tools"), set="") for i in items], dtype=torch.float32)
        print("agrees with evaluate.py on", sum(a == b["right"] for a, b in zip(right, tf)), "of", len(right))


if __name__ == "__main__":
    main(*[a for a in sys.argv[1:] if a != "-v"])
