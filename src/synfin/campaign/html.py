"""The report: one HTML file that needs no other, no script and no network."""

from __future__ import annotations

import time
from collections.abc import Iterator
from html import escape
from string import Template
from typing import Final

from synfin.campaign.findings import Findings
from synfin.campaign.ledger import Flaky, Group, Key
from synfin.campaign.program import Json
from synfin.campaign.verdicts import ALL
from synfin.campaign.words import summary
from synfin.view.figure import Figure, Line, Panel, highest
from synfin.view.figure_svg import drawing
from synfin.view.stylesheet import page_stylesheet
from synfin.view.ticks import COUNT

_PAGE: Final = Template("""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>$title</title><style>$style
body{max-width:60rem;margin:2rem auto;padding:0 1rem;font:16px/1.5 ui-sans-serif,system-ui,sans-serif;
background:var(--synfin-paper);color:var(--synfin-ink)}
pre,code{font:13px/1.45 ui-monospace,Menlo,Consolas,monospace}pre{overflow-x:auto;padding:.7rem;border-radius:6px;
border:1px solid var(--synfin-axis)}table{border-collapse:collapse}td,th{padding:.2rem .8rem;text-align:right;
border-bottom:1px solid var(--synfin-axis)}td:first-child,th:first-child{text-align:left}
h2{margin-top:2.5rem}summary{cursor:pointer}svg{max-width:100%;height:auto}.faint{color:var(--synfin-faint)}
</style></head><body>
$body
</body></html>
""")


def html(found: Findings) -> str:
    """The page."""
    title = f"synfin campaign {found.told.number}"
    return _PAGE.substitute(title=title, style=page_stylesheet(), body="\n".join(_body(found, title)))


def _body(found: Findings, title: str) -> Iterator[str]:
    yield f"<h1>{title}</h1>"
    began = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(found.told.began))
    yield f'<p class="faint">{began}, in <code>{escape(found.told.root)}</code>, code {escape(found.told.code)}</p>'
    yield "".join(f"<p>{escape(line)}</p>" for line in summary(found))
    yield from _table(found)
    if len(found.growth) > 1:
        yield "<h2>Growth</h2>"
        yield drawing(_growth(found))
    for number, group in enumerate(found.failures, 1):
        yield from _failure(found, number, group)
    if found.flaky:
        yield "<h2>Flaky seeds</h2>"
        for flaky in found.flaky[:100]:
            yield from _flaky(found, flaky)


def _table(found: Findings) -> Iterator[str]:
    verdicts = [verdict for verdict in ALL if found.total(verdict)]
    heads = "".join(f"<th>{verdict}</th>" for verdict in verdicts)
    yield f"<table><tr><th>test</th>{heads}<th>time of one</th></tr>"
    for test, counts in found.counts.items():
        cells = "".join(f"<td>{counts.get(verdict, (0, 0))[0]:,}</td>" for verdict in verdicts)
        seeds = sum(count for count, _ in counts.values())
        each = sum(spent for _, spent in counts.values()) / max(seeds, 1)
        yield f"<tr><td><code>{escape(test)}</code></td>{cells}<td>{each * 1000:.2f} ms</td></tr>"
    yield "</table>"


def _growth(found: Findings) -> Figure:
    xs = [seconds * 1_000_000 for seconds, _, _, _ in found.growth]
    panels = []
    for name, role, column in (("seeds", "one", 1), ("distinct failures", "two", 2), ("features", "three", 3)):
        layers = [Line(name, role, xs, [float(point[column]) for point in found.growth], step=True)]
        if column < 3 or highest(layers) > 1:
            panels.append(Panel(name, COUNT, layers, highest(layers) * 1.1, tall=column == 2))
    return Figure("", panels, 0.0, xs[-1] or 1.0)


def _failure(found: Findings, number: int, group: Group) -> Iterator[str]:
    yield f'<h2 id="f{number}">{number}. {escape(group.verdict)}: {escape(group.signature.exception)}</h2>'
    where = f" at <code>{escape(group.signature.place)}</code>" if group.signature.place else ""
    yield f"<p>{group.count:,} seeds{where}</p><pre>{escape(group.signature.text)}</pre>"
    small = min(group.shrunk, key=lambda one: len(one[1]["words"]), default=None)
    key = group.seeds[0] if small is None else small[0]
    yield f"<pre>{escape(found.replay(key))}\n{escape(found.shrink(key))}</pre>"
    if small is not None:
        yield from _small(*small)
    if group.detail:
        yield f"<details><summary>Traceback</summary><pre>{escape(group.detail)}</pre></details>"
    rows = "".join(f"<li><code>{escape(found.replay(one))}</code></li>" for one in group.seeds)
    yield f"<details><summary>More seeds</summary><ul>{rows}</ul></details>"


def _small(key: Key, answer: Json) -> Iterator[str]:
    if not answer["by_parts"]:
        yield "<p>What chance did does not make it fail by itself: something else plays a part.</p>"
    elif answer["words"]:
        more = "" if answer["whole"] else ", and fewer may be: the time for it was over"
        yield f"<p>With seed {key.seed}, of {answer['found']:,} faults these are enough{more}:</p>"
        yield "<ul>" + "".join(f"<li>{escape(words)}</li>" for words in answer["words"][:50]) + "</ul>"
        yield f"<details><summary>As a rule, for the test</summary><pre>{escape(answer['code'])}</pre></details>"
    else:
        yield "<p>It fails without any fault of the network.</p>"
    if answer["svg"]:
        yield f"<details open><summary>What happened then</summary>{answer['svg']}</details>"
    if answer["report"]:
        yield f"<details><summary>The same as text</summary><pre>{escape(answer['report'])}</pre></details>"


def _flaky(found: Findings, flaky: Flaky) -> Iterator[str]:
    yield f"<h3><code>{escape(flaky.key.test)}</code> with seed {flaky.key.seed}</h3>"
    yield f"<p>{escape(flaky.one)}; then: {escape(flaky.other)}</p><pre>{escape(found.replay(flaky.key))}</pre>"
    if flaky.difference:
        yield f"<pre>{escape(flaky.difference)}</pre>"
