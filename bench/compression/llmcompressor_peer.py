#!/usr/bin/env python3
"""llm-compressor on a CPU: one model, one method, one line of JSON. The peer of `sinter compress`.

    llmcompressor_peer.py MODEL OUT --calibration IDS.jsonl --method gptq --bits 4 --group 128

Needs requirements-peer.txt. The peer runs as its examples run it: `oneshot`, its sequential pipeline, every
linear but lm_head, its own defaults for whatever is not on the command line. Each calibration sequence is a
batch of its own, so none is padded or cut; rows are counted at the first linear, and a run that saw other
than every token fails.

OUT is what the peer writes (compressed-tensors), or with --save dense a checkpoint of float32 weights: code
times scale, nothing rounded again. The time is that of `oneshot` alone, without loading and saving; the
memory is the process's peak until then.
"""

import argparse
import json
import os
import resource
import shutil
import sys
import time
from pathlib import Path

METHODS = ["none", "rtn", "gptq", "awq", "awq+gptq", "smoothquant+rtn", "smoothquant+gptq"]


def recipe(o):
    from compressed_tensors.quantization import QuantizationArgs, QuantizationScheme
    from llmcompressor.modifiers.gptq import GPTQModifier
    from llmcompressor.modifiers.quantization import QuantizationModifier
    from llmcompressor.modifiers.transform.awq import AWQModifier
    from llmcompressor.modifiers.transform.smoothquant import SmoothQuantModifier

    first, _, last = o.method.rpartition("+")
    weights = {"num_bits": o.bits, "type": "int", "symmetric": not o.asymmetric,
               "strategy": "group" if o.group else "channel", "group_size": o.group or None}
    if o.observer:
        weights["observer"] = o.observer
    inputs = None
    if o.int8_inputs:
        inputs = QuantizationArgs(num_bits=8, type="int", strategy="token", symmetric=True, dynamic=True)
    common = {"ignore": ["lm_head"],
              "config_groups": {"group_0": QuantizationScheme(
                  targets=["Linear"], weights=QuantizationArgs(**weights), input_activations=inputs)}}
    steps = []
    if "smoothquant" in first:
        steps.append(SmoothQuantModifier(smoothing_strength=o.alpha))
    if "awq" in o.method:
        duo = {"yes": True, "no": False, "both": "both"}[o.duo]
        steps.append(AWQModifier(duo_scaling=duo))
    if last == "gptq":
        more = {} if o.damping is None else {"dampening_frac": o.damping}
        steps.append(GPTQModifier(**common, **more))
    else:
        steps.append(QuantizationModifier(**common))
    return steps


def mend():
    """0.14.0.1's AWQ pins its caches for a GPU, and fails where there is none. Pinning changes no value."""
    import torch
    from llmcompressor.pipelines.cache import IntermediatesCache

    if not torch.accelerator.is_available():
        IntermediatesCache.pin_memory = lambda self, index: None


def count_rows(model, total):
    """Rows through the first linear in its first pass over the calibration set."""
    seen = {"sequences": 0, "rows": 0}

    def hook(_module, inputs):
        if seen["rows"] < total:
            seen["sequences"] += 1
            seen["rows"] += inputs[0].shape[:-1].numel()

    model.model.layers[0].self_attn.q_proj.register_forward_pre_hook(hook)
    return seen


