#!/usr/bin/env python3
"""Renders chat templates with jinja2 in Hugging Face's settings and with Sinter, and compares.

Needs jinja2==3.1.6 and markupsafe==3.0.2. Usage:
    template_interop.py PROGRAM TEMPLATE_FOLDER [--golden chat_golden.json] [--cases N] [--seed S]

PROGRAM is tests/interop/template_main.cc, built. Every template is rendered with randomized
conversations; a case agrees when both give the same text, or both refuse. Exit status 1 when any
case differs.
"""

import argparse
import datetime
import json
import os
import random
import subprocess
import sys
import time

import jinja2
import jinja2.ext
from jinja2.sandbox import ImmutableSandboxedEnvironment

assert jinja2.__version__ == "3.1.6", jinja2.__version__

NOW = datetime.datetime(2026, 1, 2, 3, 4, 5)


class Generation(jinja2.ext.Extension):
    """{% generation %}: marks what a model wrote; renders its body as it is."""

    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("_body"), [], [], body).set_lineno(line)

    def _body(self, caller):
        return caller()


def make_environment():
    def raise_exception(message):
        raise jinja2.exceptions.TemplateError(message)

    def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(
            x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys
        )

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, jinja2.ext.loopcontrols]
    )
    environment.filters["tojson"] = tojson
    environment.globals["raise_exception"] = raise_exception
    environment.globals["strftime_now"] = lambda f: NOW.strftime(f)
    return environment


def render(environment, compiled, source, inputs):
    """What jinja2 makes of it: {"text": ...} or {"error": ...}."""
    try:
        if source not in compiled:
            try:
                compiled[source] = environment.from_string(source)
            except Exception as e:
                compiled[source] = e
        template = compiled[source]
        if isinstance(template, Exception):
            raise template
        text = template.render(**{k: v for k, v in inputs.items() if k != "now"})
        text.encode("utf-8")
        return {"text": text}
    except Exception as e:
        return {"error": f"{type(e).__name__}: {e}"}


