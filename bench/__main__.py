"""`make bench` runs all; `python -m bench NAME …` some of them."""

import sys

from bench import dropin, estimates, fairness, first_token, order, simulator, submits

BENCHMARKS = {
    "simulator": simulator.measure,
    "first-token": first_token.measure,
    "submits": submits.measure,
    "order": order.measure,
    "estimates": estimates.measure,
    "fairness": fairness.measure,
    "dropin": dropin.measure,
}


def main(names: list[str]) -> None:
    for name in names or BENCHMARKS:
        print(f"{name}: {sys.modules[BENCHMARKS[name].__module__].__doc__}")
        for figure, value in BENCHMARKS[name]().items():
            print(f"  {figure:24} {value:10.2f}" if isinstance(value, float) else f"  {figure:24} {value:10}")


if __name__ == "__main__":
    main(sys.argv[1:])
