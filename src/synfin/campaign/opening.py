"""Which engine: a cluster of this machine or another, by Dask `distributed`; or one child without any."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from synfin.campaign.engine import Alone, Engine, EngineError

NONE: Final = "none"  # in the place of a scheduler's address: no engine, one child


def open_engine(
    *,
    workers: int | None = None,
    scheduler: str | None = None,
    insecure: bool = False,
    tls: tuple[str, str, str] | None = None,
    dashboard: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> Engine:
    """An engine: a local cluster of so many slots (None: as many as cores), or that of a Dask scheduler, or NONE.

    scheduler: its address, tls://HOST:PORT; another scheme has no encryption and lets everybody run code, and is
    refused unless `insecure`. tls: files of the CA's certificate, of ours, and of its key; None: as Dask is configured.
    dashboard: Dask's own, of a local cluster. say: told what a user should know. Raises EngineError.
    """
    if scheduler == NONE:
        return Alone()
    try:
        from synfin.campaign.dask import Local, Remote
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "synfin":
            raise
        from synfin._install import how_to_add

        raise EngineError(
            f"campaigns run on Dask, and {error.name} is not installed. Type: {how_to_add('campaign')}\n"
            f"(or say --scheduler none: one process, no engine)"
        ) from None
    if scheduler is None:
        return Local(workers, dashboard, say)
    if not scheduler.startswith("tls://") and not insecure:
        raise EngineError(
            f"{scheduler} is not tls://: whoever reaches such a scheduler runs code as you. Start it with TLS "
            f"(docs/campaigns.md says how), or say --insecure-scheduler"
        )
    return Remote(scheduler, tls, say)
