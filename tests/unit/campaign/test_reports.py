"""What is told of a campaign: text, HTML that stands alone, JUnit XML, the exit status and the progress line."""

from __future__ import annotations

import io
import re
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from contextlib import closing
from html.parser import HTMLParser
from pathlib import Path

import pytest

from synfin.campaign.campaign import Status
from synfin.campaign.findings import BY_SIGNAL, CLEAN, FAILURES, NOT_ALL, ONLY_HUNG, Findings, findings
from synfin.campaign.html import html
from synfin.campaign.junit import junit
from synfin.campaign.ledger import Key, Ledger, Row
from synfin.campaign.progress import Progress
from synfin.campaign.signature import Signature
from synfin.campaign.verdicts import FAILED, HUNG, PASSED
from synfin.campaign.words import in_words

ONE, TWO = "tests/test_shop.py::test_one", "tests/test_shop.py::test_two[a]"
BROKEN = Signature("ValueError", "shop.py:3 in buy", "no <stock> & \x00\n]]>")
SHRUNK = {
    "by_parts": True, "whole": True, "found": 40, "done": 9, "words": ["a -> b, SYN: <dropped>"],
    "code": "network.calm()", "report": "seed 3\n<script>", "svg": "<svg class='x'></svg>", "parts": None,
}  # fmt: skip


def made(folder: Path, *verdicts: str, how: str = "finished", flaky: bool = False) -> Findings:
    """A campaign in which the seeds of test ONE had these verdicts."""
    with closing(Ledger(folder / "ledger.sqlite")) as ledger:
        return _made(ledger, folder, verdicts, how, flaky)


def _made(ledger: Ledger, folder: Path, verdicts: Sequence[str], how: str, flaky: bool) -> Findings:
    number = ledger.begin("code", [ONE, TWO], {"seeded": [ONE, TWO]}, str(folder))
    rows = [
        Row(Key(ONE, seed), verdict, None if verdict == PASSED else BROKEN, 0.002, detail="Traceback <here>")
        for seed, verdict in enumerate(verdicts)
    ]
    ledger.record(number, "code", rows)
    for seed, verdict in enumerate(verdicts):
        if verdict == FAILED:
            ledger.note_shrunk("code", Key(ONE, seed), BROKEN, SHRUNK)
    if flaky:
        ledger.note_flaky("code", Key(TWO, 5), "one run", "another", "  here:  1\n  again: 2")
    for point in range(3):
        ledger.note_growth(number, point * 1.5, point * 10, point, point * 3)
    ledger.end(number, how, 0)
    return findings(ledger, ledger.campaign(number))


@pytest.mark.parametrize(
    ("verdicts", "how", "flaky", "status"),
    [
        ((PASSED,), "finished", False, CLEAN),
        ((PASSED, FAILED), "finished", False, FAILURES),
        ((PASSED, HUNG), "finished", False, ONLY_HUNG),
        ((HUNG, FAILED), "finished", False, FAILURES),
        ((PASSED,), "finished", True, FAILURES),
        ((FAILED,), "interrupted", False, BY_SIGNAL),
        ((PASSED,), "stopped: the disk is full", False, NOT_ALL),
    ],
)
def test_the_exit_status_says_it(tmp_path: Path, verdicts: tuple[str, ...], how: str, flaky: bool, status: int) -> None:
    assert made(tmp_path, *verdicts, how=how, flaky=flaky).status == status


def test_the_text_has_what_is_enough_and_how_to_see_it_again(tmp_path: Path) -> None:
    text = "\n".join(in_words(made(tmp_path, PASSED, FAILED, flaky=True)))
    assert "1 distinct failure (1 of 2 seeds)" in text
    assert "replay: pytest 'tests/test_shop.py::test_one[seed1]' --synfin-seed 1" in text
    assert "shrink: synfin shrink 'tests/test_shop.py::test_one[seed1]' --seed 1" in text
    assert "1 of 40 faults are enough:\n     a -> b, SYN: <dropped>" in text
    assert f"flaky: {TWO} with seed 5: one run; then: another\n     here:  1" in text


def test_settings_are_part_of_how_to_see_it_again(tmp_path: Path) -> None:
    found = made(tmp_path, PASSED)
    key = Key(TWO, 9, '{"shuffle":true}')
    name = "'tests/test_shop.py::test_two[seed9-a]'"
    assert found.replay(key) == f"""pytest {name} --synfin-seed 9 --synfin-settings '{{"shuffle":true}}'"""
    assert found.shrink(key) == f"""synfin shrink {name} --seed 9 --settings '{{"shuffle":true}}'"""


def test_the_page_stands_alone_and_takes_no_text_for_its_own(tmp_path: Path) -> None:
    page = html(made(tmp_path, PASSED, FAILED, FAILED, flaky=True))
    tags: list[str] = []
    links: list[str] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            tags.append(tag)
            links.extend(value or "" for name, value in attrs if name in ("src", "href"))

    Reader().feed(page)
    assert links == []
    assert "script" not in tags
    assert "<svg class='x'></svg>" in page
    assert tags.count("svg") > 1  # the curve
    assert "no &lt;stock&gt; &amp; " in page
    assert "a -&gt; b, SYN: &lt;dropped&gt;" in page
    assert "pytest &#x27;tests/test_shop.py::test_one[seed1]&#x27; --synfin-seed 1" in page


def test_junit_has_a_case_for_each_test_and_each_failure(tmp_path: Path) -> None:
    root = ET.fromstring(junit(made(tmp_path, PASSED, FAILED, FAILED, flaky=True)))
    [suite] = root
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("3", "2", "0")
    cases = {case.get("name"): [one.tag for one in case] for case in suite}
    assert [tags for name, tags in cases.items() if name and name.startswith("test_one: ValueError")] == [["failure"]]
    assert cases["test_two[a]"] == ["system-out"]
    assert cases["test_two[a]: seed 5 is flaky"] == ["failure"]
    assert {case.get("classname") for case in suite} == {"tests.test_shop"}


def test_elsewhere_than_at_a_terminal_progress_is_a_line_now_and_then() -> None:
    out, now = io.StringIO(), [0.0]
    progress = Progress(out, lambda: now[0])
    for second in range(25):
        now[0] = float(second)
        progress.watch(Status(second * 500, 100, 100_100, float(second), 2, 7, 1, 0, 3600.0))
    progress.say("new failure: it")
    assert out.getvalue().splitlines() == [
        "0 of 100,000 seeds, 0 a second; 2 distinct failures; 1 flaky; 1 h 0 min left",
        "5,000 of 100,000 seeds, 500 a second; 2 distinct failures; 1 flaky; 1 h 0 min left",
        "10,000 of 100,000 seeds, 500 a second; 2 distinct failures; 1 flaky; 1 h 0 min left",
        "new failure: it",
    ]


def test_at_a_terminal_progress_is_one_line_that_is_written_over() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    out, now = Terminal(), [0.0]
    progress = Progress(out, lambda: now[0])
    for tenth in range(10):
        now[0] = tenth / 10
        progress.watch(Status(tenth, 0, None, 1.0, 0, 0, 0, 12, None))
    progress.clear()
    assert len(re.findall(r"\r\d+ seeds, \d+ a second; 0 distinct failures; 12 features", out.getvalue())) == 5
    assert "\n" not in out.getvalue()
