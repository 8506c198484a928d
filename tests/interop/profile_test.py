"""What `sinter profile` says of a model, transformers says too: it runs the same sequences, one by one and unpadded,
in float64, hooks show what each linear reads, its cache shows keys and values, and numpy has the definitions.

Every figure of every channel must agree to float32's precision, counts of tokens exactly, errors of rounded inputs
as well as a code that lies between two levels allows. One sequence is a single token, and one channel's peak is
there and nowhere else: a pass that loses short or last sequences fails.

Run: python tests/interop/profile_test.py SINTER MODEL...   (needs requirements_weights.txt)
"""
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import torch
import transformers
from safetensors.numpy import load_file

LENGTHS = (70, 1, 23, 150, 2, 41)
ROUNDED = 60  # of the tokens


def sequences(vocab):
    draws = np.random.default_rng(7)
    return [draws.integers(0, vocab, n).tolist() for n in LENGTHS]


def what_linears_read(model, ids):
    """{module: [tokens, channels]}, and keys and values of each layer as [tokens, heads, head_dim]."""
    seen, hooks = {}, []
    for name, module in model.named_modules():
        if isinstance(module, torch.nn.Linear) and ".layers." in name:
            hooks.append(module.register_forward_pre_hook(
                lambda _, x, name=name: seen.__setitem__(name, x[0][0].double().numpy())))
    cache = transformers.DynamicCache(config=model.config)
    with torch.no_grad():
        model(torch.tensor([ids]), past_key_values=cache, use_cache=True)
    for hook in hooks:
        hook.remove()
    kv = [(layer.keys[0].double().numpy().transpose(1, 0, 2), layer.values[0].double().numpy().transpose(1, 0, 2))
          for layer in cache.layers]
    return seen, kv


def halves(lengths):
    """Each sequence goes to the half with fewer tokens."""
    tokens, out = [0, 0], []
    for n in lengths:
        out.append(0 if tokens[0] <= tokens[1] else 1)
        tokens[out[-1]] += n
    return out


def near(got, want, what, tolerance=1e-4):
    got, want = np.asarray(got, np.float64), np.asarray(want, np.float64)
    assert got.shape == want.shape, (what, got.shape, want.shape)
    worst = np.max(np.abs(got - want)) / max(np.max(np.abs(want)), 1e-30)
    assert worst <= tolerance, (what, worst)
    return worst


