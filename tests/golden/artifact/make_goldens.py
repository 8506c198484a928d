"""Writes every_type.safetensors with the reference library: the golden for our writer.

Needs: safetensors==0.6.2.
Every element type that Sinter knows, names that sort against their types, empty and scalar
shapes, and names that JSON must escape.
"""
import pathlib

from safetensors import serialize

TYPES = [("bool", 1), ("uint8", 1), ("int8", 1), ("float8_e5m2", 1), ("float8_e4m3fn", 1),
         ("int16", 2), ("float16", 2), ("bfloat16", 2), ("int32", 4), ("float32", 4),
         ("float64", 8), ("int64", 8)]


def main():
    tensors = {}
    for i, (dtype, size) in enumerate(TYPES):
        name = f"{chr(ord('z') - i)}.{dtype}"
        tensors[name] = {"dtype": dtype, "shape": [3, i % 2 + 1],
                         "data": bytes((7 * i + j) % 256 for j in range(3 * (i % 2 + 1) * size))}
    tensors["empty"] = {"dtype": "float32", "shape": [0, 5], "data": b""}
    tensors["scalar"] = {"dtype": "float16", "shape": [], "data": b"\x00\x3c"}
    tensors['quote " slash \\ tab \t bell \x07 é'] = {"dtype": "uint8", "shape": [1], "data": b"!"}
    out = pathlib.Path(__file__).parent / "every_type.safetensors"
    out.write_bytes(serialize(tensors, metadata={"format": "pt"}))


if __name__ == "__main__":
    main()
