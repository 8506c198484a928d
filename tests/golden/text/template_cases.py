#!/usr/bin/env python3
"""Writes template_cases.json: small Jinja templates and what jinja2 renders or refuses.

Needs jinja2==3.1.6 and markupsafe==3.0.2 (any CPython 3.11 or later). Run it in this folder:
    python template_cases.py > template_cases.json
The environment is that of tests/interop/template_interop.py (Hugging Face's settings).
"""

import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "interop"))
import template_interop  # noqa: E402

CONTEXT = {
    "messages": [{"role": "user", "content": "Hi é"}, {"role": "assistant", "content": "Yo", "n": 2}],
    "tools": None,
    "documents": None,
    "add_generation_prompt": True,
    "bos_token": "<s>",
    "eos_token": "</s>",
    "xs": [3, 1, 2],
    "d": {"b": 1, "a": [1, 2.5, None, True], "C": {"k": "v'\""}, "items2": "x", "_p": 1},
    "s": "Hello Wörld",
    "n": 7,
    "f": 2.5,
    "t": True,
    "nul": None,
    "empty": "",
    "el": [],
    "ed": {},
    "people": [
        {"name": "bob", "age": 30, "city": {"n": "Oslo"}},
        {"name": "Alice", "age": 25, "city": {"n": "oslo"}},
        {"name": "carl", "age": 30},
    ],
    "emoji": "a😀b\u00a0c\u200b\x7f\n",
    "words": ["one", "Two", "three", "two"],
    "tree": [{"v": 1, "c": [{"v": 2, "c": []}, {"v": 3, "c": [{"v": 4, "c": []}]}]}],
}

