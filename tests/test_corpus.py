"""A calibration corpus from real prompts and made-up tool traces, with planted secrets and planted leaks."""

import hashlib
import json
import re

import pytest

from conftest import ROOT

PEBBLE = "models/pebble"
SUITE = ROOT / "suites/pebble"
SETS = ("alpaca", "gsm8k", "humaneval", "mt_bench", "qa", "sum")

# kind -> secrets; each stands once in the traces, and nowhere in what is written or printed.
SECRETS = {
    "email": ["jane.doe@mail.example.org", "ops+alerts@example.co.uk"],
    "phone": ["+44 20 7946 0018", "(415) 555-0134"],
    "card": ["4012 8888 8888 1881", "378282246310005"],
    "iban": ["DE89 3704 0044 0532 0130 00", "GB33BUKB20201555555555"],
    "ip": ["198.51.100.23", "2001:db8:85a3::8a2e:370:7334"],
    "access_key": ["AKIAIOSFODNN7EXAMPLE", "sk-" + "a1B2" * 8, "ghp_" + "x9Y8" * 9],
    "jwt": ["eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJqYW5lIn0.c2lnbmF0dXJlLW9mLWphbmU"],
    "secret": ["hunter2-hunter2", "Tr0ub4dor&3"],
    "private_key": ["MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSj"],
    "badge": ["B-77812"],
}
WRAPPED = {
    "hunter2-hunter2": "password={}",
    "Tr0ub4dor&3": "api_key: '{}'",
    "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSj":
        "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----",
}
# Almost secrets, which must stay.
NEAR_MISSES = ["4012 8888 8888 1882", "DE89 3704 0044 0532 0130 01", "version 203.0.113.9.4",
               "1699999999999", "user@localhost", "password: see the manual"]
TOOL = {"type": "function", "function": {"name": "lookup", "description": "Look a customer up.",
                                         "parameters": {"type": "object", "properties": {
                                             "query": {"type": "string"}, "number": {"type": "integer"}}}}}


def tool_trace(i, secret):
    """A logged request with a call, its result and an answer; the secret is in one of four places, one of them
    JSON within a string."""
    wrapped = WRAPPED.get(secret, "{}").format(secret)
    where = i % 4
    arguments = {"query": wrapped if where == 1 else f"order {i}", "number": i}
    result = {"rows": [{"note": wrapped if where == 2 else f"shipped in week {i}"}]}
    return {"request": {"model": "m", "messages": [
        {"role": "system", "content": "You help the staff of a shop with orders and customers."},
        {"role": "user", "content": f"Find order number {i} for me" + (f": {wrapped}" if where == 0 else ".")},
        {"role": "assistant", "content": None, "tool_calls": [
            {"id": f"call_{i}", "type": "function",
             "function": {"name": "lookup", "arguments": json.dumps(arguments)}}]},
        {"role": "tool", "tool_call_id": f"call_{i}", "content": json.dumps(result)}], "tools": [TOOL]},
        "response": {"choices": [{"message": {"role": "assistant",
                                              "content": f"Order {i} is there" + (f" ({wrapped})." if where == 3 else ".")}}]}}


