"""Connections to Postgres are kept as the settings say."""

from sqlalchemy import text
from sqlalchemy.pool import NullPool, QueuePool

from jobs.database import Connections, Database
from tests.support.postgres import Postgres


def test_a_pool_is_as_large_as_told_and_names_itself(postgres: Postgres) -> None:
    """The server's operator sees whose connections they are."""
    url = postgres.create_database("pool")
    database = Database.connect(url, Connections(pool_size=2, pool_overflow=1))
    assert isinstance(database.engine.pool, QueuePool)
    assert (database.engine.pool.size(), database.engine.pool._max_overflow) == (2, 1)
    with database.reading() as session:
        assert session.execute(text("SHOW application_name")).scalar_one() == "paddock"
    database.close()
    unpooled = Database.connect(url, Connections(pool_size=2), pooled=False)
    assert isinstance(unpooled.engine.pool, NullPool)
    with unpooled.reading() as session:
        assert session.execute(text("SELECT 1")).scalar_one() == 1
    postgres.drop_database("pool")
