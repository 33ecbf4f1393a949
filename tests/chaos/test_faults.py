"""
`make chaos` with small counts, each figure as wanted there.

Faults that tests/integration tries with counts as small are left to it: test_survival.py and test_worker.py.
"""

from random import Random

import pytest

from chaos.faults import run

SEED = 20_261
FAULTS = (
    "worker-stopped",
    "keeper-killed",
    "valkey-frozen",
    "memory-full",
    "cancelling",
    "disk-full",
    "flower-view",
)


@pytest.mark.parametrize("name", FAULTS)
def test_what_is_wanted_holds(name: str) -> None:
    """Nothing is lost, nothing is finished twice, and it is over in its time."""
    figures = list(run(name, Random(f"{SEED} {name}"), short=True))
    assert figures
    missed = [
        f"{figure.name}: {figure.measured}, not {figure.wanted}" for figure in figures if not figure.is_met
    ]
    assert not missed, missed
