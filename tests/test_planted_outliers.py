"""Channels that stand out, as large models have them and pebble does not: planted, so that the function stays the same
to the last bit. Eight-bit activations then lose everything else, and four-bit groups lose the weights that read
those channels; SmoothQuant and AWQ are what was published against the one and the other."""

import json
import shutil
import struct

import numpy as np
import pytest

from conftest import ROOT

PEBBLE = ROOT / "models/pebble"
CHANNELS = (5, 77, 130)
FACTOR = 64  # a power of two: exact in bfloat16


def scale(file, changes):
    """Multiplies parts of bfloat16 tensors: changes has name -> f(array)."""
    raw = bytearray(file.read_bytes())
    (n,) = struct.unpack("<Q", raw[:8])
    header = json.loads(raw[8:8 + n])
    for name, change in changes.items():
        begin, end = (8 + n + o for o in header[name]["data_offsets"])
        assert header[name]["dtype"] == "BF16", name
        bits = np.frombuffer(raw[begin:end], np.uint16).reshape(header[name]["shape"])
        values = (bits.astype(np.uint32) << 16).view(np.float32).copy()
        change(values)
        narrow = values.view(np.uint32)
        assert not (narrow & 0xFFFF).any(), name
        raw[begin:end] = (narrow >> 16).astype(np.uint16).tobytes()
    file.write_bytes(raw)


def plant(folder):
    shutil.copytree(PEBBLE, folder, ignore=shutil.ignore_patterns("train"))
    config = json.loads((folder / "config.json").read_text())
    changes = {}
    for layer in range(config["num_hidden_layers"]):
        for norm, readers in (("input_layernorm", ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj")),
                              ("post_attention_layernorm", ("mlp.gate_proj", "mlp.up_proj"))):
            def up(gains):
                gains[list(CHANNELS)] *= FACTOR

            def down(weights):
                weights[:, list(CHANNELS)] /= FACTOR

            changes[f"model.layers.{layer}.{norm}.weight"] = up
            changes |= {f"model.layers.{layer}.{reader}.weight": down for reader in readers}
    scale(folder / "model.safetensors", changes)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Pebble and pebble with planted channels, and tokens to calibrate on and to measure on."""
    folder = tmp_path_factory.mktemp("planted")
    plant(folder / "planted")
    shutil.copytree(PEBBLE, folder / "pebble", ignore=shutil.ignore_patterns("train"))
    items = [json.loads(line) for line in (ROOT / "suites/pebble/items.jsonl").read_text().splitlines()]
    turns = [{"messages": [*i["messages"], {"role": "assistant", "content": i["reference"]}]}
             for i in items if i.get("reference") and not i.get("tools")]
    (folder / "calibration.jsonl").write_text("\n".join(map(json.dumps, turns[0::12])) + "\n")
    return folder, turns[6::24]


@pytest.fixture
def kl(sinter, models, tmp_path):
    """Mean KL from the dense pebble of a model compressed by these steps; without steps, of the model as it is."""
    folder, evaluation = models
    ids = folder / "evaluation.jsonl"
    if not ids.exists():
        lines = []
        for turn in evaluation:
            (folder / "chat.json").write_text(json.dumps(turn["messages"]))
            encoded = sinter("template", PEBBLE, folder / "chat.json", "--json", "--no-generation-prompt").json()
            lines.append(json.dumps({"ids": encoded["ids"]}))
        ids.write_text("\n".join(lines) + "\n")

    def measure(model, *steps):
        compressed = folder / model
        if steps:
            recipe = tmp_path / "recipe.yaml"
            recipe.write_text("steps:\n" + "".join(f"  - {s}\n" for s in steps))
            compressed = tmp_path / "compressed"
            shutil.rmtree(compressed, ignore_errors=True)
            sinter("compress", folder / model, "-r", recipe, "-c", folder / "calibration.jsonl", "-o", compressed,
                   "--no-check")
        out = sinter("perplexity", compressed, ids, "--ids", "--json", "--against", PEBBLE).json()
        value = out["against"]["kl"]["mean"]
        print(f"{model:8} {' + '.join(steps) or 'dense':80} KL {value:.6f}")
        return value

    return measure


def test_the_planted_model_is_the_same_model(kl):
    assert kl("planted") == 0


@pytest.mark.parametrize("scheme", ["W8A8", "W8A8_STATIC"])
def test_smoothquant_restores_eight_bit_activations(kl, scheme):
    rtn = f"rtn: {{scheme: {scheme}}}"
    unplanted, broken = kl("pebble", rtn), kl("planted", rtn)
    smooth = min(kl("planted", f"smoothquant: {{alpha: {alpha}}}", rtn) for alpha in (0.5, "search"))
    assert broken > 20 * unplanted
    assert smooth < 1.1 * unplanted


def test_awq_keeps_the_weights_that_salient_channels_meet(kl):
    rtn = "rtn: {num_bits: 4, group_size: 64, symmetric: true}"
    unplanted, broken = kl("pebble", rtn), kl("planted", rtn)
    awq = kl("planted", "awq: {}", rtn)
    assert broken > 1.6 * unplanted
    assert awq < 1.15 * unplanted
