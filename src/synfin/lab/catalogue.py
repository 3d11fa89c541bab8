"""All experiments, in the order in which a connection lives."""

from __future__ import annotations

from synfin.lab import (
    close,
    close_wait_leak,
    congestion,
    half_open,
    handshake,
    isn,
    syn_data,
    syn_flood,
    time_wait,
    two_way,
)
from synfin.lab.experiment import Experiment

EXPERIMENTS: dict[str, Experiment] = {
    module.EXPERIMENT.name: module.EXPERIMENT
    for module in (
        handshake,
        two_way,
        isn,
        syn_data,
        syn_flood,
        congestion,
        close,
        time_wait,
        half_open,
        close_wait_leak,
    )
}
