"""Pods and their logs as text. All of it is foreign: names are anybody's, and what an app prints is too."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence

from firstlight.fleet.listing import Listed, hourly
from firstlight.providers.runpod import shapes
from firstlight.providers.runpod.shapes import LogLine
from firstlight.report import words
from firstlight.report.style import PLAIN, Style, fit, printable
from firstlight.system import clock

_HEAD = ("ID", "NAME", "STATUS", "GPU", "WHERE", "USD/H", "SINCE", "FIRSTLIGHT")
_COLOURS = {shapes.RUNNING: "green", shapes.ERROR: "red", shapes.EXITED: "dim", shapes.TERMINATED: "dim"}

# What makes text coloured, and nothing else that a terminal obeys.
_COLOURING = re.compile(r"(\x1b\[[0-9;:]*m)")


def table(pods: Sequence[Listed], now: str, style: Style = PLAIN, width: int | None = None) -> str:
    """A line for each pod, and what they cost together; some lines for each where one would be wider than `width`.

    `now` is the time, as the service writes it.
    """
    if not pods:
        return "The account has no pods."
    rows = [_row(pod, now) for pod in pods]
    widths = [max(map(len, column)) for column in zip(_HEAD, *rows, strict=True)]
    if width is not None and sum(widths) + 2 * (len(widths) - 1) > width:
        lines = [line for row in rows for line in _block(row, style, width)]
    else:
        head = "  ".join(style.paint(cell, "bold") for cell in _cells(_HEAD, widths)).rstrip()
        lines = [head, *(_line(row, widths, style) for row in rows)]
    running = sum(pod.status == shapes.RUNNING for pod in pods)
    lines.append(f"{words.count(len(pods), 'pod')}, {running} running: {hourly(pods):.2f} USD an hour")
    return fit("\n".join(lines), style)


def _cells(row: Sequence[str], widths: Sequence[int]) -> list[str]:
    return [text.rjust(width) if column == 5 else text.ljust(width) for column, (text, width) in enumerate(zip(row, widths, strict=True))]


def _line(row: Sequence[str], widths: Sequence[int], style: Style) -> str:
    cells = _cells(row, widths)
    cells[2] = style.paint(cells[2], _colour(row[2]))
    return "  ".join(cells).rstrip()


def _block(row: Sequence[str], style: Style, width: int) -> list[str]:
    """The same for a narrow screen: each thing a line, and what is too long goes on in the next."""
    pod_id, name, status, gpu, where, cost, since, firstlight = row
    told = (
        (pod_id, ("bold",)),
        (name, ()),
        (f"{status}, {since}" if since else status, (_colour(status),)),
        (f"{gpu}, in {where}", ()),
        (f"{cost} USD an hour", ()),
        (f"firstlight: {firstlight}", ()),
    )
    lines = []
    for number, (text, colours) in enumerate(told):
        indent = "  " if number else ""
        wrapped = textwrap.wrap(text, max(width, 20), initial_indent=indent, subsequent_indent="    ", break_on_hyphens=False)
        lines += [style.paint(line, *colours) for line in wrapped]
    return lines


def _colour(status: str) -> str:
    return _COLOURS.get(status.partition(" ")[0], "yellow")


def _row(pod: Listed, now: str) -> tuple[str, ...]:
    gpu = "none" if pod.gpu is None else f"{pod.gpu_count} x {printable(pod.gpu)}"
    began = pod.started_at if pod.status == shapes.RUNNING else None
    since = age(began, now) if began else f"made {age(pod.created_at, now)} ago" if pod.created_at else ""
    locked = " (locked)" if pod.locked else ""
    return (
        printable(pod.id),
        printable(pod.name),
        printable(pod.status) + locked,
        gpu,
        printable(pod.data_center or "?"),
        f"{pod.cost:.2f}",
        since,
        "yes" if pod.firstlight else "no",
    )


def age(began: str, now: str) -> str:
    """Such as: 40 s, 12 min, 3 h 20 min, 5 d 2 h. A time that cannot be read is told as it is."""
    start, end = clock.moment(began), clock.moment(now)
    if start is None or end is None:
        return printable(began)
    seconds = max(0, int(end - start))
    if seconds < 120:
        return f"{seconds} s"
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if minutes < 120:
        return f"{minutes} min"
    return f"{hours} h {minutes % 60} min" if hours < 48 else f"{days} d {hours % 24} h"


def log_line(line: LogLine, style: Style = PLAIN, *, terminal: bool) -> str:
    """One line of a log. A terminal gets colours and nothing else that it could obey; whatever is no terminal gets every byte."""
    text = line.line if not terminal else "".join(_tame(part) for part in _COLOURING.split(line.line))
    if line.source == "system":
        text = style.paint(f"{line.at} {text}" if not terminal else f"{printable(line.at)} {text}", "dim")
    elif terminal and "\x1b[" in text:
        text += "\x1b[0m"  # a colour that was left on would spread
    return fit(text, style)


def _tame(part: str) -> str:
    return part if _COLOURING.fullmatch(part) else "".join(one if one == "\t" else printable(one) for one in part)
