"""What `sinter compress` writes, other implementations read: the same weights bit for bit, the same logits.

Little random models (float32, so that no rounding of theirs hides a difference) are compressed by every
method and scheme, calibrated where the method asks for it. Three readers must agree on each result:

- transformers with compressed-tensors loads it, in both of its ways: every matrix equals ours exactly,
  and the logits equal those of the dense model with our weights, whose inputs are rounded by this file's
  definitions, to 1e-5 (float32 sums in another order);
- Sinter runs it: its logits equal the same dense model's. See OURS for how near, and why;
- AutoAWQ's and GPTQ's layouts are unpacked by their definition, and by AutoAWQ's and GPTQModel's own
  functions where those packages are there: every matrix equals ours exactly.

Run: python tests/interop/compress_test.py BUILD_DIR [NAME]   (needs requirements_weights.txt)
"""
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import torch
import transformers
from safetensors.torch import load_file
from transformers.utils.quantization_config import CompressedTensorsConfig

from convert_test import READERS

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
N_IDS = 48

# Relative difference of Sinter's logits to the dense model's. Exact inputs: float32 sums in another
# order. Rounded ones: an ulp of that kind takes an input that lies between two codes to the other one,
# here and there; int8 per token has one in every row, for half of the peak's step is beyond the last
# code. A step is 1/127 (int8) or 1/16 (FP8) of a value. Most runs differ by 1e-6, some by 1e-2.
OURS = {"exact": 1e-5, "rounded": 2e-2}

# Steps of a recipe, by name.
RECIPES = {
    "W8A16": ["rtn: {scheme: W8A16}"],
    "W8A16 groups": ["rtn: {num_bits: 8, group_size: 32}"],
    "W8A16_ASYM": ["rtn: {num_bits: 8, group_size: 32, symmetric: false}"],
    "W8A8": ["rtn: {scheme: W8A8}"],
    "W4A16": ["rtn: {scheme: W4A16, group_size: 32}"],
    "W4A16 channel": ["rtn: {num_bits: 4, group_size: -1}"],
    "W4A16_ASYM": ["rtn: {scheme: W4A16_ASYM, group_size: 32, observer: mse}"],
    "FP8A16 tensor": ["rtn: {scheme: FP8A16, strategy: tensor, observer: mse}"],
    "FP8A16 block": ["rtn: {scheme: FP8A16, strategy: block}"],
    "MXFP4A16": ["rtn: {scheme: MXFP4A16}"],
    "NVFP4A16": ["rtn: {scheme: NVFP4A16}"],
    "mixed": ["rtn: {scheme: W4A16, group_size: 32, overrides: [{match: '*.down_proj', scheme: W8A8}]}"],
    "gptq W4A16": ["gptq: {scheme: W4A16, group_size: 32}"],
    "gptq W4A16_ASYM": ["gptq: {scheme: W4A16_ASYM, group_size: 64}"],
    "gptq W8A8": ["gptq: {scheme: W8A8}"],
    "gptq FP8_DYNAMIC": ["gptq: {scheme: FP8_DYNAMIC}"],
    "gptq FP8_BLOCK": ["gptq: {scheme: FP8_BLOCK}"],
    "gptq FP8A16": ["gptq: {scheme: FP8A16}"],
    "gptq MXFP4A16": ["gptq: {scheme: MXFP4A16}"],
    "gptq NVFP4A16": ["gptq: {scheme: NVFP4A16}"],
    "awq W4A16": ["awq: {}", "rtn: {scheme: W4A16, group_size: 32, observer: inputs}"],
    "awq W4A16_ASYM": ["awq: {}", "rtn: {scheme: W4A16_ASYM, group_size: 32, observer: inputs}"],
    "awq gptq W4A16": ["awq: {}", "gptq: {scheme: W4A16, group_size: 128}"],
    "smoothquant W8A8": ["smoothquant: {}", "rtn: {scheme: W8A8}"],
    "smoothquant gptq W8A8_STATIC": ["smoothquant: {alpha: 0.8}", "gptq: {scheme: W8A8_STATIC}"],
    "FP8": ["rtn: {scheme: FP8}"],
    "smoothquant FP8": ["smoothquant: {}", "gptq: {scheme: FP8}"],
    "gptq mixed": ["gptq: {scheme: W4A16, group_size: 32, overrides: [{match: '*.down_proj', scheme: W8A16}]}"],
}
# Keys and values in 8 bits, beside W8A16.
KV = {"kv FP8": "FP8", "kv INT8": "INT8"}
RECIPES.update({name: ["rtn: {scheme: W8A16}"] for name in KV})
# The dialects of others: which of the above, written as what.
DIALECTS = [("W4A16_ASYM", "awq"), ("awq W4A16_ASYM", "awq"), ("gptq W4A16", "awq"),
            ("gptq W4A16", "gptq"), ("gptq W4A16_ASYM", "gptq"), ("awq gptq W4A16", "gptq"),
            ("W8A16 groups", "gptq")]


