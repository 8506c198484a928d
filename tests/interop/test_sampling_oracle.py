"""The golden file of sampling is what this machine's transformers computes.

src/engine/sampling/definition_test.cc compares Sinter with that file on every run of the tests.
"""

import json

import pytest

from conftest import ROOT

GOLDEN = ROOT / "tests/golden/engine"


def test_the_golden_file_is_what_transformers_computes(monkeypatch):
    pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    golden = json.loads((GOLDEN / "sampling.json").read_text())
    if transformers.__version__ != golden["made_with"]["transformers"]:
        pytest.skip(f"transformers {transformers.__version__} is here; the file is of another version")
    monkeypatch.syspath_prepend(str(GOLDEN))
    make = __import__("make_sampling")
    model = make.LlamaForCausalLM(make.LlamaConfig(
        vocab_size=make.VOCAB, hidden_size=8, intermediate_size=8, num_hidden_layers=1,
        num_attention_heads=1))
    for case in golden["cases"]:
        again = make.run(model, case)
        assert [t for t, _ in again] == [t for t, _ in case["left"]], case["params"]
        for (_, p), (_, q) in zip(again, case["left"]):
            assert p == pytest.approx(q, abs=2e-6)
