"""How well it goes: counts, success, times and speed over an hour and a day."""

from typing import Any

from flask import Response, current_app

from api.admin.blueprints import admin_blueprint
from api.admin.schemas import DistributionAnswer, FiguresAnswer, ModelFigures, StatisticsAnswer, WindowAnswer
from api.database import get_database
from api.documentation import answers
from api.rendering import respond
from jobs.instants import HOUR_SECONDS
from jobs.statistics import Figures, WindowReader, count_by_status

blueprint = admin_blueprint("statistics", "stats")

DAY_SECONDS = 24 * HOUR_SECONDS
_EXTENSION = "paddock.statistics"


@blueprint.get("/", responses=answers({200: StatisticsAnswer}))
def show_statistics() -> Response:
    """Totals, success rate, waiting and processing time, tokens a second; by model and overall."""
    with get_database().reading() as session:
        totals = count_by_status(session)
    hour, day = _readers()
    return respond(StatisticsAnswer(totals=totals, last_hour=_window(hour), last_day=_window(day)))


def _readers() -> tuple[WindowReader, WindowReader]:
    """Of this app, made when they are first asked for."""
    database = get_database()
    made = WindowReader(database, HOUR_SECONDS), WindowReader(database, DAY_SECONDS)
    found: tuple[WindowReader, WindowReader] = current_app.extensions.setdefault(_EXTENSION, made)
    return found


def _window(reader: WindowReader) -> WindowAnswer:
    window = reader.read()
    return WindowAnswer(
        seconds=reader.seconds,
        overall=FiguresAnswer(**_fields(window.overall)),
        by_model=[ModelFigures(model=model, **_fields(of)) for model, of in window.by_model.items()],
    )


def _fields(figures: Figures) -> dict[str, Any]:
    return {
        "total": figures.total,
        "by_status": figures.by_status,
        "success_rate": figures.success_rate,
        "queue_seconds": _distribution(figures, "waiting"),
        "processing_seconds": _distribution(figures, "processing"),
        "tokens_per_second": figures.means.get("tokens_per_second"),
    }


def _distribution(figures: Figures, measure: str) -> DistributionAnswer:
    return DistributionAnswer(mean=figures.means.get(measure), p95=figures.percentiles.get(measure))
