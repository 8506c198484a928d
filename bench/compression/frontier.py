#!/usr/bin/env python3
"""The tables of bits against damage, and the frontier as a chart.

    frontier.py RESULTS.json ... --svg OUT.svg [--title TEXT] > TABLE.md

RESULTS.json is what measure.py writes: a list of {"name", "bits_per_weight", "kl": {"mean", "p99"},
"perplexity", "top1_agreement"} and, where there are any, "flips": {behaviour: [lost, won, items]} and "peer". A
name is METHOD-DETAILS: rows of one METHOD (and one maker) are one series. The frontier is what no other result
beats at as few bits. The chart is SVG and needs nothing; the tables go to standard output, with ** on the
frontier.
"""

import argparse
import json
import math
from pathlib import Path
from xml.sax.saxutils import escape

# Okabe and Ito's colours: told apart by people who do not see all of them. Makers differ by shape too.
COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8C6BB1", "#7F7F7F"]
WIDTH, HEIGHT = 860, 520
LEFT, RIGHT, TOP, BOTTOM = 70, 200, 46, 54
OURS, THEIRS = "sinter", "llm-compressor"


def maker(row):
    return THEIRS if "peer" in row else OURS


def method(row):
    return row["name"].split("-")[0].split("/")[-1]


def frontier(rows):
    """By bits, those with less divergence than everything at as few bits."""
    best, out = math.inf, []
    for r in sorted(rows, key=lambda r: (r["bits_per_weight"], r["kl"]["mean"])):
        if r["kl"]["mean"] < best:
            best = r["kl"]["mean"]
            out.append(r)
    return out


def ticks(low, high):
    """1, 2 and 5 times powers of ten."""
    e = math.floor(math.log10(low))
    while 10 ** e <= high:
        for k in (1, 2, 5):
            if low <= k * 10 ** e <= high:
                yield k * 10 ** e
        e += 1


def chart(rows, title):
    bits = [r["bits_per_weight"] for r in rows]
    kls = [max(r["kl"]["mean"], 1e-7) for r in rows]
    # Both axes are logarithmic: half the bits are half the bytes, wherever one starts.
    x0, x1 = math.log2(min(bits)) - 0.12, math.log2(max(bits)) + 0.12
    y0, y1 = math.log10(min(kls)) - 0.12, math.log10(max(kls)) + 0.12
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
    x = lambda v: LEFT + (math.log2(v) - x0) / (x1 - x0) * (right - LEFT)
    y = lambda v: bottom - (math.log10(max(v, 1e-7)) - y0) / (y1 - y0) * (bottom - TOP)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
           f'font-size="13" role="img" aria-label="{escape(title)}">',
           f'<rect width="{WIDTH}" height="{HEIGHT}" rx="8" fill="#ffffff"/>',
           f'<text x="{LEFT}" y="26" font-size="16" font-weight="bold">{escape(title)}</text>']
    for t in ticks(10 ** y0, 10 ** y1):
        out.append(f'<line x1="{LEFT}" x2="{right}" y1="{y(t):.1f}" y2="{y(t):.1f}" stroke="#dddddd"/>'
                   f'<text x="{LEFT - 6}" y="{y(t) + 4:.1f}" text-anchor="end">{t:g}</text>')
    for b in (1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5, 5, 6, 7, 8, 10, 12, 16):
        if x0 <= math.log2(b) <= x1:
            out.append(f'<line x1="{x(b):.1f}" x2="{x(b):.1f}" y1="{TOP}" y2="{bottom}" stroke="#eeeeee"/>'
                       f'<text x="{x(b):.1f}" y="{bottom + 18}" text-anchor="middle">{b:g}</text>')
    out.append(f'<rect x="{LEFT}" y="{TOP}" width="{right - LEFT}" height="{bottom - TOP}" fill="none" stroke="#888888"/>'
               f'<text x="{(LEFT + right) / 2}" y="{HEIGHT - 12}" text-anchor="middle">bits per weight of the linears (log)</text>'
               f'<text transform="translate(16 {(TOP + bottom) / 2}) rotate(-90)" text-anchor="middle">'
               'mean KL from the dense model, nats per token (log)</text>')

    # The frontier as steps: between two of its points the better of them is the one with fewer bits.
    best = frontier(rows)
    path = f'M{x(best[0]["bits_per_weight"]):.1f} {TOP}'
    for r in best:
        path += f' H{x(r["bits_per_weight"]):.1f} V{y(r["kl"]["mean"]):.1f}'
    out.append(f'<path d="{path} H{right}" fill="none" stroke="#bbbbbb" stroke-width="5" stroke-linejoin="round"/>')

    series = {(method(r), maker(r)) for r in rows}
    methods = sorted({m for m, _ in series})  # so that a method keeps its colour
    for r in sorted(rows, key=lambda r: (maker(r) == OURS, -r["kl"]["mean"])):  # ours and the best on top
        label = f'<title>{escape(r["name"])} ({maker(r)}): {r["bits_per_weight"]:.3f} bits, KL {r["kl"]["mean"]:.5f}</title>'
        out.append(mark(maker(r), COLOURS[methods.index(method(r)) % len(COLOURS)],
                        x(r["bits_per_weight"]), y(r["kl"]["mean"]), label))
    line = TOP + 8
    for m in methods:
        colour = COLOURS[methods.index(m) % len(COLOURS)]
        for k, who in enumerate((OURS, THEIRS)):
            if (m, who) in series:
                out.append(mark(who, colour, right + 22 + 18 * k, line, ""))
        out.append(f'<text x="{right + 58}" y="{line + 5}">{escape(m)}</text>')
        line += 22
    line += 10
    for who in dict.fromkeys(maker(r) for r in rows):
        out.append(mark(who, "#444444", right + 22, line, "") + f'<text x="{right + 58}" y="{line + 5}">{who}</text>')
        line += 22
    out.append(f'<line x1="{right + 14}" x2="{right + 46}" y1="{line}" y2="{line}" stroke="#bbbbbb" stroke-width="5"/>'
               f'<text x="{right + 58}" y="{line + 5}">frontier</text></svg>')
    return "\n".join(out) + "\n"


