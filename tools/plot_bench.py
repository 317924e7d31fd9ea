#!/usr/bin/env python3
"""plot_bench.py OUT_FOLDER BENCH_JSON...: growth curves of the bench as SVG, one file for each figure.

Reads the pieces "growth NxS" and "table NxS" of what `make bench BENCH="growth limit=0"` wrote; of the same size the last
file counts. No library is needed.
"""
import json
import math
import pathlib
import sys

# file, title, unit, [(name of the row, label, value of a run with N proxies)]
FIGURES = [
    ("connect", "CPU of all connecting, for each proxy", "ms", [
        ("connect.cpu_s", "together", lambda value, n: 1000 * value / n),
        ("connect.cpu.loop_s", "event loops", lambda value, n: 1000 * value / n),
        ("connect.cpu.generate_s", "generation", lambda value, n: 1000 * value / n),
        ("connect.cpu.rest_s", "bootstrap", lambda value, n: 1000 * value / n),
        ("connect.cpu.mesh-writer_s", "mesh writer", lambda value, n: 1000 * value / n),
        ("connect.cpu.insight_s", "insight", lambda value, n: 1000 * value / n),
    ]),
    ("edit", "CPU of an edit that changes every proxy, for each proxy", "ms", [
        ("edit.cpu_s", "together", lambda value, n: 1000 * value / n),
        ("edit.cpu.loop_s", "event loops", lambda value, n: 1000 * value / n),
        ("edit.cpu.insight_s", "insight", lambda value, n: 1000 * value / n),
        ("edit.cpu.mesh-writer_s", "mesh writer", lambda value, n: 1000 * value / n),
    ]),
    ("move", "One Dataplane's address, 50 proxies affected", "ms", [
        ("move.cpu_s", "CPU", lambda value, n: 1000 * value),
        ("move.p99_ms", "p99 of receipt", lambda value, n: value),
    ]),
    ("memory", "Memory of each connected proxy", "KB", [
        ("memory.rss_kb_each", "resident", lambda value, n: value),
    ]),
]
COLORS = ["#1b6ca8", "#c1502e", "#4a7c3f", "#8a5a9e", "#b08a1e", "#555555"]
WIDTH, HEIGHT = 640, 320
LEFT, RIGHT, TOP, BOTTOM = 60, 170, 40, 40


def nice_top(value):
    """The next of 1, 2, 5, 10, ... above the value."""
    if value <= 0:
        return 1
    power = 10 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= value)


def figure(title, unit, lines):
    """lines: [(label, [(n, value)])]"""
    numbers = sorted({n for _, points in lines for n, _ in points})
    top = nice_top(max(value for _, points in lines for _, value in points))
    low, high = math.log(numbers[0]), math.log(numbers[-1])

    def x(n):
        share = 0.5 if high == low else (math.log(n) - low) / (high - low)
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    def y(value):
        return HEIGHT - BOTTOM - value / top * (HEIGHT - TOP - BOTTOM)

    svg = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" font-family="sans-serif" '
           f'font-size="12"><rect width="100%" height="100%" fill="white"/>',
           f'<text x="{LEFT}" y="22" font-size="14">{title}, {unit}</text>']
    for i in range(5):
        value = top * i / 4
        svg.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(value):.1f}" y2="{y(value):.1f}" stroke="#ddd"/>'
                   f'<text x="{LEFT - 6}" y="{y(value) + 4:.1f}" text-anchor="end">{value:g}</text>')
    for n in numbers:
        svg.append(f'<text x="{x(n):.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{n}</text>')
    svg.append(f'<text x="{(LEFT + WIDTH - RIGHT) / 2:.0f}" y="{HEIGHT - 6}" text-anchor="middle">proxies</text>')
    for i, (label, points) in enumerate(lines):
        color = COLORS[i % len(COLORS)]
        path = " ".join(f"{x(n):.1f},{y(value):.1f}" for n, value in points)
        svg.append(f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="2"/>')
        svg += [f'<circle cx="{x(n):.1f}" cy="{y(value):.1f}" r="3" fill="{color}"/>' for n, value in points]
        at = TOP + 8 + 18 * i
        svg.append(f'<text x="{WIDTH - RIGHT + 16}" y="{at}" fill="{color}">{label}: {points[-1][1]:.3g}</text>')
    svg.append("</svg>")
    return "\n".join(svg) + "\n"


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    runs = {}
    for file in sys.argv[2:]:
        for piece, rows in json.loads(pathlib.Path(file).read_text())["pieces"].items():
            kind, _, size = piece.partition(" ")
            # Ten proxies for each service and five outbounds: one curve.
            parts = size.split("x")
            if kind in ("growth", "table") and len(parts) == 2 and int(parts[0]) == 10 * int(parts[1]):
                runs[int(parts[0])] = rows
    if not runs:
        sys.exit('no piece "growth NxS" or "table NxS" with ten proxies for each service')
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, title, unit, rows in FIGURES:
        lines = []
        for row, label, value_of in rows:
            points = [(n, value_of(run[row]["median"], n)) for n, run in sorted(runs.items()) if row in run]
            if points:
                lines.append((label, points))
        if lines:
            path = folder / f"growth-{name}.svg"
            path.write_text(figure(title, unit, lines))
            print(path)


if __name__ == "__main__":
    main()
