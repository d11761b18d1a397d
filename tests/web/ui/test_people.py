"""/people: who exists and what they hold; nobody gets more by another, and the last administrator stays."""

from __future__ import annotations

import re

import pytest
from quart import Quart
from quart.typing import TestClientProtocol as Client

from roci import Roci
from roci_plugins.domain import access, credentials, factors, principals
from roci_plugins.domain.principals import NewPrincipal, Principal
from roci_plugins.domain.roles import NewRole
from roci_plugins.domain.rules import Rule

from .reading import EVIL, send, text, topics


@pytest.fixture
async def ann(client: Client, roci: Roci) -> Principal:
    """A person without any role."""
    return await roci.write(principals.add, NewPrincipal("ann", email="ann@example.org", display_name=EVIL))


async def signed_in(roci: Roci, app: Quart, name: str, *rules: str) -> Client:
    """Somebody else at a browser, with these rights."""
    row = await roci.write(principals.add, NewPrincipal(name))
    await roci.write(access.add_role, NewRole(f"role-of-{name}", [Rule(rule) for rule in rules]))
    await roci.write(access.bind, name, f"role-of-{name}")
    browser = app.test_client()
    browser.set_cookie("localhost", "roci_session", await roci.write(credentials.log_in, row))
    return browser


async def sent(client: Client, page: str, path: str, **form: str) -> tuple[int, str]:
    answer = await send(client, page, path, **form)
    return answer.status_code, str(await answer.get_data(as_text=True))


async def test_everybody_is_listed_with_roles_and_names_are_text(client: Client, ann: Principal) -> None:
    page = await text(client, "/people")
    assert "ann@example.org" in page and "&lt;script&gt;" in page and EVIL not in page
    assert 'href="/people/roles/admin"' in page and "none: may do nothing" in page
    found = await text(client, "/people?text=admin")
    assert "ann@example.org" not in found and "1 of 2" in found
    assert "ann@example.org" in await text(client, "/people?text=EXAMPLE.org+ann")
    assert "<html" not in await text(client, "/people?part=everybody")


async def test_a_person_is_added_with_a_password_that_is_shown_once(client: Client, roci: Roci, app: Quart) -> None:
    form = {"kind": "person", "name": "bob", "email": "bob@example.org", "role": "admin", "how": "made"}
    status, page = await sent(client, "/people/new", "/people/new", **form)
    secret = re.search(r'id="issued">.*?<code>([^<]+)</code>', page, re.DOTALL)
    assert status == 200 and secret
    row = await roci.read(principals.by_name, "bob")
    assert row.administrator and secret[1] not in await text(client, f"/people/{row.id}")
    answer = await app.test_client().post("/login", form={"username": "bob", "password": secret[1]})
    assert answer.status_code == 303


async def test_a_service_has_no_password_and_gets_a_token(client: Client, roci: Roci, anonymous: Client) -> None:
    form = {"kind": "service", "name": "backup", "role": "admin", "how": "typed", "password": "correct horse"}
    status, _page = await sent(client, "/people/new?kind=service", "/people/new", **form)
    row = await roci.read(principals.by_name, "backup")
    assert (status, row.kind, row.password_hash) == (303, "service", None)
    path = f"/people/{row.id}"
    status, page = await sent(client, path, f"{path}/tokens", name="nightly", scopes="hosts.*", days="7")
    secret = re.search(r"roci_[\w-]{40,}", page)
    assert status == 200 and secret
    bearer = {"Authorization": f"Bearer {secret[0]}"}
    assert (await anonymous.get("/api/v1/agents", headers=bearer)).status_code == 200
    page = await text(client, path)
    assert secret[0] not in page and "hosts.*" in page
    (revoke,) = re.findall(rf'action="({path}/tokens/[^"]+/revoke)"', page)
    assert (await send(client, path, revoke)).status_code == 303
    assert (await anonymous.get("/api/v1/agents", headers=bearer)).status_code == 401