def mark(who, colour, x, y, label):
    if who == OURS:
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="{colour}" fill-opacity="0.9" stroke="#ffffff">{label}</circle>'
    return (f'<rect x="{x - 5.5:.1f}" y="{y - 5.5:.1f}" width="11" height="11" fill="none" '
            f'stroke="{colour}" stroke-width="2">{label}</rect>')


def lines(head, rows, cells):
    best = {id(r) for r in frontier(rows)}
    out = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for r in sorted(rows, key=lambda r: (-r["bits_per_weight"], r["kl"]["mean"])):
        name = f"**{r['name']}**" if id(r) in best else r["name"]
        out.append("| " + " | ".join([name, maker(r), *cells(r)]) + " |")
    return "\n".join(out)


def lost_and_won(row, behaviour):
    lost, won, _ = row.get("flips", {}).get(behaviour, (None, None, None))
    return "-" if lost is None else f"{lost} / {won}"


def tables(rows):
    items = {b: n for r in rows for b, (_, _, n) in r.get("flips", {}).items()}
    head = ["checkpoint", "by", "bits per weight", "mean KL", "p99 KL", "perplexity", "top-1 agreement"]
    if items:
        head.append(f"lost / won of {items['all']}")
    yield lines(head, rows, lambda r: [
        f"{r['bits_per_weight']:.3f}", f"{r['kl']['mean']:.5f}", f"{r['kl']['p99']:.4f}", f"{r['perplexity']:.4f}",
        f"{100 * r['top1_agreement']:.2f} %", *([lost_and_won(r, "all")] if items else [])])
    behaviours = [b for b in items if b != "all"]
    if behaviours:
        title = lambda b: f"{b.split('/')[-1].replace('_', ' ')} ({items[b]})"
        yield lines(["lost / won", "by", *map(title, behaviours)], [r for r in rows if "flips" in r],
                    lambda r: [lost_and_won(r, b) for b in behaviours])


def compact(rows):
    """One table: lost/won of every behaviour beside the divergence; a dot where no item changed sides."""
    rows = [r for r in rows if "flips" in r]
    items, best = rows[0]["flips"], {id(r) for r in frontier(rows)}
    cell = lambda r, b: "{}/{}".format(*r["flips"][b]) if any(r["flips"][b][:2]) else "·"
    yield "| | bits | KL | perplexity | top-1, % | " + " | ".join(b.split("/")[-1].replace("_", " ") for b in items) + " |"
    yield "|---|" + "---:|" * (4 + len(items))
    yield "| *items* | | | | | " + " | ".join(str(n) for _, _, n in items.values()) + " |"
    for r in sorted(rows, key=lambda r: (-round(r["bits_per_weight"]), r["kl"]["mean"])):
        name = f"**{r['name']}**" if id(r) in best else r["name"]
        yield (f"| {name} | {r['bits_per_weight']:.3f} | {r['kl']['mean']:.5f} | {r['perplexity']:.3f} | "
               f"{100 * r['top1_agreement']:.1f} | " + " | ".join(cell(r, b) for b in items) + " |")


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("results", nargs="+", type=Path)
    p.add_argument("--svg", type=Path)
    p.add_argument("--title", default="Bits against divergence")
    p.add_argument("--compact", action="store_true", help="one table, of results with flips")
    p.add_argument("--methods", nargs="+", help="these alone; default: all")
    o = p.parse_args()
    rows = [r for f in o.results for r in json.loads(f.read_text())]
    rows = [r for r in rows if o.methods is None or method(r) in o.methods]
    if o.svg:
        o.svg.write_text(chart(rows, o.title))
    if o.compact:
        print("\n".join(compact(rows)))
        return
    dense = dict.fromkeys(f"{r['dense_perplexity']:.4f}" for r in rows)
    print("\n\n".join(tables(rows)))
    print(f"\nThe dense model's perplexity on the same tokens: {', '.join(dense)}.")


if __name__ == "__main__":
    main()
