"""Hashing, and what a password must be; who is meant by a name; what 10,000 wrong ones cost the others."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from argon2 import PasswordHasher

from roci import Invalid, Roci, Sensitive, Settings, TooMany, Unauthenticated, hookimpl
from roci_plugins.auth.passwords import FROM_ONE_PLACE, Passwords, check, hashed, holds
from roci_plugins.auth.sign_in import SecondFactors, with_password
from roci_plugins.domain import access, principals
from roci_plugins.domain.principals import NewPrincipal, Principal


def test_a_hash_is_salted_hides_itself_and_holds_for_its_password_only():
    kept = hashed("correct horse")
    assert repr(kept) == "[hidden]" and kept != hashed("correct horse")
    assert holds(kept, "correct horse") and not holds(kept, "correct house")


@pytest.mark.parametrize("kept", [None, "", "no hash at all"])
def test_where_there_is_no_hash_no_password_holds(kept: str | None):
    assert not holds(kept, "") and not holds(kept, "correct horse")


@pytest.mark.parametrize("password", ["", "short", "x" * 1025])
def test_a_password_that_is_set_has_ten_characters_at_least(password: str):
    with pytest.raises(Invalid, match=r"^password: at least 10 characters"):
        check(password)


# --- at the door ---------------------------------------------------------------


@pytest.fixture
async def ann(roci: Roci) -> Principal:
    kept = await roci.part(Passwords).make("correct horse")
    return await roci.write(access.add_administrator, NewPrincipal("ann", email="ann@lan.example", password_hash=kept))


@pytest.mark.usefixtures("ann")
async def test_a_person_is_known_by_name_or_address_in_any_case(roci: Roci):
    for name in ("ann", "ANN", "ann@lan.example", " Ann@LAN.example "):
        assert (await with_password(roci, name, "correct horse", "192.0.2.1")).name == "ann"


@pytest.mark.usefixtures("ann")
async def test_a_name_that_is_anothers_address_shuts_nobody_out(roci: Roci):
    await namesake(roci)
    assert (await with_password(roci, "ann@lan.example", "correct horse", "192.0.2.1")).name == "ann"
    assert (await with_password(roci, "ann@lan.example", "another horse", "192.0.2.1")).display_name == "eve"


async def namesake(roci: Roci) -> None:
    """Somebody whose name is ann's e-mail address: nobody can be made so any more."""
    kept = await roci.part(Passwords).make("another horse")
    eve = await roci.write(principals.add, NewPrincipal("eve", password_hash=kept))
    renamed = Principal.update(name="ann@lan.example", display_name="eve").where(Principal.id == eve.id)
    await roci.write(renamed.execute)


async def test_nobody_forgives_wrong_attempts_at_somebody_else(roci: Roci, ann: Principal):
    await namesake(roci)
    for number in range(10):
        with pytest.raises(Unauthenticated):
            await with_password(roci, "ann@lan.example", f"guess {number}", "192.0.2.1")
        if number == 8:
            await with_password(roci, "ann@lan.example", "another horse", "192.0.2.1")
    with pytest.raises(TooMany):
        await with_password(roci, "ann@lan.example", "correct horse", "192.0.2.1")


async def test_by_name_and_by_address_guesses_at_one_person_are_counted_together(roci: Roci, ann: Principal):
    for number in range(10):
        with pytest.raises(Unauthenticated):
            await with_password(roci, ("ann", "ann@lan.example")[number % 2], "wrong", "192.0.2.1")
    with pytest.raises(TooMany):
        await roci.part(Passwords).check_again(ann, "correct horse", "192.0.2.1")


async def test_who_is_signed_in_proves_it_with_their_own_password_only(roci: Roci, ann: Principal):
    await namesake(roci)
    passwords = roci.part(Passwords)
    await passwords.check_again(ann, "correct horse", "192.0.2.1")
    eve = await roci.read(principals.by_name, "ann@lan.example")
    with pytest.raises(Unauthenticated):
        await passwords.check_again(eve, "correct horse", "192.0.2.1")


async def test_only_the_kinds_that_are_asked_for_sign_in(roci: Roci):
    kept = await roci.part(Passwords).make("correct horse")
    await roci.write(principals.add, NewPrincipal("ci", kind="service", password_hash=kept))
    with pytest.raises(Unauthenticated, match="wrong user name or password"):
        await with_password(roci, "ci", "correct horse", "192.0.2.1")
    found = await with_password(roci, "ci", "correct horse", "192.0.2.1", kinds=("person", "service"))
    assert found.name == "ci"