def tried_rows(n):
    return [i for i in range(n) if (i + 1) * ROUNDED // n > i * ROUNDED // n]


def int8(x, scale):
    return np.clip(np.rint(x / scale), -128, 127) * scale


def relative(rounded, x):
    return np.sqrt(((rounded - x) ** 2).sum() / (x ** 2).sum())


def check_input(figures, channels, parts, half_of):
    """`parts`: of each sequence, [tokens, channels]."""
    name, x = figures["input"], np.concatenate(parts)
    magnitude = np.abs(x)
    assert figures["tokens"] == len(x) == sum(LENGTHS), name
    assert figures["channels"] == x.shape[1], name
    for key, want in (("peak", magnitude.max(0)), ("mean", x.mean(0)), ("mean_abs", magnitude.mean(0)),
                      ("rms", np.sqrt((x ** 2).mean(0)))):
        near(channels[f"{name}.{key}"], want, (name, key))
    by_half = [np.concatenate([p for p, h in zip(parts, half_of) if h == half]) for half in (0, 1)]
    near(channels[f"{name}.half_peak"], [np.abs(h).max(0) for h in by_half], (name, "half_peak"))
    near(channels[f"{name}.half_mean_abs"], [np.abs(h).mean(0) for h in by_half], (name, "half_mean_abs"))
    peaks = [np.abs(h).max() for h in by_half]
    beyond = magnitude > min(peaks)
    ranges = {r["range"]: r for r in figures["ranges"]}
    # A value within float32's precision of the limit may lie on either side of it.
    doubtful = int((np.abs(magnitude / min(peaks) - 1) < 1e-4).sum())
    assert abs(ranges["other half"]["values"] - int(beyond.sum())) <= doubtful, (name, ranges["other half"])
    assert abs(ranges["other half"]["tokens"] - int(beyond.any(1).sum())) <= doubtful, (name, ranges["other half"])
    assert ranges["peak"]["values"] == 0
    stands_out = (magnitude >= 6 * magnitude.mean(1, keepdims=True)) & (magnitude > 0)
    assert np.abs(channels[f"{name}.standing_out"] - stands_out.sum(0)).max() <= 1, name
    some = x[tried_rows(len(x))]
    errors = {(r["activations"], r["range"]): r["error"] for r in figures["rounding"]}
    near(errors["int8_tensor", "peak"], relative(int8(some, magnitude.max() / 127), some), (name, "fixed"), 0.02)
    if ("int8_token", "") in errors:
        near(errors["int8_token", ""], relative(int8(some, np.abs(some).max(1, keepdims=True) / 127.5), some),
             (name, "token"), 0.02)
    median = np.median(magnitude.max(0))
    outliers = {o["channel"] for o in figures["outliers"]}
    clear = np.abs(magnitude.max(0) / median / 10 - 1) > 0.05
    assert {int(c) for c in np.flatnonzero(clear & (magnitude.max(0) >= 10 * median))} <= outliers, name
    assert not outliers & {int(c) for c in np.flatnonzero(clear & (magnitude.max(0) < 10 * median))}, name


def check(sinter, directory, scratch):
    model = transformers.AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float64).eval()
    ids = sequences(model.config.vocab_size)
    tokens = scratch / "tokens.jsonl"
    tokens.write_text("".join(json.dumps(s) + "\n" for s in ids))
    subprocess.run([sinter, "profile", directory, "--corpus", tokens, "-o", scratch / "profile", "--rounded-tokens",
                    str(ROUNDED), "--gram"], check=True, capture_output=True)
    profile = json.loads((scratch / "profile/profile.json").read_text())
    assert profile["tokens"] == sum(LENGTHS) and profile["sequences"] == len(LENGTHS)
    runs = [what_linears_read(model, s) for s in ids]
    half_of = halves(LENGTHS)
    checked, short_ones = 0, 0
    for i, layer in enumerate(profile["layers"]):
        channels = load_file(scratch / "profile" / layer["file"])
        for figures in layer["inputs"]:
            if figures["modules"]:
                parts = [seen[figures["modules"][0]] for seen, _ in runs]
                x = np.concatenate(parts)
                near(channels[f"{figures['input']}.gram"], x.T @ x, (i, figures["input"], "gram"))
                # The single token is the peak of some channel: else nothing would notice its loss.
                short_ones += int((np.abs(parts[1]).max(0) == np.abs(x).max(0)).sum())
            else:
                kept = [kv[i][0 if figures["input"] == "keys" else 1] for _, kv in runs]
                parts = [k.reshape(len(k), -1) for k in kept]
                heads = np.concatenate(kept)
                near([h["peak"] for h in figures["heads"]], np.abs(heads).max((0, 2)), (i, figures["input"], "heads"))
                near([h["rms"] for h in figures["heads"]], np.sqrt((heads ** 2).mean((0, 2))), (i, "rms of heads"))
            check_input(figures, channels, parts, half_of)
            checked += 1
        for matrix in layer["matrices"]:
            w = model.get_submodule(matrix["module"]).weight.detach().double().numpy()
            near(matrix["peak"], np.abs(w).max(), matrix, 1e-12)
            near(matrix["rms"], np.sqrt((w ** 2).mean()), matrix, 1e-9)
            near(matrix["kurtosis"], (w ** 4).mean() / (w ** 2).mean() ** 2, matrix, 1e-9)
    assert short_ones > 0
    print(f"{directory}: {checked} inputs of {len(profile['layers'])} layers, "
          f"{short_ones} channels whose peak is the one token of the shortest sequence")


if __name__ == "__main__":
    for model_directory in sys.argv[2:]:
        with tempfile.TemporaryDirectory() as folder:
            check(sys.argv[1], model_directory, pathlib.Path(folder))
