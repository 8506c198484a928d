"""What every Python test needs: the program under test and the folder of third-party files."""

import json
import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SINTER = os.environ.get("SINTER", str(ROOT / "build/sinter"))
SHARED = Path(os.environ.get("SINTER_SHARED", ROOT.parent / "shared/data"))


class Result:
    def __init__(self, process):
        self.code = process.returncode
        self.out = process.stdout
        self.err = process.stderr

    def json(self):
        return json.loads(self.out)

    def lines(self):
        return [json.loads(line) for line in self.out.splitlines()]


@pytest.fixture
def sinter():
    """Runs the program; fails the test on an exit code other than `code` (None = any)."""

    def run(*arguments, code=0, stdin=None, env=None, cwd=ROOT):
        process = subprocess.run([SINTER, *map(str, arguments)], input=stdin, capture_output=True,
                                 text=True, cwd=cwd, env={**os.environ, **(env or {})},
                                 errors="replace")
        if code is not None:
            assert process.returncode == code, (arguments, process.returncode, process.stderr[-3000:])
        return Result(process)

    return run


@pytest.fixture
def shared():
    """A path under the third-party files; skips, naming the path, where it is absent."""

    def find(relative):
        path = SHARED / relative
        if not path.exists():
            pytest.skip(f"not here: {path}")
        return path

    return find
