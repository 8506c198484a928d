"""The program as a user meets it: help, JSON, environment, configuration file, exit codes."""

import json
import shutil

import pytest

from conftest import ROOT

PEBBLE = "models/pebble"
COMMANDS = ["inspect", "run", "compress", "convert", "diff", "gate", "judge", "perplexity", "tokenize",
            "detokenize", "template", "activations", "doctor", "bench", "synth", "corpus"]


def test_help_lists_and_explains_every_command(sinter):
    overview = sinter("--help").out
    for command in COMMANDS:
        assert command in overview
        text = sinter(command, "--help").out
        assert "Usage" in text and len(text) > 200
    assert "sinter 0." in sinter("--version").out


@pytest.mark.parametrize("arguments", [
    (), ("nonsense",), ("inspect",), ("inspect", "nowhere"), ("run", PEBBLE, "x", "--threads", "-1"),
    ("run", PEBBLE, "x", "--nonsense"), ("run", PEBBLE, "x", "--isa", "avx9"),
    ("run", PEBBLE, "x", "--top-p", "2"), ("tokenize", "nowhere"), ("inspect", PEBBLE, "--progress", "x"),
    ("compress", PEBBLE, "-r", "nowhere.yaml", "-o", "/tmp/never"),
    ("gate", PEBBLE, PEBBLE, "--suite", "nowhere", "-o", "/tmp/never"),
    ("inspect", PEBBLE, "--isa", "ref"), ("inspect", PEBBLE, "--int8"),
    ("activations", PEBBLE, "README.md", "--activations", "int8"),
    ("convert", PEBBLE, "-o", "/tmp/never", "--to", "nonsense"),
])
def test_usage_errors_exit_2_and_keep_stdout_clean(sinter, arguments):
    result = sinter(*arguments, code=2)
    assert result.out == ""
    assert result.err.strip()


def test_errors_as_json(sinter):
    error = json.loads(sinter("inspect", "nowhere", "--json", code=2).err)["error"]
    assert error["code"] == "artifact-not-found" and error["exit"] == 2 and "nowhere" in error["message"]


def test_inspect(sinter):
    text = sinter("inspect", PEBBLE).out
    assert "LlamaForCausalLM" in text and "bf16" in text
    out = sinter("inspect", PEBBLE, "--json", "--tensors").json()
    config = json.loads((ROOT / PEBBLE / "config.json").read_text())
    assert out["config"]["n_layers"] == config["num_hidden_layers"]
    assert out["bits_per_weight"] == pytest.approx(16, abs=0.01)
    assert len(out["tensor_list"]) == out["tensors"]
    assert out["weight_bytes"] == 2 * out["config"]["parameters"]


def test_inspect_predicts_kernels(sinter):
    (kind, n), = sinter("inspect", PEBBLE, "--kernels", "--isa", "ref", "--json").json()["kernels"].items()
    assert "cpu/ref" in kind and "inputs exact" in kind and n > 10
    assert "kernel" not in sinter("inspect", PEBBLE, env={"SINTER_ISA": "ref"}).out


def test_inspect_leaves_out_what_inputs_need(sinter):
    golden = "tests/golden/artifact/ct_nvfp4"
    assert "dialect-unsupported" in sinter("inspect", golden, code=4).err
    assert "weights only" in sinter("inspect", golden, "--weights-only").out


def test_convert_names_a_model_by_its_directory(sinter, tmp_path):
    shutil.copytree(ROOT / PEBBLE, tmp_path / "Pebble-0.5")
    sinter("convert", tmp_path / "Pebble-0.5/.", "-o", tmp_path / "m.gguf", "-t", 1)
    head = (tmp_path / "m.gguf").read_bytes()[:4096]
    assert b"Pebble-0.5" in head.split(b"general.name")[1][:32]


def test_activations_are_measured(sinter, tmp_path):
    """A dense model stays exact and shows 0; int8 inputs cost something, with the checkpoint's own or without."""
    text = tmp_path / "text.txt"
    text.write_text("Alice has 348 apples and buys 275 more.")
    sinter("synth", "tiny", "-o", tmp_path / "w8a8", "--format", "W8A8", "--layers", 1)
    sinter("synth", "tiny", "-o", tmp_path / "bf16", "--layers", 1)

    def modes(model, *flags):
        report = sinter("activations", tmp_path / model, text, "--json", *flags).json()
        assert (report["relative_error"] > 0) == (model != "bf16") and len(report["linears"]) == 8
        return {linear["activations"] for linear in report["linears"]}

    assert modes("bf16") == {"exact"}
    assert modes("w8a8") == {"int8_token"}
    assert modes("w8a8", "--weights-only") == {"int8"}


