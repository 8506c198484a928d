"""sinter profile, from outside: what it writes, that it goes on, that others read it."""

import json
import os
import signal
import subprocess
import time

import pytest

from conftest import ROOT, SINTER

PEBBLE = ROOT / "models/pebble"


@pytest.fixture
def tokens(tmp_path):
    """Sequences of very unequal length, a single token among them."""
    path = tmp_path / "tokens.jsonl"
    lengths = (200, 1, 30, 90, 3)
    path.write_text("".join(json.dumps([(7 * i + 31 * n) % 1000 for i in range(n)]) + "\n" for n in lengths))
    return path, sum(lengths)


def test_a_profile_is_written_once_and_shown_again(sinter, tokens, tmp_path):
    path, n = tokens
    first = sinter("profile", PEBBLE, "--corpus", path, "-o", tmp_path / "p", "--json").json()
    assert (first["layers_made"], first["tokens"], first["sequences"]) == (5, n, 5)
    assert all(i["tokens"] == n for layer in first["layers"] for i in layer["inputs"])
    files = {f.name: f.read_bytes() for f in (tmp_path / "p").iterdir()}
    assert sorted(files) == [*(f"layer-0000{i}.safetensors" for i in range(5)), "profile.json"]
    again = sinter("profile", PEBBLE, "--corpus", path, "-o", tmp_path / "p", "--html", tmp_path / "p.html")
    assert "is there already" in again.out and "What this suggests" in again.out
    assert {f.name: f.read_bytes() for f in (tmp_path / "p").iterdir()} == files
    page = (tmp_path / "p.html").read_text()
    assert page.count("<svg") == 6 and "http" not in page and "<script" not in page
    other = sinter("profile", PEBBLE, "--corpus", path, "-o", tmp_path / "p", "--calibration-tokens", 100, "--json",
                   code=4)
    assert json.loads(other.err.splitlines()[-1])["error"]["code"] == "output-differs"


def test_interrupted_it_finishes_the_layer_and_goes_on(sinter, tmp_path):
    text = tmp_path / "text.txt"
    text.write_text((ROOT / "README.md").read_text() * 8)
    arguments = ["profile", PEBBLE, "-c", text, "--sequence-tokens", "256"]
    sinter(*arguments, "-o", tmp_path / "whole")
    process = subprocess.Popen([SINTER, *map(str, arguments), "-o", tmp_path / "parts"], stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, cwd=ROOT, env=os.environ)
    journal = tmp_path / "parts/profile.journal"
    while process.poll() is None and not (journal.exists() and journal.read_text().count("\n") >= 2):
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    process.communicate()
    assert process.returncode == 130
    assert journal.exists()
    resumed = sinter(*arguments, "-o", tmp_path / "parts", "-t", 1)
    assert "resumed" in resumed.out
    for file in (tmp_path / "whole").iterdir():
        assert file.read_bytes() == (tmp_path / "parts" / file.name).read_bytes(), file.name
    assert len(list((tmp_path / "parts").iterdir())) == 6


def test_a_corpus_report_reads_it_instead_of_running_the_model(sinter, tmp_path):
    traces = tmp_path / "traces"
    traces.mkdir()
    items = [json.loads(line) for line in (ROOT / "suites/pebble/items.jsonl").read_text().splitlines()]
    (traces / "chat.jsonl").write_text("".join(
        json.dumps({"messages": i["messages"], "licence": "MIT"}) + "\n" for i in items[:60] if not i.get("tools")))
    corpus = tmp_path / "corpus"
    sinter("corpus", "build", traces, "--model", PEBBLE, "--tokens", 4096, "-o", corpus)
    sinter("profile", PEBBLE, "--corpus", corpus, "-o", tmp_path / "p")
    run = sinter("corpus", "report", corpus, "--model", PEBBLE, "--tokens", 0, "--json").json()["model"]
    read = sinter("corpus", "report", corpus, "--model", PEBBLE, "--profile", tmp_path / "p", "--json").json()["model"]
    assert read["tokens"] == run["tokens"]
    assert {l["module"] for l in read["linears"]} == {l["module"] for l in run["linears"]}
    for a, b in zip(sorted(read["linears"], key=lambda l: l["module"]),
                    sorted(run["linears"], key=lambda l: l["module"])):
        assert a["channels"] == b["channels"] and a["tokens"] == b["tokens"]
        assert {o["channel"] for o in a["outliers"]} == {o["channel"] for o in b["outliers"]}
    # Of other tokens it is refused.
    sinter("profile", PEBBLE, "--corpus", ROOT / "README.md", "-o", tmp_path / "q")
    refused = sinter("corpus", "report", corpus, "--model", PEBBLE, "--profile", tmp_path / "q", "--json", code=4)
    assert json.loads(refused.err.splitlines()[-1])["error"]["code"] == "profile-differs"
