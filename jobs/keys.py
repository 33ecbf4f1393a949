"""
API keys: made once, shown once, kept as a hash.

A key is 32 random bytes, so one SHA-256 is hash enough: there is nothing to guess
as with a password, and it is checked at every request.
"""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar, Literal

import uuid_utils
from sqlalchemy import ColumnElement, bindparam, or_, select, update

from jobs.database import Database
from jobs.errors import InvalidRequest, KeyNotFound
from jobs.instants import utc_now
from jobs.key_limits import NO_LIMITS, KeyLimits
from jobs.models import ApiKey, Base

Role = Literal["user", "admin"]
ROLES: tuple[Role, ...] = ("user", "admin")
KEY_PREFIX = "pdk_"
LOCAL_KEY_ID = "local"  # the owner of what Python code submits without saying whose it is
MAX_NAME = 100
DEFAULT_OVERLAP = timedelta(hours=24)
_SHOWN = 12
_KEYS = Base.metadata.tables[ApiKey.__tablename__]
# Built once: it is part of every request.
_BY_HASH = select(_KEYS).where(
    or_(_KEYS.c.key_hash == bindparam("digest"), _KEYS.c.previous_hash == bindparam("digest"))
)


@dataclass(frozen=True)
class Caller:
    """Who asks: the key, never its secret."""

    key_id: str
    name: str
    role: str
    limits: KeyLimits = NO_LIMITS
    last_used_at: datetime | None = None

    @property
    def is_admin(self) -> bool:
        return self.role == "admin"

    def may_see(self, key_id: str) -> bool:
        """Whether a job of this key is the caller's business."""
        return self.is_admin or self.key_id == key_id


@dataclass(frozen=True)
class KnownKey:
    """
    A key that opened a moment ago.

    Attributes:
        ends_at: When it expires, or was replaced by a new one long enough ago; None: never.
    """

    caller: Caller
    ends_at: datetime | None

    def is_valid(self, now: datetime) -> bool:
        return self.ends_at is None or now < self.ends_at


@dataclass(frozen=True)
class IssuedKey:
    """A key and its secret, at the only moment that the secret is known."""

    key: ApiKey
    secret: str


