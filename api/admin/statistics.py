"""How well it goes: counts, success, times and speed over an hour and a day."""

from typing import Any

from flask import Response

from api.admin.blueprints import admin_blueprint
from api.admin.schemas import DistributionAnswer, FiguresAnswer, ModelFigures, StatisticsAnswer, WindowAnswer
from api.database import get_database
from api.documentation import answers
from api.rendering import respond
from jobs.statistics import Figures, count_by_status, read_window

blueprint = admin_blueprint("statistics", "stats")

HOUR_SECONDS = 3600.0
DAY_SECONDS = 24 * HOUR_SECONDS


@blueprint.get("/", responses=answers({200: StatisticsAnswer}))
def show_statistics() -> Response:
    """Totals, success rate, waiting and processing time, tokens a second; by model and overall."""
    with get_database().reading() as session:
        totals = count_by_status(session)
    answer = StatisticsAnswer(totals=totals, last_hour=_window(HOUR_SECONDS), last_day=_window(DAY_SECONDS))
    return respond(answer)


def _window(seconds: float) -> WindowAnswer:
    window = read_window(get_database(), seconds=seconds)
    return WindowAnswer(
        seconds=seconds,
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
