"""Compress, gate, judge: the main job on the bundled model, and what a kill does to it."""

import filecmp
import json
import os
import random
import re
import signal
import subprocess
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from conftest import ROOT, SINTER

PEBBLE = "models/pebble"
SUITE = "suites/pebble"


@pytest.fixture(scope="module")
def small_suite(tmp_path_factory):
    """Every 12th item of the bundled suite and one text."""
    folder = tmp_path_factory.mktemp("suite")
    source = ROOT / SUITE
    (folder / "suite.json").write_text((source / "suite.json").read_text())
    items = (source / "items.jsonl").read_text().splitlines()
    (folder / "items.jsonl").write_text("\n".join(items[::12]) + "\n")
    texts = (source / "text.jsonl").read_text().splitlines()
    (folder / "text.jsonl").write_text(texts[0] + "\n")
    return folder


def same_files(a, b, leave_out=()):
    def files(root):
        return sorted(str(p.relative_to(root)) for p in Path(root).rglob("*")
                      if p.is_file() and p.name not in leave_out)

    names = files(a)
    assert names and names == files(b)
    _, different, errors = filecmp.cmpfiles(a, b, names, shallow=False)
    assert not different and not errors


def kill_and_resume(command, out, resume, longest, attempts=4):
    """Starts `command`, kills it at random moments within `longest` seconds, lets the last run finish.
    Fails if no kill came in time: then nothing was tested."""
    rng = random.Random(5)
    kills = 0
    for _ in range(attempts):
        process = subprocess.Popen(command + (resume if Path(out).exists() else []), cwd=ROOT,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(rng.uniform(0.01, longest))
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            kills += 1
        process.wait()
    final = subprocess.run(command + (resume if Path(out).exists() else []), cwd=ROOT,
                           capture_output=True, text=True)
    assert kills > 0
    return final


def test_a_model_against_itself_has_no_flips_and_no_kl(sinter, small_suite, tmp_path):
    result = sinter("gate", PEBBLE, PEBBLE, "--suite", small_suite, "-o", tmp_path / "r", "--json",
                    code=None)
    verdict = result.json()
    assert verdict["regressed"] == [] and verdict["repaired"] == []
    assert verdict["text"]["max_kl"] == 0 and verdict["text"]["top1_agreement"] == 1
    assert verdict["outcome"] != "fail"


def test_two_bits_are_refused_and_eight_are_not(sinter, tmp_path):
    outcomes = {}
    for name in ("int8", "int2"):
        sinter("compress", PEBBLE, "-r", f"recipes/{name}.yaml", "-o", tmp_path / name)
        report = tmp_path / f"gate-{name}"
        result = sinter("gate", PEBBLE, tmp_path / name, "--suite", SUITE, "-o", report, code=None)
        outcomes[name] = result.code
        verdict = json.loads((report / "report.json").read_text())
        assert (verdict["outcome"] == "pass") == (result.code == 0)
        junit = ElementTree.parse(report / "junit.xml").getroot()
        assert junit.tag == "testsuites"
        page = (report / "report.html").read_text()
        assert "<script src" not in page and "http://" not in page.replace("http://www.w3.org", "")
        again = sinter("judge", report, "--json", code=result.code)
        assert again.json() == verdict
    assert outcomes == {"int8": 0, "int2": 3}


def test_a_killed_compression_resumes_to_the_same_bytes(sinter, tmp_path):
    command = [SINTER, "compress", PEBBLE, "-r", "recipes/int4.yaml", "--threads", "1", "-o"]
    sinter(*command[1:], tmp_path / "whole")
    final = kill_and_resume(command + [str(tmp_path / "killed")], tmp_path / "killed", [], longest=0.2)
    assert final.returncode == 0, final.stderr
    same_files(tmp_path / "whole", tmp_path / "killed")


def test_a_killed_gate_resumes_to_the_same_bytes(sinter, small_suite, tmp_path):
    sinter("compress", PEBBLE, "-r", "recipes/int3.yaml", "-o", tmp_path / "int3")
    command = [SINTER, "gate", PEBBLE, str(tmp_path / "int3"), "--suite", str(small_suite), "-o"]
    whole = subprocess.run(command + [str(tmp_path / "whole")], cwd=ROOT, capture_output=True)
    final = kill_and_resume(command + [str(tmp_path / "killed")], tmp_path / "killed", ["--resume"],
                            longest=0.6)
    assert final.returncode == whole.returncode, final.stderr
    same_files(tmp_path / "whole", tmp_path / "killed", leave_out={"costs.json"})


def test_a_gate_answers_the_same_whatever_the_threads_and_batch(sinter, small_suite, tmp_path):
    sinter("compress", PEBBLE, "-r", "recipes/int4.yaml", "-o", tmp_path / "int4")
    for name, flags in {"a": ("--threads", "1", "--max-sequences", "1"),
                        "b": ("--threads", "2", "--prefill-chunk", "7")}.items():
        sinter("gate", PEBBLE, tmp_path / "int4", "--suite", small_suite, "-o", tmp_path / name, *flags,
               code=None)
    same_files(tmp_path / "a", tmp_path / "b", leave_out={"costs.json"})


def test_resuming_something_else_is_refused(sinter, small_suite, tmp_path):
    sinter("gate", PEBBLE, PEBBLE, "--suite", small_suite, "-o", tmp_path / "r", code=None)
    sinter("gate", PEBBLE, PEBBLE, "--suite", small_suite, "-o", tmp_path / "r", code=2)
    sinter("compress", PEBBLE, "-r", "recipes/int4.yaml", "-o", tmp_path / "int4")
    sinter("gate", PEBBLE, tmp_path / "int4", "--suite", small_suite, "-o", tmp_path / "r", "--resume",
           code=4)
    result = sinter("compress", PEBBLE, "-r", "recipes/int8.yaml", "-o", tmp_path / "int4", code=None)
    assert result.code in (2, 4)


@pytest.mark.parametrize("name,damage,codes", [
    ("model.safetensors", lambda b: b[:-3], {5}),
    ("model.safetensors", lambda b: b + b"x", {5}),
    ("model.safetensors", lambda b: b[:4], {5}),
    ("model.safetensors", lambda b: b"\xff" * 8 + b[8:], {5}),
    ("model.safetensors", lambda b: b.replace(b"BF16", b"BF61", 1), {4, 5}),
    ("model.safetensors", lambda b: b.replace(b"model.norm.weight", b"model.nerm.weight", 1), {2, 5}),
    ("config.json", lambda b: b"", {5}),
    ("config.json", lambda b: b[: len(b) // 2], {5}),
    ("config.json", lambda b: b.replace(b"LlamaForCausalLM", b"LlamaForSomething"), {4}),
    ("config.json", lambda b: b'{"architectures": ["LlamaForCausalLM"]}', {2}),
    ("tokenizer.json", lambda b: b[:-20], {5}),
    ("tokenizer.json", lambda b: b'{"model": {"type": "Magic"}}', {2, 4, 5}),
    ("tokenizer.json", lambda b: b"[" * 100000, {5}),
])
def test_damaged_models_are_refused_with_the_right_code(sinter, tmp_path, name, damage, codes):
    folder = tmp_path / "m"
    folder.mkdir()
    for file in (ROOT / PEBBLE).iterdir():
        if file.is_file():
            os.link(file, folder / file.name)
    original = (folder / name).read_bytes()
    (folder / name).unlink()
    (folder / name).write_bytes(damage(original))
    result = sinter("run", folder, "Hello", "-n", "2", code=None)
    assert result.code in codes, (result.code, result.err)
    assert str(folder) in result.err and result.out == ""


@pytest.mark.parametrize("line", ["{", '{"id": "x"}', '[]', '{"id": "x", "surprise": 1}'])
def test_damaged_suites_are_refused_by_line(sinter, tmp_path, small_suite, line):
    folder = tmp_path / "s"
    folder.mkdir()
    for file in small_suite.iterdir():
        (folder / file.name).write_text(file.read_text())
    with (folder / "items.jsonl").open("a") as items:
        items.write(line + "\n")
    result = sinter("gate", PEBBLE, PEBBLE, "--suite", folder, "-o", tmp_path / "r", code=None)
    assert result.code in (2, 5) and re.search(r"items\.jsonl:\d+", result.err)


@pytest.mark.parametrize("text", ["steps: [", "steps: []\nsurprise: 1\n", "- 1", "a: &a [*a, *a]\n", ""])
def test_damaged_recipes_are_refused(sinter, tmp_path, text):
    recipe = tmp_path / "r.yaml"
    recipe.write_text(text)
    result = sinter("compress", PEBBLE, "-r", recipe, "-o", tmp_path / "o", code=2)
    assert "r.yaml" in result.err
    assert not (tmp_path / "o").exists()
