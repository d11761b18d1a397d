"""One-time codes, recovery codes and passkeys, as the tables have them."""

from __future__ import annotations

import dataclasses
import datetime
import re

import pyotp
import pytest

from roci import Actor, Conflict, Event, Forbidden, Invalid, NotFound, Sensitive, current_actor, now, outbox
from roci_plugins.domain import access, applications, credentials, factors, principals, roles, secrets
from roci_plugins.domain.factors import NewPasskey, RecoveryCode, Totp
from roci_plugins.domain.keyring import Keyring
from roci_plugins.domain.principals import NewPrincipal, Principal
from roci_plugins.domain.secrets import Secret

SEED = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
MOMENT = datetime.datetime(2026, 3, 1, 12, 0, 10, tzinfo=datetime.UTC)
KEY = NewPasskey("laptop", "roci.lan", b"id of the key", b"public key", 0)
OWNERS = (roles, principals, credentials, applications, secrets, factors)
pytestmark = pytest.mark.usefixtures("events")


@pytest.fixture
def ann() -> Principal:
    return access.add_administrator(NewPrincipal("ann", password_hash=Sensitive("a hash")))


def code(steps_from_now: int = 0) -> str:
    return pyotp.TOTP(SEED).at(int(now().timestamp()) + steps_from_now * factors.STEP)


def happened() -> list[str]:
    return [type(event).__name__ for event in outbox.get()]


@pytest.mark.parametrize(
    ("seconds", "counts"), [(-60, False), (-30, True), (0, True), (19, True), (30, True), (60, False), (3600, False)]
)
def test_a_code_counts_half_a_minute_early_and_late(seconds: int, counts: bool):
    shown = pyotp.TOTP(SEED).at(MOMENT + datetime.timedelta(seconds=seconds))
    assert (factors.step_of(SEED, shown, MOMENT) is not None) is counts


def test_a_code_counts_once_and_no_older_one_after_it():
    app = pyotp.TOTP(SEED)
    present, earlier, later = (app.at(MOMENT + datetime.timedelta(seconds=by)) for by in (0, -30, 30))
    used = factors.step_of(SEED, present, MOMENT)
    assert used is not None
    assert factors.step_of(SEED, present, MOMENT, used) is None
    assert factors.step_of(SEED, earlier, MOMENT, used) is None
    assert factors.step_of(SEED, later, MOMENT, used) == used + 1


@pytest.mark.parametrize("text", ["", "12345", "1234567", "abcdef", "１２３４５６", "12345é", "-12345", "      "])
def test_what_is_no_code_does_not_count(text: str):
    assert factors.step_of(SEED, text, MOMENT) is None


def test_a_code_may_be_typed_as_apps_show_it():
    shown = pyotp.TOTP(SEED).at(MOMENT)
    assert factors.step_of(SEED, f"{shown[:3]} {shown[3:]}", MOMENT) is not None


def test_codes_count_once_the_first_has_come_back(ann: Principal, ring: Keyring):
    with pytest.raises(Invalid):
        factors.add_totp(ring, ann.id, SEED, "000000" if code() != "000000" else "111111")
    assert not factors.held(ann.id).any
    assert len(factors.add_totp(ring, ann.id, SEED, code(-1))) == 10
    held = factors.held(ann.id)
    assert held.totp and held.any and held.recovery_codes == 10
    assert factors.check_totp(ring, ann.id, code(1)) and not factors.check_totp(ring, ann.id, code(1))
    with pytest.raises(Conflict, match="already"):
        factors.add_totp(ring, ann.id, SEED, code(1))
    assert happened().count("FactorAdded") == 1


def test_the_secret_of_codes_is_sealed_and_in_no_event(ann: Principal, ring: Keyring):
    codes = factors.add_totp(ring, ann.id, SEED, code())
    row = Secret.get(Secret.scope == f"principal/{ann.id}")
    assert SEED.encode() not in bytes(row.blob)
    told = repr(outbox.get()) + repr(list(Totp.select().dicts())) + repr(list(RecoveryCode.select().dicts()))
    assert SEED not in told and not any(str(each) in told for each in codes)
    assert repr(factors.new_totp()) == "[hidden]"


def test_a_recovery_code_lets_in_once_however_it_is_typed(ann: Principal, ring: Keyring):
    codes = factors.add_totp(ring, ann.id, SEED, code())
    assert len(set(codes)) == 10 and all(re.fullmatch(r"([a-z2-9]{4}-){3}[a-z2-9]{4}", each) for each in codes)
    assert factors.is_recovery_code(codes[0]) and not factors.is_recovery_code("123456")
    assert factors.use_recovery_code(ann.id, codes[0].upper().replace("-", " "))
    assert not factors.use_recovery_code(ann.id, codes[0])
    assert factors.held(ann.id).recovery_codes == 9
    assert happened().count("RecoveryCodeUsed") == 1


def test_a_recovery_code_is_good_for_its_owner_only(ann: Principal, ring: Keyring):
    bob = principals.add(NewPrincipal("bob"))
    codes = factors.add_totp(ring, ann.id, SEED, code())
    assert not factors.use_recovery_code(bob.id, codes[0]) and factors.use_recovery_code(ann.id, codes[0])


