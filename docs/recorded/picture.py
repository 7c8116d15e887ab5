"""Makes SVGs of a terminal's screens."""
from __future__ import annotations

from dataclasses import dataclass
from html import escape
from itertools import groupby
from typing import Any

# Pixels of a character, and around all.
WIDTH, HEIGHT, MARGIN = 8.4, 18, 14

COLOURS = {"black": "#4b5263", "red": "#e06c75", "green": "#98c379", "brown": "#e5c07b", "yellow": "#e5c07b",
           "blue": "#61afef", "magenta": "#c678dd", "cyan": "#56b6c2", "white": "#abb2bf", "default": "#d7dae0"}

STYLE = "text{font:14px ui-monospace,'DejaVu Sans Mono',Menlo,Consolas,monospace;white-space:pre}.b{font-weight:bold}"


@dataclass(frozen=True)
class Run:
    """Characters of one look, and their column."""

    column: int
    text: str
    colour: str
    is_bold: bool

    def svg(self, row: int) -> str:
        colour = "" if self.colour == "default" else f' fill="{COLOURS.get(self.colour, "#" + self.colour)}"'
        bold = ' class="b"' if self.is_bold else ""
        at = f'x="{MARGIN + self.column * WIDTH:.1f}" y="{MARGIN + (row + 0.75) * HEIGHT:.0f}"'
        # Whatever font there is, columns stay columns.
        fit = f'textLength="{len(self.text) * WIDTH:.1f}" lengthAdjust="spacingAndGlyphs"'
        return f"<text {at} {fit}{colour}{bold}>{escape(self.text)}</text>"


@dataclass(frozen=True)
class Frame:
    """A screen: its lines, without those that are empty at the end."""

    lines: tuple[tuple[Run, ...], ...]
    columns: int

    @staticmethod
    def of(screen: Any) -> Frame:
        """Of pyte."""
        lines = [tuple(_runs(screen.buffer[row], screen.columns)) for row in range(screen.lines)]
        while lines and not lines[-1]:
            lines.pop()
        return Frame(tuple(lines), screen.columns)

    def below(self, typed: str) -> Frame:
        return Frame(((Run(0, typed, "green", True),), *self.lines), self.columns)

    def holds(self, text: str) -> bool:
        return any(text in run.text for line in self.lines for run in line)

    def svg(self, first: int = 0) -> str:
        return "".join(run.svg(first + row) for row, line in enumerate(self.lines) for run in line)


def _runs(row: Any, columns: int) -> list[Run]:
    cells = [(column, row[column]) for column in range(columns)]
    runs = []
    for look, group in groupby(cells, lambda cell: (cell[1].fg, cell[1].bold)):
        part = list(group)
        text = "".join(cell.data for _, cell in part)
        if text.strip():
            runs.append(Run(part[0][0] + len(text) - len(text.lstrip()), text.strip(), *look))
    return runs


def still(frames: list[Frame]) -> str:
    """One below the other."""
    shown, row = "", 0
    for frame in frames:
        shown += frame.svg(row)
        row += len(frame.lines) + 1
    return _svg(shown, row - 1, frames[0].columns)


def moving(frames: list[Frame], seconds: float, most: int = 60) -> str:
    """One after the other in so many seconds, at most so many, again and again; the last stays longer."""
    every = -(-len(frames) // most)
    thinned = [*frames[:-1:every], frames[-1]]
    kept: list[tuple[Frame, float]] = []
    for frame in thinned:
        length = seconds / len(thinned) + (kept.pop()[1] if kept and kept[-1][0] == frame else 0)
        kept.append((frame, length))
    kept[-1] = kept[-1][0], kept[-1][1] + 4
    whole = sum(length for _, length in kept)
    shown, style, begin = "", "", 0.0
    for number, (frame, length) in enumerate(kept):
        start, end = 100 * begin / whole, 100 * (begin + length) / whole
        # Each is seen in its part of the time only.
        seen = f"{start:.2f}%{{visibility:visible}}" + (f"{end:.2f}%{{visibility:hidden}}" if end < 99.99 else "")
        hidden = "0%{visibility:hidden}" if number else ""
        style += (f"@keyframes f{number}{{{hidden}{seen}}}"
                  f"#f{number}{{visibility:hidden;animation:f{number} {whole:.1f}s step-end infinite}}")
        shown += f'<g id="f{number}">{frame.svg()}</g>'
        begin += length
    return _svg(shown, max(len(frame.lines) for frame in frames), frames[0].columns, style)


def _svg(shown: str, rows: int, columns: int, style: str = "") -> str:
    width, height = columns * WIDTH + 2 * MARGIN, rows * HEIGHT + 2 * MARGIN
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}">'
            f"<style>{STYLE}{style}</style>"
            '<rect width="100%" height="100%" rx="8" fill="#1e222a"/>'
            f'<g fill="{COLOURS["default"]}">{shown}</g></svg>\n')
