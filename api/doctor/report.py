"""Asks, measures, draws, and tells what to do."""

import click
from rich.bar import Bar
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from api.configuration import current_settings
from api.doctor.facts import choose_model, find_out, make_transport, measure_curve, use_model
from api.doctor.findings import Facts, Finding, examine, ollama_parallel, recommended
from api.rendering import without_credentials
from ollama_client.errors import OllamaError
from ollama_client.host import parse_host
from ollama_client.throughput import LEVELS
from ollama_client.transport import OllamaTransport


def report(host: str | None, model: str | None, *, seconds: float, tokens: int, measures: bool) -> bool:
    """
    Print everything that can be found out; whether all of it is as it should be.

    Args:
        host, model: None: the configured ones.
        seconds: For each number of requests at once.
        tokens: The length of each answer.
        measures: Whether Ollama is asked for anything.
    """
    console = Console(highlight=False)
    transport = make_transport(parse_host(host) if host else current_settings().ollama_host)
    try:
        with transport:
            facts = find_out(transport, choose_model(transport, model))
            where = without_credentials(transport.base_url)
            console.print(f"Ollama {transport.version()} at {where}, {facts.model}", soft_wrap=True)
            if measures:
                facts = _measure(console, transport, facts, seconds, tokens)
    except OllamaError as error:
        raise click.ClickException(f"{str(error).rstrip('.')}. {error.remedy}") from None
    if facts.curve:
        _draw(console, facts)
    findings = examine(facts)
    for finding in findings:
        _tell(console, finding)
    return all(finding.is_good for finding in findings)


def _measure(
    console: Console, transport: OllamaTransport, facts: Facts, seconds: float, tokens: int
) -> Facts:
    with Progress(console=console, transient=True) as progress:
        loading = progress.add_task(f"Loading {facts.model}", total=None)
        facts = use_model(transport, facts)
        progress.remove_task(loading)
        measuring = progress.add_task(f"Measuring {facts.model}", total=len(LEVELS))
        return measure_curve(
            transport,
            facts,
            seconds=seconds,
            max_tokens=tokens,
            on_point=lambda point: progress.advance(measuring),
        )


def _draw(console: Console, facts: Facts) -> None:
    """The curve: a bar for each number at once."""
    best = max(point.tokens_per_second for point in facts.curve)
    table = Table(title=f"{facts.model}: tokens a second by requests at once", title_justify="left", box=None)
    for name in ("at once", "tokens/s"):
        table.add_column(name, justify="right")
    table.add_column("", width=40)
    for name in ("first token", "ran at once"):
        table.add_column(name, justify="right")
    for point in facts.curve:
        table.add_row(
            str(point.at_once),
            f"{point.tokens_per_second:.1f}",
            Bar(best or 1.0, 0, point.tokens_per_second, width=40),
            f"{point.first_token_seconds:.2f} s",
            str(point.ran_at_once),
        )
    console.print(table)
    number = recommended(facts.curve)
    console.print(f"Recommended: OLLAMA_NUM_PARALLEL={number}  PADDOCK_CONCURRENCY={number}")
    if ollama_parallel(facts.curve) == number:
        console.print(
            f"Ollama runs {number} at once now, so that more was not measured: to know, set "
            f"OLLAMA_NUM_PARALLEL={2 * (number or 1)}, start it again, and repeat."
        )


def _tell(console: Console, finding: Finding) -> None:
    mark = "[green]ok[/]  " if finding.is_good else "[red]bad[/] "
    console.print(f"{mark} {finding.name}: ", end="")
    console.print(finding.message, markup=False, soft_wrap=True)
    if finding.remedy:
        console.print(f"     {finding.remedy}", markup=False, soft_wrap=True)
