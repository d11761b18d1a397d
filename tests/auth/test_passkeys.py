"""Passkeys against a device in software: what is made and signed, and what is not believed."""

from __future__ import annotations

import pytest

from roci import Conflict, Forbidden, Malformed, Roci, Unauthenticated
from roci_plugins.auth import passkeys
from roci_plugins.auth.passkeys import Site
from roci_plugins.domain import factors, principals
from roci_plugins.domain.principals import NewPrincipal, Principal

from .device import Device

HERE = Site("http://localhost:8080")
ADDRESS = "10.0.0.1"


@pytest.fixture
async def ann(roci: Roci) -> Principal:
    return await roci.write(principals.add, NewPrincipal("ann"))


async def add(roci: Roci, person: Principal, device: Device | None = None) -> Device:
    device = device or Device(HERE.origin)
    options, secret = await passkeys.begin_registration(roci, HERE, person, ADDRESS)
    await passkeys.finish_registration(roci, HERE, person.id, secret, device.create(options), "laptop")
    return device


async def sign_in(roci: Roci, device: Device, person: Principal | None = None) -> tuple[Principal, bool]:
    options, secret = await passkeys.begin_sign_in(roci, HERE, person and person.id, ADDRESS)
    return await passkeys.finish_sign_in(roci, HERE, secret, device.get(options))


async def test_a_passkey_says_who_it_is_or_is_a_second_factor(roci: Roci, ann: Principal) -> None:
    device = await add(roci, ann)
    for person, is_second in ((None, False), (ann, True)):
        who, second = await sign_in(roci, device, person)
        assert (who.name, second) == ("ann", is_second)
    assert (await roci.read(factors.passkeys, ann.id))[0].sign_count == 2


async def test_alone_it_must_check_who_touches_it(roci: Roci, ann: Principal) -> None:
    device = await add(roci, ann, Device(HERE.origin, verifies=False))
    assert (await sign_in(roci, device, ann))[0].name == "ann"
    with pytest.raises(Unauthenticated, match="verif"):
        await sign_in(roci, device)


async def test_a_challenge_is_good_once_and_only_in_its_browser(roci: Roci, ann: Principal) -> None:
    device = await add(roci, ann)
    options, secret = await passkeys.begin_sign_in(roci, HERE, None, ADDRESS)
    answer = device.get(options)
    _, other = await passkeys.begin_sign_in(roci, HERE, None, ADDRESS)
    with pytest.raises(Unauthenticated, match="challenge"):
        await passkeys.finish_sign_in(roci, HERE, other, answer)
    await passkeys.finish_sign_in(roci, HERE, secret, answer)
    for used in (secret, other, None, "guessed"):
        with pytest.raises(Unauthenticated, match="too long"):
            await passkeys.finish_sign_in(roci, HERE, used, answer)


async def test_a_copied_device_is_noticed_by_its_count(roci: Roci, ann: Principal) -> None:
    device = await add(roci, ann)
    await sign_in(roci, device)
    await sign_in(roci, device)
    device.count = 0
    with pytest.raises(Unauthenticated, match="count"):
        await sign_in(roci, device)


@pytest.mark.parametrize("origin", ["https://evil.example", "http://localhost:9999", "http://evil.localhost:8080"])
async def test_what_was_signed_for_another_site_does_not_count(roci: Roci, ann: Principal, origin: str) -> None:
    device = await add(roci, ann)
    device.origin = origin
    with pytest.raises(Unauthenticated):
        await sign_in(roci, device)
    with pytest.raises(Malformed):
        await add(roci, ann, Device(origin))


async def test_another_persons_passkey_is_no_second_factor(roci: Roci, ann: Principal) -> None:
    bob = await roci.write(principals.add, NewPrincipal("bob"))
    await add(roci, ann)
    device = await add(roci, bob)
    with pytest.raises(Unauthenticated, match="not known"):
        await sign_in(roci, device, ann)


async def test_a_passkey_nobody_added_a_disabled_persons_and_anothers_key_let_nobody_in(
    roci: Roci, ann: Principal
) -> None:
    with pytest.raises(Unauthenticated, match="not known"):
        await sign_in(roci, Device(HERE.origin))
    device = await add(roci, ann)
    forged = Device(HERE.origin)
    forged.id = device.id
    with pytest.raises(Unauthenticated, match="signature"):
        await sign_in(roci, forged)
    await roci.write(principals.disable, ann.id)
    with pytest.raises(Unauthenticated, match="not known"):
        await sign_in(roci, device)


async def test_a_registration_is_for_who_began_it(roci: Roci, ann: Principal) -> None:
    bob = await roci.write(principals.add, NewPrincipal("bob"))
    options, secret = await passkeys.begin_registration(roci, HERE, ann, ADDRESS)
    with pytest.raises(Forbidden):
        await passkeys.finish_registration(roci, HERE, bob.id, secret, Device(HERE.origin).create(options), "x")
    options, secret = await passkeys.begin_sign_in(roci, HERE, None, ADDRESS)
    with pytest.raises(Forbidden):
        await passkeys.finish_registration(roci, HERE, bob.id, secret, Device(HERE.origin).create(options), "x")


async def test_one_key_is_added_once(roci: Roci, ann: Principal) -> None:
    device = await add(roci, ann)
    with pytest.raises(Conflict, match="known already"):
        await add(roci, ann, device)


@pytest.mark.parametrize("answer", [{}, {"rawId": 7}, {"rawId": "é"}, {"rawId": "", "id": [], "response": None}])
async def test_what_no_browser_sends_is_refused(roci: Roci, ann: Principal, answer: dict[str, object]) -> None:
    _, secret = await passkeys.begin_sign_in(roci, HERE, None, ADDRESS)
    with pytest.raises((Malformed, Unauthenticated)):
        await passkeys.finish_sign_in(roci, HERE, secret, answer)
    _, secret = await passkeys.begin_registration(roci, HERE, ann, ADDRESS)
    with pytest.raises(Malformed):
        await passkeys.finish_registration(roci, HERE, ann.id, secret, answer, "x")


@pytest.mark.parametrize(
    ("origin", "trouble"),
    [
        ("http://localhost:8080", None),
        ("https://roci.example.org", None),
        ("http://roci.lan:8080", "https"),
        ("http://192.168.1.5:8080", "host name"),
        ("https://[fd00::1]:8443", "host name"),
        ("http://127.0.0.1:8080", "127.0.0.1; open http://localhost:8080 instead$"),
        ("https://[::1]:8443", "::1; open https://localhost:8443 instead$"),
        ("http://127.0.0.1", "open http://localhost instead$"),
    ],
)
async def test_where_browsers_make_no_passkeys_that_is_said(
    roci: Roci, ann: Principal, origin: str, trouble: str | None
) -> None:
    site = Site(origin)
    assert (trouble is None) == (site.trouble is None)
    if trouble:
        with pytest.raises(Forbidden, match=trouble):
            await passkeys.begin_registration(roci, site, ann, ADDRESS)
