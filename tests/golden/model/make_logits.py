"""Tiny random models of every architecture, and the logits that transformers gives them in float32.

Made with transformers 5.23.0 and torch 2.15.0 (any recent pair will do):
    python make_logits.py OUTPUT_DIR
Each model becomes NAME/{config.json, model.safetensors, expected.safetensors}; expected holds
`tokens` [n] int32 and `logits` [n, vocab] float32.
"""

import json
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, LlamaConfig, MistralConfig, Qwen2Config, Qwen3Config

SIZES = dict(vocab_size=64, hidden_size=32, intermediate_size=48, num_hidden_layers=2,
             num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=64)


def rope(kind, **more):
    return dict(rope_parameters=dict(rope_type=kind, rope_theta=100.0, **more))


MODELS = {
    "llama": (LlamaConfig(**SIZES), torch.bfloat16),
    "llama_f16_tied": (LlamaConfig(**SIZES, tie_word_embeddings=True), torch.float16),
    "llama_f32_biased": (
        LlamaConfig(**SIZES, head_dim=6, attention_bias=True, mlp_bias=True), torch.float32),
    "llama_linear": (LlamaConfig(**SIZES, **rope("linear", factor=4.0)), torch.bfloat16),
    "llama_llama3": (
        LlamaConfig(**SIZES, **rope("llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
                                    original_max_position_embeddings=32)), torch.bfloat16),
    "llama_yarn": (
        LlamaConfig(**SIZES, **rope("yarn", factor=4.0, original_max_position_embeddings=16)),
        torch.bfloat16),
    "mistral_window": (MistralConfig(**SIZES, sliding_window=7, head_dim=16), torch.bfloat16),
    "qwen2": (Qwen2Config(**SIZES, tie_word_embeddings=True), torch.bfloat16),
    "qwen2_window": (
        Qwen2Config(**SIZES, use_sliding_window=True, sliding_window=5, max_window_layers=1),
        torch.bfloat16),
    "qwen3": (Qwen3Config(**SIZES, head_dim=24), torch.bfloat16),
    "qwen3_biased": (Qwen3Config(**SIZES, head_dim=8, attention_bias=True), torch.bfloat16),
}


def main(out):
    for index, (name, (config, dtype)) in enumerate(MODELS.items()):
        torch.manual_seed(1000 + index)
        model = AutoModelForCausalLM.from_config(config, attn_implementation="eager").float().eval()
        with torch.no_grad():
            for parameter_name, parameter in model.named_parameters():
                # Wide enough that every part of the network matters to the logits.
                if "norm" in parameter_name:
                    parameter.normal_(1.0, 0.3)
                else:
                    parameter.normal_(0.0, 0.25)
                parameter.copy_(parameter.to(dtype).float())
            tokens = torch.randint(0, config.vocab_size, (1, 40))
            logits = model(tokens).logits[0]
        folder = out / name
        folder.mkdir(parents=True, exist_ok=True)
        config.architectures = [type(model).__name__]
        settings = config.to_dict()
        settings["dtype"] = str(dtype).removeprefix("torch.")
        (folder / "config.json").write_text(json.dumps(settings, indent=2, sort_keys=True) + "\n")
        tensors = {k: v.to(dtype).contiguous() for k, v in model.state_dict().items()
                   if not (k == "lm_head.weight" and config.tie_word_embeddings)}
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
        save_file({"tokens": tokens[0].to(torch.int32), "logits": logits.contiguous()},
                  folder / "expected.safetensors")
        print(name, "logits within", float(logits.abs().max()))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
