"""Does any evaluation prompt occur in the training rows? Compares token sequences of whole user turns.

python leak.py DATA_DIR SUITE_DIR
"""
import glob
import json
import os
import sys

import numpy as np

import data as D
import evaluate as E


def main(data_dir, suite_dir):
    tok = D.load_tokenizer(data_dir)
    # "Write about the mill." may occur in both: for prose it is the text that is held out, not the request.
    suite = [json.loads(x) for x in open(os.path.join(suite_dir, "items.jsonl"), encoding="utf-8")]
    items = [i["messages"][0]["content"] for i in suite if i["behaviour"] != "prose"]
    items += [i["user"] for i in E.held_items(100) if i["behaviour"] != "prose"]
    want = {np.array(e.ids, np.uint16).tobytes() for e in tok.encode_batch(sorted(set(items)), add_special_tokens=False)}
    seen, turns = set(), 0
    for path in sorted(glob.glob(os.path.join(data_dir, "*-????.npz"))):
        flat = np.load(path)["tok"].reshape(-1)
        ends = np.flatnonzero(flat == D.END)
        starts = np.flatnonzero(flat == D.USER)
        for a, b in zip(starts, ends[np.searchsorted(ends, starts)]):
            turns += 1
            s = flat[a + 1:b].tobytes()
            if s in want:
                seen.add(s)
    print(f"{len(want)} evaluation prompts, {turns} training turns, {len(seen)} prompts in both")
    for s in list(seen)[:10]:
        print("   ", repr(tok.decode(np.frombuffer(s, np.uint16).tolist())))


if __name__ == "__main__":
    main(*sys.argv[1:3])