def run(*arguments):
    done = subprocess.run([str(a) for a in arguments], capture_output=True, text=True)
    assert done.returncode == 0, f"{arguments}: {done.stderr[-2000:]}"


class Reader:
    """The programs of a build, and what they make of a checkpoint."""

    def __init__(self, build, root):
        self.sinter, self.tool, self.root = build / "sinter", build / "read_checkpoint", root

    def compress(self, base, recipe, out, dialect="compressed-tensors"):
        calibration = self.root / "calibration.jsonl"
        run(self.sinter, "--progress", "none", "compress", base, "-r", recipe, "-o", out, "--no-check",
            "-c", calibration, "--dialect", dialect)

    def matrices(self, out):
        run(self.tool, "unpack", out, self.root / "unpacked.safetensors")
        return load_file(self.root / "unpacked.safetensors")

    def logits(self, out, ids):
        text = ",".join(str(i) for i in ids[0].tolist())
        run(self.tool, "logits", out, text, self.root / "logits.safetensors")
        return load_file(self.root / "logits.safetensors")["logits"][None]


def make_base(family, directory):
    """In whole blocks of 128 columns, because compressed-tensors rounds inputs in such only; norms and
    biases that are not ones and zeros, so that folding has something to get wrong."""
    torch.manual_seed(1)
    kind, tied = {"llama": (transformers.LlamaConfig, False), "qwen2": (transformers.Qwen2Config, True)}[family]
    config = kind(hidden_size=128, intermediate_size=384, num_hidden_layers=2, num_attention_heads=4,
                  num_key_value_heads=2, vocab_size=128, max_position_embeddings=256, tie_word_embeddings=tied)
    model = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    for name, value in model.named_parameters():
        if value.dim() == 1:
            value.data += 0.2 * torch.randn(value.shape)
    model.save_pretrained(directory)


def load(path, dtype, dequantize=False):
    more = {"quantization_config": CompressedTensorsConfig(dequantize=True)} if dequantize else {}
    return transformers.AutoModelForCausalLM.from_pretrained(path, dtype=dtype, **more).eval()


def stored(out):
    tensors = {}
    for shard in out.glob("*.safetensors"):
        tensors.update(load_file(shard))
    return tensors


# --- What happens to a linear's input, by the definition of the scheme ---------------------------

def round_to(codes, x, scale):
    if codes == "float":
        return (x / scale).clamp(-448, 448).to(torch.float8_e4m3fn).to(x.dtype) * scale
    return torch.clamp(torch.round(x / scale), -128, 127) * scale


def rounding(args, static_scale):
    top = 448 if args["type"] == "float" else 127.5

    def token(x):
        return round_to(args["type"], x, x.abs().amax(-1, keepdim=True) / top)

    if not args["dynamic"]:
        return lambda x: round_to(args["type"], x, static_scale.to(x.dtype))
    if args["strategy"] == "token":
        return token
    return lambda x: torch.cat([token(part) for part in x.split(args["group_size"], dim=-1)], dim=-1)


def group_of(config, module):
    groups = config.get("config_groups", {}).values()
    if module in config.get("ignore", []):
        return None
    return next((g for g in groups if module in g["targets"] or "Linear" in g["targets"]), None)


