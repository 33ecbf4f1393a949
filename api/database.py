"""Flask-SQLAlchemy on the core's tables, and the migrations."""

from typing import Any

from flask import Flask, current_app
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy

from jobs.database import Connections, Database, engine_options, prepare_engine
from jobs.impatience import give_up_after
from jobs.models import Base
from settings import ROOT

db = SQLAlchemy(metadata=Base.metadata)
CELERY_TABLES = frozenset({"celery_taskmeta", "celery_tasksetmeta"})
_EXTENSION = "paddock.database"


def _is_ours(_object: Any, name: str | None, kind: str, *_: Any) -> bool:
    """Celery's own tables are made by a migration but not described by our models."""
    return kind != "table" or name not in CELERY_TABLES


migrate = Migrate(
    db=db,
    directory=str(ROOT / "migrations"),
    render_as_batch=True,
    include_object=_is_ours,
    compare_type=True,
)


def init_database(app: Flask, url: str, connections: Connections | None = None) -> None:
    """Give the app its engine."""
    app.config["SQLALCHEMY_DATABASE_URI"] = url
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = engine_options(url, connections or Connections())
    db.init_app(app)
    migrate.init_app(app)
    with app.app_context():
        engine = prepare_engine(db.engine, is_cooperative=True)
        if connections and connections.statement_timeout_seconds:
            give_up_after(engine, connections.statement_timeout_seconds)
        app.extensions[_EXTENSION] = Database(engine)


def get_database() -> Database:
    """The app's sessions."""
    database: Database = current_app.extensions[_EXTENSION]
    return database
