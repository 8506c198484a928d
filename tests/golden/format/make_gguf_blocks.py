"""Makes gguf_blocks.json: what the PyPI package gguf says that block formats mean and how it packs.

blocks:  random bytes of each format, with finite scales, and the float32 values they stand for
rows:    float32 rows that are hard to round (ties, zeros, spikes, tiny scales), and, for the formats
         that the package can pack, their blocks

Made with gguf 0.19.0, numpy 2.4.6:  python make_gguf_blocks.py > gguf_blocks.json"""

import json

import gguf
import numpy as np
from gguf.quants import dequantize, quantize

TYPES = {"q8_0": "Q8_0", "q4_0": "Q4_0", "q4_1": "Q4_1", "q5_0": "Q5_0", "q4_k": "Q4_K",
         "q5_k": "Q5_K", "q6_k": "Q6_K", "iq4_nl": "IQ4_NL", "iq4_xs": "IQ4_XS"}
HALVES = {"q4_1": [0, 2], "q4_k": [0, 2], "q5_k": [0, 2], "q6_k": [208]}  # else [0]
PACKED = ["q8_0", "q4_0", "q4_1", "q5_0"]


def text(array):
    return np.ascontiguousarray(array).tobytes().hex()


def random_blocks(name, rng):
    kind = gguf.GGMLQuantizationType[TYPES[name]]
    cols, size = gguf.GGML_QUANT_SIZES[kind]
    blocks = rng.integers(0, 256, (512 // cols, size), dtype=np.uint8)
    for at in HALVES.get(name, [0]):
        scales = (rng.standard_normal(len(blocks)) * 0.01).astype(np.float16)
        blocks[:, at:at + 2] = scales.view(np.uint8).reshape(-1, 2)
    return {"bytes": text(blocks), "values": text(dequantize(blocks, kind))}


def hard_rows(rng):
    spike = np.zeros(32)
    spike[17] = -3.25
    signs = np.where(np.arange(32) % 2 == 0, 1.0, -1.0)
    rows = [np.arange(32) - 16, np.zeros(32), spike, -spike, signs * 0.5, -signs * 0.5,
            np.full(32, 0.125), np.full(32, -7.0), np.arange(32) / 2, -np.arange(32) / 2,
            np.where(np.arange(32) == 31, 127, np.arange(32)), signs * 1e-7, signs * 1e-30,
            signs * np.arange(32) * 1000, np.arange(32) * 1e-9]
    rows += [rng.standard_normal(32) * 0.02 for _ in range(9)]
    return np.array(rows, dtype=np.float32)


def main():
    rng = np.random.default_rng(2024)
    rows = hard_rows(rng)
    assert rows.size == 768
    print(json.dumps({
        "made_with": f"gguf 0.19.0, numpy {np.__version__}",
        "blocks": {name: random_blocks(name, rng) for name in TYPES},
        "rows": text(rows),
        "packed": {name: text(quantize(rows, gguf.GGMLQuantizationType[TYPES[name]]))
                   for name in PACKED},
    }, indent=1))


main()
