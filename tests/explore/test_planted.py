"""A search that finds nothing proves something only if it finds what is there: faults, one a mechanism, each found."""

from __future__ import annotations

import pytest

from synfin.scenario import from_json
from tests.explore.planted import FAULTS, search


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_found_by_a_shortest_path(name: str) -> None:
    fault = FAULTS[name]
    found = search(fault)
    assert fault.what in found["what"], found
    assert len(found["path"]) == len(found["steps"]) == fault.steps, found["steps"]
    assert any("│" in line for line in found["text"]), "a diagram shows it"
    assert found["what"] in from_json(found["saved"]).about, "a scenario leads there"
