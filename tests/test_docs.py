"""README.md and docs: every `sinter ...` and `make ...` line in them is run, or known by name."""

import re
import shlex

import pytest

from conftest import ROOT, SINTER

FILES = ["README.md", "docs/gate.md", "docs/corpus.md", "docs/profile.md", "docs/recipes.md", "docs/compression.md", "docs/formats.md", "docs/performance.md", "docs/sampling.md"]
# Targets of the Makefile that a test of the tests cannot run inside itself.
MAKE_TARGETS = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.M))


def commands():
    for name in FILES:
        text = (ROOT / name).read_text()
        for block in re.findall(r"```(?:sh|console)\n(.*?)```", text, re.S):
            for line in block.splitlines():
                line = line.removeprefix("$ ").split("  #")[0].strip()
                if line and not line.startswith("#"):
                    yield name, line


def test_the_documents_have_commands():
    assert len(list(commands())) > 5


def test_every_command_in_the_documents_works(sinter, tmp_path):
    """In order, in a scratch folder that looks like the repository."""
    for name in ("models", "suites", "recipes", "gates", "README.md"):
        (tmp_path / name).symlink_to(ROOT / name)
    for file, line in commands():
        words = shlex.split(line)
        if words[0] == "make":
            assert words[1] in MAKE_TARGETS, (file, line)
            continue
        assert words[0] in ("sinter", "build/sinter"), (file, line)
        allowed = (0, 3) if words[1] in ("gate", "judge") else (0,)
        result = sinter(*words[1:], code=None, cwd=tmp_path, stdin="")
        assert result.code in allowed, (file, line, result.code, result.err)


def test_every_linked_file_exists():
    for name in [*FILES, "HACKING.md"]:
        folder = (ROOT / name).parent
        for target in re.findall(r"\]\(([^)#:]+)\)", (ROOT / name).read_text()):
            assert (folder / target).exists(), (name, target)
