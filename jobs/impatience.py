"""A Postgres that hangs, or a path to it that does, must not hold up whoever asks for ever."""

from typing import Any

from sqlalchemy import Engine, event
from sqlalchemy.engine import make_url

GRACE_SECONDS = 1.0  # an answer "cancelled on time" may take: it leaves the connection as it was


def give_up_after(engine: Engine, seconds: float) -> None:
    """
    Let each answer take this long, a connection's own attempt apart; after that the connection is closed.

    A Postgres that runs cancels the statement by itself (`statement_timeout`). One that is frozen, or
    whose network drops packets, does nothing: only the one who waits can give up. Either way it is
    an OperationalError, as of a database that is down.
    """
    if make_url(engine.url).get_backend_name() != "postgresql":
        return
    import psycopg  # late: it takes a tenth of a start that works on SQLite
    from psycopg.pq import TransactionStatus

    class Impatient(psycopg.Connection[Any]):
        def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
            try:
                return super().wait(gen, interval, timeout or seconds + GRACE_SECONDS)
            except psycopg.OperationalError:
                if self.info.transaction_status == TransactionStatus.ACTIVE:
                    self.close()  # its answer may come yet, and would be taken for the next one's
                raise

    @event.listens_for(engine, "do_connect")
    def _connect(_dialect: Any, _record: Any, arguments: Any, parameters: Any) -> Any:
        return Impatient.connect(*arguments, **parameters)
