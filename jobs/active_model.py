"""The model that an operator chose for requests which name none."""

from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from jobs.database import Database
from jobs.instants import utc_now
from jobs.models import ActiveModel

_ONLY_ID = 1


def read_active(session: Session) -> str | None:
    """The chosen model, normalised; None: none is chosen. One row by its primary key, read at every use."""
    return session.execute(select(ActiveModel.model).where(ActiveModel.id == _ONLY_ID)).scalar_one_or_none()


def choose_active(database: Database, model: str | None, *, now: datetime | None = None) -> None:
    """Choose a (normalised) model from now on, in every process; None: back to the default."""
    with database.writing() as session:
        if model is None:
            session.execute(delete(ActiveModel))
        else:
            session.merge(ActiveModel(id=_ONLY_ID, model=model, chosen_at=now or utc_now()))
