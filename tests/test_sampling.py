"""Sampling from the command line: choices, stop strings, log-probabilities, refusals, receipts."""

import json
import math

import pytest

from conftest import ROOT

PEBBLE = ROOT / "models/pebble"
PROMPT = "Tell me about rivers."
DRAWN = ("run", PEBBLE, PROMPT, "--temperature", "1.2", "--seed", "5", "-n", "24", "--json")


@pytest.fixture(autouse=True)
def needs_the_model():
    if not (PEBBLE / "model.safetensors").exists():
        pytest.skip(f"not here: {PEBBLE}/model.safetensors")


def test_choices_are_drawn_apart_and_the_first_is_the_answer_alone(sinter):
    alone = sinter(*DRAWN).json()
    several = sinter(*DRAWN, "--choices", "3").json()["choices"]
    assert several[0]["tokens"] == alone["tokens"]
    assert len({tuple(c["tokens"]) for c in several}) == 3
    assert "--- choice 2" in sinter(*[w for w in DRAWN if w != "--json"], "--choices", "3").out


def test_a_stop_string_ends_the_text_wherever_tokens_end(sinter):
    whole = sinter("run", PEBBLE, PROMPT, "--json").json()["text"]
    for stop in (whole[3:9], whole[5], whole[2:20]):
        cut = sinter("run", PEBBLE, PROMPT, "--json", "--stop", stop).json()
        assert cut["text"] == whole[:whole.index(stop)]
        assert (cut["finish"], cut["stop_string"]) == ("stop", stop)
        assert sinter("run", PEBBLE, PROMPT, "--stop", stop).out == cut["text"] + "\n"
    at_least = sinter("run", PEBBLE, PROMPT, "--json", "--stop", " ", "--min-tokens", "6").json()
    assert len(at_least["tokens"]) >= 6 and " " in at_least["text"]


def test_min_tokens_bad_words_and_bias(sinter):
    short = sinter("run", PEBBLE, "Calculate 348 plus 275.", "--json").json()
    assert short["finish"] == "stop"
    more = str(len(short["tokens"]) + 5)
    long = sinter("run", PEBBLE, "Calculate 348 plus 275.", "--json", "--min-tokens", more).json()
    assert len(long["tokens"]) >= int(more)
    first = short["tokens"][0]
    for ban in (("--logit-bias", f"{first}=-inf"), ("--bad-words", short["text"].split()[0])):
        other = sinter("run", PEBBLE, "Calculate 348 plus 275.", "--json", *ban).json()
        assert other["tokens"][0] != first or other["text"].split()[0] != short["text"].split()[0]


def test_log_probabilities(sinter):
    out = sinter(*DRAWN, "--top-k", "4", "--logprobs", "5", "--prompt-logprobs").json()
    assert out["logprobs"]["kind"] == "raw" and out["prompt_logprobs"]["kind"] == "raw"
    assert len(out["prompt_logprobs"]["tokens"]) == out["usage"]["prompt_tokens"] - 1
    for token, position in zip(out["tokens"], out["logprobs"]["tokens"]):
        assert position["token"] == token and len(position["top"]) == 5
        by_id = {t["token"]: t["logprob"] for t in position["top"]}
        assert by_id[token] == position["logprob"] and position["rank"] <= 4
        assert sum(map(math.exp, by_id.values())) < 1 + 1e-9
    drawn = sinter(*DRAWN, "--top-k", "4", "--logprobs", "5", "--logprob-kind", "processed").json()
    assert drawn["tokens"] == out["tokens"]
    for position in drawn["logprobs"]["tokens"]:
        assert sum(math.exp(t["logprob"]) for t in position["top"]) == pytest.approx(1)


def test_presets_run_and_refuse_what_they_have_no_step_for(sinter):
    listed = sinter("run", PEBBLE, "--sampler", "list").out
    for preset in ("seed", "vllm", "hf", "llamacpp"):
        assert preset in listed
        out = sinter(*DRAWN, "--sampler", preset, "--top-p", "0.9").json()
        assert out["sampling"]["sampler"]["name"] == preset
    for words in (("--sampler", "hf", "--frequency-penalty", "1"), ("--sampler", "vllm", "--typical-p", "0.5"),
                  ("--sampler", "llamacpp", "--min-tokens", "3"), ("--sampler", "llamacpp", "--bad-words", "x"),
                  ("--sampler", "temperature,top_p", "--top-k", "3"),
                  ("--sampler", "nonsense"), ("--sampler", "top_p,logit_bias"), ("--top-p", "0"),
                  ("--repetition-penalty", "0"), ("--logit-bias", "7"), ("--logit-bias", "99999999=1"),
                  ("--stop", ""), ("--dry-multiplier", "1", "--dry-breaker", "ab")):
        result = sinter(*DRAWN, *words, code=2)
        assert "error" in result.err, words
    for words in (("--xtc-probability", "0.5"), ("--typical-p", "0.5"), ("--choices", "2")):
        assert "sampling-conflict" in sinter("run", PEBBLE, PROMPT, *words, code=2).err
    assert "--json" in sinter("run", PEBBLE, PROMPT, "--logprobs", "1", code=2).err


def test_a_receipt_gives_the_same_answer_or_says_what_differs(sinter, tmp_path):
    receipt = tmp_path / "receipt.json"
    words = (*DRAWN, "--choices", "2", "--top-p", "0.9", "--repetition-penalty", "1.2", "--dry-multiplier", "0.8",
             "--stop", "zzz", "--bad-words", "the", "--kv", "f16", "--receipt", receipt)
    said = sinter(*words).json()["choices"]
    lines = [json.loads(line) for line in receipt.read_text().splitlines()]
    assert [line["answered"]["tokens"] for line in lines] == [c["tokens"] for c in said]
    for threads in ("1", "2"):
        replayed = sinter("replay", receipt, "--json", "--threads", threads).json()["replayed"]
        assert [r["same"] for r in replayed] == [True, True]
        assert all(r["differences"] == [] for r in replayed)

    def changed(change):
        path = tmp_path / "changed.json"
        line = json.loads(json.dumps(lines[1]))
        change(line)
        path.write_text(json.dumps(line) + "\n")
        return path

    other_build = changed(lambda r: r["ran"].update(build="sinter 0.0.1"))
    assert "build: was sinter 0.0.1" in sinter("replay", other_build).out
    def forget_seed(r):
        r["asked"]["sampling"]["seed"] = 6
    assert "replay-differs" in sinter("replay", changed(forget_seed), code=5).err
    def both(r):
        forget_seed(r)
        r["ran"]["build"] = "sinter 0.0.1"
    result = sinter("replay", changed(both), code=4)
    assert "build: was sinter 0.0.1" in result.err and "part after" in result.err
    other_model = changed(lambda r: r["ran"].update(artifact="0" * 64))
    assert "replay-other-model" in sinter("replay", other_model, code=4).err
    tampered = changed(lambda r: r["answered"]["tokens"].append(1))
    assert "receipt-digest" in sinter("replay", tampered, code=5).err
    newer = changed(lambda r: r.update(receipt=2))
    assert "receipt-version" in sinter("replay", newer, code=4).err
    sinter("replay", changed(lambda r: r["ran"].update(kv="f8")), code=2)
    sinter("replay", tmp_path / "nowhere", code=2)
    (tmp_path / "empty").write_text("\n")
    assert "receipt-empty" in sinter("replay", tmp_path / "empty", code=2).err
