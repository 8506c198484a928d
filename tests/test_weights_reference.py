"""Real third-party weights against float64 forward passes that no code of ours took part in."""

import json
import struct

import numpy as np
import pytest
from safetensors.numpy import save_file


def convert_stories260k(source, folder):
    """llama2.c's binary (interleaved RoPE pairs) as a Hugging Face directory (rotated halves)."""
    raw = source.read_bytes()
    d, hidden, layers, heads, kv_heads, vocab, context = struct.unpack("<7i", raw[:28])
    floats = np.frombuffer(raw, "<f4", offset=28)
    at = 0

    def take(*shape):
        nonlocal at
        n = int(np.prod(shape))
        at += n
        return floats[at - n:at].reshape(shape)

    head = d // heads

    def halves(w, n_heads):  # rows 2i, 2i+1 of a head become i, i + head/2
        return w.reshape(n_heads, head // 2, 2, -1).transpose(0, 2, 1, 3).reshape(w.shape)

    kv = kv_heads * head
    embed = take(vocab, d)
    rms_att = take(layers, d)
    wq, wk, wv, wo = (take(layers, rows, d) for rows in (d, kv, kv, d))
    rms_ffn = take(layers, d)
    gate, down, up = take(layers, hidden, d), take(layers, d, hidden), take(layers, hidden, d)
    tensors = {"model.embed_tokens.weight": embed, "model.norm.weight": take(d)}
    for i in range(layers):
        p = f"model.layers.{i}."
        tensors |= {
            p + "input_layernorm.weight": rms_att[i],
            p + "post_attention_layernorm.weight": rms_ffn[i],
            p + "self_attn.q_proj.weight": halves(wq[i], heads),
            p + "self_attn.k_proj.weight": halves(wk[i], kv_heads),
            p + "self_attn.v_proj.weight": wv[i],
            p + "self_attn.o_proj.weight": wo[i],
            p + "mlp.gate_proj.weight": gate[i],
            p + "mlp.up_proj.weight": up[i],
            p + "mlp.down_proj.weight": down[i],
        }
    folder.mkdir()
    save_file({k: np.ascontiguousarray(v) for k, v in tensors.items()}, folder / "model.safetensors",
              metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": d,
        "intermediate_size": hidden, "num_hidden_layers": layers, "num_attention_heads": heads,
        "num_key_value_heads": kv_heads, "vocab_size": vocab, "max_position_embeddings": context,
        "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "tie_word_embeddings": True,
        "hidden_act": "silu"}))


