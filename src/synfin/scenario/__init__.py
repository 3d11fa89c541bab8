"""Scenarios: what hosts, programs, the network and a forger do, as data, run on the real TCP of this package.

scenario = Scenario(hosts=(Host(name="client"), Host(name="server")), steps=(...))
result = run(scenario)
"""

from synfin.scenario.checks import ScenarioError
from synfin.scenario.codec import from_fragment, from_json, from_plain, to_fragment, to_json
from synfin.scenario.export import as_plain, as_test, write_capture
from synfin.scenario.model import VERSION, Fate, Forgery, Host, Link, Scenario, Settings, Step
from synfin.scenario.result import Comparison, Result, SegmentRecord, compare
from synfin.scenario.runner import run

__all__ = [
    "VERSION",
    "Comparison",
    "Fate",
    "Forgery",
    "Host",
    "Link",
    "Result",
    "Scenario",
    "ScenarioError",
    "SegmentRecord",
    "Settings",
    "Step",
    "as_plain",
    "as_test",
    "compare",
    "from_fragment",
    "from_json",
    "from_plain",
    "run",
    "to_fragment",
    "to_json",
    "write_capture",
]
