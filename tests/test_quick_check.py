"""What `sinter compress` ends with: a quick check against the dense model, recomputed here from what the gate and
`sinter perplexity` say of the same items and tokens."""

import json
import signal
import subprocess
import time

import numpy as np
import pytest

from conftest import ROOT, SINTER

PEBBLE = "models/pebble"


def compress(sinter, out, *flags, recipe="recipes/int3.yaml", **more):
    """Without a time limit, so that a busy machine answers as a quiet one."""
    limit = () if "--check-seconds" in flags or "--no-check" in flags else ("--check-seconds", "0")
    return sinter("compress", PEBBLE, "-r", recipe, "-o", out, "--json", *flags, *limit, **more)


@pytest.fixture
def few(tmp_path):
    """A suite of twenty items, easy and hard, of pebble's."""
    lines = (ROOT / "suites/pebble/items.jsonl").read_text().splitlines()[::65][:20]
    folder = tmp_path / "few"
    folder.mkdir()
    (folder / "items.jsonl").write_text("\n".join(lines) + "\n")
    head = json.loads((ROOT / "suites/pebble/suite.json").read_text())
    (folder / "suite.json").write_text(json.dumps(head | {"name": "few", "texts": []}))
    return folder


def test_it_says_what_the_gate_says_of_the_same_items(sinter, tmp_path, few):
    out = compress(sinter, tmp_path / "o", "--check-suite", few).json()
    check = out["quick_check"]
    sinter("gate", PEBBLE, tmp_path / "o", "--suite", few, "-o", tmp_path / "g", code=None)
    gate = json.loads((tmp_path / "g/report.json").read_text())
    for key in ("lost", "won", "passed_baseline", "passed_candidate"):
        assert check["items"][key] == gate["all"][key], key
    assert check["items"]["asked"] == check["items"]["ran"] == gate["all"]["items"] == 20
    assert check["suite"]["name"] == "few" and check["suite"]["items"] == 20
    refused = {c["name"] for c in gate["checks"] if c["finding"] == "fail"}
    assert (check["outcome"] == "damage found") == bool(refused), (check, refused)
    assert out["verified"] == "unverified"


def log_softmax(rows):
    rows = np.asarray(rows, dtype=np.float64)
    rows = rows - rows.max(axis=1, keepdims=True)
    return rows - np.log(np.exp(rows).sum(axis=1, keepdims=True))


def test_divergence_is_that_of_the_dense_models_answers(sinter, tmp_path, few):
    check = compress(sinter, tmp_path / "o", "--check-suite", few).json()["quick_check"]
    sinter("gate", PEBBLE, tmp_path / "o", "--suite", few, "-o", tmp_path / "g", code=None)
    items = {i["id"]: i for i in map(json.loads, (few / "items.jsonl").read_text().splitlines())}
    answers = [json.loads(line) for line in (tmp_path / "g/baseline.jsonl").read_text().splitlines()[1:]]
    starts, lines = [], []
    for a in answers:
        chat = tmp_path / "chat.json"
        item = items[a["id"]]
        chat.write_text(json.dumps({k: item[k] for k in ("messages", "tools") if k in item}))
        prompt = sinter("template", PEBBLE, chat, "--json").json()["ids"]
        assert len(prompt) == a["answer"]["prompt_tokens"]
        starts.append(len(prompt))
        lines.append(json.dumps({"ids": prompt + a["answer"]["tokens"]}))
    ids = tmp_path / "ids.jsonl"
    ids.write_text("\n".join(lines) + "\n")

    def logits(model):
        printed = sinter("perplexity", model, ids, "--ids", "--logits", "--json").lines()[:-1]
        by_document = {}
        for row in printed:
            by_document.setdefault(row["document"], {})[row["position"]] = row["logits"]
        return list(by_document.values())

    kl, agree = [], []
    for start, dense, model in zip(starts, logits(PEBBLE), logits(tmp_path / "o")):
        at = [i for i in sorted(dense) if i >= start]
        p, q = (log_softmax([m[i] for i in at]) for m in (dense, model))
        kl += list((np.exp(p) * (p - q)).sum(axis=1))
        agree += list(p.argmax(axis=1) == q.argmax(axis=1))
    text = check["text"]
    assert text["tokens"] == len(kl) > 200
    assert text["kl"]["mean"] == pytest.approx(np.mean(kl), rel=1e-4)
    assert text["kl"]["p99"] == pytest.approx(np.percentile(kl, 99), rel=1e-4)
    assert text["top1_agreement"] == pytest.approx(np.mean(agree))


