"""Our safetensors writer against the reference library, byte for byte, on random sets of tensors.

Run: python tests/interop/safetensors_test.py BUILD_DIR   (needs requirements_weights.txt)
"""
import pathlib
import random
import subprocess
import sys
import tempfile

from safetensors import serialize

TYPES = [("bool", 1), ("uint8", 1), ("int8", 1), ("float8_e5m2", 1), ("float8_e4m3fn", 1),
         ("int16", 2), ("float16", 2), ("bfloat16", 2), ("int32", 4), ("float32", 4),
         ("float64", 8), ("int64", 8)]
LETTERS = "abz.AZ_09-/\\\"' \t\n\x01\x7fé語😀"


def random_tensors(rng):
    tensors = {}
    for _ in range(rng.randrange(0, 30)):
        name = "".join(rng.choice(LETTERS) for _ in range(rng.randrange(1, 12)))
        dtype, size = rng.choice(TYPES)
        shape = [rng.randrange(0, 4) for _ in range(rng.randrange(0, 4))]
        count = 1
        for n in shape:
            count *= n
        tensors[name] = {"dtype": dtype, "shape": shape, "data": rng.randbytes(count * size)}
    return tensors


def main():
    tool = pathlib.Path(sys.argv[1]) / "read_checkpoint"
    rng = random.Random(1)
    with tempfile.TemporaryDirectory() as directory:
        theirs, ours = pathlib.Path(directory, "theirs"), pathlib.Path(directory, "ours")
        for case in range(200):
            theirs.write_bytes(serialize(random_tensors(rng), metadata={"format": "pt"}))
            subprocess.run([tool, "copy", theirs, ours], check=True)
            assert ours.read_bytes() == theirs.read_bytes(), f"case {case}: bytes differ"
    print("200 files, byte for byte as the reference library writes them")


if __name__ == "__main__":
    main()
