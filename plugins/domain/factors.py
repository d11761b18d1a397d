"""Second factors of people: one-time codes from an app, recovery codes, passkeys.

A code counts once: the step of the last one is remembered, so that whoever looks over a shoulder is too late.
Secrets of one-time codes lie in the secret store, of recovery codes only digests are kept.
"""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import hmac
import re
import secrets as random
from collections.abc import Sequence

import peewee

from roci import Conflict, Event, Invalid, NotFound, Roci, Sensitive, emit, hookimpl, now

from . import access, credentials, principals, secrets
from .keyring import Keyring
from .model import Model, Utc
from .principals import PrincipalRemoved

STEP = 30  # seconds of a one-time code
RECOVERY_CODES = 10
ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"  # nothing that is read as something else
MOST_PASSKEYS = 20
SECRET = "totp"  # noqa: S105  the name of a secret, not one


class Totp(Model):
    principal = peewee.ForeignKeyField(principals.Principal, unique=True, on_delete="CASCADE")
    last_step = peewee.IntegerField()  # of the code that came last: neither it nor an older one counts again


class RecoveryCode(Model):
    principal = peewee.ForeignKeyField(principals.Principal, backref="recovery_codes", on_delete="CASCADE")
    digest = peewee.TextField(unique=True)
    used_at = Utc(null=True)


class Passkey(Model):
    principal = peewee.ForeignKeyField(principals.Principal, backref="passkeys", on_delete="CASCADE")
    name = peewee.TextField()
    site = peewee.TextField()  # the host name it is for: browsers offer it nowhere else
    credential_id = peewee.BlobField(unique=True)
    public_key = peewee.BlobField()
    sign_count = peewee.IntegerField(default=0)
    last_used_at = Utc(null=True)


principals.way_in("passkey", "select principal_id from passkey")


@dataclasses.dataclass(frozen=True)
class NewPasskey:
    name: str
    site: str
    credential_id: bytes
    public_key: bytes
    sign_count: int


@dataclasses.dataclass(frozen=True)
class Held:
    """What somebody can prove themselves with besides a password."""

    totp: bool
    passkeys: Sequence[Passkey]
    recovery_codes: int  # left

    @property
    def any(self) -> bool:
        return self.totp or bool(self.passkeys)


@dataclasses.dataclass(frozen=True)
class FactorEvent(Event):
    factor_id: str
    principal_id: str
    name: str  # whose it is


@dataclasses.dataclass(frozen=True)
class FactorAdded(FactorEvent):
    """One-time codes."""


@dataclasses.dataclass(frozen=True)
class FactorRemoved(FactorEvent):
    """One-time codes."""


@dataclasses.dataclass(frozen=True)
class PasskeyAdded(FactorEvent):
    passkey: str


@dataclasses.dataclass(frozen=True)
class PasskeyRemoved(FactorEvent):
    passkey: str


@dataclasses.dataclass(frozen=True)
class RecoveryCodesMade(Event):
    principal_id: str
    name: str


@dataclasses.dataclass(frozen=True)
class RecoveryCodeUsed(Event):
    principal_id: str
    name: str
    left: int


@dataclasses.dataclass(frozen=True)
class FactorsRemoved(Event):
    """All of one person's, by somebody who administers."""

    principal_id: str
    name: str


def held(principal_id: str) -> Held:
    codes = RecoveryCode.select().where(RecoveryCode.principal == principal_id, RecoveryCode.used_at.is_null())
    return Held(_totp(principal_id) is not None, passkeys(principal_id), codes.count())


# --- one-time codes ----------------------------------------------------------


def _scope(principal_id: str) -> str:
    return f"principal/{principal_id}"


def new_totp() -> Sensitive:
    """A secret for an app. It counts once a code of it has come back: see `add_totp`."""
    import pyotp  # at first use: nobody may have a second factor

    return Sensitive(pyotp.random_base32())


