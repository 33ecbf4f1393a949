"""Blueprints whose every route refuses a user's key."""

from flask_openapi import APIBlueprint, Tag

from api.auth import caller
from api.errors import Forbidden

_TAG = Tag(name="Admin", description="For admin keys.")


def require_admin() -> None:
    """
    To be asked before a view.

    Raises:
        Forbidden: the caller is none.
    """
    if not caller().is_admin:
        raise Forbidden("This route needs an admin's key.")


def admin_blueprint(name: str, path: str) -> APIBlueprint:
    """
    A blueprint for admins.

    Args:
        path: What follows `/api/admin`, without a slash at its end.
    """
    made = APIBlueprint(f"admin_{name}", __name__, url_prefix=f"/api/admin/{path}", abp_tags=[_TAG])
    made.before_request(require_admin)
    return made
