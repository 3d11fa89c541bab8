"""`synfin campaign`: tests with very many seeds; and what the ledger has of campaigns that there were."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from synfin.campaign.campaign import LEDGER, Campaign, CampaignError
from synfin.campaign.findings import UNUSABLE, Findings, findings
from synfin.campaign.guide import Guide
from synfin.campaign.html import html
from synfin.campaign.junit import junit
from synfin.campaign.ledger import Ledger, LedgerError
from synfin.campaign.progress import Progress
from synfin.campaign.words import in_words, listed
from synfin.sim.units import byte_count, microseconds


@dataclass(frozen=True)
class Files:
    """Where what is found is written; None: nowhere, or of the HTML, beside the ledger."""

    ledger: Path | None
    report: Path | None
    junit: Path | None


def run(
    tests: Sequence[str], duration: str | None, patience: str, memory: str, settings: Sequence[str], files: Files,
    guided: bool, **chosen: Any,
) -> int:  # fmt: skip
    """The command; its exit status."""
    progress = Progress(sys.stderr)
    signal.signal(signal.SIGTERM, _interrupt)
    pipe = getattr(signal, "SIGPIPE", None)
    if pipe is not None:  # of a child or a worker that has gone, of which we want to hear otherwise
        signal.signal(pipe, signal.SIG_IGN)
    try:
        campaign = Campaign(
            *tests,
            seconds=None if duration is None else microseconds(duration, "--for") / 1_000_000,
            patience=microseconds(patience, "--patience") / 1_000_000,
            memory=byte_count(memory, "--memory"),
            settings=_settings(settings),
            guide=_guide() if guided else None,
            ledger=files.ledger,
            say=progress.say,
            watch=progress.watch,
            **chosen,
        )
        found = campaign.run()
    except (CampaignError, ValueError) as error:
        progress.clear()
        return _wrong(str(error))
    except KeyboardInterrupt:
        progress.clear()
        return 130
    progress.clear()
    print("\n".join(in_words(found)))
    where = (
        files.report or (files.ledger or Path(found.told.root) / LEDGER).parent / f"campaign-{found.told.number}.html"
    )
    written = _write(where, html(found)) and (files.junit is None or _write(files.junit, junit(found)))
    if written:
        print(f"\nreport: {where}")
    return found.status


def ls(ledger: Path | None) -> int:
    """The campaigns there were."""

    def do(kept: Ledger) -> int:
        for told in kept.campaigns():
            print(listed(told, kept.ran(told.number)))
        return 0

    return _reading(ledger, do)


def show(number: int | None, ledger: Path | None) -> int:
    """What one has found."""

    def do(kept: Ledger) -> int:
        print("\n".join(in_words(_of(kept, number))))
        return 0

    return _reading(ledger, do)


def report(number: int | None, files: Files) -> int:
    """The same as a page, and for build servers."""

    def do(kept: Ledger) -> int:
        found = _of(kept, number)
        where = files.report or kept.path.parent / f"campaign-{found.told.number}.html"
        if not _write(where, html(found)) or (files.junit is not None and not _write(files.junit, junit(found))):
            return UNUSABLE
        print(f"report: {where}")
        return 0

    return _reading(files.ledger, do)


def _of(ledger: Ledger, number: int | None) -> Findings:
    told = ledger.campaigns()
    if not told:
        raise LedgerError(f"{ledger.path}: there was no campaign")
    return findings(ledger, told[-1] if number is None else ledger.campaign(number))


def _reading(path: Path | None, do: Callable[[Ledger], int]) -> int:
    where = path or Path(LEDGER)
    try:
        if not where.exists():
            raise LedgerError(
                f"{where}: there is no ledger (campaigns keep theirs in the project's root: --ledger FILE)"
            )
        ledger = Ledger(where, only_read=True)
        try:
            return do(ledger)
        finally:
            ledger.close()
    except LedgerError as error:
        return _wrong(str(error))


def _guide() -> Guide:
    from synfin.sim.guide import Guide as ByNovelty

    return ByNovelty()


def _settings(given: Sequence[str]) -> dict[str, Any]:
    """NAME=VALUE, the value as JSON, or a string where it is none."""
    settings: dict[str, Any] = {}
    for one in given:
        name, equals, text = one.partition("=")
        if not equals:
            raise ValueError(f"--set {one}: write it NAME=VALUE")
        try:
            settings[name] = json.loads(text)
        except ValueError:
            settings[name] = text
    return settings


def _write(path: Path, text: str) -> bool:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        _wrong(f"{path} can't be written: {error.strerror or error}")
        return False
    return True


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _wrong(text: str) -> int:
    print(f"synfin campaign: {text}", file=sys.stderr)
    return UNUSABLE
