"""GGUF files against other people's readers and writers.

The PyPI package gguf reads what `sinter convert` writes, and Sinter reads what the package writes: every
tensor has the same values, bit for bit. Where SINTER_LLAMA_CPP names the folder of llama.cpp's binaries
(llama-completion, llama-quantize), its quantiser makes our bytes, and it answers as we do."""

import json
import os
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open

gguf = pytest.importorskip("gguf", reason="the PyPI package gguf is not installed")
from gguf.quants import dequantize, quantize  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
PEBBLE = ROOT / "models/pebble"
BLOCKS = ["q8_0", "q4_0", "q4_1", "q5_0", "q4_k", "q5_k", "q6_k", "iq4_nl", "iq4_xs"]
PLAIN = ["f32", "f16", "bf16"]
SAME_AS_GGML = ["q8_0", "q4_0", "q4_1", "q5_0"]
PROMPTS = ["What is 12 + 7?", "Give me 98 minus 69, please.", "Ivan admired the ticket"]


def convert(program, model, out, *flags):
    subprocess.run([program, "--progress", "none", "convert", model, "-o", out, *flags], check=True,
                   capture_output=True)
    return out


def tensors(path):
    return {t.name: t for t in gguf.GGUFReader(path).tensors}


def values(tensor):
    return np.asarray(dequantize(tensor.data, tensor.tensor_type), dtype=np.float32)


def bits(array):
    return np.ascontiguousarray(array).view(np.uint32)


def dense_pebble():
    with safe_open(PEBBLE / "model.safetensors", "np") as f:
        raw = {}
        for name in f.keys():
            try:
                raw[name] = f.get_tensor(name).astype(np.float32)
            except TypeError:  # numpy has no bfloat16
                raw = None
                break
    if raw is not None:
        return raw
    data = (PEBBLE / "model.safetensors").read_bytes()
    size = int.from_bytes(data[:8], "little")
    out = {}
    for name, entry in json.loads(data[8:8 + size]).items():
        if name == "__metadata__":
            continue
        assert entry["dtype"] == "BF16", entry
        a, b = (8 + size + x for x in entry["data_offsets"])
        words = np.frombuffer(data[a:b], dtype=np.uint16).astype(np.uint32) << 16
        out[name] = words.view(np.float32).reshape(entry["shape"])
    return out


def interleave(rows, n_heads):
    """As llama.cpp's converter orders the rows of q and k."""
    return rows.reshape(n_heads, 2, rows.shape[0] // n_heads // 2, *rows.shape[1:]).swapaxes(1, 2) \
        .reshape(rows.shape)


def gguf_names(dense):
    config = json.loads((PEBBLE / "config.json").read_text())
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, config["num_hidden_layers"])
    out = {}
    for name, rows in dense.items():
        for part, heads in (("q_proj", "num_attention_heads"), ("k_proj", "num_key_value_heads")):
            if part in name:
                rows = interleave(rows, config[heads])
        out[names.get_name(name, try_suffixes=(".weight",))] = rows
    return out


@pytest.fixture(scope="module")
def program():
    return os.environ.get("SINTER", str(ROOT / "build/sinter"))


@pytest.fixture(scope="module")
def plain(program, tmp_path_factory):
    return convert(program, PEBBLE, tmp_path_factory.mktemp("gguf") / "f32.gguf", "--type", "f32")


def test_the_package_reads_what_we_write(plain):
    ours, want = tensors(plain), gguf_names(dense_pebble())
    want.pop("output.weight", None)  # tied
    assert ours.keys() == want.keys()
    for name, rows in want.items():
        assert np.array_equal(bits(values(ours[name])), bits(rows)), name
    fields = gguf.GGUFReader(plain).fields
    assert fields["general.architecture"].contents() == "llama"
    assert fields["tokenizer.ggml.pre"].contents() == "smollm"
    assert len(fields["tokenizer.ggml.tokens"].contents()) == 1024


@pytest.mark.parametrize("kind", PLAIN[1:] + BLOCKS)
def test_both_unpack_a_file_to_the_same_values(program, plain, tmp_path, kind):
    packed = convert(program, PEBBLE, tmp_path / "packed.gguf", "--type", kind)
    ours = tensors(convert(program, packed, tmp_path / "unpacked.gguf", "--type", "f32"))
    dense = tensors(plain)
    for name, tensor in tensors(packed).items():
        assert np.array_equal(bits(values(tensor)), bits(values(ours[name]))), name
        if kind in SAME_AS_GGML and tensor.tensor_type.name.lower() == kind:
            assert np.array_equal(tensor.data, quantize(values(dense[name]), tensor.tensor_type))


@pytest.mark.parametrize("words, kind", [
    ("gptq: {scheme: W4A16, group_size: 32}", "Q4_0"), ("gptq: {scheme: W4A16_ASYM, group_size: 64}", "Q5_0 Q4_1"),
    ("rtn: {scheme: W8A16}", "Q8_0"), ("rtn: {scheme: W3A16_ASYM}", "Q4_0"), ("rtn: {scheme: MXFP4A16}", "Q5_0")])
