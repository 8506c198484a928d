"""What artifact/store.h writes, other implementations read: the same weights, bit for bit.

A little random Llama in float32 is stored in every scheme and dialect. transformers loads what is in
compressed-tensors' dialect; AutoAWQ's and GPTQ's layouts are unpacked here by their definition
(convert_test.py asks the tools themselves). Logits of the loaded model must be those of the dense model
with our weights, whose inputs are rounded here as the scheme says.

Run: python tests/interop/store_test.py BUILD_DIR   (needs requirements_weights.txt)
"""
import json
import pathlib
import subprocess
import sys
import tempfile

import torch
import transformers
from safetensors.torch import load_file

from transformers.utils.quantization_config import CompressedTensorsConfig

INPUT_SCALE = 0.03125  # store_model.cc's
SCHEMES = ["W8A16", "W8A8", "W8A8_STATIC", "W4A16", "W4A16_ASYM", "FP8", "FP8_DYNAMIC", "FP8_BLOCK",
           "FP8A16", "MXFP4A16", "NVFP4A16"]


def round_float8(x, scale):
    return (x / scale).clamp(-448, 448).to(torch.float8_e4m3fn).to(x.dtype) * scale


def round_int8(x, scale):
    return torch.clamp(torch.round(x / scale), -128, 127) * scale


# What happens to a linear's input, by the definition of the scheme.
INPUTS = {
    "W8A8": lambda x: round_int8(x, x.abs().amax(-1, keepdim=True) / 127.5),
    "W8A8_STATIC": lambda x: round_int8(x, INPUT_SCALE),
    "FP8": lambda x: round_float8(x, INPUT_SCALE),
    "FP8_DYNAMIC": lambda x: round_float8(x, x.abs().amax(-1, keepdim=True) / 448),
    "FP8_BLOCK": lambda x: round_groups(x),
}


def round_groups(x):
    parts = [round_float8(p, p.abs().amax(-1, keepdim=True) / 448) for p in x.split(128, dim=-1)]
    return torch.cat(parts, dim=-1)


def routes(scheme):
    """Dequantise at once, or load compressed; see compressed_tensors_test.routes()."""
    return [True] if scheme == "W4A16_ASYM" else [True, False]


def make_base(directory):
    """In whole blocks of 128 columns, because compressed-tensors rounds inputs in such only."""
    torch.manual_seed(1)
    config = transformers.LlamaConfig(hidden_size=128, intermediate_size=384, num_hidden_layers=2,
                                      num_attention_heads=4, num_key_value_heads=2, vocab_size=128,
                                      max_position_embeddings=256, tie_word_embeddings=False)
    transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float32).save_pretrained(directory)


def load(path, dtype, dequantize=False):
    more = {"quantization_config": CompressedTensorsConfig(dequantize=True)} if dequantize else {}
    return transformers.AutoModelForCausalLM.from_pretrained(path, dtype=dtype, **more).eval()


def expected_logits(base, ours, inputs, ids, dtype):
    dense = load(base, dtype)
    state = dense.state_dict()
    for key, value in ours.items():
        assert key in state, key
        state[key] = value.to(dtype)
    dense.load_state_dict(state)
    if inputs is not None:
        for name, module in dense.named_modules():
            if isinstance(module, torch.nn.Linear) and name != "lm_head":
                module.register_forward_pre_hook(lambda _, args: (inputs(args[0]),))
    with torch.no_grad():
        return dense(ids).logits


