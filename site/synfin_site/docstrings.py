"""The docstrings of synfin as reStructuredText: they are written as plain text, with examples indented."""

from __future__ import annotations

import re

_CODE = re.compile(r"(``.+?``|`[^`]+`)")
_ITEM = re.compile(r"\s*(-|\*|\d+\.) ")


def as_rst(lines: list[str]) -> list[str]:
    """What is indented is shown as it stands, what is not is prose.

    >>> as_rst(["It takes *args:", "", "    f(*args)", "", "and `x`_."])
    ['It takes \\\\*args:', '', '::', '', '    f(*args)', '', 'and `x`\\\\_.']
    """
    done: list[str] = []
    code = item = False
    for line in lines:
        indented = line.startswith(" ")
        if not line.strip():
            done.append("")
            continue
        if line.lstrip().startswith(">>>") and not code:
            if done and done[-1]:
                done.append("")
            code = False
        if _ITEM.match(line) and not code:
            if done and done[-1] and not item:
                done.append("")
            item = True
        elif not indented:
            if item and done and done[-1]:
                done.append("")
            code = item = False
        elif not code and not item:
            if done and done[-1]:
                done.append("")
            done += ["::", ""]
            code = True
        done.append(line if code else _escaped(line))
    return done


def _escaped(line: str) -> str:
    """The line without what reStructuredText would take for markup, but for `code`."""
    parts = _CODE.split(line)
    for number, part in enumerate(parts):
        if number % 2 == 0:
            indent = len(part) - len(part.lstrip()) if number == 0 else 0
            bullet = _ITEM.match(part) if number == 0 else None
            start = bullet.end() if bullet else indent
            parts[number] = part[:start] + re.sub(r"([*|`]|_\b|\b_(?=\W|$)|_$)", r"\\\1", part[start:])
        elif part.startswith("`") and parts[number + 1][:1].isalnum():
            parts[number] = part + "\\ "  # `n`th: markup ends where no letter follows
    return "".join(parts)
