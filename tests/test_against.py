"""`sinter perplexity --against`: its figures recomputed in float64 from the logits that it prints."""

import json
import random

import numpy as np
import pytest

PEBBLE = "models/pebble"


@pytest.fixture
def pair(sinter, tmp_path):
    """A model of 3 bits, documents of unequal length, and both models' logits: [document][position, vocab]."""
    sinter("compress", PEBBLE, "-r", "recipes/int3.yaml", "-o", tmp_path / "int3")
    r = random.Random(5)
    documents = [[1] + [r.randrange(1024) for _ in range(n)] for n in (5, 40, 1, 23)]
    ids = tmp_path / "ids.jsonl"
    ids.write_text("".join(json.dumps({"id": f"d{i}", "ids": d}) + "\n" for i, d in enumerate(documents)))

    def logits(model):
        lines = sinter("perplexity", model, ids, "--ids", "--logits", "--json").lines()[:-1]
        return [np.array([x["logits"] for x in lines if x["document"] == f"d{i}"], np.float64)
                for i in range(len(documents))]

    return tmp_path / "int3", ids, documents, logits(PEBBLE), logits(tmp_path / "int3")


def log_softmax(x):
    x = x - x.max(axis=1, keepdims=True)
    return x - np.log(np.exp(x).sum(axis=1, keepdims=True))


def figures(dense, model, tokens):
    p, q = log_softmax(dense), log_softmax(model)
    rows = np.arange(len(tokens))
    return {"kl": (np.exp(p) * (p - q)).sum(axis=1), "agree": p.argmax(1) == q.argmax(1),
            "dense": -p[rows, tokens], "model": -q[rows, tokens]}


def check(line, want):
    against, kl = line["against"], want["kl"]
    assert line["predicted_tokens"] == against["predicted_tokens"] == len(kl)
    assert line["nll"] == pytest.approx(want["model"].sum(), rel=1e-9)
    assert line["perplexity"] == pytest.approx(np.exp(want["model"].mean()), rel=1e-9)
    assert against["nll"] == pytest.approx(want["dense"].sum(), rel=1e-9)
    assert against["perplexity"] == pytest.approx(np.exp(want["dense"].mean()), rel=1e-9)
    assert against["top1_agreement"] == pytest.approx(want["agree"].mean())
    assert against["kl"] == pytest.approx(
        {"mean": kl.mean(), "p50": np.percentile(kl, 50), "p99": np.percentile(kl, 99), "max": kl.max()}, rel=1e-6)


# Chunks shorter than a document and than what both engines could take at once change nothing.
@pytest.mark.parametrize("chunk", [512, 7])
def test_divergence_is_what_the_logits_say(sinter, pair, chunk):
    model, ids, documents, dense_logits, model_logits = pair
    lines = sinter("perplexity", model, ids, "--ids", "--per-document", "--against", PEBBLE,
                   "--prefill-chunk", chunk).lines()
    want = [figures(a, b, d[1:]) for d, a, b in zip(documents, dense_logits, model_logits)]
    assert len(lines) == len(documents) + 1
    for line, w in zip(lines, want):
        check(line, w)
    assert lines[-1]["against"]["model"] == PEBBLE
    assert lines[-1]["against"]["kl"]["mean"] > 1e-3  # or there was nothing to see
    check(lines[-1], {k: np.concatenate([w[k] for w in want]) for k in want[0]})


def test_a_model_does_not_diverge_from_itself(sinter, pair):
    _, ids, *_ = pair
    out = sinter("perplexity", PEBBLE, ids, "--ids", "--json", "--against", PEBBLE).json()
    assert out["against"]["kl"] == {"mean": 0, "p50": 0, "p99": 0, "max": 0}
    assert out["against"]["top1_agreement"] == 1 and out["against"]["nll"] == out["nll"]


def test_text_output_has_both_models(sinter, pair):
    model, ids, *_ = pair
    text = sinter("perplexity", model, ids, "--ids", "--against", PEBBLE).out
    assert f"{PEBBLE} on the same tokens" in text and "first choices are the same" in text
    assert "against" not in sinter("perplexity", model, ids, "--ids", "--json").json()


def test_another_vocabulary_is_an_error(sinter, shared, pair):
    other = shared("weights/tinystories-656k")
    result = sinter("perplexity", pair[0], pair[1], "--ids", "--against", other, code=4)
    assert "against-vocabulary" in result.err and result.out == ""
