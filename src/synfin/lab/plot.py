"""Series over time as text and as SVG. Nothing but drawing."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Final

Series = tuple[str, Sequence[float]]

_BLOCKS: Final = " ▁▂▃▄▅▆▇█"
_COLORS: Final = ("#cf222e", "#0969da", "#116329", "#8250df")


def strip(name: str, values: Sequence[float], top: float, width: int = 60) -> str:
    """One line: the highest value of each slice, as a bar; 0 is empty, anything above it is not."""
    bars = []
    for column in range(width):
        low, high = (
            column * len(values) // width,
            max((column + 1) * len(values) // width, column * len(values) // width + 1),
        )
        value = max(values[low:high], default=0)
        bars.append(_BLOCKS[0 if value <= 0 else max(1, min(8, round(8 * value / top)))] if top else " ")
    return f"  {name:28}│{''.join(bars)}│ max {max(values, default=0):g}"


def strips(groups: Sequence[tuple[str, Sequence[Series]]], seconds: float, width: int = 60) -> list[str]:
    """Groups of strips that share a scale, over one time axis."""
    lines: list[str] = []
    for title, series in groups:
        top = max((max(values, default=0) for _, values in series), default=0)
        lines.append(f"  {title}")
        lines += [strip(name, values, top, width) for name, values in series]
    lines.append(f"  {'':28} 0{f'{seconds:g} s'.rjust(width)}")
    return lines


def svg(title: str, groups: Sequence[tuple[str, Sequence[Series]]], seconds: float) -> str:
    """One self-contained SVG document: a panel for each group, over one time axis."""
    width, panel, left, right = 760, 150, 70, 20
    height = 40 + len(groups) * (panel + 50) + 10
    body = [f'<text x="{left}" y="24" class="t">{escape(title)}</text>']
    y = 60
    for heading, series in groups:
        top = max((max(values, default=0) for _, values in series), default=0) or 1
        body.append(f'<text x="{left}" y="{y - 6}">{escape(heading)}</text>')
        body.append(f'<rect x="{left}" y="{y}" width="{width - left - right}" height="{panel}" class="f"/>')
        body += [
            f'<text x="{left - 6}" y="{y + panel * (1 - share) + 4:g}" text-anchor="end">{top * share:g}</text>'
            for share in (0, 0.5, 1)
        ]
        for number, (name, values) in enumerate(series):
            color = _COLORS[number % len(_COLORS)]
            step = (width - left - right) / max(1, len(values) - 1)
            points = " ".join(f"{left + n * step:.1f},{y + panel * (1 - v / top):.1f}" for n, v in enumerate(values))
            body.append(f'<polyline points="{points}" stroke="{color}"/>')
            body.append(
                f'<text x="{width - right - 6}" y="{y + 16 + 14 * number}" text-anchor="end" '
                f'style="fill:{color}">{escape(name)}</text>'
            )
        for tenth in range(0, 11, 2):
            x = left + (width - left - right) * tenth / 10
            body.append(f'<text x="{x:g}" y="{y + panel + 14}" text-anchor="middle">{seconds * tenth / 10:g} s</text>')
        y += panel + 50
    style = (
        "svg{background:#fff;font:11px ui-monospace,Menlo,Consolas,monospace}text{fill:#1f2328}.t{font-size:14px}"
        "polyline{fill:none;stroke-width:1.5}.f{fill:none;stroke:#8c959f}"
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{escape(title, quote=True)}" width="{width}" '
        f'height="{height}" viewBox="0 0 {width} {height}"><title>{escape(title)}</title><style>{style}</style>\n'
        + "\n".join(body)
        + "\n</svg>\n"
    )
