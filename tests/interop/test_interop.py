"""Runs the interop scripts of this folder: each compares Sinter with another implementation."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
BUILD = Path(os.environ.get("SINTER_BUILD", HERE.parent.parent / "build"))


def run(script, *arguments):
    process = subprocess.run([sys.executable, HERE / script, *map(str, arguments)],
                             capture_output=True, text=True)
    assert process.returncode == 0, process.stdout[-3000:] + process.stderr[-3000:]
    return process.stdout


def need(*modules):
    for module in modules:
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"not installed: {module}; see tests/interop/requirements_weights.txt")


def test_chat_templates_render_as_jinja2_renders_them(shared):
    templates = shared("chat_templates")
    golden = shared("vectors/chat_golden.json")
    run("template_interop.py", BUILD / "template_main", templates, "--golden", golden, "--cases", 700)


def test_safetensors_are_written_as_the_reference_writes_them():
    run("safetensors_test.py", BUILD)


def test_a_profile_says_what_transformers_sees(shared):
    need("torch", "transformers")
    models = [HERE.parent.parent / "models/pebble", shared("weights/tinystories-656k")]
    run("profile_test.py", BUILD / "sinter", *models)


def test_what_compress_writes_others_read():
    need("torch", "transformers", "compressed_tensors", "accelerate")
    run("compress_test.py", BUILD)


def test_the_tools_of_the_dialects_read_what_convert_writes():
    need("torch", "compressed_tensors")
    out = run("convert_test.py", BUILD / "sinter")
    assert "to compressed-tensors: left out" not in out
    if "left out: nothing" not in out:
        pytest.skip(out.splitlines()[-1])
