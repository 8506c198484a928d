"""`sinter synth` and `sinter bench` as a user meets them, on the tiny shape, and bench/peers' arithmetic.
Timing is not tested: every run allows load."""

import csv
import importlib.util
import io
import json
import os
import signal
import struct
import subprocess
import time

import pytest

from conftest import ROOT, SINTER

FAST = ("--cases", "decode,prefill:32,batch:2", "--tokens", 4, "--rounds", 2, "--allow-load")


@pytest.fixture
def tiny(sinter, tmp_path):
    sinter("synth", "tiny", "-o", tmp_path / "tiny", "--format", "i4_group:64", "--layers", 1)
    return tmp_path / "tiny"


def test_synth_lists_shapes(sinter):
    shapes = {s["shape"]: s["parameters"] for s in sinter("synth", "--list", "--json").json()}
    assert shapes["tinyllama-1.1b"] == 1100048384 and shapes["llama-3.1-8b"] == 8030261248
    assert "tinyllama-1.1b" in sinter("synth", "--list").out


def test_synth_makes_models_that_run(sinter, tmp_path):
    for number, arguments in enumerate([("--format", "bf16"), ("--format", "W8A8"),
                                        ("--format", "u4_group:128", "--head", "i8_row")]):
        made = sinter("synth", "tiny", "-o", tmp_path / f"m{number}", *arguments, "--json").json()
        assert made["parameters"] == 1705216 and made["weight_bytes"] > 0
        assert sinter("run", tmp_path / f"m{number}", "--raw", "hello", "-n", 3, "--json").json()["tokens"]
    sinter("synth", "tiny", "-o", tmp_path / "m.gguf", "--format", "q8_0")
    assert (tmp_path / "m.gguf").read_bytes()[:8] == b"GGUF" + struct.pack("<I", 3)
    assert sinter("run", tmp_path / "m.gguf", "--raw", "hello", "-n", 3, "--json").json()["tokens"]


def test_synth_repeats_itself(sinter, tmp_path):
    for name, seed in (("a", 5), ("b", 5), ("c", 6)):
        sinter("synth", "tiny", "-o", tmp_path / name, "--seed", seed, "--layers", 1, "--threads", seed - 4)
    read = {n: (tmp_path / n / "model.safetensors").read_bytes() for n in "abc"}
    assert read["a"] == read["b"] != read["c"]


def test_synth_takes_sizes_from_a_config(sinter, tmp_path):
    config = json.loads((ROOT / "models/pebble/config.json").read_text())
    out = sinter("synth", ROOT / "models/pebble/config.json", "-o", tmp_path / "p", "--json").json()
    assert out["parameters"] == sinter("inspect", "models/pebble", "--json").json()["config"]["parameters"]
    assert json.loads((tmp_path / "p/config.json").read_text())["hidden_size"] == config["hidden_size"]


@pytest.mark.parametrize("arguments", [
    ("synth",), ("synth", "tiny"), ("synth", "no-such-shape", "-o", "/tmp/never"),
    ("synth", "tiny", "-o", "/tmp/never", "--format", "i4_group:100"),
    ("synth", "tiny", "-o", "models"), ("bench",), ("bench", "nowhere", "--allow-load"),
    ("bench", "models/pebble", "--cases", "nonsense"), ("bench", "models/pebble", "--rounds", "0"),
    ("bench", "models/pebble", "models/pebble", "--against", "x"),
    ("bench", "models/pebble", "--markdown", "--csv"),
])
def test_usage_errors(sinter, arguments):
    result = sinter(*arguments, code=2)
    assert result.out == "" and result.err.strip()


def test_bench_prints_every_format(sinter, tiny):
    document = sinter("bench", tiny, *FAST, "--json").json()
    assert document["bench"] == 1
    assert [c["case"] for c in document["cases"]] == ["decode", "prefill:32", "batch:2"]
    for case in document["cases"]:
        spread = case["tokens_per_s"]
        assert 0 < spread["min"] <= spread["median"] <= spread["max"]
        assert len(case["samples"]) == 2 and case["read_share"] > 0 and case["bytes_per_token"] > 0
    assert document["limits"]["Gops_per_s"]["f32"]["median"] > 0
    assert document["model"]["scheme"] and document["peak_rss_bytes"] > document["model"]["weight_bytes"]
    rows = list(csv.DictReader(io.StringIO(sinter("bench", tiny, *FAST, "--no-limits", "--csv").out)))
    assert [r["case"] for r in rows] == ["decode", "prefill:32", "batch:2"]
    assert all(float(r["tokens_per_s"]) > 0 for r in rows)
    assert "| decode |" in sinter("bench", tiny, *FAST, "--no-limits", "--markdown").out
    assert "tok/s" in sinter("bench", tiny, *FAST, "--no-limits").out


def test_bench_skips_visibly_what_does_not_fit(sinter, tiny):
    document = sinter("bench", tiny, "--cases", "decode,context:8192", "--tokens", 2, "--rounds", 1,
                      "--allow-load", "--no-limits", "--json").json()
    assert [s["case"] for s in document["skipped"]] == ["context:8192"]
    document = sinter("bench", tiny, "--cases", "context:8192", "--tokens", 2, "--rounds", 1, "--allow-load",
                      "--no-limits", "--json", "--context", 8192).json()
    assert document["skipped"] == [] and document["cases"][0]["tokens_per_s"]["median"] > 0


