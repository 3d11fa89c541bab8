"""JUnit XML, which build servers read: one case for each test, and one for each distinct failure."""

from __future__ import annotations

import xml.etree.ElementTree as ET

from synfin.campaign.findings import Findings
from synfin.campaign.ledger import Group
from synfin.campaign.verdicts import FAILED


def junit(found: Findings) -> str:
    """The document."""
    first = {id(group): group.seeds[0].test for group in found.failures}
    failures = sum(group.verdict == FAILED for group in found.failures) + len(found.flaky)
    errors = len(found.failures) + len(found.flaky) - failures
    clean = [test for test in found.told.tests if test not in first.values()]
    suite = ET.Element(
        "testsuite",
        name=f"synfin campaign {found.told.number}",
        tests=str(len(clean) + failures + errors),
        failures=str(failures),
        errors=str(errors),
        skipped="0",
        time=f"{found.seconds:.3f}",
    )
    for test in found.told.tests:
        seconds = sum(spent for _, spent in found.counts.get(test, {}).values())
        seeds = sum(count for count, _ in found.counts.get(test, {}).values())
        groups = [group for group in found.failures if first[id(group)] == test]
        for group in groups:
            case = _case(suite, f"{test}: {group.signature}", seconds / len(groups))
            kind = "failure" if group.verdict == FAILED else "error"
            ET.SubElement(
                case, kind, message=_xml(str(group.signature)), type=_xml(group.signature.exception)
            ).text = _xml(_text(found, group))
        if not groups:
            ET.SubElement(_case(suite, test, seconds), "system-out").text = f"{seeds} seeds"
    for flaky in found.flaky:
        case = _case(suite, f"{flaky.key.test}: seed {flaky.key.seed} is flaky", 0)
        message = f"{flaky.one}; then: {flaky.other}"
        ET.SubElement(case, "failure", message=_xml(message), type="flaky").text = _xml(flaky.difference)
    root = ET.Element("testsuites")
    root.append(suite)
    ET.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _case(suite: ET.Element, name: str, seconds: float) -> ET.Element:
    file = name.partition("::")[0]
    module = file.removesuffix(".py").replace("/", ".")
    return ET.SubElement(suite, "testcase", classname=module, name=_xml(name[len(file) + 2 :]), time=f"{seconds:.3f}")


def _text(found: Findings, group: Group) -> str:
    lines = [f"{group.count} seeds", found.replay(group.seeds[0]), found.shrink(group.seeds[0])]
    for key, answer in group.shrunk[:1]:
        lines += ["", f"with seed {key.seed} these are enough:", *answer["words"], "", answer["code"]]
    return "\n".join([*lines, "", group.detail])


def _xml(text: str) -> str:
    """Without the characters that XML 1.0 has no way to say."""
    return "".join(letter for letter in text if letter in "\t\n" or (letter >= " " and letter not in "\ufffe\uffff"))