def convert_bitllama2(source, folder):
    """Ternary weights as int8 codes with one scale a row, activations rounded to int8 per token: what
    compressed-tensors calls W8A8. A weightless norm of x / |x| / sqrt(n) is an RMS norm of gain 1/n."""
    raw = source.read_bytes()
    magic, version, d, hidden, layers, heads, kv_heads, vocab, context = struct.unpack("<I8i", raw[:36])
    assert (magic, version) == (0x616B3432, 1)
    at = 256
    head = d // heads
    kv = kv_heads * head

    def floats(*shape):
        nonlocal at
        n = int(np.prod(shape))
        out = np.frombuffer(raw, "<f4", n, at).reshape(shape)
        at += 4 * n
        return out

    def ternary(rows, cols):
        nonlocal at
        scale = floats(1)[0]
        packed = np.frombuffer(raw, np.uint8, rows * cols // 4, at)
        at += rows * cols // 4
        fields = (packed[:, None] >> np.array([6, 4, 2, 0], np.uint8)) & 3
        return np.array([0, 1, 0, -1], np.int8)[fields].reshape(rows, cols), scale

    def halves(w, n_heads):
        return w.reshape(n_heads, head // 2, 2, -1).transpose(0, 2, 1, 3).reshape(w.shape)

    tensors = {"model.norm.weight": floats(d), "model.embed_tokens.weight": floats(vocab, d)}
    shapes = {"self_attn.q_proj": (d, d), "self_attn.k_proj": (kv, d), "self_attn.v_proj": (kv, d),
              "self_attn.o_proj": (d, d), "mlp.gate_proj": (hidden, d), "mlp.down_proj": (d, hidden),
              "mlp.up_proj": (hidden, d)}
    for name, (rows, cols) in shapes.items():
        for i in range(layers):
            codes, scale = ternary(rows, cols)
            if name.endswith(("q_proj", "k_proj")):
                codes = halves(codes, rows // head)
            tensors[f"model.layers.{i}.{name}.weight"] = codes
            tensors[f"model.layers.{i}.{name}.weight_scale"] = np.full((rows, 1), scale, np.float32)
    assert at == len(raw)
    for i in range(layers):
        for name, n in (("input_layernorm", d), ("post_attention_layernorm", d),
                        ("self_attn.attn_sub_norm", d), ("mlp.ffn_sub_norm", hidden)):
            tensors[f"model.layers.{i}.{name}.weight"] = np.full(n, 1 / n, np.float32)
    folder.mkdir()
    save_file({k: np.ascontiguousarray(v) for k, v in tensors.items()}, folder / "model.safetensors",
              metadata={"format": "pt"})
    weights = {"num_bits": 8, "type": "int", "strategy": "channel", "symmetric": True, "dynamic": False}
    inputs = {"num_bits": 8, "type": "int", "strategy": "token", "symmetric": True, "dynamic": True}
    (folder / "config.json").write_text(json.dumps({
        "architectures": ["BitNetForCausalLM"], "model_type": "bitnet", "hidden_size": d,
        "intermediate_size": hidden, "num_hidden_layers": layers, "num_attention_heads": heads,
        "num_key_value_heads": kv_heads, "vocab_size": vocab, "max_position_embeddings": context,
        "rms_norm_eps": 1e-20, "rope_theta": 10000.0, "tie_word_embeddings": True,
        "hidden_act": "silu",
        "quantization_config": {
            "quant_method": "compressed-tensors", "format": "int-quantized",
            "quantization_status": "compressed", "ignore": ["lm_head"],
            "config_groups": {"group_0": {"targets": ["Linear"], "weights": weights,
                                          "input_activations": inputs}}}}))


CONVERTED = {"stories260K": (convert_stories260k, "weights/stories260K/stories260K.bin"),
             "bitllama2-1M": (convert_bitllama2, "weights/bitllama2-1M/bit_model.msb.bin")}


# Its author rounds activations to amax / 127, compressed-tensors (and so we) to amax / 127.5: another
# grid, so single logits differ by up to 0.13 of 17; the choices and the mean likelihood agree.
ROUNDS_ACTIVATIONS = {"bitllama2-1M"}


@pytest.fixture(params=["stories260K", "tinystories-656k", "bitllama2-1M"])
def model(request, shared, tmp_path):
    reference = json.loads(shared(f"weights_reference/{request.param}.json").read_text())
    if request.param in CONVERTED:
        convert, source = CONVERTED[request.param]
        convert(shared(source), tmp_path / "model")
        return tmp_path / "model", reference
    return shared("weights/tinystories-656k"), reference


def test_logits_of_the_last_position(model, sinter, tmp_path):
    folder, reference = model
    for prompt in reference["prompts"]:
        ids = prompt["ids"]
        file = tmp_path / "prompt.jsonl"
        # One token more than the prompt, so that its last position is predicted from too.
        file.write_text(json.dumps(ids + [0]) + "\n")
        out = sinter("perplexity", folder, file, "--ids", "--logits", "--json").lines()
        rows = [np.array(line["logits"]) for line in out if "logits" in line]
        assert [int(r.argmax()) for r in rows] == prompt["argmax_each_pos"]
        if reference["model"] not in ROUNDS_ACTIVATIONS:
            assert np.abs(rows[-1] - np.array(prompt["last_logits"])).max() < 1e-3


def test_likelihood_of_stories(model, sinter, tmp_path):
    folder, reference = model
    file = tmp_path / "stories.jsonl"
    file.write_text("".join(json.dumps(s["ids"]) + "\n" for s in reference["stories"]))
    tolerance = 2e-3 if reference["model"] in ROUNDS_ACTIVATIONS else 1e-4
    out = sinter("perplexity", folder, file, "--ids", "--per-document").lines()
    assert len(out) == len(reference["stories"]) + 1
    for line, story in zip(out, reference["stories"]):
        assert line["predicted_tokens"] == story["n"]
        if reference["model"] not in ROUNDS_ACTIVATIONS:
            assert line["nll"] == pytest.approx(story["nll_sum"], rel=tolerance)
    assert out[-1]["nll_per_token"] == pytest.approx(reference["mean_nll_per_token"], rel=tolerance)