def dense_model(base, out, ours, dtype, rounded_inputs):
    """The dense model with our weights, inputs rounded as config.json says: what all readers must be."""
    tensors = stored(out)
    model = load(base, dtype)
    state = model.state_dict()
    vectors = {key: value for key, value in tensors.items()
               if key in state and value.dim() == 1 and value.shape == state[key].shape}
    for key, value in {**vectors, **ours}.items():
        assert key in state, key
        state[key] = value.to(dtype)
    model.load_state_dict(state)
    config = json.loads((out / "config.json").read_text())["quantization_config"]
    for name, module in model.named_modules():
        group = group_of(config, name) if isinstance(module, torch.nn.Linear) else None
        if not rounded_inputs or group is None or group["input_activations"] is None:
            continue
        change = rounding(group["input_activations"], tensors.get(name + ".input_scale"))
        module.register_forward_pre_hook(lambda _, args, change=change: (change(args[0]),))
    return model


def logits_of(model, ids):
    with torch.no_grad():
        return model(ids, use_cache=False).logits


def difference(a, b):
    return ((a - b).norm() / b.norm()).item()


def how_near(out):
    groups = json.loads((out / "config.json").read_text())["quantization_config"].get("config_groups", {})
    return OURS["rounded" if any(g["input_activations"] for g in groups.values()) else "exact"]


# --- Readers -------------------------------------------------------------------------------------

def routes(name):
    """Which of transformers' two ways of loading (dequantise at once, or compressed) to take.

    Both, but for two limits of the pinned versions: dequantising at once knows one scheme only, and
    loading compressed makes room for unpacked zero points, whoever wrote the file.
    """
    if "mixed" in name:
        return [False]
    if name in KV:
        return [True]  # the other way rounds keys and values: check_kv
    return [True] if "ASYM" in name else [True, False]


def check_ours(reader, base, out, ours, ids):
    logits = reader.logits(out, ids)
    config = json.loads((out / "config.json").read_text())["quantization_config"]
    if config.get("kv_cache_scheme"):
        return check_kv(base, out, ours, ids, logits)
    expected = logits_of(dense_model(base, out, ours, torch.float32, True), ids)
    error = difference(logits, expected)
    assert error < how_near(out), f"{out.name}: Sinter's logits differ by {error}"
    return error


def check_kv(base, out, ours, ids, logits):
    """compressed-tensors rounds keys and values as the file says, in the forward of the loaded model."""
    loaded = load(out, torch.float32)
    rounded = logits_of(loaded, ids)
    tensors, found = stored(out), loaded.state_dict()
    scales = [key for key in tensors if key.endswith(("self_attn.k_scale", "self_attn.v_scale"))]
    assert len(scales) == 4
    for key in scales:
        assert found[key].item() == tensors[key].item() > 0, key
    exact = logits_of(dense_model(base, out, ours, torch.float32, True), ids)
    error = difference(logits, rounded)
    assert error < OURS["rounded"] and error < 0.5 * difference(rounded, exact), (error, difference(rounded, exact))
    return error


def check_transformers(name, base, out, ours, ids):
    # The library unpacks FP4 weights to bfloat16 always: it rounds the product that we make once more.
    dtype = torch.bfloat16 if "FP4" in name else torch.float32
    errors = []
    for dequantize in routes(name):
        expected = logits_of(dense_model(base, out, ours, dtype, not dequantize), ids)
        loaded = load(out, dtype, dequantize)
        logits = logits_of(loaded, ids)  # the first forward decompresses what is still compressed
        compared = 0
        for module, layer in loaded.named_modules():
            if isinstance(layer, torch.nn.Linear) and module + ".weight" in ours and module != "lm_head":
                assert torch.equal(layer.weight, ours[module + ".weight"].to(dtype)), f"{name}: {module}"
                compared += 1
        assert compared == 14, compared
        error = difference(logits, expected)
        assert error < 1e-5, f"{name}, dequantize={dequantize}: logits differ by {error}"
        errors.append(error)
    return errors


