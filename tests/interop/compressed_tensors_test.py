"""What we write, transformers and compressed-tensors load: the same weights, bit for bit.

A little random Llama and Qwen2 (float32, so that no rounding of theirs hides a difference) is
compressed by every preset that compressed-tensors has; transformers loads the result, and
compressed-tensors' decompressed weights must equal ours exactly. Logits of the dense model with our
weights must equal those of the loaded one, which also shows that no tensor was left at its random
initial value.

Run: python tests/interop/compressed_tensors_test.py BUILD_DIR   (needs requirements_weights.txt)
"""
import pathlib
import subprocess
import sys
import tempfile

import torch
import transformers
from safetensors.torch import load_file

RECIPES = {
    "W8A16": "scheme: W8A16",
    "W8A16 groups": "num_bits: 8, group_size: 32",
    "W8A16_ASYM": "num_bits: 8, group_size: 32, symmetric: false",
    "W8A8": "scheme: W8A8",
    "W4A16": "scheme: W4A16, group_size: 32",
    "W4A16 channel": "num_bits: 4, group_size: -1",
    "W4A16_ASYM": "scheme: W4A16_ASYM, group_size: 32, observer: mse",
    "FP8A16 tensor": "scheme: FP8A16, strategy: tensor, observer: mse",
    "FP8A16 block": "scheme: FP8A16, strategy: block",
    "mixed": "scheme: W4A16, group_size: 32, overrides: [{match: '*.down_proj', scheme: W8A8}]",
}


def make_model(family, tied, directory):
    torch.manual_seed(1)
    sizes = dict(hidden_size=64, intermediate_size=160, num_hidden_layers=2, num_attention_heads=4,
                 num_key_value_heads=2, vocab_size=128, max_position_embeddings=256,
                 tie_word_embeddings=tied)
    config = {"llama": transformers.LlamaConfig, "qwen2": transformers.Qwen2Config}[family](**sizes)
    model = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    model.save_pretrained(directory)
    return model


def load(out, dequantize):
    from transformers.utils.quantization_config import CompressedTensorsConfig
    more = {"quantization_config": CompressedTensorsConfig(dequantize=True)} if dequantize else {}
    return transformers.AutoModelForCausalLM.from_pretrained(out, dtype=torch.float32, **more).eval()


def routes(name, words):
    """Which of transformers' two ways of loading (dequantise at once, or compressed) to take.

    Both, but for two limits of the pinned versions: dequantising at once knows one scheme only, and
    loading compressed makes room for unpacked zero points, whoever wrote the file.
    """
    if name == "mixed":
        return [False]
    if "ASYM" in name:
        return [True]
    return [True, False]


def check(tool, family, tied, name, words, root):
    base, out = root / f"{family}-{tied}", root / f"{family}-{tied}-{name}".replace(" ", "_")
    if not base.exists():
        make_model(family, tied, base)
    recipe = root / "recipe.yaml"
    recipe.write_text(f"steps:\n  - rtn: {{{words}}}\n")
    subprocess.run([tool, "compress", base, recipe, out], check=True, stderr=subprocess.DEVNULL)
    unpacked = root / "unpacked.safetensors"
    subprocess.run([tool, "unpack", out, unpacked], check=True)
    ours = load_file(unpacked)

    # The dense model with our weights: what the loaded one must be.
    dense = transformers.AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32).eval()
    state = dense.state_dict()
    for key, value in ours.items():
        assert key in state, key
        state[key] = value
    dense.load_state_dict(state)
    ids = torch.randint(0, 128, (1, 48), generator=torch.Generator().manual_seed(7))
    with torch.no_grad():
        expected = dense(ids).logits

    errors = []
    for dequantize in routes(name, words):
        loaded = load(out, dequantize)
        with torch.no_grad():
            logits = loaded(ids).logits  # the first forward decompresses what is still compressed
        compared = 0
        for module, layer in loaded.named_modules():
            if not isinstance(layer, torch.nn.Linear):
                continue
            key = "model.embed_tokens" if module == "lm_head" and tied else module
            assert layer.weight.dtype == torch.float32, module
            assert torch.equal(layer.weight, ours[key + ".weight"]), f"{name}: {module} differs"
            compared += 1
        assert compared == 15, compared
        # Activations are rounded too, where the file says so and the route keeps its schemes.
        rounds_activations = "W8A8" in words and not dequantize
        error = ((logits - expected).norm() / expected.norm()).item()
        assert error < (0.1 if rounds_activations else 1e-5), f"{name}: logits differ by {error}"
        errors.append(error)
    return errors


def main():
    tool = pathlib.Path(sys.argv[1]) / "compress_and_unpack"
    transformers.utils.logging.set_verbosity_error()
    with tempfile.TemporaryDirectory() as directory:
        root = pathlib.Path(directory)
        for family, tied in (("llama", False), ("qwen2", True)):
            for name, words in RECIPES.items():
                errors = check(tool, family, tied, name, words, root)
                shown = ", ".join(f"{e:.1e}" for e in errors)
                print(f"{family} {name}: weights equal, logits within {shown}", flush=True)


if __name__ == "__main__":
    main()