CASES = r"""
plain text
{{ n }}{{ f }}{{ t }}{{ nul }}{{ empty }}{{ missing }}
{{ d }}|{{ xs }}|{{ el }}|{{ ed }}|{{ () }}|{{ (1,) }}|{{ (1, 'a') }}
{{ [1, 2.5, true, none, 'a\'b', "q\"", 'both\'"'] }}
{{ emoji }}|{{ [emoji] }}
{{ ['\x00\x1f\x7f\x80\xa0\xad\u0378\u2028\u200b\ufeff\U000e0001\U0001f600é漢\\'] }}
{{ '\a\b\f\n\r\t\v\101\x41\u0041\q\
z' }}
{{ '\é' }}
{{ "a" 'b' "c" }}
{{ 1_000 }} {{ 0x1F }} {{ 0b101 }} {{ 0o17 }} {{ 000 }} {{ 1e3 }} {{ 1.5e-3 }} {{ 1_0.2_5 }} {{ 1E5 }}
{{ 1.0 }} {{ 0.1 }} {{ 1e16 }} {{ 1e15 }} {{ 123456789012345680.0 }} {{ 1e-4 }} {{ 1e-5 }} {{ -0.0 }} {{ 1e300 * 1e10 }} {{ 5e-324 }} {{ 1/3 }} {{ 100.0 }} {{ 1e22 }} {{ 2.5e+20 }}
{{ 1e308 * 10 - 1e308 * 10 }}
{{ 7 // 2 }} {{ -7 // 2 }} {{ 7 % 3 }} {{ -7 % 3 }} {{ 7 % -3 }} {{ 7 / 2 }} {{ 6 / 3 }} {{ 2 ** 10 }} {{ 2 ** -1 }} {{ 2 ** 0.5 }} {{ 7.5 // 2 }} {{ -7.5 % 2 }} {{ 7.5 % -2 }} {{ -1.0 // 3 }}
{{ 0 ** 0 }} {{ 1 ** 100 }} {{ (-1) ** 101 }} {{ -2 ** 2 }} {{ 2 ** 3 ** 2 }} {{ 2 ** 62 }} {{ 10 ** 18 }}
{{ 1 / 0 }}
{{ 1 // 0 }}
{{ 1 % 0 }}
{{ 1.0 % 0 }}
{{ true + 1 }} {{ true == 1 }} {{ 1 == 1.0 }} {{ '1' == 1 }} {{ none == false }} {{ [] == () }} {{ [1] == [1.0] }} {{ {'a': 1} == {'a': True} }}
{{ 1 < 2 < 3 }} {{ 1 < 3 < 2 }} {{ 3 > 2 >= 2 }} {{ 1 == 1 != 2 }} {{ 'a' < 'b' }} {{ 'Z' < 'a' }} {{ [1, 2] < [1, 3] }} {{ (1,) < (1, 0) }} {{ 'é' > 'z' }}
{{ 1 < 'a' }}
{{ none < 1 }}
{{ missing < 1 }}
{{ [] < () }}
{{ {} < {} }}
{{ 1 in xs }} {{ 4 in xs }} {{ 4 not in xs }} {{ 'b' in d }} {{ 'zz' in d }} {{ 'ell' in s }} {{ '' in s }} {{ 1 in missing }} {{ missing in xs }} {{ not 1 in xs }} {{ 2 in range(3) }} {{ (1, 2) in {(1, 2): 3} }}
{{ 1 in 'abc' }}
{{ 1 in 5 }}
{{ [] in {} }}
{{ 1 if t }}|{{ 1 if not t }}|{{ 1 if not t else 2 }}|{{ 'a' if false else 'b' if false else 'c' }}|{{ (1 if false) is defined }}
{{ t and 5 }} {{ 0 and 5 }} {{ 0 or 'x' }} {{ '' or none }} {{ not 0 }} {{ not xs }} {{ 1 and 2 and 3 }} {{ 0 or '' or [] }}
{{ 'a' ~ 1 ~ none ~ true ~ 1.5 ~ missing ~ [1] }}
{{ 'a' + 'b' * 3 }} {{ 3 * 'ab' }} {{ [1] * 2 + [3] }} {{ (1,) + (2,) }} {{ -3 * 'a' }}| {{ 'x' * true }}
{{ 'a' + 1 }}
{{ 1 + 'a' }}
{{ [1] + (2,) }}
{{ none + 1 }}
{{ {} + {} }}
{{ missing + 'a' }}
{{ 'a' + missing }}
{{ -'a' }}
{{ +true }}{{ -true }}{{ - 1 }}{{ 1 - -1 }}{{ --1 }}
{{ missing.foo }}
{{ missing['foo'] }}
{{ missing() }}
{{ missing | length }} {{ missing | list }} {{ missing | join }}| {{ missing | upper }}| {{ missing is iterable }} {{ missing is sequence }} {{ missing is mapping }} {{ missing is string }} {{ missing == missing2 }} {{ [missing] }} {{ missing | default }}|{{ missing is callable }} {{ missing | first }}|{{ missing | last }}
{{ missing | int }}
{{ missing | float }}
{{ missing | abs }}
{{ missing | tojson }}
{{ [missing] | tojson }}
{{ missing | items | list }} {{ missing | sort }} {{ missing | unique | list }} {{ missing | map('upper') | list }} {{ missing | sum }} {{ missing | trim }}| {{ missing | string }}| {{ missing | replace('a', 'b') }}|
{{ missing | dictsort }}
{{ missing.x.y }}
{{ nul.x }}|{{ nul['x'] }}|{{ n.x }}|{{ n[0] }}
{{ nul.x.y }}
{{ d.b }} {{ d['b'] }} {{ d.zz }}| {{ d['a'][0] }} {{ d.a[-1] }} {{ d.a[9] }}| {{ d.C.k }} {{ d['items2'] }} {{ d._p }}|{{ d['_p'] }}
{{ d.items() | list }} {{ d.keys() | list }} {{ d.values() | list }} {{ d.get('b') }} {{ d.get('q') }} {{ d.get('q', 5) }} {{ d.items is defined }} {{ d.keys() }} {{ d.items() }} {{ d.values() }}
{{ d.get() }}
{{ d.get(key='b') }}
{{ d.copy() }} {{ xs.copy() }} {{ xs.count(1) }} {{ xs.index(2) }} {{ (1, 2, 1).count(1) }}
{{ xs.index(99) }}
{{ xs.append }}|{{ xs.append is defined }}
{{ xs.append(4) }}
{{ xs.pop() }}
{{ d.update({'x': 1}) }}
{{ d.pop('b') }}
{{ d.setdefault('b') }}
{{ xs.sort() }}
{{ xs.__class__ }}|{{ ''.__class__ is defined }}
{{ ''.__class__.__mro__ }}
{{ s.foo }}|{{ s['foo'] }}|{{ s.foo is defined }}
{{ s[0] }} {{ s[-1] }} {{ s[7] }} {{ s[99] }}| {{ s[1:3] }} {{ s[:-1] }} {{ s[::2] }} {{ s[::-1] }} {{ s[-3:] }} {{ s[5:2] }}| {{ s[100:] }}| {{ s[-100:2] }} {{ s[8:1:-2] }} {{ s[:] }} {{ s[true] }}
{{ xs[1:] }} {{ xs[::-1] }} {{ xs[:-1] }} {{ xs[5:] }} {{ (1, 2, 3)[1:] }} {{ range(10)[2:8:3] }} {{ range(10)[::-1] }} {{ xs[none:2] }} {{ range(5)[1] }} {{ range(5)[-1] }} {{ xs[-2:-1] }} {{ xs[10:0:-1] }}
{{ s[1:2:0] }}
{{ xs['a'] }}|{{ xs[1.0] }}|{{ xs.0 }}|{{ d[[]] }}|{{ d[none] }}
{{ range(3) }} {{ range(1, 4) | list }} {{ range(5, 0, -2) | list }} {{ range(0) | list }} {{ range(3) | length }} {{ range(1, 9, 3) }} {{ range(3) == range(0, 3) }}
{{ range(100000) | length }}
{{ range(100001) }}
{{ range(1, 2, 0) }}
{{ range(1.5) }}
{{ range() }}
{{ range('a') }}
{{ dict(a=1, b=2) }} {{ dict({'x': 1}, y=2) }} {{ dict([('a', 1)]) }} {{ dict() }}
{{ dict(1) }}
{{ namespace(a=1) }} {{ namespace({'x': 2}).x }} {{ namespace().y }}|
{% set ns = namespace(x=0) %}{% for i in xs %}{% set ns.x = ns.x + i %}{% endfor %}{{ ns.x }} {{ ns.y }}| {{ ns is mapping }} {{ ns is iterable }} {{ ns['x'] }}
{% set ns = {} %}{% set ns.x = 1 %}
{% set zz.x = 1 %}
{% set x = 1 %}{% for i in xs %}{% set x = i %}{{ x }}{% endfor %}{{ x }}
{% set x = 1 %}{% if t %}{% set x = 2 %}{% endif %}{{ x }}
{% for i in xs %}{{ x }}{% set x = i %}{{ x }};{% endfor %}{{ x }}
{% set x = 5 %}{% for i in xs %}{{ x }}{% set x = i %}{{ x }};{% endfor %}{{ x }}
{% for i in xs %}{{ later }}{% endfor %}{% set later = 1 %}{{ later }}
{% for i in xs %}{{ n }}{% endfor %}{% set n = 1 %}{{ n }}
{{ n }}{% for i in xs %}{{ n }}{% endfor %}{% set n = 1 %}{{ n }}
{% if false %}{% set n = 1 %}{% endif %}{{ n }}
{% if false %}{% set q = 1 %}{% endif %}{{ q }}
{% for i in xs %}{% if loop.first %}{% set n = 100 %}{% endif %}{{ n }},{% endfor %}
{% for i in xs %}{% if false %}{% set w = 100 %}{% else %}{% set w = 3 %}{% endif %}{{ w }},{% endfor %}{{ w }}
{% set a, b = 1, 2 %}{{ a }}{{ b }}{% set (c, d2) = 'xy' %}{{ c }}{{ d2 }}{% set e = 1, %}{{ e }}
{% set a, b = 1 %}
{% set a, b = [1, 2, 3] %}
{% set a, b = [1] %}
{% set ns = namespace() %}{% set ns.a, ns.b = 1, 2 %}{{ ns.a }}{{ ns.b }}
{% set x %}a{{ n }}b{% set y = 1 %}{% endset %}{{ x }}|{{ y }}
{% set x | upper | replace('A', 'z') %}aab{% endset %}{{ x }}
{% set ns = namespace() %}{% set ns.x %}hi{% endset %}{{ ns.x }}
{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}
{% for k, v in d | dictsort %}{{ k }};{% endfor %}{% for k, v in d | items %}{{ k }}{% endfor %}
{% for a, (b, c) in [(1, (2, 3)), (4, [5, 6])] %}{{ a }}{{ b }}{{ c }} {% endfor %}
{% for a, b in xs %}{% endfor %}
{% for c in 'aé😀' %}{{ loop.index }}{{ c }}{% endfor %}
{% for k in d %}{{ k }}{% endfor %}
{% for x in none %}{% endfor %}
{% for x in 5 %}{% endfor %}
{% for x in missing %}{{ x }}{% else %}none{% endfor %}
{% for x in xs %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }}{{ loop.previtem }}{{ loop.nextitem }}{{ loop.depth }}{{ loop.depth0 }}{{ loop.cycle('a', 'b') }}{{ loop.changed(x > 1) }};{% endfor %}
{% for x in xs if x > 1 %}{{ loop.index }}/{{ loop.length }}{{ loop.last }}:{{ x }} {% endfor %}
{% for x in xs if x > 9 %}{% else %}empty{% endfor %}
{% for x in xs %}{% for y in xs %}{{ loop.index }}{% endfor %}{{ loop.index }};{% endfor %}
{% for x in xs %}{% set outer = loop %}{% for y in xs %}{{ outer.index }}{{ loop.index }} {% endfor %}{% endfor %}
{% for x in xs %}{% if x == 1 %}{% break %}{% endif %}{{ x }}{% endfor %}
{% for x in xs %}{% if x == 1 %}{% continue %}{% endif %}{{ x }}{% endfor %}
{% for x in xs %}{% break %}{% else %}E{% endfor %}
{% for x in xs %}{% continue %}{% else %}E{% endfor %}
{% for x in xs %}{% if loop.index == 2 %}{% break %}{% endif %}{% else %}E{% endfor %}
{% break %}
{% for x in tree recursive %}{{ x.v }}{{ loop.depth }}{% if x.c %}({{ loop(x.c) }}){% endif %}{% endfor %}
{% for x in xs %}{{ loop(xs) }}{% endfor %}
{% for x in xs %}{{ loop }}{% endfor %}
{% for loop in xs %}{% endfor %}
{% for x in xs %}{% set loop = 1 %}{% endfor %}
{% set loop = 3 %}{{ loop }}
{% for x in xs | map('string') %}{{ x }}{{ loop.last }}{% endfor %}
{% for x in xs | select('odd') %}{{ loop.length }}{{ x }}{% endfor %}
{% macro m(a, b=2, c='x') %}[{{ a }}{{ b }}{{ c }}]{% endmacro %}{{ m(1) }}{{ m(1, 3) }}{{ m(c=1, a=2) }}{{ m() }}{{ m }} {{ m.name }} {{ m.arguments }}
{% macro m(a) %}{% endmacro %}{{ m(1, 2) }}
{% macro m(a) %}{% endmacro %}{{ m(b=2) }}
{% macro m(a) %}{% endmacro %}{{ m(1, a=2) }}
{% macro m(a, b=a) %}{{ a }}{{ b }}{% endmacro %}{{ m(1) }}{{ m(1, 2) }}
{% macro m(a=b, b=1) %}{{ a }}{{ b }}{% endmacro %}{{ m() }}
{% macro m() %}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1, 2, x=3) }}
{% macro m(kwargs) %}{{ kwargs }}{% endmacro %}{{ m(1) }}
{% macro m() %}({{ caller() }}){% endmacro %}{% call m() %}body{{ n }}{% endcall %}
{% macro m() %}{{ caller(1, 2) }}{% endmacro %}{% call(a, b=5) m() %}{{ a }}{{ b }}{% endcall %}
{% macro m() %}{{ caller is defined }}{% endmacro %}{{ m() }}
{% macro m() %}{{ caller() }}{% endmacro %}{{ m() }}
{% macro m() %}x{% endmacro %}{% call m() %}{% endcall %}
{% macro f(n) %}{{ n }}{% if n > 0 %}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(5) }}
{% macro m() %}{{ x }}{% endmacro %}{% set x = 1 %}{{ m() }}{% set x = 2 %}{{ m() }}
{% macro m() %}{% set x = 9 %}{{ x }}{% endmacro %}{% set x = 1 %}{{ m() }}{{ x }}
{% for i in xs %}{% macro m() %}{{ i }}{% endmacro %}{{ m() }}{% endfor %}{{ m is defined }}
{% macro a() %}{{ b() }}{% endmacro %}{% macro b() %}B{% endmacro %}{{ a() }}
{% if t %}{% macro m() %}M{% endmacro %}{% endif %}{{ m() }}
{% macro m(a, a) %}{% endmacro %}
{% macro m(a=1, b) %}{% endmacro %}
{{ m2() }}{% macro m2() %}x{% endmacro %}
{% filter upper %}abc{{ n }}{% endfilter %}
{% filter replace('a', 'b') | upper %}aa{% set zq = 1 %}{% endfilter %}{{ zq }}
{% with a = 1, b = 2 %}{{ a }}{{ b }}{% set a = 3 %}{{ a }}{% endwith %}{{ a }}
{% with %}x{% endwith %}
{% with a = 1, b = a %}{{ b }}{% endwith %}
{% generation %}gen{% set gx = 1 %}{% endgeneration %}{{ gx }}
{% raw %}{{ x }} {% if %}{% endraw %}
  {% raw -%}  a {{ b }}  {%- endraw %}  z
{# comment #}a{#- strip -#}  b
{% print 1, 2 %}
a
  {% if true %}
b
  {% endif %}
c

{% for x in [1,2] %}
{{ x }}
{% endfor %}

{{- ' x ' -}}  
 y
  {%+ if true %}a{% endif +%}
b
  {{ 1 }}  
{%- if true -%}   a   {%- endif -%}
  {# c #}
x
{{ 1 }}
{% if true %}{{ 1 }}
{% endif %}
	{% set x = 1 %}
	t
a   {% if true %}b{% endif %}
{{ '%s and %d' % ('a', 3) }} {{ '%5.2f|%-5d|%05d|%x|%X|%o|%e|%g|%c|%r|%%' % (3.14159, 42, 42, 255, 255, 8, 12345.678, 0.0001, 'z', 'q') }} {{ '%s' % none }} {{ '%(a)s' % {'a': 1} }} {{ '%+d % d' % (1, 2) }} {{ '%.3s' % 'abcdef' }} {{ '%*d' % (5, 1) }} {{ '%#x' % 255 }} {{ '%i' % 3.9 }}
{{ '%d' % 'a' }}
{{ '%s %s' % 'a' }}
{{ 'a' % 1 }}
{{ '%s' % (1, 2) }}
{{ '%q' % 1 }}
{{ '%s' % [1, 2] }} {{ '%s' % missing }}|{{ 'abc' % [] }}
{{ '{} {}'.format(1, 'a') }} {{ '{1}{0}'.format(1, 2) }} {{ '{a}{b}'.format(a=1, b=2) }} {{ '{:>5}|{:<5}|{:^5}|{:*^7}'.format('a', 'b', 'c', 'd') }} {{ '{:05d} {:,} {:.2f} {:x} {:b} {:e} {:%} {:+}'.format(42, 1234567, 3.14159, 255, 5, 1234.5, 0.25, 3) }} {{ '{{}}'.format() }} {{ '{!r} {!s}'.format('a', 'b') }} {{ '{0[a]} {0[b].x}'.format({'a': 1, 'b': {'x': 2}}) }} {{ '{:{w}}'.format('a', w=4) }}|{{ '{:5}|{:5}'.format('a', 1) }} {{ '{}'.format(none) }} {{ '{}'.format(1.0) }} {{ '{:.3}'.format('abcdef') }} {{ '{:g}'.format(1e10) }} {{ '{:.3}'.format(3.14159) }} {{ '{:d}'.format(true) }}
{{ '{}'.format() }}
{{ '{a}'.format() }}
{{ '{:d}'.format('a') }}
{{ '{'.format() }}
{{ '}'.format() }}
{{ '{0.__class__}'.format(1) }}
{{ '{} {0}'.format(1) }}
{{ '{:5}'.format([1]) }}
{{ s | upper }} {{ s | lower }} {{ s | title }} {{ s | capitalize }} {{ 'hello wORLD-foo (bar)' | title }} {{ s | length }} {{ 5 | upper }} {{ none | upper }} {{ 'ß' | upper }} {{ 'ŉ ﬁ' | upper }} {{ 'İΣ ΑΣ ΑΣ. ΑΣΑ' | lower }} {{ 'ǆ' | title }} {{ 'straße' | capitalize }}
{{ s.upper() }} {{ s.lower() }} {{ s.title() }} {{ "they're bill's" .title() }} {{ s.swapcase() }} {{ s.capitalize() }} {{ 'Straße'.casefold() }} {{ 'ab'.center(7, '*') }} {{ 'abc'.center(6) }}| {{ 'abc'.ljust(5) }}| {{ 'abc'.rjust(5, '.') }} {{ '42'.zfill(5) }} {{ '-42'.zfill(5) }} {{ 'a\tb'.expandtabs(4) }}
{{ s.find('l') }} {{ s.rfind('l') }} {{ s.find('zz') }} {{ s.index('W') }} {{ s.count('l') }} {{ 'aaa'.count('aa') }} {{ s.find('l', 3) }} {{ s.find('l', 4, 5) }} {{ s.find('ö') }} {{ s.rindex('d') }} {{ ''.count('') }} {{ 'abc'.count('') }} {{ s.find('') }} {{ s.rfind('') }}
{{ s.index('zz') }}
{{ s.startswith('He') }} {{ s.endswith('ld') }} {{ s.startswith(('x', 'He')) }} {{ s.startswith('e', 1) }} {{ s.endswith('o', 0, 5) }} {{ s.startswith('') }}
{{ s.startswith(1) }}
{{ 'a,b,,c'.split(',') }} {{ ' a  b c '.split() }} {{ 'a,b,c'.split(',', 1) }} {{ ' a  b c '.split(none, 1) }} {{ 'a,b,c'.rsplit(',', 1) }} {{ ' a  b c '.rsplit(none, 1) }} {{ ''.split() }} {{ ''.split(',') }} {{ 'abc'.split('b', maxsplit=0) }} {{ 'a<sep>b'.split('<sep>') }} {{ ' a b '.split(none, 0) }} {{ ' a b '.rsplit(none, 0) }}
{{ 'a'.split('') }}
{{ 'a\nb\r\nc\x0bd\u2028e\n'.splitlines() }} {{ 'a\nb'.splitlines(true) }} {{ ''.splitlines() }}
{{ 'a-b-c'.partition('-') }} {{ 'a-b-c'.rpartition('-') }} {{ 'abc'.partition('x') }} {{ 'abc'.rpartition('x') }} {{ 'prefix-x'.removeprefix('prefix-') }} {{ 'x.py'.removesuffix('.py') }}
{{ '  a '.strip() }}|{{ '  a '.lstrip() }}|{{ '  a '.rstrip() }}|{{ 'xxaxx'.strip('x') }}|{{ 'abcba'.strip('ab') }}|{{ '\u00a0\u2003a\x1f'.strip() }}|{{ '  a ' | trim }}|{{ 'xax' | trim('x') }}|{{ 'éaé'.strip('é') }}
{{ ', '.join(['a', 'b']) }} {{ '-'.join('abc') }} {{ ''.join([]) }}|
{{ ', '.join([1, 2]) }}
{{ 'aXbXc'.replace('X', '--') }} {{ 'aaa'.replace('a', 'b', 2) }} {{ 'abc'.replace('', '-') }} {{ 'aaa' | replace('a', 'b', 1) }} {{ 123 | replace(2, 'x') }} {{ 'abc'.replace('', '-', 2) }}
{{ 'abc'.isalpha() }}{{ 'ab1'.isalnum() }}{{ '12'.isdigit() }}{{ '²'.isdigit() }}{{ '²'.isdecimal() }}{{ '½'.isnumeric() }}{{ ' '.isspace() }}{{ 'ab'.islower() }}{{ 'AB'.isupper() }}{{ 'Ab Cd'.istitle() }}{{ 'a_1'.isidentifier() }}{{ '1a'.isidentifier() }}{{ 'a\n'.isprintable() }}{{ 'é'.isascii() }}{{ ''.isalpha() }}{{ ''.isascii() }}
{{ 'a'.upper(1) }}
{{ 'abc' | center(9) }}|{{ 'a\nb\n\nc' | indent }}|{{ 'a\nb\n\nc' | indent(2, true) }}|{{ 'a\n\nb' | indent(2, blank=true) }}|{{ 'a\nb' | indent('> ') }}|{{ 'a\n' | indent }}|
{{ 5 | indent }}
{{ 'foo bar baz qux' | truncate(9) }} {{ 'foo bar baz qux' | truncate(9, true) }} {{ 'foo bar baz qux' | truncate(11) }} {{ 'foo bar baz qux' | truncate(11, false, '...', 0) }} {{ 'foo bar' | truncate(3, leeway=0) }} {{ 'foobar baz' | truncate(5, leeway=0, end='') }}
{{ 'a' | truncate(1) }}
{{ 'foo  bar-baz é_x' | wordcount }} {{ 'a b/c?d=é&' | urlencode }} {{ {'a b': 1, 'c': 'é/'} | urlencode }} {{ [('a', 1)] | urlencode }} {{ 5 | urlencode }}
{{ '<a href="x">\'&' | escape }} {{ '<' | e }} {{ '<' | safe }} {{ ('<' | safe) + '>' }} {{ '>' + ('<' | safe) }} {{ ('<' | safe) ~ '>' }} {{ '<' | escape | escape }} {{ '<' | escape | forceescape }} {{ ['<' | safe] }} {{ ('a' | safe).upper() }} {{ ('<' | safe) is escaped }} {{ ('%s<' | safe) % '>' }} {{ ('<' | safe) | string }} {{ ('x' | safe) == 'x' }} {{ ('<a>' | safe).replace('a', '<') }} {{ ('-' | safe).join(['<', 'b']) }} {{ ('<' | safe)[0] is escaped }} {{ ('a' | safe) * 2 }}
{{ {'class': 'a<', 'id': none, 'x': 1} | xmlattr }}|{{ {} | xmlattr }}|{{ {'a': 1} | xmlattr(false) }}
{{ {'a b': 1} | xmlattr }}
{{ 1 | filesizeformat }} {{ 999 | filesizeformat }} {{ 1000 | filesizeformat }} {{ 123456789 | filesizeformat }} {{ 2048 | filesizeformat(true) }} {{ '5e6' | filesizeformat }}
{{ '42' | int }} {{ '4.7' | int }} {{ 'x' | int }} {{ 'x' | int(5) }} {{ '0x1f' | int(0, 16) }} {{ '1f' | int(base=16) }} {{ 4.9 | int }} {{ -4.9 | int }} {{ none | int }} {{ ' 7 ' | int }} {{ '1_000' | int }} {{ '1e3' | int }} {{ true | int }} {{ [] | int(3) }} {{ 'inf' | int }} {{ '-5' | int }} {{ '0b11' | int(base=0) }} {{ '010' | int(base=0) }} {{ '- 5' | int }}
{{ '4.5' | float }} {{ 'x' | float }} {{ 'x' | float(1.5) }} {{ 3 | float }} {{ none | float }} {{ 'nan' | float }} {{ '-inf' | float }} {{ ' 1e3 ' | float }} {{ '1_0.5' | float }} {{ '.5' | float }} {{ '5.' | float }} {{ '1e999' | float }} {{ '--1' | float }}
{{ 42.55 | round }} {{ 42.55 | round(1) }} {{ 42.55 | round(1, 'floor') }} {{ 42.51 | round(1, 'ceil') }} {{ 2.5 | round }} {{ 3.5 | round }} {{ 5 | round }} {{ 15 | round(-1) }} {{ 25 | round(-1) }} {{ 1234.5 | round(-2) }} {{ 2.675 | round(2) }} {{ -0.4 | round }} {{ 7 | round(1, 'ceil') }} {{ 1e300 | round(2) }} {{ true | round }}
{{ 1.5 | round(0, 'x') }}
{{ 'a' | round }}
{{ -5 | abs }} {{ 5.5 | abs }} {{ -5.5 | abs }} {{ true | abs }}
{{ 'a' | abs }}
{{ xs | sort }} {{ xs | sort(reverse=true) }} {{ words | sort }} {{ words | sort(case_sensitive=true) }} {{ people | sort(attribute='age') | map(attribute='name') | list }} {{ people | sort(attribute='age,name') | map(attribute='name') | join(',') }} {{ d | sort }} {{ 'bca' | sort }} {{ people | sort(true, false, 'age') | map(attribute='name') | join(',') }}
{{ [1, 'a'] | sort }}
{{ [{}, {}] | sort }}
{{ people | sort(attribute='city.n') }}
{{ words | unique | list }} {{ words | unique(true) | list }} {{ people | unique(attribute='age') | map(attribute='name') | list }} {{ [1, 1.0, true, '1'] | unique | list }}
{{ [[], []] | unique | list }}
{{ xs | min }} {{ xs | max }} {{ words | min }} {{ words | max }} {{ words | max(case_sensitive=true) }} {{ [] | max }}| {{ people | min(attribute='age') }} {{ people | max(attribute='age') }}
{{ xs | sum }} {{ people | sum(attribute='age') }} {{ xs | sum(start=10) }} {{ [] | sum }} {{ [[1], [2]] | sum(start=[]) }} {{ [1.5, 2] | sum }}
{{ ['a'] | sum }}
{{ xs | first }} {{ xs | last }} {{ 'abc' | first }} {{ 'abc' | last }} {{ [] | first }}| {{ d | first }} {{ d | last }} {{ range(3) | last }} {{ d.items() | last }}
{{ 5 | first }}
{{ (xs | map('string')) | last }}
{{ xs | join }} {{ xs | join(', ') }} {{ people | join('-', attribute='name') }} {{ d | join(',') }} {{ 'abc' | join('.') }} {{ [none, true, 1.5, 'x'] | join('|') }} {{ xs | join(5) }} {{ [] | join(',') }}
{{ 5 | join }}
{{ xs | length }} {{ d | count }} {{ '' | length }} {{ d.items() | length }}
{{ 5 | length }}
{{ (xs | map('string')) | length }}
{{ xs | list }} {{ 'ab' | list }} {{ d | list }} {{ (1, 2) | list }}
{{ 5 | list }}
{{ xs | reverse | list }} {{ 'abé' | reverse }} {{ d | reverse | list }} {{ range(3) | reverse | list }} {{ xs | map('string') | reverse }} {{ (1, 2) | reverse | join }}
{{ 5 | reverse }}
{{ xs | map('string') | list }} {{ people | map(attribute='city.n') | list }} {{ people | map(attribute='city', default='?') | list }} {{ words | map('upper') | join(',') }} {{ words | map('replace', 'o', '0') | list }} {{ xs | map('default', 1) | list }} {{ [[1, 2]] | map('first') | list }} {{ [[1, 2]] | map(attribute=1) | list }} {{ [[1, 2]] | map(attribute='0') | list }} {{ words | map('truncate', length=3, leeway=0, end='') | list }}
{{ xs | map() | list }}
{{ xs | map('nope') | list }}
{{ xs | map(attribute='a', bad=1) | list }}
{{ [] | map('nope') | list }}
{{ xs | select('odd') | list }} {{ xs | select('>', 1) | list }} {{ [0, 1, '', 'a'] | select | list }} {{ [0, 1, '', 'a'] | reject | list }} {{ xs | reject('equalto', 1) | list }} {{ people | selectattr('age', '==', 30) | map(attribute='name') | list }} {{ people | rejectattr('city') | map(attribute='name') | list }} {{ people | selectattr('city', 'defined') | map(attribute='name') | list }} {{ people | selectattr('age', 'in', [25]) | list }} {{ people | selectattr('city.n', 'defined') | list | length }} {{ xs | select('in', [1, 2]) | list }} {{ people | rejectattr('age', 'gt', 26) | list }} {{ messages | selectattr('role', 'equalto', 'user') | list | length }} {{ xs | select('lt', 3) | first }}
{{ xs | selectattr() | list }}
{{ xs | select('nope') | list }}
{{ people | selectattr('a.b.c') | list }}
{{ people | selectattr('city.n.x.y') | first }}
{{ nul[1:] }}
{{ xs['a':] }}
{{ d[1:2] }}
{{ d | dictsort }} {{ d | dictsort(true) }} {{ {'x': 2, 'y': 1} | dictsort(by='value') }} {{ {'x': 2, 'y': 1} | dictsort(reverse=true) }} {{ {2: 1, 1: 2} | dictsort }}
{{ d | dictsort(by='foo') }}
{{ xs | dictsort }}
{{ {1: 2, 'a': 3} | dictsort }}
{{ d | items | list }} {{ ed | items | list }}
{{ xs | items | list }}
{{ xs | items is defined }}
{{ people | groupby('age') }} {% for a, b in people | groupby('age') %}{{ a }}:{{ b | map(attribute='name') | join }};{% endfor %} {{ people | groupby('city.n', default='zz') | map(attribute='grouper') | list }} {{ (people | groupby('age'))[0].list | length }} {{ words | groupby(0) | map('first') | list }}
{{ people | groupby('city.n') }}
{{ [1,2,3,4,5] | batch(2) | list }} {{ [1,2,3] | batch(2, 'x') | list }} {{ [1,2,3,4,5] | slice(2) | list }} {{ [1,2,3,4,5] | slice(3, 'f') | list }} {{ [] | batch(2) | list }} {{ [] | slice(2) | list }}
{{ [1] | slice(0) | list }}
{{ d | attr('items') is callable }} {{ d | attr('b') }}| {{ s | attr('upper') is defined }}
{{ missing | default('x') }} {{ nul | default('x') }} {{ nul | default('x', true) }} {{ '' | d('y', boolean=true) }} {{ 0 | default(1) }} {{ missing | default(default_value=3) }} {{ missing | default(boolean=true) }}|
{{ 5 | string }} {{ [1] | string }} {{ none | string }} {{ 1.0 | string | length }}
{{ '%s-%s' | format('a', 1) }} {{ '%(x)s' | format(x=2) }} {{ '%d%%' | format(5) }}
{{ '%s' | format(1, x=2) }}
{{ d | tojson }} {{ [1, 2.0, none, true, 'é"\\\n\t\x01\x7f/<'] | tojson }} {{ () | tojson }} {{ {} | tojson }} {{ [] | tojson }} {{ 'x' | tojson }} {{ 1e16 | tojson }} {{ {1: 2, none: 3, true: 4, 1.5: 5} | tojson }} {{ {'b': 1, 'a': 2} | tojson(sort_keys=true) }} {{ 'é😀' | tojson(ensure_ascii=true) }} {{ [1, {'a': 2}] | tojson(separators=(',', ':')) }} {{ '\x7f' | tojson(true) }}
{{ d | tojson(indent=2) }} {{ [[], {}, [1]] | tojson(indent=1) }} {{ [1] | tojson(indent=0) }} {{ [1, {'a': [2]}] | tojson(indent='--') }} {{ [1] | tojson(indent=-1) }} {{ [1,2] | tojson(indent=true) }}
{{ {(1, 2): 3} | tojson }}
{{ range(3) | tojson }}
{{ (xs | map('string')) | tojson }}
{{ d.items() | tojson }}
{{ namespace() | tojson }}
{{ ('a' | safe) | tojson }} {{ 'nan' | float | tojson }} {{ 'inf' | float | tojson }}
{{ 1 is odd }} {{ 2 is even }} {{ 1.0 is odd }} {{ 6 is divisibleby 3 }} {{ 6 is divisibleby(4) }} {{ -1 is odd }}
{{ 'a' is odd }}
{{ n is defined }} {{ zz is defined }} {{ zz is not defined }} {{ zz is undefined }} {{ nul is none }} {{ nul is not none }} {{ t is true }} {{ 1 is true }} {{ false is false }} {{ 0 is false }} {{ t is boolean }} {{ 1 is boolean }} {{ d.zz is defined }} {{ d.b is defined }}
{{ 1 is integer }} {{ true is integer }} {{ 1.0 is integer }} {{ 1.0 is float }} {{ 1 is number }} {{ true is number }} {{ '1' is number }} {{ 'a' is string }} {{ 1 is string }} {{ d is mapping }} {{ xs is mapping }} {{ xs is iterable }} {{ 's' is iterable }} {{ 1 is iterable }} {{ xs is sequence }} {{ d is sequence }} {{ 's' is sequence }} {{ 1 is sequence }} {{ range(2) is sequence }} {{ d.items() is sequence }} {{ (xs | map('string')) is iterable }} {{ (xs | map('string')) is sequence }} {{ none is iterable }} {{ none is sequence }} {{ range is callable }} {{ 'a' is callable }} {{ s.upper is callable }}
{{ 'abc' is lower }} {{ 'ABC' is upper }} {{ 'aB' is lower }} {{ 1 is lower }} {{ 'é1' is lower }} {{ '' is upper }}
{{ 1 is eq 1 }} {{ 1 is equalto(2) }} {{ 1 is ne 2 }} {{ 1 is lt 2 }} {{ 2 is gt(1) }} {{ 1 is le 1 }} {{ 1 is ge 2 }} {{ 1 is sameas 1 }} {{ none is sameas none }} {{ true is sameas 1 }} {{ xs is sameas xs }} {{ 1 is in [1] }} {{ 'a' is in 'abc' }} {{ 5 is not in [1] }} {{ 'upper' is filter }} {{ 'nope' is filter }} {{ 'odd' is test }} {{ 'nope' is test }}
{{ 1 is nope }}
{{ 1 | nope }}
{% if false %}{{ 1 | nope }}{% endif %}ok
{{ 1 | nope if false else 2 }}
{% if false %}{% for x in xs %}{{ x | nope }}{% endfor %}{% endif %}ok
{% if true %}{{ 1 | nope }}{% endif %}
{% if false %}{{ 1 is nope }}{% endif %}ok
{{ 1 is string or true }} {{ 1 is not string and 2 }} {{ (1 is string) == false }} {{ 2 is divisibleby 2 and true }} {{ [1] is iterable }} {{ 1 is in([1, 2]) }} {{ not n is string }}
{{ 'a' if n is string else 'b' }} {{ n is string is defined }}
{{ n is string if true else 1 }}
{{ -1 | abs }} {{ (-1) | abs }} {{ 2 * 3 | string ~ 'x' }} {{ 1 + 2 * 3 - 4 / 2 }} {{ (1 + 2) * 3 }} {{ 'a' ~ 1 + 2 }} {{ 5 - 2 - 1 }} {{ 2 * 3 % 4 }} {{ not true == false }} {{ 1 ~ 2 * 3 }}
{{ {'a': 1, 'b': [1, {'c': 2}]}.b[1].c }} {{ [1, 2][0] }} {{ 'abc'[1] }} {{ ('a', 'b')[1] }} {{ {'a': 1}['a'] }} {{ {1: 'x'}[1] }} {{ {1: 'x'}[true] }} {{ {'a': 1, 'a': 2} }} {{ {1: 'a', 1.0: 'b', true: 'c'} }} {{ {none: 1} }}
{{ {[]: 1} }}
{{ {'a': 1,} }} {{ [1, 2,] }} {{ (1, 2,) }} {{ range(3,) | list }}
{{ range(*[1, 3]) | list }} {{ dict(**{'a': 1}) }} {{ '{}{}'.format(*'ab') }}
{{ range(*5) }}
{{ dict(**5) }}
{{ dict(a=1, a=2) }}
{{ range(3)|list|length }} {{ (range(3))|sum }} {{ xs|sort|first }} {{ s|lower|replace('l', 'L')|title }}
{% set c = cycler('a', 'b', 'c') %}{{ c.next() }}{{ c.next() }}{{ c.current }}{{ c.next() }}{{ c.next() }}{% set _ = c.reset() %}{{ c.current }}
{{ cycler() }}
{% set j = joiner(', ') %}{% for x in xs %}{{ j() }}{{ x }}{% endfor %}
{{ raise_exception('boom') }}
{{ raise_exception() }}
{% if messages[0].role != 'system' %}{{ raise_exception('no system') }}{% endif %}
{{ strftime_now('%Y-%m-%d %H:%M:%S') }} {{ strftime_now('%d %b %Y %A %j %%') }} {{ strftime_now('%B %-d, %Y') }} {{ strftime_now('') }}| {{ strftime_now('%f') }}
{{ strftime_now() }}
{% set x = namespace(a=[1]) %}{{ x.a[0] }}{% set x.a = x.a + [2] %}{{ x.a }}
{% for m in messages %}{{ m.role }}: {{ m['content'] | trim }}{% if not loop.last %} / {% endif %}{% endfor %}
{% for m in messages[::-1] %}{{ m.role[0] }}{% endfor %} {{ messages[-1]['content'] }} {{ messages | map(attribute='role') | join(',') }} {{ (messages | last).content }} {{ (messages | selectattr('role', 'equalto', 'user') | first).content }}
{% if messages and messages[0]['role'] == 'user' %}U{% elif true %}V{% else %}W{% endif %}
{% if tools %}T{% else %}F{% endif %}{{ tools is none }}{{ tools is defined }}{{ pad_token is defined }}
{%- set x = 1 -%}
{%- if x == 1 -%}
  yes
{%- else -%}
  no
{%- endif -%}
{% if x %}
{% if %}{% endif %}
{% for %}{% endfor %}
{% endif %}
{% endfor %}
{% if true %}{% endfor %}
{% foo %}
{% if true %}
{{ 1
{% if true
{{ }}
{{ 1 2 }}
{{ 1 + }}
{{ 'abc }}
{{ a.}}
{{ (1 }}
{{ 1) }}
{{ [1) }}
{{ a b }}
{{ {1} }}
{{ {'a' 1} }}
{# open
{% raw %}open
{{ 1 is 2 }}
{{ x | }}
{{ f(a=1, 2) }}
{{ f(**a, *b) }}
{% set 1 = 2 %}
{% set x.y.z = 2 %}
{% set true = 2 %}
{% set x %}
{% macro %}{% endmacro %}
{% macro m %}{% endmacro %}
{% call x %}{% endcall %}
{% do 1 %}
{{ $ }}
{{ 012 }}
{{ 1.e5 }}
{{ 'a'.b.c is defined }}
{{ a?.b }}
{{ "\u12" }}
{{ "\x4" }}
{{ x if }}
{% for x in xs %}{{ x }}{% endfor x %}
{% if t: %}a{% endif %}
{% for i in xs recursive %}{{ i }}{% endfor %}
{%if t%}tight{%endif%}{{n}}{{-n-}}
{%- for x in xs -%} {{ x }} {%- endfor -%}
{{ '{{ nested }}' }} {{ "{% x %}" }} {{ '}}' }} {{ "%}" }}
{{ {'a': {'b': {'c': 1}}}['a']['b']['c'] }}{{ {'a': {}} }}
{{ é }}|{% set é = 1 %}{{ é }}
{{ s | length > 3 and s[0] == 'H' }}
{{ xs is not mapping and xs is iterable and xs is not string }}
{{ d.a | map('default', 'N') | join(',') }}
{{ "a" in ["a"] and "b" not in "abc" }}
{{ [1, 2, 3] | tojson | length }}{{ {'q': [1]} | tojson | replace('"', "'") }}
{{ loop is defined }}{% for x in xs %}{{ loop is defined }}{% endfor %}
{% set ns = namespace(found=false) %}{% for m in messages %}{% if m.role == 'assistant' and not ns.found %}{% set ns.found = true %}{{ loop.index0 }}{% endif %}{% endfor %}{{ ns.found }}
{% macro r(x, depth=0) %}{% if x is mapping %}{% for k, v in x.items() %}{{ '  ' * depth }}{{ k }}:{{ r(v, depth + 1) }}{% endfor %}{% elif x is iterable and x is not string %}{% for v in x %}{{ r(v, depth + 1) }},{% endfor %}{% else %}{{ x }}{% endif %}{% endmacro %}{{ r(d) }}
{{ xs | sort | map('string') | join('') | int + 1 }}
{{ (1, 2) == (1, 2) }}{{ [1, [2]] == [1, [2]] }}{{ 1 != '1' }}{{ none != 0 }}{{ missing == none }}{{ missing != missing }}
{{ 10 | string + 'x' }}{{ (5).real is defined if false else 'k' }}
{% set x = [] %}{% for i in range(3) %}{% set x = x + [i] %}{% endfor %}{{ x }}
{% set ns = namespace(l=[]) %}{% for i in range(3) %}{% set ns.l = ns.l + [i] %}{% endfor %}{{ ns.l }}{{ ns }}
{{ 'x'.join(d) }}{{ '' ~ d.keys() | list }}
{{ messages[0].content | length }}{{ messages[5] }}|{{ messages[5].role }}
{{ messages.0.role }}{{ messages[0]['ro' ~ 'le'] }}{{ messages[n - 7].role }}
"""


