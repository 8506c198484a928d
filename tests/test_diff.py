"""sinter diff as a user meets it: exit codes, JSON, and what a compression and a conversion did."""

import json

from conftest import ROOT

PEBBLE = ROOT / "models/pebble"


def test_a_model_is_the_same_as_itself(sinter):
    out = sinter("diff", PEBBLE, PEBBLE, "--exit-code", "--json").json()
    assert out["same"] and out["relative_error"] == 0
    assert out["counts"]["identical"] == len(out["tensors"])


def test_what_a_recipe_did(sinter, tmp_path):
    recipe = tmp_path / "r.yaml"
    recipe.write_text("name: r\nsteps:\n  - rtn: {scheme: FP8A16}\n")
    sinter("compress", PEBBLE, "-r", recipe, "-o", tmp_path / "out")
    assert sinter("diff", PEBBLE, tmp_path / "out", "--json").code == 0
    out = sinter("diff", PEBBLE, tmp_path / "out", "--exit-code", "--json", code=3).json()
    errors = [t["relative_error"] for t in out["tensors"]]
    assert errors == sorted(errors, reverse=True) and not out["same"]
    written = json.loads((tmp_path / "out" / "manifest.json").read_text())["tensors"]
    ours = {t["name"]: t for t in out["tensors"]}
    for t in written:  # the manifest measured the same
        if t["format"] != "f8_row":
            continue
        assert abs(ours[t["name"]]["relative_error"] - t["error"]["relative"]) < 1e-9
        assert ours[t["name"]]["max_error"] == t["error"]["max"]
        assert ours[t["name"]]["format"] == ["bf16", "f8_row"]
    text = sinter("diff", PEBBLE, tmp_path / "out").out
    assert "bf16 -> f8_row" in text and "more; --all lists them" in text and text.endswith("different\n")
    assert "more; --all" not in sinter("diff", PEBBLE, tmp_path / "out", "--all").out


def test_a_conversion_is_no_difference(sinter, tmp_path):
    awq = ROOT / "tests/golden/artifact/awq"
    sinter("convert", awq, "-o", tmp_path / "ct", "--to", "compressed-tensors")
    out = sinter("diff", awq, tmp_path / "ct", "--exit-code", "--json").json()
    assert out["same"]
    assert out["scheme"][0].startswith("awq") and out["scheme"][1].startswith("compressed-tensors")


def test_a_gguf_file_against_its_directory(sinter, tmp_path):
    sinter("convert", PEBBLE, "-o", tmp_path / "p.gguf")
    out = sinter("diff", PEBBLE, tmp_path / "p.gguf", "--json").json()
    assert out["relative_error"] == 0
    assert out["counts"]["only in A"] == out["counts"]["only in B"] == out["counts"]["other values"] == 0


def test_what_is_no_model(sinter, tmp_path):
    assert "artifact-not-found" in sinter("diff", PEBBLE, tmp_path, code=2).err
    assert sinter("diff", PEBBLE, code=2).out == ""