def test_a_model_that_is_kept_and_one_that_is_not(sinter, tmp_path):
    """The suite of the model's own name is found, drawn from by a seed, and the same on any number of threads."""
    kept = compress(sinter, tmp_path / "int8", "--threads", 1, recipe="recipes/int8.yaml").json()["quick_check"]
    assert kept["outcome"] == "nothing found" and kept["reasons"] == []
    assert kept["suite"]["name"] == "pebble" and kept["items"]["asked"] == 64 and kept["items"]["errors"] == 0
    assert 0 < kept["text"]["kl"]["mean"] < 0.01
    again = compress(sinter, tmp_path / "again", "--threads", 2, recipe="recipes/int8.yaml").json()["quick_check"]
    assert again == kept
    other = compress(sinter, tmp_path / "other", "--check-seed", 2, recipe="recipes/int8.yaml").json()["quick_check"]
    assert other["text"] != kept["text"]

    broken = sinter("compress", PEBBLE, "-r", "recipes/int2.yaml", "-o", tmp_path / "int2")  # exit 0
    assert "damage found" in broken.out and "WARNING" in broken.out and "Unverified" in broken.out
    manifest = json.loads((tmp_path / "int2/manifest.json").read_text())
    assert manifest["verified"] == "unverified" and manifest["quick_check"]["outcome"] == "damage found"
    assert manifest["quick_check"]["items"]["lost"] == len(manifest["quick_check"]["items"]["regressed"]) > 5
    sinter("run", tmp_path / "int2", "Calculate 348 plus 275.", "-n", 4)


def test_without_a_suite_the_dense_model_makes_up_text(sinter, tmp_path):
    check = sinter("compress", ROOT / PEBBLE, "-r", ROOT / "recipes/int4.yaml", "-o", tmp_path / "o", "--json",
                   cwd=tmp_path).json()["quick_check"]
    assert "items" not in check and "suite" not in check
    assert check["text"]["source"] == "that the dense model made up" and check["text"]["tokens"] == 16 * 64
    assert 0.001 < check["text"]["kl"]["mean"] < 0.5


def test_it_is_made_once_and_changes_no_weight(sinter, tmp_path):
    plain = compress(sinter, tmp_path / "plain", "--no-check").json()
    assert plain["quick_check"] is None
    checked = compress(sinter, tmp_path / "o").json()
    assert checked["digest"] == plain["digest"]
    bytes_then = (tmp_path / "o/manifest.json").read_bytes()
    assert compress(sinter, tmp_path / "o").json()["quick_check"] == checked["quick_check"]
    assert (tmp_path / "o/manifest.json").read_bytes() == bytes_then
    # What was left out can be had later; the weights are kept.
    later = compress(sinter, tmp_path / "plain").json()
    assert later["quick_check"] == checked["quick_check"] and later["shards_made"] == 0


def test_no_check_and_a_suite_to_check_with_contradict_each_other(sinter, tmp_path):
    result = compress(sinter, tmp_path / "o", "--no-check", "--check-suite", "suites/pebble", code=2)
    assert "--no-check" in result.err and "--check-suite" in result.err
    assert not (tmp_path / "o").exists()
    # Without a check nobody asks for a tokenizer.
    sinter("synth", "tiny", "-o", tmp_path / "tiny", "--layers", 1)
    (tmp_path / "tiny/tokenizer.json").write_text("not even JSON")
    compressed = sinter("compress", tmp_path / "tiny", "-r", "recipes/int8.yaml", "-o", tmp_path / "o", "--no-check")
    assert "Quick check" not in compressed.out


