"""Tiny quantised checkpoints, packed by the tools that own their dialects, and what those tools and
transformers make of them.

    python make_dialects.py OUTPUT_DIR [NAME...]

Made with torch 2.15.0, transformers 5.23.0, compressed-tensors 0.20.0, auto-gptq 0.7.1, gptqmodel
7.7.0, autoawq 0.2.9 and nvidia-modelopt 0.47.0. Only the packing and unpacking functions of the last
four are used, so their source archives on PYTHONPATH are enough: no CUDA, nothing compiled.

Each checkpoint is NAME/{config.json, model.safetensors, ...} and
  expected.json         for every quantised module the SHA-256 of its matrix as the tool dequantises
                        it, in float32 ("matrices"), and the static scale of its inputs ("inputs")
  expected.safetensors  tokens [n] int32, logits [n, vocab] float32

Float32 is not what all of these tools compute in. Theirs rounds the same product once more, to the
type of the scales or of the model, and that is checked here for every matrix: `tool` is what the
tool gives, and it must be `matrix` rounded to its type. Logits are those of transformers in float32,
of the dequantised matrices, or, where inputs are quantised too, of the checkpoint loaded by
transformers with compressed-tensors.
"""

import hashlib
import importlib
import json
import sys
import types
from pathlib import Path

import torch
import transformers
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, LlamaConfig

SIZES = dict(vocab_size=32, hidden_size=32, intermediate_size=64, num_hidden_layers=1,
             num_attention_heads=4, num_key_value_heads=2, head_dim=16, max_position_embeddings=64,
             tie_word_embeddings=True, architectures=["LlamaForCausalLM"])


def bare_import(packages, module):
    """Imports a module of a package without running the package's own __init__."""
    for package in packages:
        bare = types.ModuleType(package)
        bare.__path__ = [str(Path(p) / package.replace(".", "/")) for p in sys.path]
        sys.modules[package] = bare
    return importlib.import_module(module)


def base_model(seed, one_sided=False, **changes):
    """`one_sided`: some rows have one sign, so that there are zero points at both ends."""
    torch.manual_seed(seed)
    config = LlamaConfig(**{**SIZES, **changes})
    model = AutoModelForCausalLM.from_config(config, attn_implementation="eager").float().eval()
    with torch.no_grad():
        for name, p in model.named_parameters():
            p.normal_(1.0, 0.3) if "norm" in name else p.normal_(0.0, 0.25)
            p.copy_(p.bfloat16().float())
            if one_sided and p.ndim == 2:
                p[::5] = p[::5].abs()
                p[3::7] = -p[3::7].abs()
    return model


def linears(model, skip=()):
    return {name: layer for name, layer in model.named_modules()
            if isinstance(layer, torch.nn.Linear) and name != "lm_head"
            and not any(s in name for s in skip)}