def test_new_recovery_codes_end_the_old_ones(ann: Principal, ring: Keyring):
    with pytest.raises(Conflict, match="second factor"):
        factors.make_recovery_codes(ann.id)
    old = factors.add_totp(ring, ann.id, SEED, code())
    new = factors.make_recovery_codes(ann.id)
    assert not factors.use_recovery_code(ann.id, old[0]) and factors.use_recovery_code(ann.id, new[0])


def test_the_second_factor_makes_no_recovery_codes_and_the_last_one_takes_them(ann: Principal, ring: Keyring):
    assert len(factors.add_totp(ring, ann.id, SEED, code())) == 10
    assert factors.add_passkey(ann.id, KEY) == []
    factors.remove_totp(ann.id)
    assert factors.held(ann.id).recovery_codes == 10 and Secret.select().count() == 0
    (key,) = factors.passkeys(ann.id)
    factors.remove_passkey(ann.id, key.id)
    assert not factors.held(ann.id).any and RecoveryCode.select().count() == 0
    with pytest.raises(NotFound):
        factors.remove_totp(ann.id)


def test_the_name_of_a_passkey_is_one_printable_line(ann: Principal):
    for name in ("lap\x00top", "lap\ntop", "\x1b[2Jlaptop", "x" * 101):
        with pytest.raises(Invalid, match=r"^name: "):
            factors.add_passkey(ann.id, dataclasses.replace(KEY, name=name))
    assert not factors.passkeys(ann.id)


def test_a_passkey_has_one_owner_who_alone_removes_it(ann: Principal):
    bob = principals.add(NewPrincipal("bob"))
    factors.add_passkey(ann.id, KEY)
    with pytest.raises(Conflict, match="known already"):
        factors.add_passkey(bob.id, KEY)
    found = factors.find_passkey(KEY.credential_id)
    assert found is not None and found.principal.name == "ann"
    with pytest.raises(NotFound):
        factors.remove_passkey(bob.id, found.id)
    factors.passkey_used(found.id, 7)
    assert factors.passkeys(ann.id)[0].sign_count == 7 and factors.passkeys(ann.id)[0].last_used_at


def test_a_reset_takes_all_factors_and_ends_all_logins(ann: Principal, ring: Keyring):
    factors.add_totp(ring, ann.id, SEED, code())
    factors.add_passkey(ann.id, KEY)
    login = credentials.log_in(ann)
    factors.reset(ann.id)
    assert not factors.held(ann.id).any and Secret.select().count() == 0
    assert credentials.verify_login(login) is None
    assert "FactorsRemoved" in happened()


def test_nobody_resets_the_factors_of_somebody_who_may_do_more(ann: Principal, ring: Keyring):
    bob = principals.add(NewPrincipal("bob"))
    factors.add_totp(ring, ann.id, SEED, code())
    before = current_actor.set(Actor(bob.id, bob.name))
    try:
        with pytest.raises(Forbidden):
            factors.reset(ann.id)
    finally:
        current_actor.reset(before)
    assert factors.held(ann.id).totp


def test_a_credential_for_less_does_not_reset_its_owners_factors(ann: Principal, ring: Keyring):
    factors.add_totp(ring, ann.id, SEED, code())
    before = current_actor.set(Actor(ann.id, ann.name, scopes=frozenset({"principals.update"})))
    try:
        with pytest.raises(Forbidden):
            factors.reset(ann.id)
    finally:
        current_actor.reset(before)
    assert factors.held(ann.id).totp


def test_the_passkey_of_the_only_administrator_who_can_sign_in_stays(ann: Principal):
    factors.add_passkey(ann.id, KEY)
    Principal.update(password_hash=None).execute()
    key = factors.passkeys(ann.id)[0]
    for go in (lambda: factors.remove_passkey(ann.id, key.id), lambda: factors.reset(ann.id)):
        with (
            pytest.raises(Conflict, match="last enabled administrator who can sign in"),
            Principal._meta.database.atomic(),
        ):
            go()
    access.add_administrator(NewPrincipal("bob", password_hash=Sensitive("a hash")))
    factors.remove_passkey(ann.id, key.id)


def test_who_has_no_factor_is_found(ann: Principal, ring: Keyring):
    bob, eve = principals.add(NewPrincipal("bob")), principals.add(NewPrincipal("eve"))
    principals.add(NewPrincipal("ci", kind="service"))
    factors.add_totp(ring, ann.id, SEED, code())
    factors.add_passkey(bob.id, KEY)
    assert factors.without_factor() == [eve.id]


def test_what_somebody_had_goes_with_them(ann: Principal, ring: Keyring):
    bob = principals.add(NewPrincipal("bob"))
    factors.add_totp(ring, bob.id, SEED, code())
    factors.add_passkey(bob.id, KEY)
    principals.remove(bob.id)
    events: list[Event] = outbox.get()
    factors.before_commit(None, events)  # type: ignore[arg-type]
    assert Secret.select().count() == 0 and Totp.select().count() == 0
    assert RecoveryCode.select().count() == 0 and factors.find_passkey(KEY.credential_id) is None