def test_what_cannot_be_checked_is_refused_before_anything_is_written(sinter, tmp_path):
    compress(sinter, tmp_path / "o", "--check-suite", "suites/nowhere", code=2)
    assert not (tmp_path / "o").exists()
    sinter("synth", "tiny", "-o", tmp_path / "tiny", "--layers", 1)
    (tmp_path / "tiny/tokenizer.json").unlink()
    result = sinter("compress", tmp_path / "tiny", "-r", "recipes/int8.yaml", "-o", tmp_path / "o",
                    "--check-suite", "suites/pebble", code=2)
    assert "tokenizer-missing" in result.err and not (tmp_path / "o").exists()
    # A model without a tokenizer still writes tokens.
    out = sinter("compress", tmp_path / "tiny", "-r", "recipes/int8.yaml", "-o", tmp_path / "o", "--json").json()
    assert out["quick_check"]["outcome"] == "nothing found" and out["quick_check"]["text"]["tokens"] > 0


def test_where_memory_does_not_do_for_both_models_it_is_left_out_and_said(sinter, tmp_path):
    made = compress(sinter, tmp_path / "o").json()
    assert made["took"]["memory"] == pytest.approx(made["expected"]["memory"], rel=0.15)
    needs = made["expected"]["memory_by_stage"]
    check = needs.pop("quick check")
    assert check > max(needs.values())
    memory = (check + max(needs.values())) // 2
    result = compress(sinter, tmp_path / "small", "--memory", memory)
    assert result.json()["expected"]["no_room_for_check"] >= check * 0.9
    left_out = json.loads((tmp_path / "small/manifest.json").read_text())["quick_check"]
    assert left_out["outcome"] == "not run" and "MiB of memory" in left_out["reasons"][0]
    shown = sinter("compress", PEBBLE, "-r", "recipes/int3.yaml", "-o", tmp_path / "shown", "--memory", memory)
    assert "quick check at the end will be left out" in shown.err and "not run" in shown.out
    # With room, the same command makes it, and no weight anew.
    later = compress(sinter, tmp_path / "small").json()
    assert later["shards_made"] == 0 and later["quick_check"]["outcome"] != "not run"
    # Who asks for it by name is told before anything is done.
    refused = compress(sinter, tmp_path / "asked", "--memory", memory, "--check-suite", "suites/pebble", code=6)
    assert "preflight-memory" in refused.err and "--no-check" in refused.err
    assert not list((tmp_path / "asked").glob("*"))
    compress(sinter, tmp_path / "asked", "--memory", memory, "--no-check")


def test_it_stops_at_its_time_limit_and_says_so(sinter, tmp_path):
    check = compress(sinter, tmp_path / "o", "--check-seconds", "0.001").json()["quick_check"]
    assert check["out_of_time"] is True and 1 <= check["items"]["ran"] < 64


def test_an_interrupt_leaves_the_finished_artifact(sinter, tmp_path):
    out = tmp_path / "o"
    command = [SINTER, "compress", PEBBLE, "-r", "recipes/int3.yaml", "-o", out, "--threads", "1",
               "--check-items", "1300", "--check-seconds", "0"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.time() + 60
    while not (out / "manifest.json").exists() and time.time() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 130 and "is finished, but its quick check was stopped" in err, err
    manifest = json.loads((out / "manifest.json").read_text())
    assert "quick_check" not in manifest and not list(out.glob("*.journal"))
    result = compress(sinter, out).json()
    assert result["shards_made"] == 0 and result["digest"] == manifest["digest"]
    assert result["quick_check"]["items"]["ran"] == 64