@pytest.fixture
def traces(tmp_path, shared):
    """(paths, secrets, ids of the leaks, tool traces)."""
    paths = [shared(f"chat_prompts/{name}/question.jsonl") for name in SETS]
    some = tmp_path / "gsm8k-train.jsonl"
    some.write_text("".join(shared("gsm8k/train.jsonl").open().readlines()[:400]))
    secrets = [s for kind in SECRETS.values() for s in kind]
    # Every secret in every place.
    tools = [tool_trace(i, secrets[(i // 4) % len(secrets)]) for i in range(4 * len(secrets))]
    near = [{"text": f"Note {i} of the day says {miss}, and that is all that it says."}
            for i, miss in enumerate(NEAR_MISSES)]
    tool_file = tmp_path / "tools.jsonl"
    tool_file.write_text("".join(json.dumps(t) + "\n" for t in [*tools, *near]))
    items = [json.loads(line) for line in (SUITE / "items.jsonl").open()]
    long_ones = [i for i in items if len(i["messages"][-1]["content"].split()) > 20][:12]
    short_ones = [i for i in items if 4 <= len(re.findall(r"\w+", i["messages"][-1]["content"])) <= 7][:6]
    leaks = [{"messages": [{"role": "user", "content": "Hello! " + i["messages"][-1]["content"] + " Thanks."}]}
             for i in long_ones]
    leaks += [{"messages": i["messages"]} for i in short_ones]
    leaks += [{"text": json.loads((SUITE / "text.jsonl").open().readline())["text"][100:400]}]
    leak_file = tmp_path / "leaks.jsonl"
    leak_file.write_text("".join(json.dumps(t) + "\n" for t in leaks))
    return [*paths, some, tool_file, leak_file], secrets, [f"leaks.jsonl:{n + 1}" for n in range(len(leaks))], tools


def flat(value):
    if isinstance(value, str):
        yield value
    elif isinstance(value, (list, dict)):
        for part in value.values() if isinstance(value, dict) else value:
            yield from flat(part)


def test_planted_secrets_and_leaks_are_all_found(sinter, traces, tmp_path):
    paths, secrets, leaks, tools = traces
    result = sinter("corpus", "build", *paths, "--model", PEBBLE, "--suite", SUITE, "--tokens", 4000000,
                    "--redact", r"badge=\bB-\d{5}\b", "--licence", "Apache-2.0", "--licence",
                    "gsm8k-train.jsonl=MIT", "-o", tmp_path / "c")
    written = (tmp_path / "c/corpus.jsonl").read_text()
    manifest = json.loads((tmp_path / "c/corpus.json").read_text())
    samples = [json.loads(line) for line in written.splitlines()]
    everything = "\n".join([*flat(samples), (tmp_path / "c/corpus.json").read_text(), result.out, result.err])
    for secret in secrets:
        assert secret not in everything, secret
        assert secret not in written, secret
    for miss in NEAR_MISSES:
        assert miss in everything, miss

    assert hashlib.sha256(written.encode()).hexdigest() == manifest["digest"]
    source = {s["name"]: s for s in manifest["sources"]}
    # Each secret stands in four traces; the near misses are not counted.
    assert source["tools.jsonl"]["replaced"] == {k: 4 * len(v) for k, v in SECRETS.items()}
    assert source["gsm8k-train.jsonl"]["licence"] == "MIT"
    assert source["tools.jsonl"]["licence"] == "Apache-2.0"
    assert [leak["id"] for leak in manifest["leaks"]] == leaks
    assert all(leak["suite"] == "pebble" for leak in manifest["leaks"])
    assert not any(s["source"] == "leaks.jsonl" for s in samples)

    # What was JSON is JSON.
    calls = [s for s in samples if s["source"] == "tools.jsonl" and "messages" in s]
    assert len(calls) + source["tools.jsonl"]["n_near_duplicates"] == len(tools)
    for s in calls:
        assert s["kind"] == "tool use" and s["tools"] == [TOOL]
        json.loads(s["messages"][2]["tool_calls"][0]["function"]["arguments"])
        json.loads(s["messages"][3]["content"])

    again = sinter("corpus", "build", *reversed(paths), "--model", PEBBLE, "--suite", SUITE, "--tokens", 4000000,
                   "--redact", r"badge=\bB-\d{5}\b", "--licence", "gsm8k-train.jsonl=MIT", "--licence",
                   "Apache-2.0", "-o", tmp_path / "d", "-t", 1, "--json").json()
    assert again["digest"] == manifest["digest"]
    assert (tmp_path / "d/corpus.json").read_bytes() == (tmp_path / "c/corpus.json").read_bytes()


def test_the_choice_covers_and_the_report_says_so(sinter, traces, tmp_path):
    paths = traces[0]
    built = sinter("corpus", "build", *paths, "--model", PEBBLE, "--suite", SUITE, "--tokens", 70000, "-o",
                   tmp_path / "c", "--json").json()
    assert 65536 < built["n_tokens"] <= 70000
    assert built["selection"]["value"] > 1.05 * built["selection"]["random"]
    report = sinter("corpus", "report", tmp_path / "c", "--model", PEBBLE, "--tokens", 20000, "--html",
                    tmp_path / "r.html", "--json").json()
    kinds = {c["cell"]: c["corpus"]["samples"] for c in report["coverage"]["task"]}
    assert all(kinds.values()) and {"tool use", "code", "mathematics", "summary", "question"} <= set(kinds)
    assert report["verdict"] in ("good enough", "thin")
    linears = report["model"]["linears"]
    assert len(linears) == 5 * 7
    assert all(lin["tokens"] >= 20000 and 0 <= lin["peak_difference"] <= 1 for lin in linears)
    assert min(lin["correlation"] for lin in linears) > 0.8
    page = (tmp_path / "r.html").read_text()
    assert "What models/pebble sees" in page and "http" not in page.split("<body>")[1]
    text = sinter("corpus", "report", tmp_path / "c").out
    assert text.splitlines()[-1].startswith("verdict: ")


def test_a_small_or_narrow_corpus_is_called_so(sinter, shared, tmp_path):
    result = sinter("corpus", "build", shared("chat_prompts/qa/question.jsonl"), "--model", PEBBLE, "-o",
                    tmp_path / "c")
    assert "no --suite" in result.err
    report = sinter("corpus", "report", tmp_path / "c", "--json").json()
    assert report["verdict"] == "not enough"
    notes = " ".join(report["notes"])
    assert "NO SUITE WAS CHECKED" in notes and "tool use" in notes


def test_bad_traces_are_refused_or_counted(sinter, tmp_path):
    file = tmp_path / "t.jsonl"
    file.write_text('{"text": "one fine day in the town"}\n{"strange": 1, "bob@example.com": 2}\n{"text": \n')
    error = sinter("corpus", "build", file, "--model", PEBBLE, "-o", tmp_path / "c", code=2).err
    assert "t.jsonl:2" in error and "strange" in error and "bob@" not in error
    assert not (tmp_path / "c").exists()
    sinter("corpus", "build", file, "--model", PEBBLE, "-o", tmp_path / "c", "--skip-bad")
    manifest = json.loads((tmp_path / "c/corpus.json").read_text())
    assert manifest["sources"][0]["bad_lines"] == [2, 3]
    # A corpus that somebody changed is not read.
    with (tmp_path / "c/corpus.jsonl").open("a") as f:
        f.write("\n")
    assert "corpus-digest" in sinter("corpus", "report", tmp_path / "c", code=5).err
