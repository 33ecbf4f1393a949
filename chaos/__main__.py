"""
`make chaos` breaks everything that can break; `python -m chaos NAME …` some of it.

    --seed N    the same choices again
    --short     the small counts of the run in CI

Prints a table and ends with status 1 when a figure is not met.
"""

import argparse
import random
import secrets
import sys
import time

from chaos.faults import FAULTS, run
from chaos.figure import Figure


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m chaos")
    parser.add_argument("names", nargs="*", help="faults to try (all): " + ", ".join(FAULTS))
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1_000_000))
    parser.add_argument("--short", action="store_true", help="the small counts of the run in CI")
    wanted = parser.parse_args(arguments)
    if unknown := set(wanted.names) - FAULTS.keys():
        parser.error(f"no such fault: {', '.join(sorted(unknown))}")
    began, missed = time.monotonic(), 0
    print(f"seed {wanted.seed}", flush=True)
    for name in wanted.names or FAULTS:
        at = time.monotonic()
        print(f"\n{name}: {str(FAULTS[name].__doc__).strip().splitlines()[0]}", flush=True)
        for figure in run(name, random.Random(f"{wanted.seed} {name}"), short=wanted.short):
            missed += not figure.is_met
            _print(figure)
        print(f"  ({time.monotonic() - at:.0f} s)", flush=True)
    print(f"\n{missed} not met, {time.monotonic() - began:.0f} s")
    return 1 if missed else 0


def _print(figure: Figure) -> None:
    verdict = "ok" if figure.is_met else "FAIL"
    print(f"  {figure.name:52} {figure.measured:>14} {figure.wanted:>14}  {verdict}", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