def test_what_was_compressed_keeps_its_values(program, tmp_path, words, kind):
    """Without --type: blocks of the same values, as the package unpacks them."""
    recipe, tokens, made = tmp_path / "recipe.yaml", tmp_path / "tokens.jsonl", tmp_path / "compressed"
    recipe.write_text(f"steps:\n  - {words}\n")
    tokens.write_text("".join(json.dumps({"ids": [(7 * i * j + i) % 1024 for j in range(64)]}) + "\n"
                              for i in range(1, 9)))
    subprocess.run([program, "--progress", "none", "compress", PEBBLE, "-r", recipe, "-c", tokens, "-o", made,
                    "--no-check"], check=True, capture_output=True)
    blocks = tensors(convert(program, made, tmp_path / "blocks.gguf"))
    floats = tensors(convert(program, made, tmp_path / "floats.gguf", "--type", "f32"))
    kinds = {name: t.tensor_type.name for name, t in blocks.items()}
    assert sum(k in kind.split() for k in kinds.values()) == 35, kinds
    for name, tensor in blocks.items():  # a zero may lose its sign
        assert np.array_equal(values(tensor), values(floats[name])), name


@pytest.mark.parametrize("kind", ["F16", "Q8_0", "Q5_0"])
def test_we_read_what_the_package_writes(program, plain, tmp_path, kind):
    """As convert_hf_to_gguf.py writes: by GGUFWriter, with no key that is Sinter's."""
    path, config = tmp_path / "theirs.gguf", json.loads((PEBBLE / "config.json").read_text())
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_dimension_count(config["head_dim"])
    writer.add_rope_freq_base(config["rope_theta"])
    source = gguf.GGUFReader(plain).fields
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(source["tokenizer.ggml.tokens"].contents())
    writer.add_token_types(source["tokenizer.ggml.token_type"].contents())
    writer.add_token_merges(source["tokenizer.ggml.merges"].contents())
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_chat_template((PEBBLE / "chat_template.jinja").read_text())
    kind = gguf.GGMLQuantizationType[kind]
    for name, rows in gguf_names(dense_pebble()).items():
        if name == "output.weight":
            continue
        if rows.ndim == 1:
            writer.add_tensor(name, rows)
        else:
            writer.add_tensor(name, quantize(rows, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()

    ours = tensors(convert(program, path, tmp_path / "ours.gguf", "--type", "f32"))
    for name, tensor in tensors(path).items():
        assert np.array_equal(bits(values(tensor)), bits(values(ours[name]))), name

    def ids(model, text):
        return subprocess.run([program, "tokenize", model], input=text, text=True, check=True,
                              capture_output=True).stdout

    for text in [*PROMPTS, "<|user|>4711  is\na number<|end|>", "Größe 123 ½ 日本"]:
        assert ids(path, text) == ids(PEBBLE, text)

    messages = tmp_path / "m.json"
    messages.write_text(json.dumps([{"role": "user", "content": "What is 2 + 3?"}]))
    prompts = [subprocess.run([program, "template", model, messages], check=True, text=True,
                              capture_output=True).stdout for model in (path, PEBBLE)]
    assert prompts[0] == prompts[1]


def test_several_parts_are_one_model(program, plain, tmp_path):
    source = gguf.GGUFReader(plain)
    writer = gguf.GGUFWriter(tmp_path / "m.gguf", "llama", split_max_tensors=20)
    for key, field in source.fields.items():
        if key.startswith("GGUF.") or key == "general.architecture":
            continue
        if field.types[0] == gguf.GGUFValueType.ARRAY:
            writer.add_array(key, field.contents())
        else:
            writer.add_key_value(key, field.contents(), field.types[0])
    for tensor in source.tensors:
        writer.add_tensor(tensor.name, tensor.data, raw_dtype=tensor.tensor_type)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    parts = sorted(tmp_path.glob("m-*.gguf"))
    assert len(parts) == 3
    ours = tensors(convert(program, parts[0], tmp_path / "whole.gguf"))
    for tensor in source.tensors:
        assert np.array_equal(tensor.data, ours[tensor.name].data), tensor.name
    for wrong in (parts[1], parts[0]):
        parts[2].unlink(missing_ok=True)
        assert subprocess.run([program, "inspect", wrong], capture_output=True).returncode == 2


@pytest.fixture(scope="module")
def llama_cpp():
    folder = os.environ.get("SINTER_LLAMA_CPP")
    if not folder:
        pytest.skip("SINTER_LLAMA_CPP does not name a folder of llama.cpp's binaries")
    return Path(folder)


@pytest.mark.parametrize("kind", BLOCKS)
def test_llama_quantize_makes_our_bytes_or_worse(program, plain, llama_cpp, tmp_path, kind):
    theirs = tmp_path / "theirs.gguf"
    subprocess.run([llama_cpp / "llama-quantize", "--pure", plain, theirs, kind.upper()], check=True,
                   capture_output=True)
    ours = convert(program, PEBBLE, tmp_path / "ours.gguf", "--type", kind)
    dense, a, b, errors = tensors(plain), tensors(ours), tensors(theirs), [0.0, 0.0]
    for name, tensor in b.items():
        if tensor.tensor_type.name.lower() != kind:
            continue
        assert a[name].tensor_type == tensor.tensor_type
        if kind in SAME_AS_GGML:
            assert np.array_equal(a[name].data, tensor.data), name
        w = values(dense[name]).astype(np.float64)
        errors[0] += float(((values(a[name]) - w) ** 2).sum())
        errors[1] += float(((values(tensor) - w) ** 2).sum())
    assert errors[0] <= errors[1]
    # And we load what it made.
    unpacked = tensors(convert(program, theirs, tmp_path / "unpacked.gguf", "--type", "f32"))
    for name, tensor in b.items():
        assert np.array_equal(bits(values(tensor)), bits(values(unpacked[name]))), name


# Its repacked kernels crash on small models (its own files too, as of ggml 0.25.3).
SAFE = ["-t", "1", "--no-repack"]


@pytest.mark.parametrize("kind", ["f32", "bf16", "q8_0"])
def test_llama_cpp_answers_as_we_do(program, llama_cpp, tmp_path, kind):
    model = convert(program, PEBBLE, tmp_path / "m.gguf", "--type", kind)
    for question in PROMPTS:
        prompt = f"<|bos|><|user|>{question}<|end|><|assistant|>"
        theirs = subprocess.run(
            [llama_cpp / "llama-completion", "-m", model, "-p", prompt, "-n", "40", "--temp", "0", *SAFE,
             "-no-cnv", "--no-display-prompt"], check=True, text=True, capture_output=True).stdout
        ours = subprocess.run([program, "run", model, prompt, "--raw", "-n", "40"], check=True, text=True,
                              capture_output=True).stdout
        assert theirs.strip().removesuffix("[end of text]").strip() == ours.strip()


def our_perplexity(program, model, text, tmp_path, window=256, chunks=4):
    """llama-perplexity's measure: of each window, the second half, but for its first token."""
    ids = [int(i) for i in subprocess.run([program, "tokenize", model, text], check=True, text=True,
                                          capture_output=True).stdout.split()]
    documents = [ids[i * window:(i + 1) * window] for i in range(chunks)]
    lines = tmp_path / "windows.jsonl"
    lines.write_text("".join(json.dumps(d) + "\n" for d in documents))
    out = subprocess.run([program, "--progress", "none", "perplexity", model, lines, "--ids", "--logits"],
                         check=True, text=True, capture_output=True).stdout
    total, count = 0.0, 0
    for line in out.splitlines():
        if not line.startswith('{"document"'):
            continue
        row = json.loads(line)
        if row["position"] <= window // 2:
            continue
        logits = np.array(row["logits"], dtype=np.float64)
        target = documents[int(row["document"].split()[-1]) - 1][row["position"]]
        total += np.log(np.exp(logits - logits.max()).sum()) + logits.max() - logits[target]
        count += 1
    assert count == chunks * (window // 2 - 1)
    return np.exp(total / count)


def their_perplexity(llama_cpp, model, text):
    """Its programs now and then end, with status 0, before their log thread has printed the result: ask again."""
    for _ in range(5):
        process = subprocess.run([llama_cpp / "llama-perplexity", "-m", model, "-f", text, "-c", "256", "--chunks", "4",
                                  *SAFE], check=True, text=True, capture_output=True)
        found = re.search(r"Final estimate: PPL = ([0-9.]+)", process.stdout + process.stderr)
        if found:
            return float(found[1])
    raise AssertionError(f"no perplexity in five runs:\n{process.stdout}{process.stderr}")


# llama.cpp rounds activations to 8 bits for block formats, and to the weights' type for 16 bits.
@pytest.mark.parametrize("kind,tolerance", [("f32", 1e-4), ("bf16", 2e-3), ("q8_0", 5e-3), ("q4_0", 1e-2),
                                            ("q4_k", 1e-2), ("q6_k", 1e-2), ("iq4_xs", 1e-2)])
def test_llama_cpp_has_our_perplexity(program, llama_cpp, tmp_path, kind, tolerance):
    model = convert(program, PEBBLE, tmp_path / "m.gguf", "--type", kind)
    text = tmp_path / "prose.txt"
    lines = (ROOT / "suites/pebble/text.jsonl").read_text().splitlines()
    text.write_text("\n".join(json.loads(line)["text"] for line in lines)[:20000])
    theirs = their_perplexity(llama_cpp, model, text)
    assert our_perplexity(program, model, text, tmp_path) == pytest.approx(theirs, rel=tolerance)
