"""How the SVGs look: the rules and colours of diagrams and figures, and the documents and pages that need them.

A drawing carries classes, and never a style of its own, so that a page may forbid inline styles
(Content-Security-Policy). A document that stands alone has its rules in a `<style>`; a page links one stylesheet for
all of its drawings. All rules are below a drawing's own class, and touch nothing else of the page.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from string import Template
from typing import Final

AUTO: Final = "auto"
LIGHT: Final = "light"
DARK: Final = "dark"

DIAGRAM: Final = "synfin-diagram"
FIGURE: Final = "synfin-figure"

FONTS: Final = (
    "ui-sans-serif,system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,'DejaVu Sans','Noto Sans',"
    "'Liberation Sans','PingFang SC','Microsoft YaHei','Noto Sans CJK SC',sans-serif"
)
MONOSPACE: Final = (
    "ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono','PingFang SC','Microsoft YaHei',"
    "'Noto Sans Mono CJK SC',monospace"
)

# (light, dark) of each role.
COLORS: Final[Mapping[str, tuple[str, str]]] = {
    "paper": ("#ffffff", "#0d1117"),
    "ink": ("#1f2328", "#e6edf3"),
    "faint": ("#59636e", "#9198a1"),
    "grid": ("#eaeef2", "#21262d"),
    "axis": ("#c5ccd3", "#3d444d"),
    "life": ("#8c959f", "#6e7681"),
    "state": ("#0550ae", "#79c0ff"),
    "note": ("#8a5c00", "#d29922"),
    "syn": ("#116329", "#3fb950"),
    "fin": ("#8250df", "#bc8cff"),
    "rst": ("#cf222e", "#ff7b72"),
    "data": ("#0969da", "#58a6ff"),
    "again": ("#d1242f", "#ff7b72"),
    "late": ("#bf3989", "#f778ba"),
    "probe": ("#6e7781", "#8d96a0"),
    "ack": ("#1a7f37", "#3fb950"),
    "sack": ("#8250df", "#bc8cff"),
    "dsack": ("#bf3989", "#f778ba"),
    "edge": ("#9a6700", "#d29922"),
    "lost": ("#1f2328", "#f0f6fc"),
    "sign": ("#57606a", "#8d96a0"),
    "cwnd": ("#0969da", "#58a6ff"),
    "ssthresh": ("#d1242f", "#ff7b72"),
    "flight": ("#8c959f", "#6e7681"),
    "pacing": ("#8250df", "#bc8cff"),
    "goodput": ("#1a7f37", "#3fb950"),
    "rtt": ("#8c959f", "#6e7681"),
    "srtt": ("#0969da", "#58a6ff"),
    "fast": ("#d4a72c", "#bb8009"),
    "timeout": ("#d1242f", "#ff7b72"),
    "one": ("#0969da", "#58a6ff"),
    "two": ("#d1242f", "#ff7b72"),
    "three": ("#1a7f37", "#3fb950"),
    "four": ("#8250df", "#bc8cff"),
    "five": ("#bc4c00", "#f0883e"),
    "six": ("#57606a", "#8d96a0"),
}
_PAPER: Final = ("paper", "ink", "faint", "grid", "axis")
_OF_DIAGRAMS: Final = ("paper", "ink", "faint", "life", "state", "note", "syn", "fin", "rst", "data")
ROLES: Final = tuple(role for role in COLORS if role not in _PAPER + _OF_DIAGRAMS or role == "data")

_DIAGRAM_SHAPES: Final = f"""
.d{{font:11px {MONOSPACE}}}
.d text{{paint-order:stroke;stroke-width:4px;stroke-linejoin:round;white-space:pre}}.d line,.d path{{fill:none}}
.d .bold,.d .state,.d text .syn,.d text .fin{{font-weight:700}}.d .gap{{stroke-dasharray:2 4}}
.d .segment{{cursor:pointer}}.d .a{{stroke-width:1.3}}.d .a.bulk{{stroke-width:4}}.d .head,.d .change{{stroke:none}}
"""
_DIAGRAM_PAINT: Final = Template("""
.d{background:$paper;color:$ink}.d text{fill:$ink;stroke:$paper}.d line,.d path{stroke:currentColor}
.d .dim,.d .time{fill:$faint}.d .state,.d .change{fill:$state}.d .note{fill:$note}.d .life,.d .gap{stroke:$life}
.d text .syn{fill:$syn}.d text .fin{fill:$fin}.d text .rst,.d text .lost{fill:$rst}.d text .data{fill:$data}
.d .a.syn{color:$syn}.d .a.fin{color:$fin}.d .a.rst,.d .a.lost{color:$rst}.d .a.data{color:$data}
.d .a.head{fill:currentColor;stroke:none}
""")
_FIGURE_SHAPES: Final = f"""
.f text{{font:11px {FONTS}}}.f .title{{font-size:15px;font-weight:600}}.f .head{{font-size:12px;font-weight:600}}
.f .line{{fill:none;stroke-width:1.8;stroke-linejoin:round}}.f .dashed{{stroke-dasharray:6 4}}
.f .bar{{fill:none;stroke-width:2}}.f .tall{{stroke-width:3}}.f .outline{{stroke-width:.7}}
.f .area{{fill-opacity:.25;stroke:none}}.f .span{{fill-opacity:.16;stroke:none}}
.f .dots{{fill:none;stroke-width:2.4;stroke-linecap:round}}.f .cross{{fill:none;stroke-width:1.6}}
.f .letter{{font-size:10px;font-weight:600;stroke:none;text-anchor:middle}}.f .grid,.f .axis{{stroke-width:1}}
"""
_FIGURE_PAINT: Final = Template("""
.f .paper{fill:$paper}.f text{fill:$ink}.f .faint{fill:$faint}.f .grid{stroke:$grid}.f .axis{stroke:$axis}
""")
_ROLE_PAINT: Final = Template(
    ".f .$role{stroke:$color}.f .area.$role,.f .span.$role,.f .letter.$role{fill:$color;stroke:none}\n"
)


def diagram_style(scheme: str = AUTO) -> str:
    """The rules of a diagram that stands alone."""
    return _below(DIAGRAM, "d", _DIAGRAM_SHAPES + _in_scheme(_diagram_paint, scheme))


def figure_style(roles: Iterable[str], scheme: str = AUTO) -> str:
    """The rules of a figure that stands alone, whose layers have these roles."""
    used = sorted(set(roles))
    return _below(FIGURE, "f", _FIGURE_SHAPES + _in_scheme(lambda colors: _figure_paint(colors, used), scheme))


def page_stylesheet() -> str:
    """The one stylesheet of a page with drawings.

    Dark where the reader's system is, unless `data-theme` of the page's `html` or `body` is "light" or "dark".
    """
    names = sorted(COLORS)
    variables = {name: f"var(--synfin-{name})" for name in names}
    light, dark = (";".join(f"--synfin-{name}:{COLORS[name][which]}" for name in names) for which in (0, 1))
    return (
        f":root,[data-theme=light]{{{light}}}\n[data-theme=dark]{{{dark}}}\n"
        f"@media(prefers-color-scheme:dark){{:root:not([data-theme=light]),[data-theme=auto]{{{dark}}}}}\n"
        + _below(DIAGRAM, "d", _DIAGRAM_SHAPES + _diagram_paint(variables))
        + _below(FIGURE, "f", _FIGURE_SHAPES + _figure_paint(variables, ROLES))
    )


def _diagram_paint(colors: Mapping[str, str]) -> str:
    return _DIAGRAM_PAINT.substitute(colors)


def _figure_paint(colors: Mapping[str, str], roles: Iterable[str]) -> str:
    return _FIGURE_PAINT.substitute(colors) + "".join(
        _ROLE_PAINT.substitute(role=role, color=colors[role]) for role in roles
    )


def _in_scheme(paint: Callable[[Mapping[str, str]], str], scheme: str) -> str:
    light, dark = (paint({name: both[which] for name, both in COLORS.items()}) for which in (0, 1))
    if scheme == AUTO:
        return f"{light}@media(prefers-color-scheme:dark){{{dark}}}"
    return dark if scheme == DARK else light


def _below(name: str, short: str, rules: str) -> str:
    """The rules with the class's whole name."""
    return rules.replace(f".{short}{{", f".{name}{{").replace(f".{short} ", f".{name} ").strip() + "\n"
