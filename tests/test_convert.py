"""sinter convert: what is refused before any work, what a signal leaves, and options that it takes."""

import json
import shutil
import signal
import subprocess
import time

import pytest
from conftest import ROOT, SINTER

PEBBLE = ROOT / "models/pebble"
LLAMA = ROOT / "tests/golden/model/llama"


def altered(tmp_path, **changes):
    """The small llama with other values in its config.json."""
    model = tmp_path / "model"
    shutil.copytree(LLAMA, model)
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps({**config, **changes}))
    return model


@pytest.mark.parametrize("changes, code", [
    ({"hidden_act": "gelu"}, 4),
    ({"hidden_size": 0}, 2),
    ({"head_dim": 3}, 2),
    ({"rope_parameters": {"rope_type": "divisors", "divisors": [1.0]}}, 2),
    ({"rope_parameters": {"rope_type": "divisors", "divisors": ["a"] * 4}}, 2),
])
def test_a_config_that_cannot_be_run_is_not_converted(sinter, tmp_path, changes, code):
    out = tmp_path / "out"
    out.mkdir()
    sinter("convert", altered(tmp_path, **changes), "-o", out / "m.gguf", "--no-tokenizer", code=code)
    assert not list(out.iterdir())


def test_an_existing_directory_is_refused_before_the_work(sinter, tmp_path):
    out = tmp_path / "m.gguf"
    out.mkdir()
    error = sinter("convert", tmp_path / "no-model", "-o", out, "--force", code=2).err
    assert "directory" in error and "convert-exists" in error


def test_a_template_that_adds_another_token_than_the_named_one_is_refused(sinter, tmp_path):
    model = tmp_path / "pebble"
    shutil.copytree(PEBBLE, model)
    tokenizer = json.loads((model / "tokenizer.json").read_text())
    first, other = (t["content"] for t in tokenizer["added_tokens"][:2])
    ids = {t["content"]: t["id"] for t in tokenizer["added_tokens"]}

    def convert(token, code):
        tokenizer["post_processor"] = {
            "type": "TemplateProcessing", "pair": [],
            "single": [{"SpecialToken": {"id": token, "type_id": 0}},
                       {"Sequence": {"id": "A", "type_id": 0}}],
            "special_tokens": {token: {"id": token, "ids": [ids[token]], "tokens": [token]}}}
        (model / "tokenizer.json").write_text(json.dumps(tokenizer))
        return sinter("convert", model, "-o", tmp_path / "m.gguf", code=code).err

    config = json.loads((model / "tokenizer_config.json").read_text())
    (model / "tokenizer_config.json").write_text(json.dumps({**config, "bos_token": first}))
    convert(first, 0)
    (tmp_path / "m.gguf").unlink()
    assert "bos_token" in convert(other, 4)


def test_a_signal_leaves_nothing(tmp_path):
    model, out = tmp_path / "model", tmp_path / "out"
    out.mkdir()
    subprocess.run([SINTER, "--progress", "none", "synth", "smollm2-135m", "-o", model, "--format", "bf16"],
                   check=True, capture_output=True)
    process = subprocess.Popen([SINTER, "convert", model, "-o", out / "m.gguf", "--type", "q4_k", "-t", "1"],
                               stderr=subprocess.PIPE, text=True)
    while process.poll() is None and not list(out.iterdir()):  # until the temporary file is there
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    error = process.communicate(timeout=60)[1]
    shutil.rmtree(model)
    assert process.returncode == 130 and "interrupted" in error
    assert not list(out.iterdir())


def test_weights_only_leaves_out_what_inputs_ask_for(sinter, tmp_path):
    nvfp4 = ROOT / "tests/golden/artifact/ct_nvfp4"
    assert "--weights-only" in sinter("convert", nvfp4, "-o", tmp_path / "m.gguf", code=4).err
    error = sinter("convert", nvfp4, "-o", tmp_path / "m.gguf", "--weights-only", code=None).err
    assert "does not compute that" not in error
    error = sinter("convert", nvfp4, "-o", tmp_path / "m", "--to", "awq", "--weights-only", code=2).err
    assert "expected none of" in error


def test_inspect_counts_columns_of_blocks_in_elements(sinter, tmp_path):
    out = tmp_path / "m.gguf"
    sinter("convert", PEBBLE, "-o", out, "--type", "q4_0")
    dense = {t["name"]: t["shape"] for t in sinter("--json", "inspect", "--tensors", PEBBLE).json()["tensor_list"]}
    made = {t["name"]: t["shape"] for t in sinter("--json", "inspect", "--tensors", out).json()["tensor_list"]}
    assert made == dense
