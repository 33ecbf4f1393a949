"""The Flask edge: `create_app`, a blueprint a file."""

from flask import Flask

from api.database import init_database


def create_app() -> Flask:
    """The web application; also what `flask --app api …` works on."""
    app = Flask(__name__)
    init_database(app)
    return app