@pytest.mark.parametrize(
    ("form", "status", "words"),
    [
        pytest.param({"name": "two words"}, 422, "letters, digits", id="name"),
        pytest.param({"name": "admin"}, 409, "already", id="taken"),
        pytest.param({"name": "eve", "email": "nowhere"}, 422, 'id="w-email"', id="email"),
        pytest.param({"name": "eve", "how": "typed", "password": "short"}, 422, 'id="w-password"', id="password"),
        pytest.param({"name": "eve", "role": "nothing"}, 404, "no role named", id="role"),
        pytest.param({"name": "eve", "kind": "agent"}, 422, "person or service", id="kind"),
    ],
)
async def test_what_is_wrong_is_named_and_what_was_typed_stays(
    client: Client, roci: Roci, form: dict[str, str], status: int, words: str
) -> None:
    given = {"kind": "person", "how": "made", "display_name": "Eve E.", **form}
    answered, page = await sent(client, "/people/new", "/people/new", **given)
    assert answered == status and words in page and 'value="Eve E."' in page
    assert await roci.read(principals.find, "eve") is None


async def test_the_address_of_somebody_is_changed_or_refused_beside_its_field(
    client: Client, roci: Roci, ann: Principal
) -> None:
    path = f"/people/{ann.id}"
    status, page = await sent(client, path, path, email="no address", display_name="Ann", description="")
    assert status == 422 and 'id="w-email"' in page and 'value="no address"' in page
    assert (await sent(client, path, path, email="a@example.org", display_name="Ann"))[0] == 303
    row = await roci.read(principals.get, ann.id)
    assert (row.email, row.display_name) == ("a@example.org", "Ann")


async def test_roles_are_given_and_taken_back(client: Client, roci: Roci, ann: Principal) -> None:
    path = f"/people/{ann.id}"
    assert (await sent(client, path, f"{path}/roles", role="admin"))[0] == 303
    assert (await roci.read(principals.get, ann.id)).administrator
    status, page = await sent(client, path, f"{path}/roles", role="admin")
    assert status == 409 and "already" in page
    (remove,) = re.findall(rf'action="({path}/roles/[^"]+/remove)"', page)
    assert (await send(client, path, remove)).status_code == 303
    assert not (await roci.read(principals.get, ann.id)).administrator


async def test_who_is_disabled_is_out_and_comes_back(client: Client, roci: Roci, ann: Principal) -> None:
    secret = await roci.write(credentials.log_in, ann)
    path = f"/people/{ann.id}"
    assert (await send(client, path, f"{path}/disable")).status_code == 303
    assert await roci.read(credentials.verify_login, secret) is None
    assert "Nothing of theirs lets anybody in" in await text(client, path)
    assert (await send(client, path, f"{path}/enable")).status_code == 303
    assert not (await roci.read(principals.get, ann.id)).disabled


async def test_the_last_administrator_stays_and_the_page_says_why(client: Client, roci: Roci) -> None:
    row = await roci.read(principals.by_name, "admin")
    path = f"/people/{row.id}"
    for action, form in (("disable", {}), ("remove", {"confirm": "admin"})):
        status, page = await sent(client, path, f"{path}/{action}", **form)
        assert status == 409 and "last enabled administrator" in page, action
    (unbind,) = re.findall(rf'action="({path}/roles/[^"]+/remove)"', await text(client, path))
    assert (await send(client, path, unbind)).status_code == 409
    assert (await roci.read(principals.get, row.id)).administrator


async def test_somebody_is_removed_by_typing_the_name(client: Client, roci: Roci, ann: Principal) -> None:
    path = f"/people/{ann.id}"
    status, page = await sent(client, path, f"{path}/remove", confirm="anna")
    assert status == 409 and "nothing was changed" in page
    assert (await send(client, path, f"{path}/remove", confirm="ann")).headers["Location"] == "/people"
    assert await roci.read(principals.find, "ann") is None


async def test_a_new_password_ends_their_stays(client: Client, roci: Roci, ann: Principal, app: Quart) -> None:
    secret, path = await roci.write(credentials.log_in, ann), f"/people/{ann.id}"
    assert (await send(client, path, f"{path}/password", password="correct horse")).status_code == 303
    assert await roci.read(credentials.verify_login, secret) is None
    answer = await app.test_client().post("/login", form={"username": "ann", "password": "correct horse"})
    assert answer.status_code == 303
    mine = await roci.read(principals.by_name, "admin")
    status, page = await sent(client, path, f"/people/{mine.id}/password", password="correct horse")
    assert status == 403 and "account page" in page


