"""What every notifier promises. Run yours through it: fill in a Case and call `check_all`."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any

import pytest

from roci import RociError, Sensitive
from roci_plugins.notifiers import Notifier
from roci_plugins.work import setups

from .conftest import notice

NASTY = (
    "\r\nBcc: everybody@example.org\r\n\r\n",
    "<script>alert(1)</script>",
    "%s {0} ${HOME} $(id)",
    "é漢🔥",
    "x" * 5000,
)


@dataclass
class Case:
    """A notifier, settings that work while `reachable` is entered, and how to read what arrived there."""

    notifier: Notifier
    settings: Mapping[str, Any]
    arrived: Callable[[], list[str]]
    broken: Callable[[], AbstractAsyncContextManager[None]]  # inside it the far end takes nothing
    secrets: tuple[str, ...] = ()
    invalid: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # settings to refuse, by the field at fault

    def read(self, values: Mapping[str, Any] | None = None) -> Any:
        return setups.read(self.notifier.settings, self.settings if values is None else values)


async def sends_title_and_body(case: Case) -> None:
    await case.notifier.send(case.read(), notice(title="a first title", body="a first body"))
    (text,) = case.arrived()
    assert "a first title" in text and "a first body" in text


async def takes_whatever_a_host_calls_itself(case: Case) -> None:
    for text in NASTY:
        await case.notifier.send(case.read(), notice(title=text, body=text, hostname=text, subject=text, alert_id=text))
    assert len(case.arrived()) >= len(NASTY)


async def takes_what_is_about_no_host(case: Case) -> None:
    await case.notifier.send(
        case.read(), notice(kind="test", host_id=None, hostname="", subject="", alert_id=None, url="", data={}, body="")
    )
    assert case.arrived()


async def says_why_not_and_no_secret(case: Case) -> None:
    async with case.broken():
        with pytest.raises(RociError) as refused:
            await case.notifier.send(case.read(), notice())
    assert len(refused.value.message) > 10 and refused.value.message.isprintable()
    for secret in case.secrets:
        assert secret not in refused.value.message


async def does_not_hold_up_the_loop(case: Case) -> None:
    """While it sends, others go on."""
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(others())
    try:
        await case.notifier.send(case.read(), notice())
    finally:
        task.cancel()
    assert turns > 1


async def hides_its_secrets(case: Case) -> None:
    shown = repr(setups.shown(case.notifier.settings, case.settings)) + repr(case.read())
    assert not [secret for secret in case.secrets if secret in shown]
    assert all(isinstance(each, str) for each in getattr(case.notifier.settings, "destination", ()))
    known = {each.name for each in _fields(case)}
    assert set(getattr(case.notifier.settings, "destination", ())) <= known
    assert not case.secrets or setups.secret_fields(case.notifier.settings), "secrets are fields of the type Sensitive"


def _fields(case: Case) -> tuple[Any, ...]:
    import msgspec

    return msgspec.structs.fields(case.notifier.settings)


async def names_the_field_at_fault(case: Case) -> None:
    for name, values in case.invalid.items():
        with pytest.raises(RociError, match=rf"^settings\.{name}: ") as refused:
            case.read(values)
        assert not [secret for secret in case.secrets if secret in refused.value.message]


async def reads_back_what_it_was_set_up_with(case: Case) -> None:
    stored = setups.plain(case.read())
    assert setups.plain(case.read(stored)) == stored
    assert not any(isinstance(value, Sensitive) for value in stored.values())
    assert setups.schema(case.notifier.settings)["properties"]


CHECKS: tuple[Callable[[Case], Awaitable[None]], ...] = (
    sends_title_and_body,
    takes_whatever_a_host_calls_itself,
    takes_what_is_about_no_host,
    says_why_not_and_no_secret,
    does_not_hold_up_the_loop,
    hides_its_secrets,
    names_the_field_at_fault,
    reads_back_what_it_was_set_up_with,
)


@contextlib.asynccontextmanager
async def nothing() -> AsyncIterator[None]:
    yield
