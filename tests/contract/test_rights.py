"""Every route of every surface, asked by nobody, by somebody without rights, by somebody whose right is for something
else, and by somebody with exactly the right that its view declares. New routes are in it by themselves.
"""

from __future__ import annotations

import dataclasses
import string
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import urlencode

import pytest
from quart import Quart
from quart.testing.connections import WebsocketResponseError
from werkzeug.routing import Rule as Route

from roci import Roci
from roci_plugins.domain import access, credentials, principals, roles
from roci_plugins.domain.rules import Rule
from roci_plugins.surfaces.dialect import MEDIA
from roci_plugins.surfaces.http import documented

THING = "00000000-0000-4000-8000-000000000000"  # is nowhere, and has the form of every id and most names
QUERIED = {"scope": "platform"}  # what a resource is made of, where that is not in the path
SIGNED_IN = {"signed in", ""}

# Bodies whose form a schema does not say, where it is looked at before the right.
BODIES = {
    ("raworc.secrets.add", "POST"): {"key_name": "KEY", "value": "x"},
}

# Where exactly the declared right is still not enough, by endpoint and method, with the reason.
NOT_ENOUGH = {
    ("native.secrets.put", "PUT"): "what is not there yet takes secrets.create",
    ("native.automation.add", "POST"): "a key that nothing limits takes all that it allows",
    **{
        (f"{surface}.oidc.{view}", method): "whoever says who signs in could sign in as anybody: it takes everything"
        for surface in ("rootcx", "rootcx_alone")
        for view, method in (("put", "POST"), ("remove", "DELETE"))
    },
    ("web.people.providers.add", "POST"): "the same",
}


@dataclasses.dataclass(frozen=True)
class Case:
    """One method of one route, ready to be asked."""

    endpoint: str
    method: str
    path: str
    access: str
    on: str
    accept: str | None
    body: Any

    def __str__(self) -> str:
        return f"{self.method} {self.path} ({self.endpoint}: {self.access}{f' on {self.on}' if self.on else ''})"


def cases(app: Quart) -> list[Case]:
    every = [(rule, method) for rule in app.url_map.iter_rules() for method in methods(rule)]
    owners: Counter[tuple[str, str]] = Counter()
    for rule, method in every:
        owners[method, rule.rule] += 1
    return [case(app, rule, method, owners[method, rule.rule] > 1) for rule, method in every]


def methods(route: Route) -> Iterable[str]:
    return ["WEBSOCKET"] if route.websocket else sorted((route.methods or set()) - {"HEAD", "OPTIONS"})


def case(app: Quart, route: Route, method: str, contested: bool) -> Case:
    view = app.view_functions[route.endpoint]
    note = documented(view)
    values: dict[str, Any] = dict.fromkeys(route.arguments, 1 if "<int" in route.rule else THING)
    asked = {field for _, field, _, _ in string.Formatter().parse(note.on) if field} - values.keys()
    query = {name: QUERIED[name] for name in asked}
    spoken: dict[str, str] = {surface: media for media, surface in MEDIA.items()}
    return Case(
        route.endpoint,
        method,
        path_of(app, route, values) + (f"?{urlencode(query)}" if query else ""),
        getattr(view, "access", ""),
        note.on.format(**values, **query),
        spoken[route.endpoint.partition(".")[0]] if contested else None,
        BODIES.get((route.endpoint, method), note.body and example(note.body.model_json_schema())),
    )


def path_of(app: Quart, route: Route, values: dict[str, Any]) -> str:
    with_it = route.build(values, append_unknown=False)
    assert with_it is not None, route
    return with_it[1]


def example(schema: dict[str, Any], defs: dict[str, Any] | None = None) -> Any:
    """The least that has this schema's form: what is required, and no more."""
    defs = schema.get("$defs", {}) if defs is None else defs
    if "$ref" in schema:
        return example(defs[schema["$ref"].rpartition("/")[2]], defs)
    if "anyOf" in schema:
        return example(schema["anyOf"][0], defs)
    if "enum" in schema or "const" in schema:
        return schema.get("const", schema.get("enum", [None])[0])
    if schema.get("type") == "object":
        return {name: example(schema["properties"][name], defs) for name in schema.get("required", ())}
    if schema.get("type") == "array":
        return [example(schema["items"], defs)] * schema.get("minItems", 0)
    return {"string": THING, "integer": 1, "number": 1, "boolean": True}.get(schema.get("type", ""), {})


