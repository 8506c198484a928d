"""bench/compression/frontier.py: which results are on the frontier, and a table and a chart of whatever there is."""

import json
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

import pytest
from conftest import ROOT


def result(name, bits, kl, **more):
    return {"name": name, "bits_per_weight": bits, "kl": {"mean": kl, "p99": 9 * kl}, "perplexity": 7.5,
            "dense_perplexity": 7.3, "top1_agreement": 0.9} | more


@pytest.mark.parametrize("with_flips", [False, True])
def test_frontier(tmp_path, with_flips):
    rows = [result("rtn-4", 4.125, 0.06), result("gptq-4", 4.125, 0.02), result("rtn-3", 3.125, 0.3, peer={}),
            result("awq-5", 5, 0.03), result("w8a8-<rtn>", 8, 0)]
    if with_flips:
        rows[1]["flips"] = {"all": [5, 2, 1300], "language/echo": [1, 0, 60]}
    (tmp_path / "r.json").write_text(json.dumps(rows))
    out = subprocess.run([sys.executable, ROOT / "bench/compression/frontier.py", tmp_path / "r.json",
                          "--svg", tmp_path / "f.svg", "--title", "a < b"],
                         capture_output=True, text=True, check=True).stdout
    best = {line.split("**")[1] for line in out.splitlines() if "**" in line}
    assert best == {"rtn-3", "gptq-4", "w8a8-<rtn>"}
    assert ("| lost / won of 1300 |" in out) == with_flips == ("| 1 / 0 |" in out and "echo (60)" in out)
    assert "| 5 / 2 |" in out or not with_flips
    text = "".join(ElementTree.parse(tmp_path / "f.svg").getroot().itertext())
    assert all(word in text for word in ("a < b", "gptq", "sinter", "llm-compressor", "w8a8-<rtn>"))
    if with_flips:
        short = subprocess.run([sys.executable, ROOT / "bench/compression/frontier.py", tmp_path / "r.json", "--compact",
                                "--methods", "gptq"], capture_output=True, text=True, check=True).stdout
        assert "| **gptq-4** | 4.125 | 0.02000 | 7.500 | 90.0 | 5/2 | 1/0 |" in short and "rtn" not in short
