"""Writes a checkpoint as an ordinary Hugging Face directory.

python export.py CHECKPOINT DATA_DIR OUT_DIR
"""
import json
import os
import sys

import torch
from safetensors.torch import save_file

import data as D

HERE = os.path.dirname(os.path.abspath(__file__))


def tensors(state):
    """Our names to the Hugging Face ones; the head is the embedding, so it is stored once."""
    out = {"model.embed_tokens.weight": state["embed"], "model.norm.weight": state["norm"]}
    names = {"norm1": "input_layernorm", "norm2": "post_attention_layernorm", "q": "self_attn.q_proj", "k": "self_attn.k_proj", "v": "self_attn.v_proj",
             "o": "self_attn.o_proj", "gate": "mlp.gate_proj", "up": "mlp.up_proj", "down": "mlp.down_proj"}
    for k, w in state.items():
        if k.startswith("blocks."):
            _, i, part = k.split(".")
            out[f"model.layers.{i}.{names[part]}.weight"] = w
    return {k: v.to(torch.bfloat16).contiguous() for k, v in out.items()}


def dump(path, value):
    with open(path, "w", encoding="utf-8") as f:
        json.dump(value, f, indent=2, ensure_ascii=False)
        f.write("\n")


def main(checkpoint, data_dir, out):
    s = torch.load(checkpoint, weights_only=False, map_location="cpu")
    c = s["config"]
    os.makedirs(out, exist_ok=True)
    save_file(tensors(s["model"]), os.path.join(out, "model.safetensors"), metadata={"format": "pt"})
    os.chmod(os.path.join(out, "model.safetensors"), 0o644)
    dump(os.path.join(out, "config.json"), {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "torch_dtype": "bfloat16", "vocab_size": c["vocab"], "hidden_size": c["dim"],
        "intermediate_size": c["hidden"], "num_hidden_layers": c["layers"], "num_attention_heads": c["heads"], "num_key_value_heads": c["kv_heads"],
        "head_dim": c["head_dim"], "hidden_act": "silu", "max_position_embeddings": c["max_len"], "rms_norm_eps": c["eps"], "rope_theta": c["theta"],
        "rope_scaling": None, "tie_word_embeddings": True, "attention_bias": False, "mlp_bias": False, "attention_dropout": 0.0, "initializer_range": 0.02,
        "bos_token_id": D.BOS, "eos_token_id": D.END, "pad_token_id": D.PAD, "use_cache": True})
    dump(os.path.join(out, "generation_config.json"), {"bos_token_id": D.BOS, "eos_token_id": [D.END], "pad_token_id": D.PAD, "do_sample": False, "max_new_tokens": 256})
    with open(os.path.join(HERE, "chat_template.jinja"), encoding="utf-8") as f:
        template = f.read().rstrip("\n")
    with open(os.path.join(out, "chat_template.jinja"), "w", encoding="utf-8") as f:
        f.write(template)
    dump(os.path.join(out, "tokenizer_config.json"), {
        "tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": c["max_len"], "bos_token": "<|bos|>", "eos_token": "<|end|>", "pad_token": "<|pad|>",
        "clean_up_tokenization_spaces": False, "add_bos_token": False,
        "added_tokens_decoder": {str(i): {"content": t, "lstrip": False, "rstrip": False, "normalized": False, "single_word": False, "special": True} for i, t in enumerate(D.SPECIALS)},
        "chat_template": template})
    D.load_tokenizer(data_dir).save(os.path.join(out, "tokenizer.json"), pretty=True)
    print("exported", out, "tokens", s["tokens"], "bytes", os.path.getsize(os.path.join(out, "model.safetensors")))


if __name__ == "__main__":
    main(*sys.argv[1:4])
