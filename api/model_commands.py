"""`flask --app api models …`: which models there are, and which one answers when none is named."""

import click
from flask.cli import AppGroup

from api.command_errors import told_in_one_line
from api.database import get_database
from api.late import get_resources
from jobs.active_model import choose_active
from jobs.model_names import normalise_model

models = AppGroup("models", help="Models: list, activate.")


@models.command("list")
def list_models() -> None:
    """The models of all live workers; without any, those last seen. A star marks the active one."""
    with told_in_one_line():
        catalog = get_resources().catalog
        active, found = catalog.active(), catalog.models()
    for model in found:
        mark = "*" if model.name == active else " "
        loaded = "  loaded" if model.is_loaded else ""
        click.echo(f"{mark} {model.name}  {model.size_bytes / 1e9:.1f} GB{loaded}")
    if active is not None and active not in {model.name for model in found}:
        click.echo(f"* {active}  not installed")
    if not found:
        click.echo("No worker has reported a model yet.")


@models.command()
@click.argument("name", required=False)
@click.option("--default", "to_default", is_flag=True, help="Back to PADDOCK_MODEL, or to the default rule.")
def activate(name: str | None, to_default: bool) -> None:
    """Let NAME answer requests that name no model, from the next one on."""
    if (name is None) != to_default:
        raise click.UsageError("give a model's NAME, or --default")
    with told_in_one_line():
        model = None if name is None else normalise_model(name)
        if model is not None:
            get_resources().catalog.require_installed(model)
        choose_active(get_database(), model)
    click.echo("back to the default" if model is None else f"{model} is active")