def check(tool, base, root, scheme, kv):
    out = root / f"{scheme}{'-kv' if kv else ''}"
    unpacked = root / "unpacked.safetensors"
    subprocess.run([tool, base, scheme, "compressed-tensors", out, unpacked] + ["kv"] * kv, check=True)
    ours = load_file(unpacked)
    ids = torch.randint(0, 128, (1, 48), generator=torch.Generator().manual_seed(7))
    # The library unpacks FP4 weights to bfloat16 always: it rounds the product that we make once more.
    dtype = torch.bfloat16 if "FP4" in scheme else torch.float32
    errors = []
    for dequantize in routes(scheme):
        inputs = None if dequantize else INPUTS.get(scheme)
        expected = expected_logits(base, ours, inputs, ids, dtype)
        loaded = load(out, dtype, dequantize)
        if kv and not dequantize:
            scales = {name: value for name, value in loaded.state_dict().items() if name.endswith("_scale")
                      and "self_attn.k_scale" in name or "self_attn.v_scale" in name}
            assert len(scales) == 4, scales
            assert all(v.item() == (0.25 if "k_scale" in n else 0.125) for n, v in scales.items()), scales
        with torch.no_grad():
            logits = loaded(ids, use_cache=False).logits
        for name, layer in loaded.named_modules():
            if isinstance(layer, torch.nn.Linear) and name != "lm_head":
                assert torch.equal(layer.weight, ours[name + ".weight"].to(dtype)), f"{scheme}: {name}"
        if kv and not dequantize:
            continue  # keys and values are rounded, too
        error = ((logits - expected).norm() / expected.norm()).item()
        assert error < 1e-5, f"{scheme}, dequantize={dequantize}: logits differ by {error}"
        errors.append(error)
    return errors


def fields(words, order):
    """Nibbles of int32 words along a new last dimension, in this order."""
    return torch.stack([(words >> (4 * order.index(i))) & 15 for i in range(8)], dim=-1)


def unpack_awq(tensors, module):
    """[K, N / 8] words -> [N, K] weights, by the layout in docs/formats.md."""
    order = [0, 2, 4, 6, 1, 3, 5, 7]
    q = fields(tensors[module + ".qweight"], order).flatten(1)
    zeros = fields(tensors[module + ".qzeros"], order).flatten(1)
    scales = tensors[module + ".scales"].float()
    group = q.shape[0] // scales.shape[0]
    return ((q - zeros.repeat_interleave(group, 0)) * scales.repeat_interleave(group, 0)).t()


def unpack_gptq(tensors, module, less_one):
    plain = list(range(8))
    q = fields(tensors[module + ".qweight"], plain).permute(0, 2, 1).flatten(0, 1)
    zeros = fields(tensors[module + ".qzeros"], plain).flatten(1) + less_one
    groups = tensors[module + ".g_idx"].long()
    return ((q - zeros[groups]) * tensors[module + ".scales"].float()[groups]).t()


def check_dialect(tool, base, root, scheme, dialect):
    out, unpacked = root / f"{scheme}-{dialect}", root / "unpacked.safetensors"
    subprocess.run([tool, base, scheme, dialect, out, unpacked], check=True)
    config = json.loads((out / "config.json").read_text())["quantization_config"]
    tensors, ours = load_file(out / "model.safetensors"), load_file(unpacked)
    for name, value in ours.items():
        module = name.removesuffix(".weight")
        if dialect == "awq":
            found = unpack_awq(tensors, module)
        else:
            found = unpack_gptq(tensors, module, config["checkpoint_format"] == "gptq")
        assert torch.equal(found.contiguous(), value), f"{dialect} {scheme}: {module}"
    return len(ours)


def main():
    tool = pathlib.Path(sys.argv[1]) / "store_model"
    transformers.utils.logging.set_verbosity_error()
    with tempfile.TemporaryDirectory() as directory:
        root = pathlib.Path(directory)
        base = root / "base"
        make_base(base)
        for scheme in SCHEMES:
            for kv in (False, True) if scheme == "FP8_DYNAMIC" else (False,):
                errors = check(tool, base, root, scheme, kv)
                shown = ", ".join(f"{e:.1e}" for e in errors)
                print(f"{scheme}{' kv' if kv else ''}: weights equal, logits within {shown}", flush=True)
        for dialect in ("awq", "gptq"):
            for scheme in ("W4A16", "W4A16_ASYM"):
                n = check_dialect(tool, base, root, scheme, dialect)
                print(f"{scheme} as {dialect}: {n} matrices equal", flush=True)
        assert json.loads((root / "FP8_DYNAMIC-kv" / "config.json").read_text())[
            "quantization_config"]["kv_cache_scheme"]["type"] == "float"


if __name__ == "__main__":
    main()