def save_dense(model, source, out):
    """Every quantised weight as code * scale in float32; the rest widened to float32."""
    import torch
    from compressed_tensors.quantization.lifecycle.forward import quantize
    from safetensors.torch import save_file

    tensors = {}
    for name, parameter in model.named_parameters():
        module, _, leaf = name.rpartition(".")
        if leaf.startswith(("weight_", "input_")):  # scales and zero points
            continue
        tensors[name] = parameter.detach().float().contiguous()
        args = getattr(getattr(model.get_submodule(module), "quantization_scheme", None), "weights", None)
        if leaf != "weight" or args is None:
            continue
        m = model.get_submodule(module)
        zero = getattr(m, "weight_zero_point", None)
        codes = quantize(m.weight, m.weight_scale, zero, args).float()
        columns = codes.shape[1] // m.weight_scale.shape[1]
        wide = lambda t: t.float().repeat_interleave(columns, dim=1)
        if zero is not None:
            codes = codes - wide(zero)
        tensors[name] = (codes * wide(m.weight_scale)).contiguous()
    if model.config.tie_word_embeddings:
        tensors.pop("lm_head.weight", None)
    out.mkdir(parents=True)
    with torch.no_grad():
        save_file(tensors, out / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((source / "config.json").read_text()) | {"torch_dtype": "float32"}
    config["num_hidden_layers"] = model.config.num_hidden_layers
    (out / "config.json").write_text(json.dumps(config, indent=2) + "\n")


def peak_mib():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("model", type=Path)
    p.add_argument("out", type=Path, nargs="?", help="nothing is written without one")
    p.add_argument("--calibration", type=Path)
    p.add_argument("--method", choices=METHODS, required=True)
    p.add_argument("--bits", type=int, default=4)
    p.add_argument("--group", type=int, default=128, help="0: one scale per output channel")
    p.add_argument("--asymmetric", action="store_true")
    p.add_argument("--int8-inputs", action="store_true", help="W8A8: dynamic per token")
    p.add_argument("--observer", help="weights' observer; default: the peer's")
    p.add_argument("--alpha", type=float, default=0.5, help="SmoothQuant's strength; the peer's default")
    p.add_argument("--damping", type=float, help="GPTQ's; default: the peer's")
    p.add_argument("--duo", choices=["yes", "no", "both"], default="yes", help="AWQ's duo scaling; the peer's default")
    p.add_argument("--dtype", default="auto", help="that the peer computes in: auto (the checkpoint's) or float32")
    p.add_argument("--layers", type=int, help="only the first so many, for timing")
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--save", choices=["compressed", "dense"], default="compressed")
    o = p.parse_args()

    result, sys.stdout = sys.stdout, sys.stderr  # the peer logs to either
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    os.environ["HF_HUB_OFFLINE"] = "1"
    import compressed_tensors
    import llmcompressor
    import torch
    import transformers
    from datasets import Dataset
    from loguru import logger

    mend()
    logger.remove()
    logger.add(sys.stderr, level="WARNING")
    torch.set_num_threads(o.threads)
    torch.manual_seed(0)
    config = transformers.AutoConfig.from_pretrained(o.model)
    if o.layers:
        config.num_hidden_layers = o.layers
    model = transformers.AutoModelForCausalLM.from_pretrained(o.model, config=config, dtype=o.dtype)
    loaded = peak_mib()

    data = {}
    sequences = []
    if o.method not in ("none", "rtn"):
        with open(o.calibration) as f:
            sequences = [json.loads(line) for line in f]
        sequences = [s["ids"] if isinstance(s, dict) else s for s in sequences]
        data = {"dataset": Dataset.from_list(
                    [{"input_ids": s, "attention_mask": [1] * len(s)} for s in sequences]),
                "num_calibration_samples": len(sequences), "shuffle_calibration_samples": False,
                "batch_size": 1}
    total = sum(map(len, sequences))
    seen = count_rows(model, total)
    begin, cpu = time.monotonic(), time.process_time()
    if o.method != "none":
        llmcompressor.oneshot(model=model, processor=object(), recipe=recipe(o), **data)
    seconds, cpu = time.monotonic() - begin, time.process_time() - cpu
    peak = peak_mib()
    if seen["rows"] != total or seen["sequences"] != len(sequences):
        sys.exit(f"the first linear saw {seen}, the calibration set has {len(sequences)} sequences of {total} tokens")
    if o.out and o.save == "dense":
        save_dense(model, o.model, o.out)
    elif o.out:
        # A greedy model's "temperature": 0 is something that transformers reads but refuses to write.
        model.generation_config = transformers.GenerationConfig()
        model.save_pretrained(o.out, save_compressed=True)
    if o.out:
        for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
            if (o.model / name).exists():
                shutil.copyfile(o.model / name, o.out / name)
    print(json.dumps({
        "method": o.method, "bits": o.bits, "group": o.group, "symmetric": not o.asymmetric,
        "int8_inputs": o.int8_inputs, "alpha": o.alpha, "duo": o.duo, "observer": o.observer, "dtype": str(model.dtype),
        "sequences": len(sequences), "tokens": total, "layers": config.num_hidden_layers,
        "threads": o.threads, "seconds": round(seconds, 2), "cpu_seconds": round(cpu, 2),
        "peak_rss_mib": round(peak, 1), "loaded_rss_mib": round(loaded, 1), "saved": o.save,
        "versions": {m.__name__: m.__version__ for m in (llmcompressor, compressed_tensors, torch, transformers)}}),
          file=result)


if __name__ == "__main__":
    main()
