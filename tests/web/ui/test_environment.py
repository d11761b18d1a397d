"""The environment of an application: what its file asks for, its secrets, whose values never come out."""

from __future__ import annotations

import re

import pytest
from quart.typing import TestClientProtocol as Client

from roci import Roci
from roci_plugins.domain import applications, secrets
from roci_plugins.domain.applications import Application
from roci_plugins.domain.keyring import of as keyring
from roci_plugins.domain.rules import Rule

from .reading import EVIL, send, text
from .test_editor import somebody

COMPOSE = (
    "services:\n  web:\n    image: nginx:${TAG:-1}\n    environment:\n      PASSWORD: ${PASSWORD:?set it}\n"
    "      MAIL: $MAIL\n      PLAIN: a <b> c\n      PASSED:\n"
)


@pytest.fixture
async def wiki(roci: Roci) -> Application:
    return await roci.write(lambda: applications.add("wiki", COMPOSE))


def path(app: Application) -> str:
    return f"/applications/{app.id}/environment"


async def row(client: Client, app: Application, name: str) -> str:
    found = re.search(
        rf'<tr id="variable-{name}"><td><code>{name}</code>.*?</tr>', await text(client, path(app)), re.DOTALL
    )
    assert found, name
    return found[0]


async def value(roci: Roci, app: Application, name: str) -> str | None:
    return await roci.read(secrets.value, keyring(roci), f"application/{app.id}", name)


async def test_what_the_file_asks_for_is_told_with_where_it_comes_from(client: Client, wiki: Application) -> None:
    assert "required, and has no value" in await row(client, wiki, "PASSWORD")
    assert "it will be empty" in await row(client, wiki, "MAIL")
    assert "default" in await row(client, wiki, "TAG")
    page = await text(client, path(wiki))
    assert "a &lt;b&gt; c" in page and "that of the variable of this name" in page


async def test_a_secret_is_set_replaced_and_removed_and_its_value_is_never_shown(
    client: Client, roci: Roci, wiki: Application
) -> None:
    for given in ("hunter2", "two\r\nlines"):
        answer = await send(client, path(wiki), path(wiki), name="PASSWORD", value=given)
        assert (answer.status_code, answer.headers["Location"]) == (303, path(wiki))
        assert await value(roci, wiki, "PASSWORD") == given.replace("\r\n", "\n")
        page = await text(client, path(wiki))
        assert "PASSWORD is set" in page and "hunter2" not in page and "lines" not in page.split("<h2>")[1]
    assert ">secret<" in await row(client, wiki, "PASSWORD") and "Replace" in await row(client, wiki, "PASSWORD")
    answer = await send(client, path(wiki), f"{path(wiki)}/remove", name="PASSWORD")
    assert answer.status_code == 303 and await value(roci, wiki, "PASSWORD") is None
    answer = await send(client, path(wiki), f"{path(wiki)}/remove", name="PASSWORD")
    assert answer.status_code == 404


async def test_a_secret_that_the_file_does_not_name_is_shown_too(client: Client, wiki: Application) -> None:
    await send(client, path(wiki), path(wiki), name="OTHER", value="x", description=f"for {EVIL}")
    page = await text(client, path(wiki))
    assert "OTHER" in page.split("Further secrets")[1] and EVIL not in page


@pytest.mark.parametrize(
    ("name", "given", "reason"),
    [
        ("NOT-A-NAME", "x", "is not a name"),
        ("HOME", "x", "own and cannot be a secret"),
        ("GOOD", "", "must not be empty"),
        ("GOOD", "x" * 70_000, "at most 64 KiB"),
    ],
    ids=["name", "reserved", "empty", "long"],
)
async def test_what_cannot_be_a_secret_is_refused_with_its_name(
    client: Client, wiki: Application, name: str, given: str, reason: str
) -> None:
    answer = await send(client, path(wiki), path(wiki), name=name, value=given)
    page = await answer.get_data(as_text=True)
    assert answer.status_code == 422 and reason in page and f'value="{name}"' in page
    assert "xxxxx" not in page


async def test_who_may_not_see_secrets_sees_the_file_only(
    roci: Roci, client: Client, anonymous: Client, wiki: Application
) -> None:
    await send(client, path(wiki), path(wiki), name="OTHER", value="x")
    await somebody(roci, anonymous, Rule("applications.read"))
    page = (await text(anonymous, path(wiki))).partition("<main")[2].partition("</main>")[0]
    assert (
        "You may not see the names" in page
        and "OTHER" not in page
        and "Replace" not in page
        and 'method="post"' not in page
    )
    assert (await anonymous.post(path(wiki), form={"name": "A", "value": "x"})).status_code == 403
    assert (await anonymous.post(f"{path(wiki)}/remove", form={"name": "OTHER"})).status_code == 403


async def test_who_may_only_add_cannot_replace(
    roci: Roci, client: Client, anonymous: Client, wiki: Application
) -> None:
    rules = [Rule(each, f"application/{wiki.id}") for each in ("applications.read", "secrets.create", "secrets.list")]
    await somebody(roci, anonymous, *rules)
    assert (await send(anonymous, path(wiki), path(wiki), name="NEW", value="1")).status_code == 303
    assert (await send(anonymous, path(wiki), path(wiki), name="NEW", value="2")).status_code == 403
    assert await value(roci, wiki, "NEW") == "1" and "Replace" not in await text(anonymous, path(wiki))


async def test_a_file_that_cannot_be_read_is_told(client: Client, roci: Roci) -> None:
    app = await roci.write(lambda: applications.add("old", "services: ["))
    assert "compose_yaml line" in await text(client, path(app))


async def test_the_part_that_renews_itself_comes_alone(client: Client, wiki: Application) -> None:
    part = await text(client, f"{path(wiki)}?part=variables")
    assert "PASSWORD" in part and "<html" not in part and "Further secrets" not in part


async def test_each_row_has_a_name_so_that_what_is_typed_stays_in_its_own(client: Client, wiki: Application) -> None:
    await send(client, path(wiki), path(wiki), name="OTHER", value="x")
    page = await text(client, path(wiki))
    rows = re.findall(r'<tr([^>]*)>(?=(?:(?!</tr>).)*?name="value")', page, re.DOTALL)
    names = ["variable-MAIL", "variable-PASSED", "variable-PASSWORD", "variable-TAG", "secret-OTHER"]
    assert rows == [f' id="{name}"' for name in names]


async def test_plain_values_are_those_of_the_newest_file(client: Client, roci: Roci, wiki: Application) -> None:
    page = await text(client, path(wiki))
    assert f'hx-get="{path(wiki)}?part=plain" hx-trigger="live-applications from:body"' in page
    await roci.write(lambda: applications.change(wiki.id, compose=COMPOSE.replace("a <b> c", "anew")))
    part = await text(client, f"{path(wiki)}?part=plain")
    assert "anew" in part and "<html" not in part and "What the file asks for" not in part


async def test_what_renews_itself_after_a_refused_removal_lies_on_the_page(client: Client, wiki: Application) -> None:
    answer = await send(client, path(wiki), f"{path(wiki)}/remove", name="NOWHERE")
    page = await answer.get_data(as_text=True)
    parts = set(re.findall(r'hx-get="(/applications/[^"?]+)', page))
    assert answer.status_code == 404 and parts == {path(wiki)}
    assert f'<a href="{path(wiki)}" aria-current="page"' in page