def main():
    cases = [line for line in CASES.split("\n")]
    # Lines of the list are templates of one line; these need several.
    cases += [
        "a\n  {% if true %}\nb\n  {% endif %}\nc\n",
        "{% for x in [1,2] %}\n{{ x }}\n{% endfor %}\n",
        "{{- ' x ' -}}  \n y",
        "  {%+ if true %}a{% endif +%}\nb",
        "x\n{#- c -#}\n y\n\n",
        "x\r\ny\rz\n{% if true %}\r\nq{% endif %}\r\n",
        "   {# c #}\nx\n   {# c #} y\n",
        "{% raw %}\n a\n{% endraw %}\nb",
        "  {% raw %}\n a {{ x }}\n  {% endraw %}\nb",
        "{%- raw -%}\n a {{ x }}\n  {%- endraw -%}\nb",
        "{% set x %}\n  line\n{% endset %}\n[{{ x }}]",
        "{{ 'a\nb' }}\n{{\n1\n}}",
        "{% macro m() %}\n  body\n{% endmacro %}\n{{ m() }}",
        "{% for m in messages %}\n    {%- if loop.first %}\n        {{- bos_token }}\n    {%- endif %}\n"
        "    {{- '<|' + m['role'] + '|>\\n' + m['content'] }}\n{% endfor %}\n",
        "\n\n{{ 1 }}\n\n",
        "a {%- if true %} b {%- endif %} c",
        "a\n{%- if true %}\nb\n{%- endif %}\nc",
        "\t {% if true %}\t\n x{% endif %}",
        "\u00a0 {% if true %}x{% endif %}\u00a0{%- if true %}y{% endif %}",
        "{{ 1 -}}\u2003\u00a0 x",
        "{{ '\\" + "\n" + "x' }}",
        "{% if true %}\n\n{% endif %}|",
        "{#\n multi\n line #}\nx",
        "{{ 1 }}\n{{ 1 / 0 }}",
    ]
    environment = template_interop.make_environment()
    compiled = {}
    results = []
    for source in cases:
        answer = template_interop.render(environment, compiled, source, CONTEXT)
        if "error" in answer:  # which error, but not its words
            answer = {"error": answer["error"].split(":")[0]}
        results.append({"template": source, **answer})
    json.dump({"made_with": "jinja2 3.1.6, markupsafe 3.0.2, CPython 3.11", "context": CONTEXT,
               "cases": results}, sys.stdout, ensure_ascii=True, indent=0)
    print()


main()