class KeyService:
    """
    Issue, verify, limit, rotate, list and revoke keys.

    Attributes:
        changes: How often this process has changed a key that was there; for those who remember keys.
    """

    changes: ClassVar[int] = 0

    def __init__(self, database: Database) -> None:
        self.database = database

    def create(self, name: str, role: str = "user", *, now: datetime | None = None) -> str:
        """
        Issue a key without limits.

        Returns:
            The key itself; it is not kept and can't be shown again.
        """
        return self.issue(name, role, now=now).secret

    def issue(
        self, name: str, role: str = "user", limits: KeyLimits = NO_LIMITS, *, now: datetime | None = None
    ) -> IssuedKey:
        """
        Issue a key.

        Raises:
            InvalidRequest: the name or the role is not possible.
        """
        if role not in ROLES:
            raise InvalidRequest(f"role: {role!r} is not a role; expected one of {', '.join(ROLES)}")
        if not name or len(name) > MAX_NAME or not name.isprintable():
            raise InvalidRequest(f"name: expected 1 to {MAX_NAME} printable characters")
        secret = _new_secret()
        row = ApiKey(
            id=str(uuid_utils.uuid7()),
            name=name,
            role=role,
            created_at=now or utc_now(),
            **_of_secret(secret),
            **limits.model_dump(),
        )
        with self.database.writing() as session:
            session.add(row)
        return IssuedKey(row, secret)

    def verify(self, secret: str, *, now: datetime | None = None) -> Caller | None:
        """Who this key is; None for an unknown, expired or revoked one."""
        key = self.look_up(hash_of(secret))
        return key.caller if key is not None and key.is_valid(now or utc_now()) else None

    def look_up(self, digest: str) -> KnownKey | None:
        """
        The key that is not revoked, though it may have expired; None: there is none.

        Args:
            digest: The `hash_of` its secret.
        """
        with self.database.engine.connect() as connection:
            row = connection.execute(_BY_HASH, {"digest": digest}).one_or_none()
        if row is None or row.revoked_at is not None:
            return None
        caller = Caller(row.id, row.name, row.role, limits_of(row), row.last_used_at)
        ends = [row.expires_at, row.previous_until if row.key_hash != digest else None]
        return KnownKey(caller, min((end for end in ends if end is not None), default=None))

    def all(self) -> list[ApiKey]:
        """All keys, oldest first; none of them holds its secret."""
        with self.database.reading() as session:
            return list(session.execute(select(ApiKey).order_by(ApiKey.created_at, ApiKey.id)).scalars())

    def change_limits(self, key_id: str, limits: KeyLimits) -> ApiKey:
        """
        Set those limits that were given, None included; the others stay.

        Raises:
            KeyNotFound: no key that is still valid has this id.
        """
        changes = limits.model_dump(exclude_unset=True)
        return self._change(key_id, changes or {"id": ApiKey.id})

    def rotate(
        self, key_id: str, *, overlap: timedelta = DEFAULT_OVERLAP, now: datetime | None = None
    ) -> IssuedKey:
        """
        Give a key a new secret.

        Args:
            overlap: How long the one before stays valid; an older one never does.

        Raises:
            KeyNotFound: no key that is still valid has this id.
        """
        secret = _new_secret()
        previous: dict[str, Any] = {"previous_hash": None, "previous_until": None}
        if overlap > timedelta():
            previous = {"previous_hash": ApiKey.key_hash, "previous_until": (now or utc_now()) + overlap}
        return IssuedKey(self._change(key_id, {**_of_secret(secret), **previous}), secret)

    def find_valid(self, id_or_name: str) -> str:
        """
        The id of the one valid key with this id or name.

        Raises:
            KeyNotFound: there is none. InvalidRequest: the name has several.
        """
        with self.database.reading() as session:
            found = list(session.execute(select(ApiKey.id).where(*_valid(id_or_name))).scalars())
        if len(found) > 1:
            raise InvalidRequest(f"{len(found)} keys have the name {id_or_name!r}; give the id of one")
        if not found:
            raise KeyNotFound(f"No valid key has the id or name {id_or_name!r}.")
        return found[0]

    def revoke(self, id_or_name: str, *, now: datetime | None = None) -> list[str]:
        """
        Revoke the key with this id, or every key of this name, at once.

        Returns:
            The ids that were revoked.

        Raises:
            KeyNotFound: no key that is still valid has this id or name.
        """
        statement = (
            update(ApiKey).where(*_valid(id_or_name)).values(revoked_at=now or utc_now()).returning(ApiKey.id)
        )
        with self.database.writing() as session:
            revoked = list(session.execute(statement).scalars())
        KeyService.changes += 1
        if not revoked:
            raise KeyNotFound(f"No valid key has the id or name {id_or_name!r}.")
        return revoked

    def revoke_one(self, key_id: str, *, now: datetime | None = None) -> ApiKey:
        """
        Revoke the key with this id at once.

        Raises:
            KeyNotFound: no key that is still valid has this id.
        """
        return self._change(key_id, {"revoked_at": now or utc_now()})

    def _change(self, key_id: str, values: dict[str, Any]) -> ApiKey:
        statement = (
            update(ApiKey).where(ApiKey.id == key_id, *_can_change()).values(**values).returning(ApiKey)
        )
        with self.database.writing() as session:
            row = session.execute(statement).scalar_one_or_none()
        KeyService.changes += 1
        if row is None:
            raise KeyNotFound
        return row


def limits_of(row: Any) -> KeyLimits:
    """A key's limits; they were checked when they were stored."""
    return KeyLimits.model_construct(**{name: getattr(row, name) for name in KeyLimits.model_fields})


def _can_change() -> tuple[ColumnElement[bool], ...]:
    return ApiKey.revoked_at.is_(None), ApiKey.id != LOCAL_KEY_ID


def _valid(id_or_name: str) -> tuple[ColumnElement[bool], ...]:
    return or_(ApiKey.id == id_or_name, ApiKey.name == id_or_name), *_can_change()


def _new_secret() -> str:
    return KEY_PREFIX + secrets.token_urlsafe(32)


def _of_secret(secret: str) -> dict[str, Any]:
    return {"prefix": secret[:_SHOWN], "key_hash": hash_of(secret)}


def hash_of(secret: str) -> str:
    """What is kept of a key instead of itself."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
