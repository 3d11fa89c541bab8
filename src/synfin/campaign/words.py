"""What a campaign has found, as text."""

from __future__ import annotations

import time

from synfin.campaign.findings import FINISHED, INTERRUPTED, Findings
from synfin.campaign.ledger import Group, Told
from synfin.campaign.progress import counted, duration
from synfin.campaign.verdicts import HUNG


def summary(found: Findings) -> list[str]:
    """The first lines."""
    rate = found.done / max(found.seconds, 1e-3)
    tests = counted(len(found.told.tests), "test")
    known = f"; {found.told.known:,} were known" if found.told.known else ""
    lines = [
        f"campaign {found.told.number}: {counted(found.done, 'seed')} of {tests} in {duration(found.seconds)}, "
        f"{rate:,.0f} a second{known}"
    ]
    if found.told.how == INTERRUPTED:
        lines.append("interrupted: the same command goes on where this ended")
    elif found.told.how != FINISHED:
        lines.append(f"{found.told.how}\nwhat there is a verdict of is kept: the same command goes on from there")
    bad = [group for group in found.failures if group.verdict != HUNG]
    seeds = sum(group.count for group in bad)
    of_all = f"({seeds:,} of {found.total():,} seeds)"
    lines.append(f"{counted(len(bad), 'distinct failure')} {of_all}" if bad else "no failure")
    if hung := found.total(HUNG):
        lines.append(f"{counted(hung, 'seed')} hung")
    if found.flaky:
        lines.append(f"{counted(len(found.flaky), 'flaky seed')}")
    return lines


def in_words(found: Findings) -> list[str]:
    """All that is worth a terminal."""
    lines = summary(found)
    for number, group in enumerate(found.failures, 1):
        lines += ["", f"{number}. {group.verdict}: {group.signature}", *(f"   {line}" for line in _group(found, group))]
    for flaky in found.flaky[:10]:
        lines += ["", f"flaky: {flaky.key.test} with seed {flaky.key.seed}: {flaky.one}; then: {flaky.other}"]
        lines += [f"   {line}" for line in flaky.difference.splitlines()]
    if len(found.flaky) > 10:
        lines += ["", f"(and {len(found.flaky) - 10:,} more flaky seeds)"]
    return lines


def _group(found: Findings, group: Group) -> list[str]:
    first = group.seeds[0]
    small = min(group.shrunk, key=lambda one: len(one[1]["words"]), default=None)
    key = first if small is None else small[0]
    lines = [
        f"{counted(group.count, 'seed')}, of {key.test} first {', '.join(str(one.seed) for one in group.seeds)}",
        f"replay: {found.replay(key)}",
        f"shrink: {found.shrink(key)}",
    ]
    if small is not None and small[1]["by_parts"]:
        words = small[1]["words"]
        lines.append(f"{len(words)} of {small[1]['found']} faults are enough:" if words else "it needs no fault at all")
        lines += [f"  {line}" for line in words[:10]]
    return lines


def listed(told: Told, ran: int) -> str:
    """A line of a list."""
    began = time.strftime("%Y-%m-%d %H:%M", time.localtime(told.began))
    tests = told.tests[0] if len(told.tests) == 1 else f"{len(told.tests)} tests"
    how = told.how.partition("\n")[0][:40]
    return f"{told.number:>4}  {began}  {ran:>9,} seeds  code {told.code[:8]}  {how}  {tests}"