async def test_stays_are_ended_and_second_factors_removed(client: Client, roci: Roci, ann: Principal) -> None:
    secret, path = await roci.write(credentials.log_in, ann), f"/people/{ann.id}"
    (end,) = re.findall(rf'action="({path}/logins/[^"]+/end)"', await text(client, path))
    assert (await send(client, path, end)).status_code == 303
    assert await roci.read(credentials.verify_login, secret) is None
    key = factors.NewPasskey("laptop", "localhost", b"id", b"key", 0)
    await roci.write(factors.add_passkey, ann.id, key)
    assert "1 passkey" in await text(client, path)
    assert (await send(client, path, f"{path}/factors")).status_code == 303
    assert not (await roci.read(factors.held, ann.id)).any


async def test_what_can_be_done_about_somebody_is_renewed_by_what_was_done(
    client: Client, roci: Roci, ann: Principal
) -> None:
    path = f"/people/{ann.id}"
    page = await text(client, path)
    assert "Remove the second factors" not in page and f'action="{path}/disable"' in page
    await roci.write(factors.add_passkey, ann.id, factors.NewPasskey("laptop", "localhost", b"id", b"key", 0))
    await roci.write(principals.disable, ann.id)
    part = await text(client, f"{path}?part=danger")
    assert "Remove the second factors" in part and f'action="{path}/enable"' in part and "/disable" not in part
    done = {"principal", "factor", "factors", "passkey"}
    assert topics(page, "danger") >= done and topics(page, "state") >= {*done, "password"}
    assert topics(page, "tokens") == {"token", "beats"}  # they expire by the clock
    assert 'id="keep-out"' in page and 'id="let-in"' in part  # one does not become the other under the mouse


async def test_nobody_gets_more_by_way_of_somebody_else(client: Client, roci: Roci, app: Quart) -> None:
    admin = await roci.read(principals.by_name, "admin")
    helper = await signed_in(roci, app, "helper", "principals.*", "tokens.*", "bindings.*", "roles.*")
    path = f"/people/{admin.id}"
    for action, form in (
        ("/password", {"password": "correct horse"}),
        ("/tokens", {"name": "mine"}),
        ("", {"email": "x@example.org"}),
        ("/factors", {}),
    ):
        status, page = await sent(helper, path, f"{path}{action}", **form)
        assert status == 403, action
        assert "nobody grants what they lack" in page, action
    own = await roci.read(principals.by_name, "helper")
    status, page = await sent(helper, path, f"/people/{own.id}/roles", role="admin")
    assert status == 403 and "nobody grants what they lack" in page


async def test_who_may_only_look_sees_no_forms(client: Client, roci: Roci, app: Quart, ann: Principal) -> None:
    reader = await signed_in(roci, app, "reader", "principals.list", "principals.get")
    page = (await text(reader, f"/people/{ann.id}")).partition("<main")[2].partition("</main>")[0]
    assert "Here since" in page and "<form" not in page and "API tokens" not in page and "Roles" not in page
    assert "Add a person" not in await text(reader, "/people")
    await text(reader, "/people/new", 403)
    nobody = await signed_in(roci, app, "nobody", "hosts.read")
    await text(nobody, "/people", 403)
    await text(nobody, f"/people/{ann.id}", 403)


async def test_forms_need_their_token(client: Client, ann: Principal) -> None:
    for path in ("/people/new", f"/people/{ann.id}", f"/people/{ann.id}/remove", f"/people/{ann.id}/roles"):
        assert (await client.post(path, form={"confirm": "ann"})).status_code == 403, path


@pytest.mark.parametrize("path", ["/people/{ann}/roles/unknown/remove", "/people/roles/admin/bindings/unknown/remove"])
async def test_who_may_take_nothing_back_does_not_learn_what_there_is(
    client: Client, roci: Roci, app: Quart, ann: Principal, path: str
) -> None:
    bob = await signed_in(roci, app, "bob", "principals.list")
    assert (await send(bob, "/account", path.format(ann=ann.id))).status_code == 403
    assert (await send(client, "/account", path.format(ann=ann.id))).status_code == 404


async def test_a_permission_that_does_not_exist_is_said_to_be_none(client: Client) -> None:
    assert "there is no permission foo.bar</span>" in await text(client, "/people/access?action=foo.bar", 422)
    assert "there is no permission" not in await text(client, "/people/access?action=hosts.*")
