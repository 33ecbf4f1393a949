"""
`make chaos` breaks everything that can break; `python -m chaos NAME …` some of it.

    --seed N    the same choices again
    --short     the small counts of the run in CI

Prints a table and ends with status 1 when a figure is not met. Two faults are tried at a time, each in a
process of its own: one that mostly waits for something to come back, beside one that doesn't.
"""

import argparse
import os
import random
import secrets
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from chaos.faults import FAULTS, PATIENT, run
from chaos.figure import Figure


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m chaos")
    parser.add_argument("names", nargs="*", help="faults to try (all): " + ", ".join(FAULTS))
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1_000_000))
    parser.add_argument("--short", action="store_true", help="the small counts of the run in CI")
    wanted = parser.parse_args(arguments)
    if unknown := set(wanted.names) - FAULTS.keys():
        parser.error(f"no such fault: {', '.join(sorted(unknown))}")
    if len(wanted.names) == 1:
        return _try(wanted.names[0], wanted.seed, short=wanted.short)
    began = time.monotonic()
    print(f"seed {wanted.seed}", flush=True)
    names = wanted.names or list(FAULTS)
    options = ["--seed", str(wanted.seed), *(["--short"] if wanted.short else [])]
    lanes = ([n for n in names if n not in PATIENT], [n for n in names if n in PATIENT])
    with ThreadPoolExecutor(len(lanes)) as pool:
        failed = [name for lane in pool.map(lambda lane: _try_apart(lane, options), lanes) for name in lane]
    print(f"\n{len(names)} faults, {time.monotonic() - began:.0f} s; not met: {', '.join(failed) or 'none'}")
    return 1 if failed else 0


def _try(name: str, seed: int, *, short: bool) -> int:
    """One fault, here; 1 when a figure of it is not met."""
    began, missed = time.monotonic(), 0
    print(f"\n{name}: {str(FAULTS[name].__doc__).strip().splitlines()[0]}", flush=True)
    for figure in run(name, random.Random(f"{seed} {name}"), short=short):
        missed += not figure.is_met
        _print(figure)
    print(f"  ({time.monotonic() - began:.0f} s)", flush=True)
    return 1 if missed else 0


def _try_apart(names: Sequence[str], options: Sequence[str]) -> list[str]:
    """One after the other, told each as it ends; which of them are not met."""
    failed, kept = [], os.environ.get("CHAOS_KEEP")
    for name in names:
        command = [sys.executable, "-m", "chaos", name, *options]
        tried = subprocess.run(
            command,
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, **({"CHAOS_KEEP": f"{kept}/{name}"} if kept else {})},
        )
        print(tried.stdout, end="", flush=True)
        if tried.returncode:
            failed.append(name)
    return failed


def _print(figure: Figure) -> None:
    verdict = "ok" if figure.is_met else "FAIL"
    print(f"  {figure.name:52} {figure.measured:>14} {figure.wanted:>14}  {verdict}", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