def test_tokenize_and_back(sinter, tmp_path):
    text = "Calculate 348 plus 275.\n\tThen <|user|> ünïcödé 漢字 🎉 the rest."
    file = tmp_path / "text.txt"
    file.write_text(text)
    ids = sinter("tokenize", PEBBLE, file, "--plain", "--no-special").out
    assert sinter("detokenize", PEBBLE, stdin=ids).out == text
    out = sinter("tokenize", PEBBLE, file, "--json", "--pieces").json()
    assert out["count"] == len(out["ids"]) == len(out["pieces"])
    sinter("detokenize", PEBBLE, stdin="1 2 x", code=2)
    sinter("detokenize", PEBBLE, stdin="999999999", code=2)


def test_template(sinter, tmp_path):
    conversation = tmp_path / "c.json"
    conversation.write_text(json.dumps([{"role": "user", "content": "Hello there"}]))
    text = sinter("template", PEBBLE, conversation).out
    assert "Hello there" in text
    out = sinter("template", PEBBLE, conversation, "--json").json()
    assert out["text"] == text and out["ids"]
    shorter = sinter("template", PEBBLE, conversation, "--no-generation-prompt").out
    assert text.startswith(shorter) and len(shorter) < len(text)
    conversation.write_text("[{")
    sinter("template", PEBBLE, conversation, code=5)


def test_run_answers_and_repeats_itself(sinter):
    prompt = "Calculate 348 plus 275."
    first = sinter("run", PEBBLE, prompt).out
    assert first.strip()
    assert sinter("run", PEBBLE, "-", stdin=prompt).out == first
    draw = ("run", PEBBLE, "The", "--raw", "--temperature", "2", "-n", "40", "--json", "--seed")
    seeded = [sinter(*draw, "7", "--threads", t).json() for t in (1, 2)]
    assert seeded[0]["tokens"] == seeded[1]["tokens"]
    assert sinter(*draw, "8").json()["tokens"] != seeded[0]["tokens"]


def test_a_prompt_that_does_not_fit_is_an_error(sinter):
    result = sinter("run", PEBBLE, "word " * 5000, code=2)
    assert "prompt-too-long" in result.err
    sinter("run", PEBBLE, "word " * 900, "-n", "64", "--kv-mib", "1", code=6)


def test_perplexity_of_text_and_of_ids_agree(sinter, tmp_path):
    text = tmp_path / "t.txt"
    text.write_text("the old miller walked to the river and sat down by the water.")
    whole = sinter("perplexity", PEBBLE, text, "--json").json()
    assert whole["nll_per_byte"] == pytest.approx(whole["nll"] / len(text.read_text()))
    ids = sinter("tokenize", PEBBLE, text, "--json").json()["ids"]
    lines = tmp_path / "ids.jsonl"
    lines.write_text(json.dumps(ids) + "\n" + json.dumps({"id": "b", "ids": ids}) + "\n")
    out = sinter("perplexity", PEBBLE, lines, "--ids", "--per-document").lines()
    assert [line.get("document") for line in out] == ["line 1", "b", None]
    assert out[0]["nll"] == whole["nll"] == out[1]["nll"]


def test_environment_and_configuration_file(sinter, tmp_path):
    prompt = ("run", PEBBLE, "Calculate 348 plus 275.", "--json")
    long = sinter(*prompt).json()
    assert len(sinter(*prompt, env={"SINTER_MAX_TOKENS": "3"}).json()["tokens"]) == 3 < len(long["tokens"])
    config = tmp_path / "sinter.toml"
    config.write_text("[run]\nmax-tokens = 4\n")
    assert len(sinter("--config", config, *prompt).json()["tokens"]) == 4
    assert len(sinter("--config", config, *prompt, "-n", "2").json()["tokens"]) == 2
    config.write_text("[run]\nmax-tokenz = 4\n")
    sinter("--config", config, *prompt, code=2)


def test_doctor(sinter, tmp_path):
    out = sinter("doctor", PEBBLE, "--json").json()
    assert out["ok"] and {"kernels", "model", "forward", "tokenizer", "template"} <= {
        c["check"] for c in out["checks"]}
    broken = tmp_path / "broken"
    shutil.copytree(ROOT / PEBBLE, broken, ignore=shutil.ignore_patterns("train"))
    weights = (broken / "model.safetensors").read_bytes()
    (broken / "model.safetensors").write_bytes(weights[:-7])
    assert "FAILED" in sinter("doctor", broken, code=1).out


def test_json_progress_goes_to_stderr(sinter, tmp_path):
    result = sinter("compress", PEBBLE, "-r", "recipes/int8.yaml", "-o", tmp_path / "o", "--progress",
                    "json", "--json")
    assert result.json()["ratio"] > 1.5
    events = [json.loads(line) for line in result.err.splitlines()]
    assert events and events[-1]["finished"] and events[-1]["done"] == events[-1]["total"]
