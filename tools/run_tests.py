#!/usr/bin/env python3
"""Runs every test there is and ends with the line "N passed, N failed, N skipped".

    run_tests.py BUILD [--unit-only]

C++ tests are the *_test programs in BUILD; checks are tools/check_*.py; Python tests (tests/*.py,
under pytest, in a virtual environment with pinned packages) drive BUILD/sinter and compare with other
people's implementations."""

import json
import os
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


class Tally:
    def __init__(self):
        self.passed = self.failed = self.skipped = 0

    def add(self, name, passed, failed, skipped, seconds):
        self.passed += passed
        self.failed += failed
        self.skipped += skipped
        print(f"{name:<28} {passed:5} passed {failed:3} failed {skipped:3} skipped  {seconds:6.1f} s",
              flush=True)


def run_gtest(program, tally):
    start = time.time()
    with tempfile.NamedTemporaryFile(suffix=".json") as report:
        result = subprocess.run([program, f"--gtest_output=json:{report.name}", "--gtest_brief=1"],
                                cwd=ROOT, capture_output=True, text=True, errors="replace")
        passed = failed = skipped = 0
        try:
            suites = json.loads(Path(report.name).read_text())["testsuites"]
        except (json.JSONDecodeError, KeyError):
            suites = []
        for suite in suites:
            for test in suite["testsuite"]:
                name = f"{suite['name']}.{test['name']}"
                if test.get("failures"):
                    failed += 1
                elif test["result"] == "SKIPPED":
                    skipped += 1
                    print(f"  SKIPPED {name}")
                else:
                    passed += 1
        if result.returncode != 0 and failed == 0:
            failed = 1  # it crashed, or a sanitizer spoke
    if failed or skipped:
        sys.stdout.write(result.stdout[-6000:])
        sys.stdout.write(result.stderr[-6000:] if failed else "")
    tally.add(program.name, passed, failed, skipped, time.time() - start)


def run_check(script, tally):
    start = time.time()
    result = subprocess.run([sys.executable, script], cwd=ROOT, capture_output=True, text=True)
    if result.returncode != 0:
        sys.stdout.write(result.stdout + result.stderr)
    tally.add(script.name, result.returncode == 0, result.returncode != 0, 0, time.time() - start)


def python_of_tests(build):
    """A virtual environment with tests/requirements.txt, or None if it cannot be made."""
    venv = build / "test-venv"
    wanted = (ROOT / "tests/requirements.txt").read_text()
    stamp = venv / "requirements.txt"
    if not stamp.exists() or stamp.read_text() != wanted:
        print("Making the tests' Python environment ...", flush=True)
        for command in ([sys.executable, "-m", "venv", "--clear", venv],
                        [venv / "bin/pip", "install", "-q", "--disable-pip-version-check", "-r",
                         ROOT / "tests/requirements.txt"]):
            result = subprocess.run(command, capture_output=True, text=True)
            if result.returncode != 0:
                print("  SKIPPED all Python tests: cannot make their environment:\n" +
                      (result.stdout + result.stderr)[-1500:])
                return None
        stamp.write_text(wanted)
    return venv / "bin/python"


def run_pytest(build, tally):
    python = python_of_tests(build)
    if python is None:
        tally.add("pytest", 0, 0, 1, 0)
        return
    start = time.time()
    report = build / "pytest.xml"
    report.unlink(missing_ok=True)
    environment = {**os.environ, "SINTER": str((build / "sinter").resolve()),
                   "SINTER_BUILD": str(build.resolve())}
    result = subprocess.run([python, "-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider",
                             f"--junitxml={report}", "tests"], cwd=ROOT, env=environment,
                            capture_output=True, text=True, errors="replace")
    passed = failed = skipped = 0
    if report.exists():
        for suite in ElementTree.parse(report).getroot().iter("testsuite"):
            count = {k: int(suite.get(k, 0)) for k in ("tests", "failures", "errors", "skipped")}
            failed += count["failures"] + count["errors"]
            skipped += count["skipped"]
            passed += count["tests"] - count["failures"] - count["errors"] - count["skipped"]
    if result.returncode not in (0, 5) and failed == 0:
        failed = 1
    if failed or skipped:
        sys.stdout.write(result.stdout[-12000:] + result.stderr[-3000:])
    tally.add("pytest", passed, failed, skipped, time.time() - start)


def main():
    build = Path(sys.argv[1])
    tally = Tally()
    for script in sorted((ROOT / "tools").glob("check_*.py")):
        run_check(script, tally)
    for program in sorted(build.glob("*_test")):
        run_gtest(program, tally)
    if "--unit-only" not in sys.argv:
        run_pytest(build, tally)
    print(f"{tally.passed} passed, {tally.failed} failed, {tally.skipped} skipped")
    return 1 if tally.failed or tally.passed == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