@pytest.mark.parametrize("other", ["model", "build"])
def test_bench_compares(sinter, tiny, other):
    two = (tiny, tiny) if other == "model" else (tiny, "--against", SINTER)
    document = sinter("bench", *two, "--cases", "decode", "--tokens", 4, "--rounds", 3, "--allow-load",
                      "--json").json()
    assert document["bench_ratio"] == 1
    (ratio,) = document["ratios"]
    assert ratio["case"] == "decode" and ratio["rounds"] == 3
    assert 0 < ratio["low"] <= ratio["ratio"] <= ratio["high"]
    assert ratio["verdict"] == "too few rounds to tell"


def test_bench_compares_as_it_was_told(sinter, tiny, tmp_path):
    """Every flag of the engine reaches both sides; what one of them skips is named."""
    flags = ("--activations", "int8", "--kv", "bf16", "--weights-only", "--isa", "ref", "-t", 1, "--cases",
             "decode,context:8192", "--tokens", 2, "--rounds", 2, "--allow-load", "--json")
    words = tmp_path / "words"
    spy = tmp_path / "spy"
    spy.write_text(f'#!/bin/sh\necho "$@" >> {words}\nexec {SINTER} "$@" 2>> {words}\n')
    spy.chmod(0o755)
    document = sinter("bench", tiny, "--against", spy, *flags, "--show-kernels").json()
    assert [r["case"] for r in document["ratios"]] == ["decode"]
    (skipped,) = document["skipped"]
    assert skipped["case"] == "context:8192" and skipped["why"].startswith("A: skipped: 8192 tokens")
    text = words.read_text()
    for word in ("--kv bf16", "--weights-only=true", "--activations int8", "--isa ref", "--threads 1"):
        assert text.count(word) == 2, word
    assert text.count("self_attn.q_proj") == 1  # listed in the first round only
    alone = sinter("bench", tiny, *flags, "--no-limits").json()
    assert alone["kv"] == "bf16" and alone["activations"] == "int8"


def test_bench_heeds_require_kernel(sinter, tiny):
    result = sinter("bench", tiny, *FAST, "--require-kernel", "--show-kernels")
    assert "self_attn.q_proj" in result.err and "warning" not in result.err


def test_bench_can_be_interrupted(tiny):
    process = subprocess.Popen([SINTER, "bench", tiny, tiny, "--cases", "decode", "--rounds", "1000",
                                "--allow-load", "--progress", "none"], start_new_session=True,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    time.sleep(1.5)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal's Ctrl-C
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130 and out == "" and "error interrupted" in err


def test_bench_says_when_the_other_build_fails(sinter, tiny):
    result = sinter("bench", tiny, "--against", "/nonexistent/sinter", "--allow-load", code=1)
    assert "bench-child" in result.err


@pytest.fixture(scope="module")
def peers():
    spec = importlib.util.spec_from_file_location("peers", ROOT / "bench/peers/peers.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_peers_reads_a_batched_table(peers):
    table = ("|    PP |     TG |    B |   N_KV |   T_PP s | S_PP t/s |   T_TG s | S_TG t/s |      T s |\n"
             "|-------|--------|------|--------|----------|----------|----------|----------|----------|\n"
             "|    16 |      8 |    4 |     96 |    0.067 |   955.02 |    0.094 |   341.39 |    0.161 |\n"
             "\nllama_print_timings: load time = 22.62 ms\n")
    assert peers.batched_rate(table) == 341.39
    assert peers.batched_rate("nothing") is None
    assert peers.batched_rate("\n".join(table.splitlines()[:2])) is None  # it lost the row


def test_peers_ratios_are_paired(peers):
    theirs = [10.0, 20.0, 15.0, 12.0, 18.0]
    ratio, low, high = peers.ratio([1.3 * x for x in theirs], theirs)
    assert ratio == pytest.approx(1.3) and low == pytest.approx(1.3) and high == pytest.approx(1.3)
    ratio, low, high = peers.ratio([11.0, 20.0, 14.0, 13.0, 18.0], theirs)
    assert low < ratio < high and low < 1 < high


def test_peers_writes_between_the_markers(peers, tmp_path):
    document = tmp_path / "d.md"
    document.write_text(f"before\n{peers.BEGIN}\nold\n{peers.END}\nafter\n")
    peers.write_between_markers(document, "new\n\n")
    assert document.read_text() == f"before\n{peers.BEGIN}\nnew\n{peers.END}\nafter\n"
    document.write_text("no markers")
    with pytest.raises(SystemExit):
        peers.write_between_markers(document, "new")
    text = (ROOT / "docs/performance.md").read_text()
    assert text.count(peers.BEGIN) == 1 and text.count(peers.END) == 1


def test_peers_runs_without_peers(sinter, peers, tmp_path, monkeypatch, capsys):
    """The whole script on the tiny shape: the table names what was skipped."""
    document = tmp_path / "d.md"
    document.write_text(f"{peers.BEGIN}\n{peers.END}\n")
    for name in ("SINTER_PEER_LLAMA", "SINTER_PEER_IK"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("sys.argv", ["peers.py", "--sinter", SINTER, "--shape", "tiny", "--work",
                                     str(tmp_path / "work"), "--classes", "8-bit", "--rounds", "1",
                                     "--allow-load", "--document", str(document)])
    peers.main()
    text = document.read_text()
    assert "Skipped: llama.cpp" in text and "| sinter: q8_0.gguf, int8 activations | 8." in text
    assert "skipped: ik_llama.cpp" in capsys.readouterr().err
