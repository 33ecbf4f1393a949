"""API keys: issue, list, limit, rotate, revoke. A secret is shown once and never again."""

from datetime import timedelta
from typing import Any

from flask import Response, request
from flask_openapi.models import RequestBody
from pydantic import ValidationError

from api.admin.blueprints import admin_blueprint
from api.admin.schemas import (
    CreateKey,
    IssuedKeyAnswer,
    KeyAnswer,
    KeyList,
    KeyPath,
    RotateKey,
    UsageAnswer,
    UsageList,
    UsageQuery,
)
from api.database import get_database
from api.documentation import answers
from api.errors import invalid_fields
from api.rendering import respond
from jobs.instants import HOUR_SECONDS, utc_now
from jobs.key_limits import KeyLimits
from jobs.keys import IssuedKey, KeyService
from jobs.models import ApiKey
from jobs.usage import read_usage

blueprint = admin_blueprint("keys", "keys")

_ROTATE_BODY = {
    "required": False,
    "content": {"application/json": {"schema": RotateKey.model_json_schema()}},
}


@blueprint.get("/", responses=answers({200: KeyList}))
def list_keys() -> Response:
    """All keys, oldest first, the revoked ones too; never a secret or a hash."""
    return respond(KeyList(keys=[KeyAnswer(**_fields(key)) for key in _service().all()]))


@blueprint.get("/usage/", responses=answers({200: UsageList}, 422))
def show_usage(query: UsageQuery) -> Response:
    """Jobs, tokens and time by key and model, those with the most tokens first."""
    found = read_usage(get_database(), seconds=query.hours * HOUR_SECONDS, key_id=query.key_id)
    return respond(UsageList(hours=query.hours, usage=[UsageAnswer(**vars(usage)) for usage in found]))


@blueprint.post("/", responses=answers({201: IssuedKeyAnswer}, 400, 413, 415, 422))
def create_key(body: CreateKey) -> Response:
    """Issue a key; this answer alone shows it."""
    limits = KeyLimits.model_construct(**{name: getattr(body, name) for name in KeyLimits.model_fields})
    return _show_issued(_service().issue(body.name, body.role, limits), 201)


@blueprint.patch("/<key_id>/", responses=answers({200: KeyAnswer}, 400, 404, 413, 415, 422))
def change_key(path: KeyPath, body: KeyLimits) -> Response:
    """Change the limits that are given; null lifts one."""
    return respond(KeyAnswer(**_fields(_service().change_limits(path.key_id, body))))


@blueprint.post(
    "/<key_id>/rotate/",
    request_body=RequestBody.model_validate(_ROTATE_BODY),
    responses=answers({200: IssuedKeyAnswer}, 400, 404, 413, 415, 422),
)
def rotate_key(path: KeyPath) -> Response:
    """Give a key a new secret; the one before stays valid for the overlap, a day unless the body says."""
    overlap = timedelta(seconds=_rotate_body().overlap_seconds)
    return _show_issued(_service().rotate(path.key_id, overlap=overlap), 200)


@blueprint.delete("/<key_id>/", responses=answers({200: KeyAnswer}, 404))
def revoke_key(path: KeyPath) -> Response:
    """Make a key invalid at once, with both its secrets."""
    return respond(KeyAnswer(**_fields(_service().revoke_one(path.key_id))))


def _service() -> KeyService:
    return KeyService(get_database())


def _rotate_body() -> RotateKey:
    """The body, which may be left out."""
    if not request.get_data(cache=True):
        return RotateKey()
    try:
        return RotateKey.model_validate(request.get_json())
    except ValidationError as error:
        raise invalid_fields(error) from None


def _show_issued(issued: IssuedKey, status: int) -> Response:
    return respond(IssuedKeyAnswer(**_fields(issued.key), key=issued.secret), status)


def _fields(key: ApiKey) -> dict[str, Any]:
    now = utc_now()
    is_over = key.revoked_at is not None or (key.expires_at is not None and key.expires_at <= now)
    previous = key.previous_until
    shown = ("name", "role", "prefix", "created_at", "last_used_at", "revoked_at", *KeyLimits.model_fields)
    return {name: getattr(key, name) for name in shown} | {
        "key_id": key.id,
        "is_valid": key.key_hash is not None and not is_over,
        "previous_until": previous if previous is not None and previous > now and not is_over else None,
    }
