"""Campaigns: tests of `synfin.sim` run with very many seeds, on all cores or a cluster, and what they find made small.

result = Campaign("tests/test_shop.py", seeds=100_000).run()

The names are resolved on first use (PEP 562): a worker of a cluster needs none of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from synfin.campaign.campaign import Campaign, CampaignError, Status
    from synfin.campaign.findings import Findings

__all__ = ["Campaign", "CampaignError", "Findings", "Status"]

# Hidden from type checkers, to whom a module with __getattr__ would seem to have every name.
if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        value = getattr(import_module(f"synfin.campaign.{'findings' if name == 'Findings' else 'campaign'}"), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
