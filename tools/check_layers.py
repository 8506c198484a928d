#!/usr/bin/env python3
"""Checks the house: which room includes which, family names outside model/arch/, forbidden names,
file sizes, error codes without a page. Prints one line per breach and exits 1 if there is any."""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SRC = ROOT / "src"
# The table of HACKING.md: a room may include itself and these.
ROOMS = {
    "base": "",
    "tensor": "base",
    "text": "base",
    "grammar": "base text",
    "format": "base tensor",
    "artifact": "base tensor format",
    "backend": "base tensor format",
    "kv": "base tensor format backend",
    "model": "base tensor format artifact backend kv",
    "engine": "base tensor text kv model",
    "compress": "base tensor format artifact text backend kv model",
    "gate": "base tensor artifact text model engine",
    "bench": "base tensor text format artifact backend kv model gate",
    "app": "base tensor text format artifact backend kv model engine compress gate bench",
}
FAMILIES = re.compile(r"\b(llama|qwen\d?|mistral|gemma|phi3)\b", re.I)
FORBIDDEN_NAMES = re.compile(r"(^|_)(util|utils|helper|helpers|manager|common|data|info|misc)(_|\.|$)")
MAX_LINES = 800


def strip_comments(text):
    return re.sub(r"//[^\n]*", "", text)


def main():
    breaches = []
    codes_used = {}
    literals = set()
    for path in sorted(SRC.rglob("*")):
        if path.suffix not in {".h", ".cc"}:
            continue
        relative = path.relative_to(SRC)
        room = relative.parts[0]
        text = path.read_text()
        lines = text.count("\n")
        if room not in ROOMS:
            breaches.append(f"src/{relative}: no such room as {room}")
            continue
        if FORBIDDEN_NAMES.search(path.name):
            breaches.append(f"src/{relative}: a name that says nothing")
        if lines > MAX_LINES and not path.name.endswith("_test.cc"):
            breaches.append(f"src/{relative}: {lines} lines, more than {MAX_LINES}")
        allowed = {room, *ROOMS[room].split()}
        for target in re.findall(r'#include "([^"]+)"', text):
            if "/" in target and target.split("/")[0] not in allowed:
                breaches.append(f"src/{relative}: {room} may not include {target}")
        is_test = path.name.endswith("_test.cc")
        if room != "artifact" and not str(relative).startswith("model/arch") and not is_test:
            for match in FAMILIES.finditer(strip_comments(text)):
                breaches.append(f"src/{relative}: family name {match[0]} outside model/arch/")
        literals |= set(re.findall(r'"([a-z0-9]+(?:-[a-z0-9]+)*)"', text))
        if not is_test:
            for code in re.findall(r'Fault::\w+,\s*"([a-z0-9-]+)"', text):
                codes_used.setdefault(code, f"src/{relative}")
    documented = set(re.findall(r"^\| `([a-z0-9-]+)`", (ROOT / "docs/errors.md").read_text(), re.M))
    for code, where in sorted(codes_used.items()):
        if code not in documented:
            breaches.append(f"{where}: error code {code} has no entry in docs/errors.md")
    for code in sorted(documented - literals):
        breaches.append(f"docs/errors.md: {code} is not used anywhere")
    for line in breaches:
        print(line)
    return 1 if breaches else 0


if __name__ == "__main__":
    sys.exit(main())