def stream(words, bits):
    """int32 words along the last dimension -> the codes of a little-endian bit stream."""
    octets = np.ascontiguousarray(words.numpy()).view(np.uint8)
    codes = np.unpackbits(octets, axis=-1, bitorder="little").reshape(*words.shape[:-1], -1, bits)
    return torch.from_numpy((codes.astype(np.int64) << np.arange(bits)).sum(-1))


def unpack_awq(config, tensors, shape):
    """[K, N / 8] words -> [N, K] weights, by the layout in docs/formats.md."""
    place = [0, 4, 1, 5, 2, 6, 3, 7]  # the nibble of output i of eight

    def codes(words):
        return stream(words, 4).reshape(words.shape[0], -1, 8)[:, :, place].flatten(1)

    q, zeros, scales = codes(tensors["qweight"]), codes(tensors["qzeros"]), tensors["scales"].float()
    group = q.shape[0] // scales.shape[0]
    return ((q - zeros.repeat_interleave(group, 0)) * scales.repeat_interleave(group, 0)).t()


def unpack_gptq(config, tensors, shape):
    bits = config["bits"]
    q = stream(tensors["qweight"].t(), bits).t()
    zeros = stream(tensors["qzeros"], bits)[:, :shape[0]] + (config["checkpoint_format"] == "gptq")
    groups = tensors["g_idx"].long()
    return ((q - zeros[groups]) * tensors["scales"].float()[groups]).t()


def check_dialect(name, out, ours, dialect):
    """Returns who read it."""
    config = json.loads((out / "config.json").read_text())["quantization_config"]
    assert config["quant_method"] == dialect
    tensors, by = stored(out), ["definition"]
    readers = {"definition": {"awq": unpack_awq, "gptq": unpack_gptq}[dialect], "tool": READERS[dialect]}
    for who, unpack in readers.items():
        compared = 0
        for key, value in ours.items():
            module = key.removesuffix(".weight")
            own = {k.removeprefix(module + "."): v for k, v in tensors.items()
                   if k.startswith(module + ".") and not k.endswith(".bias")}
            if "qweight" not in own:
                continue
            try:
                found = unpack(config, own, value.shape)
            except ImportError:
                break
            assert torch.equal(found.contiguous().float(), value), f"{who} of {dialect}, {name}: {module}"
            compared += 1
        if compared:
            assert compared == 14, compared
            by += [who] if who not in by else []
    return by


def main():
    build, only = pathlib.Path(sys.argv[1]), sys.argv[2:]
    transformers.utils.logging.set_verbosity_error()
    generator = torch.Generator().manual_seed(7)
    ids = torch.randint(0, 128, (1, N_IDS), generator=generator)
    with tempfile.TemporaryDirectory() as directory:
        root = pathlib.Path(directory)
        reader = Reader(build, root)
        lines = [torch.randint(0, 128, (16 + 9 * i,), generator=generator).tolist() for i in range(12)]
        (root / "calibration.jsonl").write_text("".join(json.dumps({"ids": line}) + "\n" for line in lines))
        for family in ("llama", "qwen2"):
            base = root / family
            make_base(family, base)
            jobs = [(name, "compressed-tensors") for name in RECIPES] + DIALECTS
            for name, dialect in jobs:
                if only and name not in only:
                    continue
                out = root / f"{family}-{name}-{dialect}".replace(" ", "_")
                recipe = root / "recipe.yaml"
                kv = f"kv_cache: {{scheme: {KV[name]}}}\n" if name in KV else ""
                recipe.write_text("steps:\n" + "".join(f"  - {step}\n" for step in RECIPES[name]) + kv)
                reader.compress(base, recipe, out, dialect)
                ours = reader.matrices(out)
                near = check_ours(reader, base, out, ours, ids)
                shown = f"{family}, {name} as {dialect}: Sinter within {near:.1e}; "
                if dialect == "compressed-tensors":
                    errors = check_transformers(name, base, out, ours, ids)
                    shown += "transformers within " + ", ".join(f"{e:.1e}" for e in errors)
                else:
                    shown += "matrices equal by " + ", ".join(check_dialect(name, out, ours, dialect))
                print(shown, flush=True)


if __name__ == "__main__":
    main()
