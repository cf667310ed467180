"""What `mtor simnet` shows of a run: a table, a sparkline, a picture."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from rich.console import Console
from rich.table import Table

from mtor_swarm.errors import SwarmError
from mtor_swarm.swarm.simnet.report import BARS, BARS_EACH, DECADES, Figures, Report

SPARKS = " ▁▂▃▄▅▆▇█"
TICKS = ("1 ms", "10 ms", "100 ms", "1 s", "10 s", "100 s")
WIDTH, HEIGHT, MARGIN = 800, 260, 48
GREY = (225, 225, 225)
_INKS = [(180, 120, 40), (60, 140, 60), (60, 60, 200), (150, 60, 150), (40, 140, 190)]
"""Blue, green, red, purple, ochre: BGR."""


def table(report: Report, console: Console) -> None:
    """Print the run's figures, its latencies as a line of bars, and what did not hold."""
    title = f"{report.scenario}: {report.members} members, seed {report.seed}"
    shown = Table(title=title, title_justify="left", box=None, show_header=False)
    shown.add_column("what")
    shown.add_column("value")
    for what, value in rows(report):
        shown.add_row(what, value)
    console.print(shown)
    bars = sparkline(report.latency_histogram)
    if bars.strip():
        console.print(f" latency  {bars}\n          {ticks()}", highlight=False)
    for each in report.violations:
        console.print(each, style="red", highlight=False, markup=False)


def ticks() -> str:
    """The axis under the sparkline."""
    return "".join(each.ljust(BARS_EACH) for each in TICKS).rstrip()


def rows(report: Report) -> list[tuple[str, str]]:
    """The lines of the table."""
    late, found = report.latency_s, report.detection_s
    return [
        ("all met after", f"{report.met_s:.1f} s"),
        ("events, deliveries", f"{report.events}, {report.deliveries}, {report.gaps} gaps"),
        ("event to a member", _spread(late, 1e3, "ms")),
        ("hops", _spread(report.hops, 1, "")),
        ("copies of an event a member", f"{report.copies:.2f}"),
        ("repair rounds until all have it", _spread(report.repair_rounds, 1, "")),
        ("a death is known after", _spread(found, 1, "s") if found.count else "nobody died"),
        ("false deaths", str(report.false_deaths)),
        ("the views agree again after", f"{report.whole_s:.1f} s"),
        ("a member sends", f"{report.bytes_s:.0f} bytes/s in {report.frames_s:.1f} frames/s"),
        ("alive in the end", str(report.live)),
        ("steps, trace", f"{report.steps}, {report.trace}"),
        ("invariants", "all hold" if report.ok else f"{len(report.violations)} broken"),
    ]


def sparkline(parts: Sequence[int]) -> str:
    """The histogram as one line; the highest bar is full."""
    top = max(parts, default=0)
    if not top:
        return " " * len(parts)
    last = len(SPARKS) - 1
    return "".join(SPARKS[-(-each * last // top)] for each in parts)


def png(reports: Sequence[Report]) -> bytes:
    """The latencies of all runs as a PNG; SwarmError without OpenCV."""
    try:
        import cv2
    except ImportError:
        raise SwarmError("--plot needs OpenCV: pip install 'mtor_swarm[sim]'") from None
    picture = np.full((HEIGHT, WIDTH, 3), 255, np.uint8)
    top = max((max(each.latency_histogram, default=0) for each in reports), default=0)
    floor, wide = HEIGHT - MARGIN, WIDTH - 2 * MARGIN
    title = f"{reports[0].scenario}, {reports[0].members} members: deliveries by latency"
    texts = [(title, MARGIN, MARGIN // 2), (str(top), 4, MARGIN)]
    for i, text in enumerate(TICKS):
        x = MARGIN + i * wide // DECADES
        cv2.line(picture, (x, MARGIN), (x, floor), GREY, 1)
        texts.append((text, x - 14, floor + 22))
    for ink, report in zip(_INKS * len(reports), reports, strict=False):
        points = [
            (
                round(MARGIN + (i + 0.5) / BARS * wide),
                round(floor - number / max(1, top) * (floor - MARGIN)),
            )
            for i, number in enumerate(report.latency_histogram)
        ]
        cv2.polylines(picture, [np.array(points, np.int32)], False, ink, 2, cv2.LINE_AA)
    cv2.line(picture, (MARGIN, floor), (WIDTH - MARGIN, floor), (0, 0, 0), 1)
    for text, x, y in texts:
        cv2.putText(
            picture, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (0, 0, 0), 1, cv2.LINE_AA
        )
    return bytes(cv2.imencode(".png", picture)[1])


def _spread(found: Figures, factor: float, unit: str) -> str:
    three = (_short(each * factor) for each in (found.p50, found.p99, found.most))
    return "p50 {}, p99 {}, most {} ".format(*three) + unit


def _short(number: float) -> str:
    """Three digits at least, and never an exponent."""
    return f"{number:.0f}" if number >= 100 else f"{number:.3g}"