@pytest.mark.usefixtures("ann")
async def test_ten_wrong_ones_are_refused_the_eleventh_waits_and_elsewhere_the_right_one_works(roci: Roci):
    for _ in range(10):
        with pytest.raises(Unauthenticated, match="wrong user name or password"):
            await with_password(roci, "ann", "wrong", "192.0.2.1")
    with pytest.raises(TooMany) as refused:
        await with_password(roci, "ann", "correct horse", "192.0.2.1")
    assert 1 <= refused.value.details["retry_after"] <= 60
    assert (await with_password(roci, "ann", "correct horse", "192.0.2.2")).name == "ann"


async def test_ten_thousand_wrong_ones_from_everywhere_leave_the_loop_free(roci: Roci):
    quick = Sensitive(PasswordHasher(time_cost=1, memory_cost=4096, parallelism=1).hash("correct horse"))
    await roci.write(access.add_administrator, NewPrincipal("ann", password_hash=quick))
    turns, stop = 0, asyncio.Event()

    async def watch() -> None:
        nonlocal turns
        while not stop.is_set():
            await asyncio.sleep(0.001)
            turns += 1

    async def guess(number: int) -> type[Exception]:
        try:
            await with_password(roci, "ann", f"guess {number}", f"198.51.100.{number % 20}")
        except Unauthenticated:
            return Unauthenticated
        except TooMany:
            return TooMany
        raise AssertionError("a guess was right")

    watching = asyncio.create_task(watch())
    outcomes = Counter([kind for batch in range(100) for kind in await guesses(guess, batch)])
    stop.set()
    await watching
    assert outcomes.total() == 10_000 and 100 <= outcomes[Unauthenticated] <= 300  # hashes that were made
    assert turns > outcomes[Unauthenticated], "others had their turn while each hash was made"
    assert len(roci.part(Passwords)._throttle._failures) < 50 and not roci.part(Passwords)._waiting


async def guesses(guess: Callable[[int], Awaitable[type[Exception]]], batch: int) -> list[type[Exception]]:
    return await asyncio.gather(*(guess(batch * 100 + number) for number in range(100)))


@pytest.mark.usefixtures("ann")
async def test_one_place_does_not_fill_the_queue(roci: Roci):
    flood = [asyncio.create_task(with_password(roci, "bob", "wrong", "192.0.2.1")) for _ in range(200)]
    while not roci.part(Passwords)._waiting:
        await asyncio.sleep(0)
    assert (await with_password(roci, "ann", "correct horse", "192.0.2.2")).name == "ann"
    outcomes = await asyncio.gather(*flood, return_exceptions=True)
    wrong = sum(isinstance(each, Unauthenticated) for each in outcomes)
    assert wrong <= FROM_ONE_PLACE and sum(isinstance(each, TooMany) for each in outcomes) == 200 - wrong


@pytest.mark.usefixtures("ann")
async def test_a_wrong_second_factor_counts_like_a_wrong_password_and_a_missing_one_does_not(settings: Settings):
    async def check(principal: Principal, otp: str | None) -> None:
        if otp != "123456":
            raise Unauthenticated("a second factor is required")

    class Plugin:
        @staticmethod
        @hookimpl
        @contextlib.asynccontextmanager
        async def lifespan(roci: Roci) -> AsyncIterator[None]:
            roci.provide(SecondFactors(check))
            yield

    settings.data_dir += "-other"
    roci = Roci(settings, [Plugin()])
    async with roci.running():
        kept = await roci.part(Passwords).make("correct horse")
        await roci.write(access.add_administrator, NewPrincipal("ann", password_hash=kept))
        for otp in (*[None] * 12, *["000000"] * 10):
            with pytest.raises(Unauthenticated, match="second factor"):
                await with_password(roci, "ann", "correct horse", "192.0.2.1", otp)
        with pytest.raises(TooMany):
            await with_password(roci, "ann", "correct horse", "192.0.2.1", "123456")
        assert (await with_password(roci, "ann", "correct horse", "192.0.2.2", "123456")).name == "ann"
