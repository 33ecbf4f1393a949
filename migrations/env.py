"""Alembic's entry: runs the migrations on the app's own engine, all of them in one transaction."""

from alembic import context
from flask import current_app
from sqlalchemy import text

from jobs.database import Database

_LOCK = 0x7061646F636B  # any number of our own: two processes that upgrade at once take turns

migrate = current_app.extensions["migrate"]
database = Database(migrate.db.engine)

with database.writing() as session:
    connection = session.connection()
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    context.configure(
        connection=connection,
        target_metadata=migrate.db.metadata,
        transactional_ddl=True,
        **migrate.configure_args,
    )
    with context.begin_transaction():
        context.run_migrations()