def totp_address(secret: str, name: str) -> Sensitive:
    """What the QR code says to the app."""
    import pyotp

    return Sensitive(pyotp.TOTP(secret).provisioning_uri(name=name, issuer_name="ROCI"))


def add_totp(ring: Keyring, principal_id: str, secret: str, code: str) -> list[Sensitive]:
    """From now on codes are asked for; `code` shows that the app has the secret. Returns recovery codes, if new."""
    if _totp(principal_id) is not None:
        raise Conflict("one-time codes are set up already: remove them first to set them up on another device")
    step = step_of(secret, code, now())
    if step is None:
        raise Invalid("that is not what the app should show now: try the next code, and check both clocks")
    row = Totp.create(principal=principal_id, last_step=step)
    secrets.put(ring, _scope(principal_id), SECRET, secret)
    emit(FactorAdded(row.id, principal_id, principals.get(principal_id).name))
    return _first_codes(principal_id)


def check_totp(ring: Keyring, principal_id: str, code: str) -> bool:
    """Whether this is a code of now, of half a minute ago or ahead, and later than the last one. Uses it up."""
    row = _totp(principal_id)
    secret = secrets.value(ring, _scope(principal_id), SECRET) if row else None
    step = step_of(secret, code, now(), row.last_step) if row and secret else None
    if row is None or step is None:
        return False
    Totp.update(last_step=step).where(Totp.id == row.id).execute()
    return True


def _totp(principal_id: str) -> Totp | None:
    return Totp.get_or_none(Totp.principal == principal_id)


def step_of(secret: str, code: str, at: datetime.datetime, after: int = 0) -> int | None:
    """The step of time that a code is of; None: it is none that counts at this moment."""
    digits = code.replace(" ", "")
    if not re.fullmatch(r"[0-9]{6}", digits):
        return None
    import pyotp

    current = int(at.timestamp()) // STEP
    fitting = [
        step
        for step in (current - 1, current, current + 1)
        if hmac.compare_digest(pyotp.TOTP(secret).at(step * STEP), digits)
    ]
    return next((step for step in fitting if step > after), None)


def remove_totp(principal_id: str) -> None:
    row = _totp(principal_id)
    if row is None:
        raise NotFound("there are no one-time codes to remove")
    Totp.delete().where(Totp.id == row.id).execute()
    secrets.remove_scope(_scope(principal_id))
    emit(FactorRemoved(row.id, principal_id, principals.get(principal_id).name))
    _without_factor_no_codes(principal_id)


# --- recovery codes ----------------------------------------------------------


def make_recovery_codes(principal_id: str) -> list[Sensitive]:
    """Ten new ones, each good once; the old ones are good for nothing. They are not to be had again."""
    if not held(principal_id).any:
        raise Conflict("recovery codes are for those who have a second factor: set one up first")
    RecoveryCode.delete().where(RecoveryCode.principal == principal_id).execute()
    codes = [_random_code() for _ in range(RECOVERY_CODES)]
    for code in codes:
        RecoveryCode.create(principal=principal_id, digest=_digest(principal_id, code))
    emit(RecoveryCodesMade(principal_id, principals.get(principal_id).name))
    return codes


def _random_code() -> Sensitive:
    """Eighty bits, in groups that can be copied from paper."""
    letters = "".join(random.choice(ALPHABET) for _ in range(16))
    return Sensitive("-".join(letters[at : at + 4] for at in range(0, 16, 4)))


def _digest(principal_id: str, code: str) -> str:
    """A plain hash gives nothing away: the code is as random as a key."""
    plain = re.sub(r"[\s-]", "", code).lower()
    return hashlib.sha256(f"{principal_id}/{plain}".encode()).hexdigest()


def is_recovery_code(text: str) -> bool:
    """By its looks."""
    return len(re.sub(r"[\s-]", "", text)) == 16


