"""The Flask edge: `create_app`, a blueprint a file."""

from dataclasses import replace

import click
from flask import Flask

from api import (
    admin,
    docs_page,
    documentation,
    health,
    jobs,
    model_administration,
    models,
    ollama_models,
    ollama_routes,
    openai_routes,
    services,
)
from api.auth import init_auth
from api.backlog import init_backlog
from api.commands import init_commands
from api.configuration import init_configuration
from api.database import get_database, init_database
from api.database_commands import init_database_commands
from api.documentation import make_app
from api.errors import init_errors
from api.first_start import init_first_start
from api.incoming import init_incoming
from api.late import share_database
from api.live import init_live
from api.path_keys import init_path_keys
from api.rate_limits import init_rate_limits
from jobs.database import Connections
from jobs.schema import end_if_newer
from settings import Settings, get_settings

_SERVING_COMMANDS = frozenset({"run", "routes", "shell"})


def create_app(settings: Settings | None = None) -> Flask:
    """
    The web application; also what `flask --app api …` works on.

    Args:
        settings: Another configuration than the environment's, for tests.
    """
    settings = settings or get_settings()
    end_if_newer(settings.database_url)
    app = make_app(__name__)
    # Both forms of the last slash are the same route; nothing is ever redirected, POST least of all.
    app.url_map.strict_slashes = False
    app.url_map.merge_slashes = False
    init_configuration(app, settings)
    init_incoming(app, settings.max_body_bytes)
    init_errors(app)
    connections = Connections(**settings.database_connections)
    if _is_serving():  # a migration or a copy may take longer
        limit = settings.database_statement_timeout_seconds
        connections = replace(connections, statement_timeout_seconds=limit)
    init_database(app, settings.database_url, connections)
    init_auth(app)
    if settings.path_keys:
        init_path_keys(app)
    init_rate_limits(app)
    init_live(app, settings)
    init_commands(app)
    init_database_commands(app)
    init_first_start(app)
    with app.app_context():
        database = get_database()
    init_backlog(app, database, settings.max_pending)
    own = (jobs, services, ollama_models, models, *admin.ROUTES, health, documentation, docs_page)
    for routes in (*own, ollama_routes, model_administration, openai_routes):
        app.register_api(routes.blueprint)
    if _is_serving():
        share_database(database, settings)
        app.register_api(services.make_blueprint())
    return app


def _is_serving() -> bool:
    """Whether routes will be asked for: not by a command such as `flask --app api keys list`."""
    context = click.get_current_context(silent=True)
    return context is None or context.info_name in _SERVING_COMMANDS
