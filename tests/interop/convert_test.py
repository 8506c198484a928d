"""What `sinter convert` writes, the tools of the dialects read: the same matrices, bit for bit.

The checkpoints of tests/golden/artifact are converted, and each module of the result is unpacked by
the target's own code: compressed-tensors decompresses it, AutoAWQ's and GPTQModel's functions
dequantise it. The digest of what they give must be the one in expected.json.

Run: python tests/interop/convert_test.py SINTER   (needs requirements_weights.txt, and autoawq 0.2.9
and gptqmodel 7.7.0, or their source archives on PYTHONPATH; what is missing is left out, and said)
"""
import hashlib
import importlib
import json
import subprocess
import sys
import tempfile
import types
from pathlib import Path

import torch
from safetensors.torch import load_file

GOLDEN = Path(__file__).resolve().parent.parent / "golden" / "artifact"
WAYS = [("awq", "gptq"), ("awq", "compressed-tensors"), ("gptq_sym", "awq"),
        ("gptq_sym", "compressed-tensors"), ("ct_w4a16_asym", "awq"), ("ct_w4a16_asym", "gptq"),
        ("gptq_asym_channel", "compressed-tensors"), ("ct_w8a16_half", "gptq")]


def compressed_tensors(config, tensors, shape):
    from compressed_tensors.compressors import BaseCompressor
    from compressed_tensors.quantization import QuantizationScheme
    group = config["config_groups"]["group_0"]
    group = {key: value for key, value in group.items() if value is not None}
    scheme = QuantizationScheme(**group)
    stored = {**tensors, "weight_scale": tensors["weight_scale"].float()}
    return BaseCompressor.get_value_from_registry("pack-quantized").decompress(stored, scheme)["weight"]


def awq(config, tensors, shape):
    for package in ("awq", "awq.utils"):  # without the package's own __init__: it wants a GPU
        bare = types.ModuleType(package)
        bare.__path__ = [str(Path(p) / package.replace(".", "/")) for p in sys.path]
        sys.modules.setdefault(package, bare)
    packing = importlib.import_module("awq.utils.packing_utils")
    return packing.dequantize_gemm(tensors["qweight"], tensors["qzeros"], tensors["scales"].float(),
                                   config["bits"], config["group_size"]).t()


def gptq(config, tensors, shape):
    from gptqmodel.nn_modules.qlinear.torch import TorchLinear
    from gptqmodel.utils.model import convert_gptq_v1_to_v2_format_module
    module = TorchLinear(bits=config["bits"], group_size=config["group_size"], sym=config["sym"],
                         desc_act=config["desc_act"], in_features=shape[1], out_features=shape[0],
                         bias=False, pack_dtype=torch.int32)
    module.load_state_dict(tensors, strict=False)
    if config["checkpoint_format"] == "gptq":
        convert_gptq_v1_to_v2_format_module(module, config["bits"], torch.int32)
    module.post_init()
    module.scales = module.scales.float()
    return module.dequantize_weight().float().t()


READERS = {"compressed-tensors": compressed_tensors, "awq": awq, "gptq": gptq}


def check(sinter, golden, target, out):
    subprocess.run([sinter, "convert", GOLDEN / golden, "-o", out, "--to", target], check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    config = json.loads((out / "config.json").read_text())["quantization_config"]
    expected = json.loads((GOLDEN / golden / "expected.json").read_text())
    tensors = {}
    for shard in out.glob("*.safetensors"):
        tensors.update(load_file(shard))
    for module, digest in expected["matrices"].items():
        own = {key.removeprefix(module + "."): value for key, value in tensors.items()
               if key.startswith(module + ".")}
        matrix = READERS[target](config, own, expected["shapes"][module]).contiguous()
        assert matrix.dtype == torch.float32
        found = hashlib.sha256(matrix.numpy().tobytes()).hexdigest()
        assert found == digest, f"{golden} to {target}: {module} differs"
    return len(expected["matrices"])


def main():
    missing = set()
    with tempfile.TemporaryDirectory() as directory:
        for golden, target in WAYS:
            try:
                n = check(sys.argv[1], golden, target, Path(directory) / f"{golden}-{target}")
                print(f"{golden} to {target}: {n} matrices equal", flush=True)
            except ImportError as e:
                missing.add(target)
                print(f"{golden} to {target}: left out: {e}", flush=True)
    print("left out:", ", ".join(sorted(missing)) or "nothing")


if __name__ == "__main__":
    main()