async def status_of(app: Quart, case: Case, token: str | None = None) -> int:
    """What is answered; 101 for a websocket that is let in."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    if case.accept:
        headers["Accept"] = case.accept
    client = app.test_client()
    if case.method == "WEBSOCKET":
        try:
            async with client.websocket(case.path, headers={**headers, "Origin": "http://localhost"}) as socket:
                await socket.send("{}")  # no first frame that any socket would take
                await socket.receive()
                return 101
        except WebsocketResponseError as refused:
            return refused.response.status_code
    options = {} if case.body is None else {"json": case.body}
    return (await client.open(case.path, method=case.method, headers=headers, **options)).status_code


async def token_with(roci: Roci, *grants: tuple[str, str]) -> list[str]:
    """Tokens of new people, one for each action and resource; of somebody with no role for an empty action."""

    def write() -> list[str]:
        made = []
        for number, (action, resource) in enumerate(grants):
            row = principals.add(principals.NewPrincipal(f"p{number}"))
            if action:
                access.add_role(roles.NewRole(f"r{number}", [Rule(action, resource)]))
                access.bind(row.name, f"r{number}")
            made.append(str(credentials.issue(row.id, "test")[1]))
        return made

    return await roci.write(write)


def guarded(app: Quart) -> list[Case]:
    """Those that ask for a right before anything else."""
    return [case for case in cases(app) if case.access not in {"public", *SIGNED_IN}]


async def failures(app: Quart, asked: Iterable[tuple[Case, str | None]], is_well: Callable[[int], bool]) -> list[str]:
    answered = [(case, await status_of(app, case, token)) for case, token in asked]
    return [f"\n{case}: {status}" for case, status in answered if not is_well(status)]


def test_the_table_has_every_surface(app: Quart, roci: Roci) -> None:
    found = cases(app)
    assert {each.endpoint.partition(".")[0] for each in found} == roci.surfaces.keys()
    assert len(guarded(app)) > 40 and any(case.accept for case in found) and any(case.on for case in found)


async def test_nobody_is_let_in_but_where_the_public_is(app: Quart, roci: Roci) -> None:
    await token_with(roci, ("*", "*"))
    asked = [(case, None) for case in cases(app) if case.access != "public"]
    wrong = await failures(app, asked, lambda status: status == 401)
    assert not wrong, "".join(wrong)


async def test_a_made_up_token_is_nobodys(app: Quart) -> None:
    asked = [(case, "roci_nothing") for case in guarded(app)]
    wrong = await failures(app, asked, lambda status: status == 401)
    assert not wrong, "".join(wrong)


async def test_somebody_without_rights_is_refused(app: Quart, roci: Roci) -> None:
    (token,) = await token_with(roci, ("", ""))
    asked = [(case, token) for case in guarded(app)]
    wrong = await failures(app, asked, lambda status: status == 403)
    assert not wrong, "".join(wrong)


async def test_a_right_on_something_else_is_none(app: Quart, roci: Roci) -> None:
    found = [case for case in guarded(app) if case.on]
    tokens = await token_with(roci, *((case.access, f"{case.on}-other") for case in found))
    wrong = await failures(app, zip(found, tokens, strict=True), lambda status: status == 403)
    assert not wrong, "".join(wrong)


async def test_exactly_the_declared_right_is_enough(app: Quart, roci: Roci) -> None:
    found = [case for case in guarded(app) if (case.endpoint, case.method) not in NOT_ENOUGH]
    tokens = await token_with(roci, *((case.access, case.on) for case in found))
    asked = zip(found, tokens, strict=True)
    wrong = await failures(app, asked, lambda status: status not in (401, 403) and status < 500)
    assert not wrong, "".join(wrong)


async def test_an_exception_is_one_still(app: Quart, roci: Roci) -> None:
    found = [case for case in guarded(app) if (case.endpoint, case.method) in NOT_ENOUGH]
    assert len(found) == len(NOT_ENOUGH)
    tokens = await token_with(roci, *((case.access, case.on) for case in found))
    wrong = await failures(app, zip(found, tokens, strict=True), lambda status: status == 403)
    assert not wrong, "".join(wrong)


@pytest.mark.parametrize("scopes", [[], ["nothing.*"]])
async def test_a_credential_for_other_things_opens_nothing(app: Quart, roci: Roci, scopes: list[str]) -> None:
    await token_with(roci, ("*", "*"))
    narrow = await roci.write(lambda: credentials.issue(principals.by_name("p0").id, "narrow", scopes)[1])
    asked = [(case, str(narrow)) for case in guarded(app)]
    wrong = await failures(app, asked, lambda status: status == 403)
    assert not wrong, "".join(wrong)
