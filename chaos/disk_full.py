"""
The disk is full for SQLite.

Made so by RLIMIT_FSIZE on the processes that write the database, without privileges: a file
can't grow beyond it, and the write fails as on a full disk (EFBIG instead of ENOSPC, which SQLite
tells alike, as SQLITE_FULL or SQLITE_IOERR).
"""

import resource
from collections import Counter
from collections.abc import Iterator
from random import Random

from chaos.figure import Figure, at_least, exactly
from chaos.machine import Machine
from chaos.verdict import intact

SHORT = {"jobs": 20}
ROOM_BYTES = 200_000


def measure(random: Random, *, jobs: int = 60) -> Iterator[Figure]:
    """Jobs before; submits of 10 KB until the disk is full and some more; then there is room again."""
    with Machine() as machine:
        worker = machine.start_worker()
        ids = machine.submit_many(jobs, text="before")
        machine.wait_until_ended(ids, within=60)
        sizes = [path.stat().st_size for path in machine.folder.glob("paddock.db*")]
        limit = max(sizes) + ROOM_BYTES
        pids = [machine.web.pid, *machine.web.children(), worker.pid, *worker.children(), worker.keeper()]
        for pid in pids:
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
        answers = [machine.submit(f"meanwhile {number} " + "x" * 10_000) for number in range(jobs)]
        for pid in pids:
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        counts = Counter(answer.status for answer in answers)
        yield at_least("submits that met a full disk", counts[503], 1)
        yield exactly("answers other than 202 and 503", {s for s in counts if s not in (202, 503)} or 0, 0)
        ids += [answer.job_id for answer in answers if answer.status == 202]
        ids += [machine.submit(f"after {number} {random.random()}").job_id for number in range(5)]
        machine.wait_until_ended(ids, within=90)
        yield from intact(machine, ids)
        check = machine.database.engine.raw_connection()
        yield exactly(
            "PRAGMA integrity_check", check.cursor().execute("PRAGMA integrity_check").fetchone()[0], "ok"
        )
        check.close()