def grid(w, group, bits, symmetric):
    """RTN of [N, K]: scales F16 [N, G], zero points [N, G] in 0 .. 2^bits - 1."""
    n, k = w.shape
    blocks = w.reshape(n, k // group, group)
    top = 2**bits - 1
    if symmetric:
        scale = (blocks.abs().amax(-1) / (top / 2)).half()
        return scale, torch.full_like(scale, 2 ** (bits - 1), dtype=torch.float32)
    lo, hi = blocks.amin(-1).clamp(max=0), blocks.amax(-1).clamp(min=0)
    scale = ((hi - lo) / top).half()
    return scale, torch.round(-lo / scale.float()).clamp(0, top)


class Output:
    def __init__(self, folder, model):
        self.folder, self.model = folder, model
        self.tensors, self.matrices, self.inputs = {}, {}, {}

    def module(self, name, tensors, matrix, tool=None, input_scale=None):
        matrix = matrix.contiguous()
        assert matrix.dtype == torch.float32
        if tool is not None:
            assert tool.dtype != torch.float32
            assert torch.equal(matrix.to(tool.dtype), tool.contiguous()), name
        for key, value in tensors.items():
            self.tensors[f"{name}.{key}"] = value.contiguous()
        self.matrices[name] = matrix
        if input_scale is not None:
            self.inputs[name] = float(input_scale)

    def logits(self, tokens):
        dense = AutoModelForCausalLM.from_config(self.model.config, attn_implementation="eager")
        dense.load_state_dict({**self.model.state_dict(),
                               **{f"{n}.weight": m for n, m in self.matrices.items()}})
        with torch.no_grad():
            return dense.float().eval()(tokens).logits[0]

    def write(self, quantization_config, side_cars=(), by_transformers=False, dtype="float16"):
        """`by_transformers`: logits of the files as transformers loads them."""
        self.folder.mkdir(parents=True, exist_ok=True)
        config = self.model.config.to_dict()
        config["architectures"] = SIZES["architectures"]
        config["dtype"] = dtype
        if quantization_config is not None:
            config["quantization_config"] = quantization_config
        text = json.dumps(config, indent=2, sort_keys=True) + "\n"
        (self.folder / "config.json").write_text(text)
        for name, content in side_cars:
            (self.folder / name).write_text(json.dumps(content, indent=2) + "\n")
        dense_type = getattr(torch, dtype)
        for key, value in self.model.state_dict().items():
            if key.removesuffix(".weight") not in self.matrices and key != "lm_head.weight":
                self.tensors[key] = value.to(dense_type).contiguous()
        save_file(self.tensors, self.folder / "model.safetensors", metadata={"format": "pt"})
        tokens = torch.randint(0, SIZES["vocab_size"], (1, 16),
                               generator=torch.Generator().manual_seed(5))
        logits = self.logits(tokens)
        if by_transformers:
            loaded = AutoModelForCausalLM.from_pretrained(self.folder, dtype=torch.float32,
                                                          attn_implementation="eager").eval()
            with torch.no_grad():
                theirs = loaded(tokens).logits[0]
            distance = ((theirs - logits).norm() / logits.norm()).item()
            print(f"  transformers: {distance:.1e} from the matrices alone")
            logits = theirs
        save_file({"tokens": tokens[0].to(torch.int32), "logits": logits.contiguous()},
                  self.folder / "expected.safetensors")
        expected = {"matrices": {n: hashlib.sha256(m.numpy().tobytes()).hexdigest()
                                 for n, m in self.matrices.items()},
                    "shapes": {n: list(m.shape) for n, m in self.matrices.items()},
                    "inputs": self.inputs}
        (self.folder / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")


# --- compressed-tensors -----------------------------------------------------------------------

def compressed(out, seed, form, weights, inputs=None, scale_dtype=torch.float32, skip=(),
               by_transformers=True, sizes={}):
    from compressed_tensors.compressors import BaseCompressor
    from compressed_tensors.quantization import QuantizationArgs, QuantizationScheme
    from compressed_tensors.quantization.utils import calculate_qparams, generate_gparam

    args = QuantizationArgs(**weights)
    scheme = QuantizationScheme(targets=["Linear"], weights=args,
                                input_activations=QuantizationArgs(**inputs) if inputs else None)
    model = base_model(seed, one_sided=not args.symmetric, **sizes)
    result = Output(out, model)
    compressor = BaseCompressor.get_value_from_registry(form)
    for name, layer in linears(model, skip).items():
        w = layer.weight.detach()
        n, k = w.shape
        state = {"weight": w}
        more = {}
        if args.strategy == "tensor_group":
            state["weight_global_scale"] = generate_gparam(w.min(), w.max())
            more["global_scale"] = state["weight_global_scale"]
        if args.strategy == "tensor":
            lo, hi = w.min(), w.max()
        elif args.strategy == "channel":
            lo, hi = w.amin(1, keepdim=True), w.amax(1, keepdim=True)
        elif args.strategy == "block":
            rows, cols = args.block_structure
            padded = torch.nn.functional.pad(w, (0, -k % cols, 0, -n % rows))
            blocks = padded.reshape(padded.shape[0] // rows, rows, padded.shape[1] // cols, cols)
            lo, hi = blocks.amin((1, 3)), blocks.amax((1, 3))
        else:
            blocks = w.reshape(n, k // args.group_size, args.group_size)
            lo, hi = blocks.amin(-1), blocks.amax(-1)
        scale, zero = calculate_qparams(lo, hi, args, **more)
        if args.type == "int" or args.num_bits == 8 and args.group_size != 32:
            scale = scale.to(scale_dtype)
        state["weight_scale"], state["weight_zero_point"] = scale, zero
        stored = compressor.compress(state, scheme)
        tool = compressor.decompress(dict(stored), scheme)["weight"]
        # The same in float32: scales promoted before they are used. (MX scales are bfloat16 powers
        # of two, NVFP4's float32 quotient: those products are exact in float32 as they stand.)
        wide = dict(stored)
        if "weight_global_scale" in stored:
            from compressed_tensors.compressors.nvfp4.helpers import unpack_fp4_from_uint8
            codes = unpack_fp4_from_uint8(stored["weight_packed"], n, k, torch.float32)
            steps = stored["weight_scale"].float() / stored["weight_global_scale"]
            matrix = codes * steps.repeat_interleave(args.group_size, 1)
        elif stored["weight_scale"].dtype == torch.uint8:
            matrix = tool.float()
        else:
            wide["weight_scale"] = stored["weight_scale"].float()
            matrix = compressor.decompress(wide, scheme)["weight"]
        input_scale = None
        if inputs and inputs.get("dynamic") is False:
            input_scale = torch.tensor([3.0 / (127.5 if inputs["type"] == "int" else 448)])
            stored["input_scale"] = input_scale
        if inputs and inputs.get("dynamic") == "local":
            stored["input_global_scale"] = torch.tensor([448 * 6 / 3.0])
        result.module(name, {key: value.data for key, value in stored.items()}, matrix,
                      None if tool.dtype == torch.float32 else tool, input_scale)
    keep = ("num_bits", "type", "symmetric", "strategy", "group_size", "block_structure", "dynamic",
            "actorder", "scale_dtype")

    def words(a):
        return {key: value for key, value in json.loads(a.model_dump_json()).items() if key in keep}

    result.write({
        "quant_method": "compressed-tensors", "version": "0.20.0", "format": form,
        "quantization_status": "compressed", "ignore": ["lm_head", *(f"re:.*{s}$" for s in skip)],
        "kv_cache_scheme": None, "global_compression_ratio": None, "sparsity_config": {},
        "config_groups": {"group_0": {
            "targets": ["Linear"], "weights": words(args),
            "input_activations": words(scheme.input_activations) if inputs else None,
            "output_activations": None, "format": form}}},
        by_transformers=by_transformers, dtype="bfloat16")


INT8_TOKEN = dict(num_bits=8, type="int", strategy="token", symmetric=True, dynamic=True)
FP8 = dict(num_bits=8, type="float", symmetric=True)
COMPRESSED = {
    "ct_w4a16": dict(form="pack-quantized",
                     weights=dict(num_bits=4, strategy="group", group_size=32)),
    "ct_w4a16_asym": dict(form="pack-quantized", scale_dtype=torch.bfloat16, by_transformers=False,
                          weights=dict(num_bits=4, strategy="group", group_size=16,
                                       symmetric=False)),
    "ct_w8a16_half": dict(form="pack-quantized", scale_dtype=torch.float16, by_transformers=False,
                          weights=dict(num_bits=8, strategy="channel")),
    "ct_w8a8": dict(form="int-quantized", weights=dict(num_bits=8, strategy="channel"),
                    inputs=INT8_TOKEN),
    "ct_w8a8_static": dict(form="int-quantized", weights=dict(num_bits=8, strategy="channel"),
                           inputs=dict(num_bits=8, type="int", strategy="tensor", symmetric=True,
                                       dynamic=False)),
    "ct_w4a8": dict(form="int-quantized", weights=dict(num_bits=4, strategy="channel"),
                    inputs=INT8_TOKEN),
    "ct_fp8_dynamic": dict(form="float-quantized", weights=dict(FP8, strategy="channel"),
                           inputs=dict(FP8, strategy="token", dynamic=True)),
    "ct_fp8_static": dict(form="float-quantized", weights=dict(FP8, strategy="tensor"),
                          inputs=dict(FP8, strategy="tensor", dynamic=False)),
    # 160 is a block and a short one.
    "ct_fp8_block": dict(form="naive-quantized", by_transformers=False,
                         sizes=dict(intermediate_size=160),
                         weights=dict(FP8, strategy="block", block_structure=[128, 128])),
    # The inputs of o_proj and down_proj are no whole groups: they stay dense.
    "ct_fp8_block_group": dict(form="float-quantized", skip=("o_proj", "down_proj"),
                               sizes=dict(hidden_size=128, intermediate_size=16,
                                          num_attention_heads=2, num_key_value_heads=1),
                               weights=dict(FP8, strategy="block", block_structure=[128, 128]),
                               inputs=dict(FP8, strategy="group", group_size=128, dynamic=True)),
    "ct_nvfp4a16": dict(form="nvfp4-pack-quantized", by_transformers=False,
                        weights=dict(num_bits=4, type="float", strategy="tensor_group",
                                     group_size=16, scale_dtype=torch.float8_e4m3fn)),
    "ct_nvfp4": dict(form="nvfp4-pack-quantized", by_transformers=False,
                     weights=dict(num_bits=4, type="float", strategy="tensor_group", group_size=16,
                                  scale_dtype=torch.float8_e4m3fn),
                     inputs=dict(num_bits=4, type="float", strategy="tensor_group", group_size=16,
                                 dynamic="local", scale_dtype=torch.float8_e4m3fn)),
    "ct_mxfp4a16": dict(form="mxfp4-pack-quantized", by_transformers=False,
                        weights=dict(num_bits=4, type="float", strategy="group", group_size=32,
                                     scale_dtype=torch.uint8)),
    "ct_mxfp8a16": dict(form="mxfp8-quantized", by_transformers=False,
                        weights=dict(FP8, strategy="group", group_size=32,
                                     scale_dtype=torch.uint8)),
}


# --- AutoAWQ ----------------------------------------------------------------------------------

def awq(out, seed):
    gemm = bare_import(["awq", "awq.modules", "awq.modules.linear", "awq.utils"],
                       "awq.modules.linear.gemm")
    from awq.utils.packing_utils import dequantize_gemm
    model, group = base_model(seed, one_sided=True), 16
    result = Output(out, model)
    for name, layer in linears(model, ["o_proj"]).items():
        scale, zero = grid(layer.weight.detach(), group, 4, symmetric=False)
        packed = gemm.WQLinear_GEMM.from_linear(layer, 4, group, scales=scale.float().t(),
                                                zeros=zero.t())
        parts = packed.qweight, packed.qzeros
        matrix = dequantize_gemm(*parts, packed.scales.float(), 4, group).t()
        tool = dequantize_gemm(*parts, packed.scales, 4, group).t()
        result.module(name, dict(packed.state_dict()), matrix, tool)
    result.write({"quant_method": "awq", "zero_point": True, "group_size": group, "bits": 4,
                  "version": "gemm", "modules_to_not_convert": ["o_proj"]})


# --- GPTQ -------------------------------------------------------------------------------------

def shuffled_groups(k, group, seed):
    order = torch.randperm(k, generator=torch.Generator().manual_seed(seed))
    index = torch.empty(k, dtype=torch.int32)
    index[order] = torch.arange(k, dtype=torch.int32) // group
    return index


def gptq(out, seed, bits=4, group=16, symmetric=True, desc_act=False, side_car=False):
    """As AutoGPTQ packs it: version 1."""
    module = bare_import(["auto_gptq", "auto_gptq.nn_modules", "auto_gptq.nn_modules.qlinear"],
                         "auto_gptq.nn_modules.qlinear.qlinear_cuda")
    model = base_model(seed)
    result = Output(out, model)
    for name, layer in linears(model).items():
        k = layer.in_features
        size = k if group == -1 else group
        index = shuffled_groups(k, size, seed) if desc_act else torch.arange(k).int() // size
        order = torch.argsort(index.long(), stable=True)
        scale, zero = grid(layer.weight.detach()[:, order], size, bits, symmetric)
        assert zero.min() >= 1  # version 1 cannot store 0
        packed = module.QuantLinear(bits, group, k, layer.out_features, False)
        half = torch.nn.Linear(k, layer.out_features, bias=False)
        half.weight.data = layer.weight.detach().half()
        packed.pack(half, scale.clone(), zero.clone(), index.clone())
        tool = packed(torch.eye(k).half()).t()  # exact: one product a sum
        packed.scales = packed.scales.float()
        matrix = packed(torch.eye(k)).t()
        packed.scales = packed.scales.half()
        result.module(name, dict(packed.state_dict()), matrix, tool)
    settings = {"bits": bits, "group_size": group, "damp_percent": 0.1, "desc_act": desc_act,
                "static_groups": False, "sym": symmetric, "true_sequential": True,
                "model_name_or_path": None, "model_file_base_name": "model"}
    if side_car:
        result.write(None, [("quantize_config.json", settings)])
    else:
        result.write({**settings, "quant_method": "gptq"})


def gptqmodel(out, seed, version, mixed=False):
    """As GPTQModel packs it: version 2, or version 1 with zero points of 0; bits by module."""
    from gptqmodel.nn_modules.qlinear.torch import TorchLinear
    from gptqmodel.utils.model import convert_gptq_v1_to_v2_format_module
    from gptqmodel.utils.model import convert_gptq_v2_to_v1_format_module
    from gptqmodel.quantization import QuantizeConfig
    model, group = base_model(seed, one_sided=True), 16
    result = Output(out, model)
    zeros = []
    widths = {"gate_proj": 3, "up_proj": 2, "down_proj": 8} if mixed else {}
    for name, layer in linears(model).items():
        bits = widths.get(name.rpartition(".")[2], 4)
        k, n = layer.in_features, layer.out_features
        scale, zero = grid(layer.weight.detach(), 32 if bits != 4 else group, bits, False)
        packed = TorchLinear(bits=bits, group_size=32 if bits != 4 else group, sym=False,
                             desc_act=False, in_features=k, out_features=n, bias=False,
                             pack_dtype=torch.int32)
        half = torch.nn.Linear(k, n, bias=False)
        half.weight.data = layer.weight.detach().half()
        index = torch.arange(k).int() // (32 if bits != 4 else group)
        packed.pack_original(half, scale.clone(), zero.clone(), index)
        zeros.append(zero)
        if version == 1:
            convert_gptq_v2_to_v1_format_module(
                packed, QuantizeConfig(bits=bits, group_size=packed.group_size, sym=False))
        tensors = {key: value.clone() for key, value in packed.state_dict().items()
                   if key in ("qweight", "qzeros", "scales", "g_idx")}
        if version == 1:  # what reading does
            convert_gptq_v1_to_v2_format_module(packed, bits, torch.int32)
        packed.post_init()
        tool = packed.dequantize_weight().t()
        packed.scales = packed.scales.float()
        matrix = packed.dequantize_weight().float().t()
        result.module(name, tensors, matrix, tool.half())
    assert any((z == 0).any() for z in zeros)
    dynamic = {rf"+:.*\.{name}$": {"bits": bits, "group_size": 32} for name, bits in widths.items()}
    result.write({"quant_method": "gptq", "bits": 4, "group_size": group, "desc_act": False,
                  "sym": False, "lm_head": False, "pack_dtype": "int32",
                  "checkpoint_format": "gptq_v2" if version == 2 else "gptq",
                  "dynamic": dynamic or None, "meta": {"quantizer": ["gptqmodel:7.7.0"]}})


# --- transformers' FP8, ModelOpt --------------------------------------------------------------

def to_fp8(w, scale):
    return (w / scale).clamp(-448, 448).to(torch.float8_e4m3fn)


def fp8(out, seed, block):
    """transformers stores and dequantises it in one product; there is nothing to pack."""
    from transformers.integrations.finegrained_fp8 import Fp8Dequantize
    model = base_model(seed, intermediate_size=160 if block else 64)
    result = Output(out, model)
    unpack = Fp8Dequantize(None)
    for name, layer in linears(model).items():
        w = layer.weight.detach()
        n, k = w.shape
        if block is None:
            scale = (w.abs().max() / 448).reshape(())
            stored = {"weight": to_fp8(w, scale), "weight_scale_inv": scale}
            matrix = unpack._dequantize_one(stored["weight"], scale.reshape(1, 1), torch.float32)
            input_scale = torch.tensor(3.0 / 448)
            stored["activation_scale"] = input_scale
        else:
            padded = torch.nn.functional.pad(w, (0, -k % block, 0, -n % block))
            tiles = padded.reshape(padded.shape[0] // block, block, padded.shape[1] // block, block)
            scale = tiles.abs().amax((1, 3)) / 448
            wide = scale.repeat_interleave(block, 0).repeat_interleave(block, 1)[:n, :k]
            stored = {"weight": to_fp8(w, wide), "weight_scale_inv": scale}
            # Blocks that are short at the edge are cut out of whole ones.
            whole = torch.nn.functional.pad(stored["weight"].float(), (0, -k % block, 0, -n % block))
            matrix = unpack._dequantize_one(whole.to(torch.float8_e4m3fn), scale, torch.float32)
            matrix, input_scale = matrix[:n, :k], None
        result.module(name, stored, matrix, None, input_scale)
    config = {"quant_method": "fp8", "activation_scheme": "dynamic" if block else "static",
              "weight_block_size": [block, block] if block else None,
              "modules_to_not_convert": ["lm_head"]}
    result.write(config, dtype="bfloat16")


def modelopt(out, seed, algorithm, side_car):
    model = base_model(seed)
    result = Output(out, model)
    for name, layer in linears(model).items():
        w = layer.weight.detach()
        input_scale = None
        if algorithm == "FP8":
            from modelopt.torch.quantization.qtensor import FP8QTensor
            scale = w.abs().max() / 448
            packed, _ = FP8QTensor.quantize(w, scale)
            input_scale = torch.tensor(3.0 / 448)
            stored = {"weight": packed._quantized_data, "weight_scale": scale,
                      "input_scale": input_scale}
            matrix = packed.dequantize(dtype=torch.float32, scale=scale)
            tool = None
        else:
            from modelopt.torch.quantization.qtensor import NVFP4QTensor
            packed, scale, scale_2 = NVFP4QTensor.quantize(w.clone(), 16)
            stored = {"weight": packed._quantized_data, "weight_scale": scale,
                      "weight_scale_2": scale_2.reshape(())}
            matrix = packed.dequantize(dtype=torch.float32, scale=scale, double_scale=scale_2,
                                       block_sizes={-1: 16})
            tool = packed.dequantize(dtype=torch.bfloat16, scale=scale, double_scale=scale_2,
                                     block_sizes={-1: 16})
            if algorithm == "NVFP4":
                stored["input_scale"] = torch.tensor(3.0 / (6 * 448))
        result.module(name, stored, matrix, tool, input_scale)
    quantization = {"quant_algo": algorithm, "kv_cache_quant_algo": None,
                    "exclude_modules": ["lm_head"]}
    if algorithm != "FP8":
        quantization["group_size"] = 16
    car = {"producer": {"name": "modelopt", "version": "0.47.0"}, "quantization": quantization}
    if side_car:
        result.write(None, [("hf_quant_config.json", car)], dtype="bfloat16")
        return
    from modelopt.torch.export.convert_hf_config import convert_hf_quant_config_format
    result.write(convert_hf_quant_config_format(car), [("hf_quant_config.json", car)],
                 dtype="bfloat16")


MAKERS = {
    **{name: (compressed, settings) for name, settings in COMPRESSED.items()},
    "awq": (awq, {}),
    "gptq_sym": (gptq, dict()),
    "gptq_desc_act": (gptq, dict(desc_act=True, side_car=True)),
    "gptq_asym_channel": (gptq, dict(bits=8, group=-1, symmetric=False)),
    "gptq_v2_mixed": (gptqmodel, dict(version=2, mixed=True)),
    "gptq_v1_borrows": (gptqmodel, dict(version=1)),
    "fp8_block": (fp8, dict(block=128)),
    "fp8_static": (fp8, dict(block=None)),
    "modelopt_fp8": (modelopt, dict(algorithm="FP8", side_car=True)),
    "modelopt_nvfp4": (modelopt, dict(algorithm="NVFP4", side_car=False)),
    "modelopt_nvfp4a16": (modelopt, dict(algorithm="W4A16_NVFP4", side_car=False)),
}


def main(out, names):
    transformers.utils.logging.set_verbosity_error()
    for index, (name, (make, settings)) in enumerate(MAKERS.items()):
        if names and name not in names:
            continue
        print(name, flush=True)
        make(out / name, 2000 + index, **settings)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
