"""/people/roles: what may be granted together, and who has it. A rule is an action on a resource, patterns both."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from quart import Blueprint

from roci import Conflict, Forbidden, Invalid, NotFound, Permission, RociError

from ....core.app import refused
from ....domain import access, principals, roles
from ....domain.roles import Binding, NewRole, Role
from ....domain.rules import ANY, Rule
from ....surfaces.http import needs, require, server, signed_in
from ... import shell
from ...forms import done, sent
from ...language import _
from ..wrong import beside

routes = Blueprint("roles", __name__)
TOPICS = ("role", "binding")
FIELDS = ("name", "description", "rules", "inherits", "further", "subject", "space")


# --- rules as a form has them: ticks, and lines for the others -----------------


def grouped(permissions: Mapping[str, Permission]) -> dict[str, list[Permission]]:
    """All there are, by the noun they are about."""
    found: dict[str, list[Permission]] = {}
    for name in sorted(permissions):
        found.setdefault(name.partition(".")[0], []).append(permissions[name])
    return found


def ticks(permissions: Mapping[str, Permission]) -> set[str]:
    """The actions that can be ticked: each, all of a noun, and all."""
    return {ANY, *permissions, *(f"{noun}.*" for noun in grouped(permissions))}


def split(rules: Iterable[Rule], permissions: Mapping[str, Permission]) -> tuple[list[str], list[str]]:
    """The actions to tick, since they hold everywhere; and a line for each other rule."""
    known = ticks(permissions)
    found = list(rules)
    ticked = [rule.action for rule in found if rule.resource == ANY and rule.action in known]
    return ticked, [f"{rule.action} on {rule.resource}" for rule in found if not _is_tick(rule, known)]


def _is_tick(rule: Rule, known: set[str]) -> bool:
    return rule.resource == ANY and rule.action in known


def joined(ticked: Sequence[str], lines: str) -> list[Rule]:
    """The other way round. Raises Invalid with the line."""
    found = [Rule(action) for action in ticked]
    for number, line in enumerate(lines.splitlines(), 1):
        words = line.replace(" on ", " ").split()
        if len(words) > 2:
            raise Invalid(f"further: line {number}: an action, the word on, and a resource: hosts.read on host/*")
        if words:
            found.append(Rule(*words))
    return list(dict.fromkeys(found))


def meaning(action: str, permissions: Mapping[str, Permission]) -> str:
    """What a pattern of actions lets somebody do, in words."""
    if action == ANY:
        return _("everything")
    if action in permissions:
        return permissions[action].meaning
    noun, _dot, rest = action.partition(".")
    if rest == ANY and noun in grouped(permissions):
        return _("everything about %(noun)s", noun=noun)
    return ""


# --- pages -----------------------------------------------------------------------


@routes.get("/roles")
@needs("roles.list")
async def index() -> Any:
    """All roles, with what each is for and how many have it."""
    rows, bound = await server().read(lambda: (roles.all_(), [each.role for each in roles.bindings()]))
    return await shell.render(
        "people/roles.html",
        _("Roles"),
        TOPICS,
        styles=("admin.css",),
        rows=sorted(rows, key=lambda row: (not row.built_in, row.name)),
        bound=bound,
    )


@routes.get("/new-role")
@needs("roles.create")
async def new() -> Any:
    """The form for one more."""
    return await _form(None, {})


@routes.post("/new-role")
@needs("roles.create")
async def add() -> Any:
    """Make it, of what one holds oneself."""
    form = await sent()
    ticked, inherits = form.getlist("rule"), form.getlist("inherits")
    given = {field: form.get(field, "").strip() for field in ("name", "description", "further")}
    try:
        rules = joined(ticked, given["further"])
        made = NewRole(given["name"], rules, given["description"] or None, inherits=inherits)
        await server().write(access.add_role, made)
    except RociError as error:
        return await _form(None, given, ticked, inherits, error)
    return done(f"/people/roles/{made.name}", _("the role %(name)s was made", name=made.name))


@routes.get("/roles/<name>")
@needs("roles.get")
async def show(name: str) -> Any:
    """One role: what it grants, in words, and who has it."""
    return await _page(name)


def _told(name: str) -> tuple[Role, list[tuple[str, Rule]], list[Binding], list[str]]:
    row = roles.get(name)
    holders = [each for each in roles.bindings() if each.role == name]
    return row, roles.Hierarchy().by_origin([name]), holders, [each.name for each in principals.all_()]


async def _page(name: str, error: RociError | None = None) -> Any:
    here = server()
    if error is not None:
        await refused(here, error)
    row, rules, holders, names = await here.read(_told, name)
    page = await shell.render(
        "people/role.html",
        row.name,
        TOPICS,
        styles=("admin.css",),
        path=f"/people/roles/{name}",
        row=row,
        rules=[(origin, rule, meaning(rule.action, here.permissions)) for origin, rule in rules],
        holders=holders,
        names=names,
        is_fixed=row.name in (roles.ADMIN, roles.BASE),
        wrong=beside(error, FIELDS),
    )
    return page, error.status if error else 200


@routes.get("/roles/<name>/edit")
@needs("roles.update")
async def edit(name: str) -> Any:
    """The form for what it grants."""
    row = await server().read(roles.get, name)
    ticked, lines = split(row.grants, server().permissions)
    return await _form(row, {"description": row.description or "", "further": "\n".join(lines)}, ticked, row.inherits)


async def _form(
    row: Role | None,
    given: Mapping[str, str],
    ticked: Sequence[str] = (),
    inherits: Sequence[str] = (),
    error: RociError | None = None,
) -> Any:
    """`row` None: for a new one."""
    here = server()
    if error is not None:
        await refused(here, error)
    others = sorted(each.name for each in await here.read(roles.all_) if row is None or each.name != row.name)
    page = await shell.render(
        "people/role_edit.html",
        _("Change the role %(name)s", name=row.name) if row else _("Make a role"),
        scripts=("roles.js",),
        styles=("admin.css",),
        row=row,
        given=given,
        ticked=set(ticked),
        inherits=inherits,
        others=others,
        nouns=grouped(here.permissions),
        wrong=beside(error, FIELDS),
    )
    return page, error.status if error else 200


@routes.post("/roles/<name>/edit")
@needs("roles.update")
async def save(name: str) -> Any:
    """Change what it grants. A role of another dialect becomes one of this."""
    form, here = await sent(), server()
    row = await here.read(roles.get, name)
    ticked, inherits = form.getlist("rule"), form.getlist("inherits")
    given = {field: form.get(field, "").strip() for field in ("description", "further")}
    try:
        changes: dict[str, Any] = {"description": given["description"] or None}
        if name not in (roles.ADMIN, roles.BASE):
            rules = joined(ticked, given["further"])
            changes |= {"inherits": inherits}
            if rules != row.grants:
                changes |= {"rules": rules, "text": None, "dialect": "native"}
        await here.write(access.change_role, name, **changes)
    except RociError as error:
        return await _form(row, given, ticked, inherits, error)
    return done(f"/people/roles/{name}", _("saved"))


@routes.post("/roles/<name>/remove")
@needs("roles.delete")
async def remove(name: str) -> Any:
    """Delete it, and every binding of it, once its name was typed."""
    form = await sent()
    try:
        if form.get("confirm", "").strip() != name:
            raise Conflict("type the role's name to remove it: nothing was changed")
        await server().write(access.remove_role, name)
    except RociError as error:
        return await _page(name, error)
    return done("/people/roles", _("the role %(name)s was removed", name=name))


@routes.post("/roles/<name>/bindings")
@signed_in
async def bind(name: str) -> Any:
    """Give it to somebody. They need not exist yet: it waits for their name."""
    form = await sent()
    subject, space = form.get("subject", "").strip(), form.get("space", "").strip() or None
    await require("bindings.create", f"space/{space}" if space else "")
    try:
        if not principals.NAME.fullmatch(subject):
            raise Invalid("subject: the name of somebody")
        await server().write(access.bind, subject, name, space)
    except RociError as error:
        return await _page(name, error)
    return done(f"/people/roles/{name}", _("%(name)s has the role %(role)s", name=subject, role=name))


async def revocable(id: str) -> Binding:
    """What somebody has and who asks may take back. Who may take nothing back does not learn what there is."""
    try:
        row = await server().read(roles.binding, id)
    except NotFound:
        await require("bindings.delete")
        raise
    try:
        await require("bindings.delete", f"space/{row.space}" if row.space else "")
    except Forbidden:
        await require("bindings.delete")  # the same words as for what there is not
        raise
    return row


@routes.post("/roles/<name>/bindings/<binding>/remove")
@signed_in
async def unbind(name: str, binding: str) -> Any:
    """Take it back from somebody."""
    await sent()
    row = await revocable(binding)
    try:
        await server().write(access.unbind, binding)
    except RociError as error:
        return await _page(name, error)
    return done(f"/people/roles/{name}", _("%(name)s has the role %(role)s no more", name=row.subject, role=row.role))
