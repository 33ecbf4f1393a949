"""The settings that the app was made with."""

from flask import Flask, current_app

from settings import Settings

_EXTENSION = "paddock.settings"


def init_configuration(app: Flask, settings: Settings) -> None:
    app.extensions[_EXTENSION] = settings


def current_settings() -> Settings:
    found: Settings = current_app.extensions[_EXTENSION]
    return found
