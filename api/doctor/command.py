"""The command; what it does is imported when it is asked for."""

import click
from flask.cli import with_appcontext

from api.command_errors import told_in_one_line


@click.command()
@click.option("--host", help="The Ollama to look at; unset: the configured one.")
@click.option("--model", help="Unset: the active model, else one that is loaded.")
@click.option(
    "--seconds",
    type=click.FloatRange(0.1, 60),
    default=4.0,
    show_default=True,
    help="How long each number of requests at once is measured.",
)
@click.option(
    "--tokens", type=click.IntRange(1, 1000), default=48, show_default=True, help="Length of each answer."
)
@click.option("--no-measure", is_flag=True, help="Only look; ask Ollama for nothing.")
@with_appcontext
def doctor(host: str | None, model: str | None, seconds: float, tokens: int, no_measure: bool) -> None:
    """
    Measure what Ollama does at 1, 2, 4, 8 and 16 requests at once, and find what slows people down.

    Exit status 1 when something is wrong. It asks Ollama beside the queue: jobs are slower meanwhile.
    """
    from api.doctor.report import report

    with told_in_one_line():
        is_well = report(host, model, seconds=seconds, tokens=tokens, measures=not no_measure)
    if not is_well:
        raise SystemExit(1)
