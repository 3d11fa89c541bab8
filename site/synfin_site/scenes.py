"""What of an experiment's finding is drawn: the lab's pages and their runs in the browser show the same."""

from __future__ import annotations

from synfin.lab.experiment import Finding, Scene
from synfin.view.figure import Figure

# A scene of thousands of segments tells nothing as a diagram; its experiment has a figure.
MOST_EVENTS = 500
SEED = "seed"  # beside the parameters of an experiment, as the command has it
SEEDS = 1 << 31


def shown(found: Finding) -> list[Figure | Scene]:
    """The figure, and each scene that a reader can follow."""
    scenes = [scene for scene in found.scenes if len(scene.events) <= MOST_EVENTS]
    return [*([found.figure] if found.figure is not None else []), *scenes]
