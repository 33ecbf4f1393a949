"""
`flask --app api prepare`: what a local stack needs before its processes start.

One command for what are two elsewhere, since most of the time of either is that of its imports.
"""

import click
from flask import Flask, current_app
from flask.cli import with_appcontext
from flask_migrate import upgrade

from api.command_errors import told_in_one_line
from api.database import get_database
from api.database_commands import prepare_upgrade
from jobs.keys import KeyService


@click.command(hidden=True)
@click.option("--admin-key", is_flag=True, help="Make an admin's key too, and print it in the last line.")
@with_appcontext
def prepare(admin_key: bool) -> None:
    """Upgrade the database, and make the first key."""
    with told_in_one_line():
        prepare_upgrade(current_app.config["SQLALCHEMY_DATABASE_URI"], get_database().engine)
        upgrade()
        if admin_key:
            click.echo(KeyService(get_database()).issue("admin", "admin").secret)


def init_first_start(app: Flask) -> None:
    app.cli.add_command(prepare)
