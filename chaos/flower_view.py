"""Flower's own HTTP API beside our queue depths."""

from collections.abc import Iterator
from random import Random

import requests

from chaos.figure import Figure, exactly
from chaos.machine import Machine
from chaos.process import eventually
from tasks.taken_messages import taken_keys

SHORT = {"pending": 60}


def measure(random: Random, *, pending: int = 300) -> Iterator[Figure]:
    """`pending` jobs of one key over two models, at random priorities, behind busy slots."""
    with Machine(models="alpha,beta", tokens_per_second=20) as machine:
        worker = machine.start_worker()
        url = machine.start_flower()
        machine.control(hang=True)
        busy = [
            machine.submit(f"busy {n}", model=m, tokens=5).job_id for n in range(8) for m in ("alpha", "beta")
        ]
        eventually(lambda: len(machine.running()) == machine.slots)
        for number in range(pending):
            machine.submit(
                f"waits {number}", model=random.choice(("alpha", "beta")), priority=random.randrange(10)
            )
        eventually(lambda: _flower(url) == _ours(machine), within=15, every=0.5)
        flower, ours = _flower(url), _ours(machine)
        for model in ("alpha", "beta"):
            yield exactly(f"{model}: Flower's depth is ours", flower.get(model), ours.get(model))
        yield exactly("both together, running and taken ones left out", sum(ours.values()), _waiting(machine))
        assert busy
        assert worker


def _flower(url: str) -> dict[str, int]:
    queues = requests.get(f"{url}/api/queues/length", timeout=10).json()["active_queues"]
    return {
        queue["name"].removeprefix("ollama.").removesuffix(":latest"): queue["messages"]
        for queue in queues
        if queue["name"].startswith("ollama.")
    }


def _ours(machine: Machine) -> dict[str, int]:
    queues = machine.ask("GET", "/api/admin/queues/").json()["queues"]
    return {queue["model"].removesuffix(":latest"): queue["lined_up"] for queue in queues}


def _waiting(machine: Machine) -> int:
    held = machine.redis.hlen(taken_keys("worker-1@chaos")[0])
    jobs = machine.jobs().values()
    return sum(job.status == "pending" for job in jobs) - (held - len(machine.running()))
