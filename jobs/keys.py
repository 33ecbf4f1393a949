"""
API keys: made once, shown once, kept as a hash.

A key is 32 random bytes, so one SHA-256 is hash enough: there is nothing to guess
as with a password, and it is checked at every request.
"""

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import uuid_utils
from sqlalchemy import or_, select, update

from jobs.database import Database
from jobs.errors import InvalidRequest, KeyNotFound
from jobs.instants import utc_now
from jobs.models import ApiKey

Role = Literal["user", "admin"]
ROLES: tuple[Role, ...] = ("user", "admin")
KEY_PREFIX = "pdk_"
LOCAL_KEY_ID = "local"  # the owner of what Python code submits without saying whose it is
_SHOWN = 12


@dataclass(frozen=True)
class Caller:
    """Who asks: the key, never its secret."""

    key_id: str
    name: str
    role: str

    @property
    def is_admin(self) -> bool:
        return self.role == "admin"

    def may_see(self, key_id: str) -> bool:
        """Whether a job of this key is the caller's business."""
        return self.is_admin or self.key_id == key_id


class KeyService:
    """Issue, verify, list and revoke keys."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def create(self, name: str, role: str = "user", *, now: datetime | None = None) -> str:
        """
        Issue a key.

        Returns:
            The key itself; it is not kept and can't be shown again.
        """
        if role not in ROLES:
            raise InvalidRequest(f"role: {role!r} is not a role; expected one of {', '.join(ROLES)}")
        if not name or len(name) > ApiKey.name.type.length or not name.isprintable():
            raise InvalidRequest("name: expected 1 to 100 printable characters")
        secret = KEY_PREFIX + secrets.token_urlsafe(32)
        row = ApiKey(
            id=str(uuid_utils.uuid7()),
            name=name,
            role=role,
            prefix=secret[:_SHOWN],
            key_hash=_hash(secret),
            created_at=now or utc_now(),
        )
        with self.database.writing() as session:
            session.add(row)
        return secret

    def verify(self, secret: str, *, now: datetime | None = None) -> Caller | None:
        """Who this key is; None for an unknown, expired or revoked one."""
        digest = _hash(secret)
        with self.database.reading() as session:
            row = session.execute(select(ApiKey).where(ApiKey.key_hash == digest)).scalar_one_or_none()
        moment = now or utc_now()
        if row is None or row.key_hash is None or not hmac.compare_digest(row.key_hash, digest):
            return None
        if row.revoked_at is not None or (row.expires_at is not None and row.expires_at <= moment):
            return None
        return Caller(row.id, row.name, row.role)

    def all(self) -> list[ApiKey]:
        """All keys, oldest first; none of them holds its secret."""
        with self.database.reading() as session:
            return list(session.execute(select(ApiKey).order_by(ApiKey.created_at, ApiKey.id)).scalars())

    def revoke(self, id_or_name: str, *, now: datetime | None = None) -> list[str]:
        """
        Revoke the key with this id, or every key of this name, at once.

        Returns:
            The ids that were revoked.

        Raises:
            KeyNotFound: no key that is still valid has this id or name.
        """
        statement = (
            update(ApiKey)
            .where(or_(ApiKey.id == id_or_name, ApiKey.name == id_or_name), ApiKey.revoked_at.is_(None))
            .where(ApiKey.id != LOCAL_KEY_ID)
            .values(revoked_at=now or utc_now())
            .returning(ApiKey.id)
        )
        with self.database.writing() as session:
            revoked = list(session.execute(statement).scalars())
        if not revoked:
            raise KeyNotFound(f"No valid key has the id or name {id_or_name!r}.")
        return revoked


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