class Sinter:
    def __init__(self, program):
        environment = dict(os.environ, TZ="UTC")
        self.process = subprocess.Popen(
            [program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
        )

    def render(self, request):
        line = json.dumps(request, ensure_ascii=False).encode("utf-8") + b"\n"
        self.process.stdin.write(line)
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise SystemExit(f"the program died on {line[:2000]!r}")
        return json.loads(answer)


TEXTS = [
    "", "Hi", "Hello there!", "  spaces around \n", "é😀 ünïcödé 漢字", "<think>plan</think>answer",
    "a\n\nb\n", "{\"t\": 3}", "it's \"quoted\" \\ back", "<tool_call>x</tool_call>", "\t\ttabs",
    "</think>late", "<think>open", "line1\r\nline2", "0", "None", "{{ x }} {% y %}", "&<>'\"",
    "\u00a0nbsp\u2003", "ß Σας İ ǅ", "x" * 300, "<|channel|>final<|message|>", "/no_think",
    "/think please", "[TOOL_CALLS]", "\u2028", "a</think>b</think>c", "\x01\x7f",
]
NAMES = ["get_weather", "f", "sérvice.run", "a-b", "mcp__x", ""]
ROLES = ["user", "assistant", "system", "tool", "developer", "ipython", "function", "model", "User"]


def random_json(r, depth=0):
    kind = r.randrange(9 if depth < 3 else 6)
    if kind == 0:
        return r.choice(TEXTS)
    if kind == 1:
        return r.choice([0, 1, -1, 7, 10**6, -(2**40), 2**53])
    if kind == 2:
        return r.choice([0.0, 1.0, -1.5, 0.1, 1e16, 1e-7, 123456.789, 1e22, 5e-324])
    if kind == 3:
        return r.choice([True, False])
    if kind == 4:
        return None
    if kind == 5:
        return r.choice(["celsius", "Oslo", "42"])
    if kind == 6:
        return [random_json(r, depth + 1) for _ in range(r.randrange(4))]
    return {r.choice(TEXTS + ["a", "b", "city", "type"]): random_json(r, depth + 1)
            for _ in range(r.randrange(4))}


def random_arguments(r):
    value = {r.choice(["city", "n", "x", "opts", "é"]): random_json(r) for _ in range(r.randrange(3))}
    return value if r.random() < 0.75 else json.dumps(value, ensure_ascii=False)


def random_tool_call(r):
    function = {"name": r.choice(NAMES), "arguments": random_arguments(r)}
    if r.random() < 0.05:
        function.pop(r.choice(list(function)))
    call = {"type": "function", "function": function}
    if r.random() < 0.7:
        call["id"] = r.choice(["call00001", "c1", "functions.get_weather:0", "123456789"])
    if r.random() < 0.1:
        return dict(function)
    return call


def random_content(r):
    x = r.random()
    if x < 0.8:
        return r.choice(TEXTS)
    if x < 0.85:
        return None
    parts = []
    for _ in range(r.randrange(3)):
        kind = r.random()
        if kind < 0.7:
            parts.append({"type": "text", "text": r.choice(TEXTS)})
        elif kind < 0.85:
            parts.append({"type": r.choice(["image", "image_url", "audio", "video"])})
        elif kind < 0.95:
            parts.append({"text": r.choice(TEXTS)})
        else:
            parts.append(r.choice(TEXTS))
    return parts


def random_message(r, role):
    message = {"role": role, "content": random_content(r)}
    if role == "assistant":
        if r.random() < 0.4:
            message["tool_calls"] = [random_tool_call(r) for _ in range(r.randrange(4))]
            if r.random() < 0.5:
                message["content"] = r.choice(["", None, "calling"])
        for key in ("reasoning_content", "thinking", "reasoning", "tool_plan", "prefix"):
            if r.random() < 0.15:
                message[key] = r.choice(TEXTS + [None, True])
        if r.random() < 0.1:
            message["tool_calls"] = None
    if role == "tool":
        if r.random() < 0.7:
            message["tool_call_id"] = r.choice(["call00001", "c1", "zzz", "123456789"])
        if r.random() < 0.6:
            message["name"] = r.choice(NAMES)
        if r.random() < 0.2:
            message["content"] = random_json(r)
    if r.random() < 0.04:
        message.pop(r.choice(list(message)))
    if r.random() < 0.02:
        message["content"] = random_json(r)
    return message


def random_schema(r, depth=0):
    schema = {}
    if r.random() < 0.9:
        schema["type"] = r.choice(
            ["string", "integer", "number", "boolean", "array", "object", "null",
             ["string", "null"], ["integer", "string"]])
    if r.random() < 0.5:
        schema["description"] = r.choice(TEXTS)
    if r.random() < 0.2:
        schema["enum"] = [r.choice(["a", "b", 1, None, "é"]) for _ in range(r.randrange(1, 4))]
    if r.random() < 0.2:
        schema["default"] = random_json(r, 2)
    if r.random() < 0.1:
        schema["nullable"] = r.choice([True, False])
    if r.random() < 0.1:
        schema["format"] = "date-time"
    if depth < 3:
        if schema.get("type") == "array" and r.random() < 0.8:
            schema["items"] = random_schema(r, depth + 1)
        if schema.get("type") == "object" and r.random() < 0.8:
            schema["properties"] = {k: random_schema(r, depth + 1)
                                    for k in r.sample(["b", "A", "city", "Zeta", "é"], r.randrange(4))}
            if r.random() < 0.5:
                schema["required"] = r.sample(["b", "A", "city"], r.randrange(3))
        if r.random() < 0.08:
            schema["anyOf"] = [random_schema(r, depth + 1), random_schema(r, depth + 1)]
        if r.random() < 0.05:
            schema["oneOf"] = [random_schema(r, depth + 1)]
        if r.random() < 0.05:
            schema["$defs"] = {"N": random_schema(r, depth + 1)}
    return schema


def random_tool(r):
    parameters = {"type": "object",
                  "properties": {k: random_schema(r) for k in r.sample(
                      ["city", "unit", "Count", "opts", "items", "é"], r.randrange(5))}}
    if r.random() < 0.7:
        parameters["required"] = r.sample(["city", "unit", "Count"], r.randrange(3))
    function = {"name": r.choice(NAMES), "description": r.choice(TEXTS), "parameters": parameters}
    if r.random() < 0.15:
        function.pop(r.choice(["description", "parameters"]))
    if r.random() < 0.1:
        function["return"] = random_schema(r)
    if r.random() < 0.05:
        function["strict"] = True
    return {"type": "function", "function": function} if r.random() < 0.93 else function


def tidy_conversation(r):
    """What well-behaved clients send: roles that alternate, contents that are strings."""
    messages = []
    if r.random() < 0.4:
        messages.append({"role": "system", "content": r.choice(TEXTS)})
    for turn in range(r.randrange(1, 4)):
        messages.append({"role": "user", "content": r.choice(TEXTS)})
        if turn and r.random() < 0.4:
            calls = [{"id": f"call0000{i}", "type": "function", "function": {
                "name": r.choice(NAMES[:4]), "arguments": {
                    k: random_json(r, 1) for k in r.sample(["city", "n", "x", "é"], r.randrange(3))}}}
                     for i in range(r.randrange(1, 3))]
            messages.append({"role": "assistant", "content": r.choice(TEXTS), "tool_calls": calls})
            messages += [{"role": "tool", "tool_call_id": c["id"], "name": c["function"]["name"],
                          "content": r.choice(TEXTS)} for c in calls]
        answer = {"role": "assistant", "content": r.choice(TEXTS)}
        if r.random() < 0.25:
            answer["reasoning_content"] = r.choice(TEXTS)
        messages.append(answer)
    messages.append({"role": "user", "content": r.choice(TEXTS)})
    return messages


def random_inputs(r):
    style = r.random()
    tidy = r.random() < 0.5
    messages = []
    if tidy:
        messages = tidy_conversation(r)
    elif style < 0.75:  # a conversation as it should be
        if r.random() < 0.4:
            messages.append(random_message(r, r.choice(["system", "system", "developer"])))
        for _ in range(r.randrange(1, 5)):
            messages.append(random_message(r, "user"))
            if r.random() < 0.75:
                messages.append(random_message(r, "assistant"))
                calls = messages[-1].get("tool_calls") or []
                for call in calls if r.random() < 0.8 else []:
                    tool = random_message(r, "tool")
                    if "id" in call:
                        tool["tool_call_id"] = call["id"]
                    messages.append(tool)
        if r.random() < 0.5:
            messages.append(random_message(r, "user"))
    else:
        for _ in range(r.randrange(0, 6)):
            messages.append(random_message(r, r.choice(ROLES)))
    inputs = {"messages": messages, "add_generation_prompt": r.random() < 0.7,
              "bos_token": "<BOS>", "eos_token": "<EOS>",
              "tools": None, "documents": None}
    if r.random() < 0.45:
        inputs["tools"] = [random_tool(r) for _ in range(r.randrange(0, 4))]
    if r.random() < 0.1:
        inputs["documents"] = [{"title": r.choice(TEXTS), "text": r.choice(TEXTS)}
                               for _ in range(r.randrange(3))]
    for key, values in {
        "enable_thinking": [True, False], "thinking": [True, False], "reasoning_effort": ["low", "high", 7],
        "keep_past_thinking": [True], "date_string": ["01 Jan 2026"], "builtin_tools": [["python"], []],
        "tools_in_user_message": [False, True], "thinking_budget": [0, 512, -1], "xml_tools": [[]],
        "add_thought": [True], "clear_thinking": [True, False], "model_identity": ["I am."],
        "safety_mode": ["none", "contextual"], "controls": [{"length": "long"}], "grounding": ["enabled"],
    }.items():
        if r.random() < 0.08:
            inputs[key] = r.choice(values)
    if r.random() < 0.03:
        inputs.pop(r.choice(["tools", "documents", "bos_token", "eos_token"]))
    return inputs


# The goldens were rendered with keys in this order; their file keeps the conversations sorted.
GOLDEN_ORDER = ["role", "tool_call_id", "id", "type", "function", "name", "description", "parameters",
                "properties", "required", "content", "arguments", "tool_calls"]


def in_golden_order(value):
    if isinstance(value, list):
        return [in_golden_order(v) for v in value]
    if not isinstance(value, dict):
        return value
    keys = sorted(value, key=lambda k: GOLDEN_ORDER.index(k) if k in GOLDEN_ORDER else len(GOLDEN_ORDER))
    return {k: in_golden_order(value[k]) for k in keys}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("folder")
    parser.add_argument("--golden")
    parser.add_argument("--cases", type=int, default=3500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--show", type=int, default=10)
    args = parser.parse_args()
    environment = make_environment()
    sinter = Sinter(args.program)
    compiled = {}
    seconds = int(NOW.replace(tzinfo=datetime.timezone.utc).timestamp())
    names = sorted(n for n in os.listdir(args.folder) if n.endswith(".jinja"))
    cases = []
    if args.golden:
        golden = json.load(open(args.golden, encoding="utf-8"))
        for name in names:
            for kind, expected in golden.get(name, {}).items():
                inputs = in_golden_order(golden["_conversations"][kind])
                inputs.update(add_generation_prompt=True, bos_token="<BOS>", eos_token="<EOS>")
                want = {"text": expected} if isinstance(expected, str) else expected
                cases.append((f"{name} golden {kind}", name, inputs, want))
    n_golden = len(cases)
    r = random.Random(args.seed)
    for i in range(args.cases):
        cases.append((f"{names[i % len(names)]} case {i}", names[i % len(names)], random_inputs(r), None))
    wrong, refused, wrong_golden, ours = 0, 0, 0, 0.0
    for label, name, inputs, want in cases:
        path = os.path.join(args.folder, name)
        if want is None:
            source = open(path, encoding="utf-8", newline="").read()
            want = render(environment, compiled, source, inputs)
        start = time.perf_counter()
        got = sinter.render({"template_path": path, "inputs": dict(inputs, now=seconds)})
        ours += time.perf_counter() - start
        refused += "error" in want
        same = got["text"] == want["text"] if "text" in got and "text" in want else (
            "error" in got and "error" in want)
        if same:
            continue
        wrong += 1
        wrong_golden += " golden " in label
        if wrong <= args.show:
            print(f"--- {label}")
            if "text" in got and "text" in want:
                a, b = got["text"], want["text"]
                at = next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))
                print(f"  differs at {at}: ours {a[max(0, at - 60):at + 60]!r}")
                print(f"              jinja2 {b[max(0, at - 60):at + 60]!r}")
            else:
                print(f"  ours   {str(got)[:300]}\n  jinja2 {str(want)[:300]}")
            print(f"  inputs {json.dumps(inputs, ensure_ascii=False)[:600]}")
    print(f"{len(cases) - wrong} of {len(cases)} cases agree ({refused} refused by jinja2); "
          f"golden {n_golden - wrong_golden} of {n_golden}; {ours:.2f} s in our program")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
