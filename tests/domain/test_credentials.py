"""Tokens, logins and the link of the first start, as the tables have them."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest

from roci import Conflict, Invalid, NotFound, Sensitive, Unauthenticated, now, outbox
from roci_plugins.core.store import Store
from roci_plugins.domain import access, credentials, principals, roles
from roci_plugins.domain.credentials import Login, LoginRevoked, SetupLink, Token
from roci_plugins.domain.principals import NewPrincipal, Principal

HASH = Sensitive("a hash")
OWNERS = (roles, principals, credentials)
pytestmark = pytest.mark.usefixtures("events")


@pytest.fixture
def ann() -> Principal:
    return access.add_administrator(NewPrincipal("ann", password_hash=HASH))


def ago(**span: float) -> datetime.datetime:
    return now() - datetime.timedelta(**span)


def test_a_token_proves_its_principal_and_only_its_digest_is_kept(ann: Principal):
    row, secret = credentials.issue(ann.id, "laptop")
    assert secret.startswith("roci_") and len(secret) >= 48
    proven = credentials.verify_token(secret)
    assert proven and (proven.id, proven.actor.name, proven.actor.via) == (row.id, "ann", "token")
    assert Token.get().digest != secret and secret not in repr(outbox.get())
    assert repr(secret) == "[hidden]"


def test_scopes_come_with_the_actor_and_none_is_none(ann: Principal):
    def scopes(*given: list[str] | None) -> frozenset[str] | None:
        _, secret = credentials.issue(ann.id, f"t{given}", *given)
        proven = credentials.verify_token(secret)
        assert proven
        return proven.actor.scopes

    assert scopes() is None
    assert scopes(["hosts.read"]) == {"hosts.read"}
    assert scopes([]) == frozenset()  # may nothing, rather than everything


def test_two_valid_tokens_of_one_name_are_a_conflict_until_one_is_revoked(ann: Principal):
    row, _ = credentials.issue(ann.id, "laptop")
    with pytest.raises(Conflict, match="ann has a token named 'laptop' already"):
        credentials.issue(ann.id, "laptop")
    credentials.revoke(row.id)
    credentials.issue(ann.id, "laptop")
    assert len(credentials.tokens(ann.id)) == 2


@pytest.mark.parametrize("name", ["", "  ", "x" * 101, "lap\x00top", "lap\ntop", "\x1b[2Jlaptop", "lap\u202etop"])
def test_a_token_has_a_name(ann: Principal, name: str):
    with pytest.raises(Invalid, match=r"^name: "):
        credentials.issue(ann.id, name)


@pytest.mark.parametrize("scopes", [["a b"], [""], ["x" * 201], ["hosts.*", "[*]"], ["hosts.*\n"], ["hosts.*"] * 101])
def test_scopes_are_patterns_of_actions_and_not_many(ann: Principal, scopes: list[str]):
    with pytest.raises(Invalid, match=r"^scopes: "):
        credentials.issue(ann.id, "laptop", scopes)


def test_nobody_has_more_than_a_hundred_tokens_that_hold(ann: Principal):
    rows = [credentials.issue(ann.id, f"t{number}")[0] for number in range(credentials.MOST_TOKENS)]
    with pytest.raises(Conflict, match="ann has 100 tokens already"):
        credentials.issue(ann.id, "one more")
    credentials.revoke(rows[0].id)
    credentials.issue(ann.id, "one more")


def test_a_token_cannot_expire_before_it_is_made(ann: Principal):
    with pytest.raises(Invalid, match=r"^expires: "):
        credentials.issue(ann.id, "laptop", None, ago(seconds=1))


def test_a_token_that_expired_proves_nothing(ann: Principal):
    _, secret = credentials.issue(ann.id, "laptop", None, now() + datetime.timedelta(days=1))
    assert credentials.verify_token(secret)
    Token.update(expires_at=ago(seconds=1)).execute()
    assert credentials.verify_token(secret) is None


def test_revoking_twice_is_the_same_as_once_and_what_is_not_there_is_not_found(ann: Principal):
    row, secret = credentials.issue(ann.id, "laptop")
    credentials.revoke(row.id)
    credentials.revoke(row.id)
    assert credentials.verify_token(secret) is None
    assert [type(event).__name__ for event in outbox.get()].count("TokenRevoked") == 1
    with pytest.raises(NotFound):
        credentials.revoke("nothing")


def test_last_used_is_written_at_most_once_a_minute(ann: Principal):
    row, secret = credentials.issue(ann.id, "laptop")
    for last, stale in ((None, True), (ago(seconds=30), False), (ago(seconds=90), True)):
        Token.update(last_used_at=last).execute()
        proven = credentials.verify_token(secret)
        assert proven and proven.stale is stale
    credentials.touch_token(row.id)
    proven = credentials.verify_token(secret)
    assert proven and not proven.stale


# --- logins ------------------------------------------------------------------


def test_a_login_lasts_twelve_hours_from_when_it_was_last_seen(ann: Principal):
    secret = credentials.log_in(ann)
    Login.update(expires_at=now() + datetime.timedelta(seconds=5), last_seen_at=ago(hours=11.9)).execute()
    proven = credentials.verify_login(secret)
    assert proven and proven.stale
    credentials.touch_login(proven.id)
    left = Login.get().expires_at - now()
    assert datetime.timedelta(hours=11.9) < left <= datetime.timedelta(hours=12)


def test_a_login_that_is_over_proves_nothing_and_is_forgotten(ann: Principal):
    secret, other = credentials.log_in(ann), credentials.log_in(ann)
    Login.update(expires_at=ago(seconds=1)).where(Login.digest == credentials.digest(secret)).execute()
    assert credentials.verify_login(secret) is None
    credentials.forget_expired()
    assert Login.select().count() == 1 and credentials.verify_login(other)


def test_signing_out_ends_one_login_and_is_harmless_without_one(ann: Principal):
    secret, other = credentials.log_in(ann), credentials.log_in(ann)
    credentials.log_out(secret)
    credentials.log_out(secret)
    credentials.log_out("nothing")
    assert credentials.verify_login(secret) is None and credentials.verify_login(other)


def test_a_new_password_ends_the_logins_from_before_and_no_token(ann: Principal):
    login, (_, token) = credentials.log_in(ann), credentials.issue(ann.id, "laptop")
    credentials.set_password(ann.id, HASH)
    assert credentials.verify_login(login) is None and credentials.verify_token(token)
    assert credentials.verify_login(credentials.log_in(principals.get(ann.id)))


def test_a_password_that_was_changed_while_it_was_checked_opens_nothing(ann: Principal):
    credentials.set_password(ann.id, Sensitive("another hash"))
    with pytest.raises(Unauthenticated, match="in between"):
        credentials.log_in(ann)
    with pytest.raises(Unauthenticated, match="in between"):
        credentials.open_login(ann, "rootcx", WEEK)
    assert credentials.logins(ann.id) == []


def test_a_disabled_principal_proves_nothing_and_signs_in_again_once_enabled(ann: Principal):
    access.add_administrator(NewPrincipal("bob", password_hash=HASH))
    login, (_, token) = credentials.log_in(ann), credentials.issue(ann.id, "laptop")
    principals.disable(ann.id)
    assert credentials.verify_login(login) is None and credentials.verify_token(token) is None
    credentials.before_commit(outbox.get())
    principals.enable(ann.id)
    assert credentials.verify_login(login) is None and credentials.verify_token(token)


def test_a_token_is_no_login_and_a_login_no_token(ann: Principal):
    login, (_, token) = credentials.log_in(ann), credentials.issue(ann.id, "laptop")
    assert credentials.verify_login(token) is None and credentials.verify_token(login) is None


# --- the first start ---------------------------------------------------------


def test_the_setup_link_makes_one_administrator_once():
    secret = credentials.make_setup_link()
    credentials.check_setup_link(secret)
    made = credentials.use_setup_link(secret, "ann", "ann@example.org", HASH)
    assert made.administrator and made.email == "ann@example.org"
    for act in (credentials.check_setup_link, lambda link: credentials.use_setup_link(link, "eve", "", HASH)):
        with pytest.raises(NotFound):
            act(secret)


def test_a_new_setup_link_replaces_the_old_one():
    old = credentials.make_setup_link()
    credentials.check_setup_link(credentials.make_setup_link())
    assert SetupLink.select().count() == 1
    with pytest.raises(NotFound):
        credentials.check_setup_link(old)


def test_with_an_administrator_a_setup_link_is_good_for_nothing(ann: Principal):
    with pytest.raises(NotFound):
        credentials.use_setup_link(credentials.make_setup_link(), "eve", "", HASH)


# --- logins that signed tokens name ------------------------------------------

WEEK = datetime.timedelta(days=7)


def test_a_login_of_a_dialect_is_proved_by_its_id_and_by_no_secret(ann: Principal):
    row = credentials.open_login(ann, "rootcx", WEEK, "oidc:home")
    proven = credentials.verify_login_id(row.id)
    assert proven and (proven.actor.name, proven.actor.via, proven.actor.credential) == ("ann", "jwt", row.id)
    assert credentials.verify_login(row.id) is None and credentials.verify_login_id("nothing") is None
    assert row.expires_at - row.created_at >= WEEK - datetime.timedelta(seconds=1)
    assert (row.dialect, row.via) == ("rootcx", "oidc:home") and principals.get(ann.id).last_login_at


def test_the_id_of_a_cookies_login_is_no_credential(ann: Principal):
    credentials.log_in(ann)
    assert credentials.verify_login_id(Login.get().id) is None


def test_a_closed_login_is_not_refreshed_and_still_proves_who_it_was(ann: Principal):
    row = credentials.open_login(ann, "rootcx", WEEK)
    assert credentials.refreshable(row.id)
    credentials.close_login(row.id)
    credentials.close_login(row.id)
    assert credentials.refreshable(row.id) is None and credentials.verify_login_id(row.id)
    assert credentials.logins(ann.id) == []
    assert [type(event).__name__ for event in outbox.get()].count("LoginRevoked") == 1


def test_an_ended_login_proves_nothing(ann: Principal):
    row = credentials.open_login(ann, "chatops", WEEK)
    credentials.end_login(row.id)
    credentials.end_login(row.id)
    assert credentials.refreshable(row.id) is None and credentials.verify_login_id(row.id) is None


def test_of_more_than_a_hundred_logins_the_one_not_seen_for_longest_ends(ann: Principal):
    bob = principals.add(NewPrincipal("bob"))
    theirs, cookie = credentials.open_login(bob, "rootcx", WEEK), credentials.log_in(ann)
    first, *others = (credentials.open_login(ann, "rootcx", WEEK) for _ in range(credentials.MOST_LOGINS))
    assert credentials.verify_login(cookie)
    seen = {first.digest: ago(hours=2), others[0].digest: ago(hours=1)}
    for digest, moment in seen.items():
        Login.update(last_seen_at=moment).where(Login.digest == digest).execute()
    credentials.open_login(ann, "rootcx", WEEK)
    held = {row.id for row in credentials.logins(ann.id) if row.dialect == "rootcx"}
    assert len(held) == credentials.MOST_LOGINS and first.id not in held and others[0].id in held
    assert credentials.verify_login(cookie) and credentials.verify_login_id(theirs.id)
    assert [event.login_id for event in outbox.get() if isinstance(event, LoginRevoked)] == [first.id]


def test_programs_that_sign_in_all_the_time_leave_the_browser_signed_in(ann: Principal):
    cookie = credentials.log_in(ann)
    for _ in range(credentials.MOST_LOGINS + 1):
        credentials.open_login(ann, "raworc", WEEK)
    assert credentials.verify_login(cookie) is not None


def test_all_logins_end_but_the_one_that_is_spared(ann: Principal):
    kept, *_ = (credentials.open_login(ann, dialect, WEEK) for dialect in ("raworc", "rootcx"))
    cookie = credentials.log_in(ann)
    credentials.end_logins(ann.id, but=kept.id)
    assert [row.id for row in credentials.logins(ann.id)] == [kept.id] and credentials.verify_login(cookie) is None
    credentials.end_logins(ann.id)
    assert credentials.logins(ann.id) == []


def test_use_prolongs_a_cookie_and_not_what_a_signed_token_says_of_its_end(ann: Principal):
    row = credentials.open_login(ann, "raworc", WEEK)
    Login.update(last_seen_at=ago(hours=1)).execute()
    credentials.touch_login(row.id)
    after = Login.get(Login.id == row.id)
    assert after.expires_at == row.expires_at and after.last_seen_at > ago(minutes=1)


def test_a_table_from_before_there_were_dialects_keeps_its_logins(tmp_path: Path):
    store = Store(tmp_path / "old.db", lambda events: None)
    columns = (
        "id text primary key",
        "created_at text",
        "principal_id text",
        "digest text",
        "last_seen_at text",
        "expires_at text",
    )
    with store.db.connection_context():
        store.db.execute_sql("create table migration (name text primary key, applied_at text not null)")
        store.db.execute_sql(f"create table login ({', '.join(columns)})")
        at = "2026-11-22T06:00:00.000000+00:00"
        store.db.execute_sql("insert into login values ('1', ?, 'p', 'd', ?, ?)", (at, at, at))
    store.prepare([Login], credentials.register_migrations())
    with store.db.connection_context():
        row = Login.get()
        assert (row.dialect, row.via, row.address, row.closed_at) == ("cookie", "password", "", None)
        assert row.proved_at == row.created_at
    store.close()
