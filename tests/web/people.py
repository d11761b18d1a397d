"""Somebody with a password and an app for one-time codes, and what a browser does with a form."""

from __future__ import annotations

import re
import time
from typing import Any

import pyotp
from quart.typing import TestClientProtocol as Client

from roci import Roci, Sensitive
from roci_plugins.auth.passwords import Passwords
from roci_plugins.domain import access, factors, keyring
from roci_plugins.domain.principals import NewPrincipal, Principal

PASSWORD = "correct horse"
SEED = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"


async def make(roci: Roci, name: str = "ann", password: str | None = PASSWORD) -> Principal:
    hashed = await roci.part(Passwords).make(password) if password else None
    return await roci.write(access.add_administrator, NewPrincipal(name, password_hash=hashed))


async def give_codes(roci: Roci, person: Principal) -> list[Sensitive]:
    """One-time codes of SEED; the present one is used up. Returns the recovery codes."""
    return await roci.write(factors.add_totp, keyring.of(roci), person.id, SEED, code(-1))


def code(steps_from_now: int = 0, seed: str = SEED) -> str:
    return pyotp.TOTP(seed).at(int(time.time()) + 30 * steps_from_now)


async def token(client: Client, path: str = "/account") -> str:
    """What a page of ours puts into its forms."""
    found = re.search(r'name="token" value="(\w+)"', await text(await client.get(path)))
    assert found, f"{path} shows no form"
    return found[1]


async def send(client: Client, path: str, **fields: str) -> Any:
    """A form of the account page, as a browser sends it."""
    return await client.post(path, form={"token": await token(client), **fields})


async def sign_in(client: Client, name: str = "ann", password: str = PASSWORD, **fields: str) -> Any:
    return await client.post("/login", form={"username": name, "password": password, **fields})


async def text(answer: Any) -> str:
    return str(await answer.get_data(as_text=True))


def leads_to(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.headers.get("Location", "")
