"""Checks an exported directory with the transformers package, which shares no code with the trainer.

python check.py MODEL_DIR SUITE_DIR [EVERY_NTH [FIRST [CHECKPOINT DATA_DIR]]] [-v]

Decodes greedily in float32 through apply_chat_template and prints, for each behaviour and rung, how many answers the
item's scorer accepts and how many are the reference exactly. With a checkpoint it also counts on how many items
"exact" agrees with evaluate.py's teacher-forced test.
"""
import json
import os
import re
import sys
import warnings
import xml.etree.ElementTree as ET

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

import data as D

warnings.filterwarnings("ignore")


def same_xml(a, b):
    return a.tag == b.tag and a.attrib == b.attrib and (a.text or "").strip() == (b.text or "").strip() and len(a) == len(b) and all(same_xml(x, y) for x, y in zip(a, b))


def passes(scorer, answer, reference):
    kind, answer = scorer["type"], answer.strip()
    try:
        if kind == "number":
            found = re.findall(r"-?\d+(?:\.\d+)?", answer)
            return bool(found) and float(found[-1]) == float(scorer["value"])
        if kind == "program":
            return answer.splitlines()[-1].strip() == scorer["output"]
        if kind == "json_schema":
            got = json.loads(answer)
            return got == scorer["expected"] and [type(got[k]) for k in got] == [type(scorer["expected"][k]) for k in got]
        if kind == "tool_call":
            call = json.loads(re.fullmatch(r"<tool_call>(.*)</tool_call>", answer, re.S)[1])
            return call == {"name": scorer["name"], "arguments": scorer["arguments"]}
        if kind == "xml":
            return same_xml(ET.fromstring(answer), ET.fromstring(scorer["expected"]))
        if kind == "refusal":
            refused = bool(re.search(scorer["refusal_pattern"], answer))
            return refused if scorer["expect"] == "refuse" else answer == reference
        if kind == "needle":
            return all(n in answer for n in scorer["needles"])
    except (ValueError, TypeError, IndexError, KeyError, ET.ParseError):
        return False
    return answer == reference.strip()


def main(model_dir, suite_dir, nth=20, first=0, checkpoint=None, data_dir=None):
    torch.set_num_threads(1)
    tok = AutoTokenizer.from_pretrained(model_dir)
    model = AutoModelForCausalLM.from_pretrained(model_dir, dtype=torch.float32).eval()
    items = [json.loads(x) for x in open(os.path.join(suite_dir, "items.jsonl"), encoding="utf-8")]
    items = [i for i in items[int(first)::int(nth)] if i["scorer"]["type"] not in ("likelihood", "choice")]
    sets, exact = {}, []
    for i in items:
        text = tok.apply_chat_template(i["messages"], tools=i.get("tools"), tokenize=False, add_generation_prompt=True)
        assert text == D.render([(i["messages"][0]["content"], None)], i.get("tools")), (text, i["id"])
        ids = tok(text, add_special_tokens=False, return_tensors="pt").input_ids
        with torch.no_grad():
            out = model.generate(ids, max_new_tokens=i["max_tokens"], do_sample=False)[0, ids.shape[1]:]
        got = tok.decode([t for t in out.tolist() if t not in (D.END, D.PAD)], skip_special_tokens=False)
        exact.append(got == i["reference"])
        ok = passes(i["scorer"], got, i["reference"])
        assert ok or not exact[-1], i["id"]
        s = sets.setdefault(i["behaviour"] + "/" + i["rung"], [0, 0, 0])
        s[0] += ok
        s[1] += exact[-1]
        s[2] += 1
        if not ok and "-v" in sys.argv:
            print(i["id"], repr(i["messages"][0]["content"][-200:]), "\n   want", repr(i["reference"]), "\n   got ", repr(got))
    for k, v in sets.items():
        print(f"{k:26s} scorer {v[0]}/{v[2]}  exact {v[1]}/{v[2]}")
    print("accepted", sum(v[0] for v in sets.values()), "exact", sum(exact), "of", len(exact))
    if checkpoint:
        import evaluate as E
        ours, _ = E.load(checkpoint)
        tf = E.teacher_forced(ours, D.load_tokenizer(data_dir), [dict(user=i["messages"][0]["content"], answer=i["reference"], tools=i.get("tools"), set="") for i in items], dtype=torch.float32)
        print("agrees with evaluate.py on", sum(a == b["right"] for a, b in zip(exact, tf)), "of", len(exact))


if __name__ == "__main__":
    main(*[a for a in sys.argv[1:] if a != "-v"])
