"""Draws the results of ``bench`` as bars, in SVG. Pure; does not depend on the terminal."""

from collections.abc import Sequence
from html import escape
from typing import Final

__all__ = ["plot"]

_WIDTH: Final = 640
_LABELS: Final = 120
"""Where bars begin: to the left are the names of the ways."""
_LONGEST: Final = 330
_ROW: Final = 28
_TOP: Final = 84

# The colours follow the scheme of the reader's system. A picture that stands in a page has no other way to know it.
_STYLE: Final = """\
  text { font: 14px sans-serif; fill: #1b1f24 }
  .title { font-weight: bold }
  .back { fill: #ffffff }
  .own { fill: #0969da }
  .other { fill: #8c959f }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 }
    .back { fill: #0d1117 }
    .own { fill: #4493f8 }
    .other { fill: #6e7681 }
  }"""


def plot(title: str, panels: Sequence[tuple[str, Sequence[tuple[str, float, str]]]]) -> str:
    """Draw each panel as bars below its heading, and return the text of an SVG file.

    A panel has a row for each way of reading: its name, the length of its bar, and the figure behind the bar. The first
    row is this library's own and has a colour of its own.
    """
    parts: list[str] = []
    height = _TOP - 40
    for heading, rows in panels:
        height += 40
        parts.append(f'<text class="title" x="16" y="{height - 12}">{escape(heading)}</text>')
        longest = max(length for _, length, _ in rows)
        for place, (name, length, figure) in enumerate(rows):
            width = max(length / longest * _LONGEST, 1)
            kind = "other" if place else "own"
            parts += [
                f'<text x="16" y="{height + 16}">{escape(name)}</text>',
                f'<rect class="{kind}" x="{_LABELS}" y="{height + 2}" width="{width:.1f}" height="{_ROW - 8}"/>',
                f'<text x="{_LABELS + width + 8:.1f}" y="{height + 16}">{escape(figure)}</text>',
            ]
            height += _ROW
    height += 16
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img">',
            f"<title>{escape(title)}</title>",
            f"<style>\n{_STYLE}\n</style>",
            f'<rect class="back" width="{_WIDTH}" height="{height}"/>',
            f'<text class="title" x="16" y="30">{escape(title)}</text>',
            *parts,
            "</svg>\n",
        ]
    )