def use_recovery_code(principal_id: str, code: str) -> bool:
    """Whether it is one that was not used before. Uses it up."""
    fitting = (RecoveryCode.digest == _digest(principal_id, code)) & RecoveryCode.used_at.is_null()
    if not RecoveryCode.update(used_at=now()).where(RecoveryCode.principal == principal_id, fitting).execute():
        return False
    emit(RecoveryCodeUsed(principal_id, principals.get(principal_id).name, held(principal_id).recovery_codes))
    return True


def _first_codes(principal_id: str) -> list[Sensitive]:
    return [] if held(principal_id).recovery_codes else make_recovery_codes(principal_id)


def _without_factor_no_codes(principal_id: str) -> None:
    if not held(principal_id).any:
        RecoveryCode.delete().where(RecoveryCode.principal == principal_id).execute()


# --- passkeys ----------------------------------------------------------------


def passkeys(principal_id: str) -> list[Passkey]:
    return list(Passkey.select().where(Passkey.principal == principal_id).order_by(Passkey.created_at))


def add_passkey(principal_id: str, new: NewPasskey) -> list[Sensitive]:
    """The caller has verified what the browser said. Returns recovery codes, where there were none."""
    name = new.name.strip() or "passkey"
    if len(name) > 100:
        raise Invalid("name: at most 100 characters")
    principals.check_lines(name=name)
    if len(passkeys(principal_id)) >= MOST_PASSKEYS:
        raise Conflict(f"nobody needs more than {MOST_PASSKEYS} passkeys: remove one first")
    try:
        row = Passkey.create(principal=principal_id, **{**dataclasses.asdict(new), "name": name})
    except peewee.IntegrityError:
        raise Conflict("this passkey is known already") from None
    emit(PasskeyAdded(row.id, principal_id, principals.get(principal_id).name, name))
    return _first_codes(principal_id)


def find_passkey(credential_id: bytes) -> Passkey | None:
    """With its principal."""
    found = Passkey.select(Passkey, principals.Principal).join(principals.Principal)
    return found.where(Passkey.credential_id == credential_id).get_or_none()


def passkey_used(id: str, sign_count: int) -> None:
    Passkey.update(sign_count=sign_count, last_used_at=now()).where(Passkey.id == id).execute()


def remove_passkey(principal_id: str, id: str) -> None:
    row = Passkey.get_or_none(Passkey.principal == principal_id, Passkey.id == id)
    if row is None:
        raise NotFound("you have no such passkey")
    name = principals.get(principal_id).name
    with principals.keeping_an_administrator(name, "left without a passkey"):
        Passkey.delete().where(Passkey.id == row.id).execute()
    emit(PasskeyRemoved(row.id, principal_id, name, row.name))
    _without_factor_no_codes(principal_id)


# --- all of it ---------------------------------------------------------------


def reset(principal_id: str) -> None:
    """For somebody who lost their phone and their recovery codes. Ends their logins; only who may do all they may."""
    person = principals.get(principal_id)
    access.require_grantable(access.grants(person))  # of a credential for less it is asked even of oneself
    for table in (Totp, RecoveryCode, Passkey):
        with principals.keeping_an_administrator(person.name, "left without a passkey"):
            table.delete().where(table.principal == principal_id).execute()
    secrets.remove_scope(_scope(principal_id))
    credentials.end_logins(principal_id)
    emit(FactorsRemoved(principal_id, person.name))


def without_factor() -> list[str]:
    """Ids of the people who have none."""
    person = principals.Principal
    rows = person.select(person.id).where(
        person.kind == "person",
        person.id.not_in(Totp.select(Totp.principal)),
        person.id.not_in(Passkey.select(Passkey.principal)),
    )
    return [row.id for row in rows]


@hookimpl
def register_models() -> list[type[peewee.Model]]:
    return [Totp, RecoveryCode, Passkey]


@hookimpl
def before_commit(roci: Roci, events: Sequence[Event]) -> None:
    """The secret of somebody's codes goes with them."""
    for event in [each for each in events if isinstance(each, PrincipalRemoved)]:
        secrets.remove_scope(_scope(event.principal_id))
