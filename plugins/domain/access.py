"""Who may do what. Every change of roles and bindings passes here: nobody grants what they lack, and somebody stays
who may do everything. The decision itself is made from memory, by the authorizer; this reads the tables.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from typing import Any, cast

import peewee

from roci import Actor, Conflict, Event, Forbidden, Migration, Permission, current_actor, hookimpl, outbox

from . import principals, roles, rules
from .principals import NewPrincipal, Principal
from .roles import ADMIN, BASE, Binding, Hierarchy, NewRole, Role
from .rules import ANY, Grant, Rule

FIRST_BINDING = "admin-binding"
VOCABULARY = {
    "principals.list": "list people and services",
    "principals.get": "see somebody",
    "principals.create": "add people and services",
    "principals.update": "change, disable and enable somebody, set their password, reset their second factors",
    "principals.delete": "remove somebody",
    "tokens.list": "see everybody's API tokens",
    "tokens.create": "make API tokens for others",
    "tokens.revoke": "revoke others' API tokens",
    "roles.list": "list roles",
    "roles.get": "see what a role grants",
    "roles.create": "make roles, of what one holds oneself",
    "roles.update": "change roles, of what one holds oneself",
    "roles.delete": "remove roles",
    "bindings.list": "see who has which role",
    "bindings.get": "see one binding",
    "bindings.create": "give roles that one holds oneself",
    "bindings.delete": "take roles back",
    "access.explain": "ask why others may or may not do something",
}


def actor(principal: Principal, scopes: Iterable[str] | None = None, via: str = "", credential: str = "") -> Actor:
    """The principal as it acts through a credential; `scopes` only ever narrow what it may."""
    narrowed = None if scopes is None else frozenset(scopes)
    return Actor(principal.id, principal.name, principal.kind, frozenset(), narrowed, via, credential)


# --- what somebody holds -----------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Source:
    """One rule somebody has, and where it comes from: a binding, and the roles from the bound one to the rule's."""

    grant: Grant
    binding: Binding
    role: str


def sources(principal: Principal) -> list[Source]:
    """All that a principal holds, with its origin."""
    known = Hierarchy()
    return [
        Source(grant, binding, name)
        for binding in roles.bindings(principal.name)
        for name, rule in known.by_origin([binding.role])
        for grant in rules.confined([Grant(*rule, binding.space)], principal.space)
    ]


def grants(principal: Principal) -> list[Grant]:
    return [source.grant for source in sources(principal)]


def effective_rules(names: Iterable[str]) -> list[Rule]:
    """What these roles grant together, inherited ones included, each rule once."""
    return Hierarchy().rules(names)


def givers(action: str, resource: str = "") -> list[str]:
    """The roles that would allow this, bound everywhere."""
    known = Hierarchy()
    wanted = [name for name in known.rows if any(_gives(rule, action, resource) for rule in known.rules([name]))]
    return sorted(wanted)


def _gives(rule: Rule, action: str, resource: str) -> bool:
    return rules.allows(Grant(*rule, None), action, resource)


@dataclasses.dataclass(frozen=True)
class Explanation:
    """Whether somebody may do something, and why: the rules that allow it, or what comes nearest."""

    allowed: bool
    why: str
    because: Sequence[Source] = ()
    nearly: Sequence[Source] = ()


def explain(principal: Principal, action: str, resource: str = "") -> Explanation:
    """The same decision as the authorizer's, with its reasons. A credential's scopes can narrow it further."""
    held = sources(principal)
    because = [source for source in held if rules.allows(source.grant, action, resource)]
    nearly = [source for source in held if source not in because and rules.matches(source.grant.action, action)]
    what = f"{action} on {resource}" if resource else action
    if principal.disabled:
        return Explanation(False, f"{principal.name} is disabled", because, nearly)
    if because:
        first = because[0]
        where = f"in the space {first.binding.space}" if first.binding.space else "everywhere"
        return Explanation(True, f"{principal.name} may {what}: the role {first.role} allows it {where}", because)
    if nearly:
        reach = ", ".join(sorted({_reach(source) for source in nearly}))
        return Explanation(False, f"{principal.name} may not {what}: it is allowed only on {reach}", (), nearly)
    if not held:
        return Explanation(False, f"{principal.name} may not {what}: no role is bound to {principal.name}")
    return Explanation(False, f"{principal.name} may not {what}: no role of theirs grants {action}")


def _reach(source: Source) -> str:
    if source.grant.space is None:
        return source.grant.resource
    return f"space/{source.grant.space}" if source.grant.resource == ANY else source.grant.resource


# --- nobody grants what they lack --------------------------------------------


def require_grantable(wanted: Iterable[Grant]) -> None:
    """Raise Forbidden unless the current actor holds all of it, within its credential's scopes."""
    held = _held(current_actor.get())
    if held is None:
        return
    for each in wanted:
        if not any(rules.contains(mine, each) for mine in held):
            where = f" in {each.space}" if each.space else ""
            raise Forbidden(
                f"nobody grants what they lack: {each.action} on {each.resource}{where} is not yours to give"
            )


def _held(who: Actor) -> list[Grant] | None:
    """What an actor may pass on; None: everything."""
    if who.kind == "system":
        return None
    if who.scopes is not None and ANY not in who.scopes:
        return [Grant(scope, ANY, None) for scope in who.scopes if _may_all(who, scope)]
    if ANY in who.rights:
        return None
    principal = Principal.by_id(who.id)
    return grants(principal) if principal is not None else [Grant(right, ANY, None) for right in who.rights]


def _may_all(who: Actor, pattern: str) -> bool:
    unscoped = _held(dataclasses.replace(who, scopes=None))
    return unscoped is None or any(rules.contains(mine, Grant(pattern, ANY, None)) for mine in unscoped)


def require_covers(principal: Principal) -> None:
    """Raise Forbidden unless the current actor holds all that the principal holds: whoever sets a password, makes a
    token or resets a factor could act as its owner."""
    if current_actor.get().id != principal.id:
        require_grantable(grants(principal))


def require_mastery(principal: Principal) -> None:
    """Nobody gets more by way of somebody else, nor by way of themselves from a credential that is for less."""
    require_grantable(grants(principal))


# --- changes -----------------------------------------------------------------


def add_role(new: NewRole) -> Role:
    """Raises Forbidden for rules that the current actor lacks, Conflict for a name that is taken."""
    require_grantable(Grant(*rule, None) for rule in (*new.rules, *effective_rules(new.inherits)))
    return roles.store(new)


def change_role(name: str, **changes: Any) -> Role:
    """Set description, text, rules, inherits or dialect. What it grants afterwards must be the actor's to give."""
    row = roles.get(name)
    if name in (ADMIN, BASE) and {"rules", "inherits", "text"} & changes.keys():
        raise Conflict(f"the role {name} always grants {'everything' if name == ADMIN else 'nothing by itself'}")
    wanted: list[Rule] = [*changes.get("rules", row.grants), *effective_rules(changes.get("inherits", row.inherits))]
    require_grantable(Grant(*rule, None) for rule in wanted)
    changed = roles.edit(name, **changes)
    _recount()
    return changed


def remove_role(name: str) -> None:
    """Its bindings go with it. The role admin stays."""
    if name in (ADMIN, BASE):
        raise Conflict(f"the role {name} is built in and cannot be removed")
    roles.drop(name)
    _recount()


def bind(subject: str, role: str, space: str | None = None, id: str | None = None) -> Binding:
    """Give somebody a role, everywhere or in one space. The subject need not exist yet."""
    require_grantable(Grant(*rule, space) for rule in effective_rules([role]))
    row = roles.tie(subject, role, space, id)
    _recount()
    return row


def unbind(id: str) -> None:
    """Take a role back. Raises Conflict for the last administrator's."""
    roles.release(id)
    _recount()


def unbind_space(space: str) -> None:
    """A space is gone, and with it what was limited to it."""
    roles.release_space(space)


def confine(principal_id: str, space: str | None) -> Principal:
    """Limit somebody to one space, or to none."""
    if space is None:  # it may come to hold more than it does
        bound, known = roles.bindings(principals.get(principal_id).name), Hierarchy()
        require_grantable(Grant(*rule, each.space) for each in bound for rule in known.rules([each.role]))
    row = principals.change(principal_id, space=space)
    _recount()
    return row


def make_administrator(name: str) -> None:
    """Give somebody the role that holds everything. Once is enough."""
    seed()
    if roles.find_binding(name, ADMIN, None) is None:
        first = not roles.bindings()
        bind(name, ADMIN, id=FIRST_BINDING if first else None)


def add_administrator(new: NewPrincipal) -> Principal:
    row = principals.add(new)
    make_administrator(row.name)
    return principals.get(row.id)


def _recount() -> None:
    """Somebody who may do everything must stay, able to sign in and mend things."""
    principals.set_administrators(roles.holders_of_everything())


# --- the book: all of it, in memory ------------------------------------------


@dataclasses.dataclass(frozen=True)
class Book:
    """Roles, bindings and who is confined, as they were at one moment, ready to decide."""

    rules: dict[str, tuple[Rule, ...]]  # by role, inherited ones included
    bound: dict[str, tuple[tuple[str, str | None], ...]]  # by subject in lower case: role and space
    names: dict[str, str]  # by principal id: whose bindings are whose. A plugin's own actor may be called admin, too
    spaces: dict[str, str]  # by principal id: the space it is confined to

    def grants(self, who: Actor) -> tuple[Grant, ...]:
        """What a stored principal holds."""
        bound = self.bound.get(self.names.get(who.id, ""), ())
        found = (Grant(*rule, space) for role, space in bound for rule in self.rules.get(role, ()))
        return tuple(rules.confined(found, self.spaces.get(who.id)))


def _everybody() -> Any:
    return Principal.select(Principal.id, Principal.name, Principal.space)


def book() -> Book:
    known = Hierarchy()
    everybody = cast(Iterable[tuple[str, str, str | None]], list(_everybody().tuples()))
    bound: dict[str, list[tuple[str, str | None]]] = {}
    for row in reversed(roles.bindings()):
        bound.setdefault(row.subject.lower(), []).append((row.role, row.space))
    return Book(
        {name: tuple(known.rules([name])) for name in known.rows},
        {subject: tuple(found) for subject, found in bound.items()},
        {id: name.lower() for id, name, _ in everybody},
        {id: space for id, _, space in everybody if space is not None},
    )


def edition() -> tuple[Any, ...]:
    """Another value after any change of what a book is made from, whoever made it."""
    counted = (
        "(select count(*) || max(updated_at) from role)",
        "(select count(*) || max(updated_at) from binding)",
        "(select count(*) || max(created_at) from principal)",
        "(select count(*) || max(updated_at) from principal where space is not null)",
    )
    sql = cast(Callable[..., Any], Role._meta.database.execute_sql)
    return tuple(sql(f"select {', '.join(counted)}").fetchone())


def is_about_rights(event: Event) -> bool:
    """Whether a book from before this event is out of date."""
    return isinstance(event, roles.RoleEvent | roles.BindingEvent | principals.PrincipalEvent)


# --- the first start ---------------------------------------------------------


def seed() -> None:
    """The roles every ROCI has."""
    roles.seed(NewRole(ADMIN, [Rule(ANY)], "Everything, everywhere", built_in=True))
    roles.seed(NewRole(BASE, [], "Nothing by itself", built_in=True))


def _bind_administrators(db: peewee.SqliteDatabase) -> None:
    """Before there were roles, a mark made the administrator."""
    db.create_tables([Role, Binding])
    token = outbox.set([])  # nothing is published of it
    try:
        seed()
        sql = cast(Callable[..., Any], db.execute_sql)
        for (name,) in sql("select name from principal where administrator = 1 order by rowid").fetchall():
            roles.tie(name, ADMIN, id=None if roles.bindings() else FIRST_BINDING)
    finally:
        outbox.reset(token)


@hookimpl
def register_permissions() -> list[Permission]:
    return [Permission(name, meaning) for name, meaning in VOCABULARY.items()]


@hookimpl
def register_migrations() -> list[Migration]:
    return [Migration("access_0001_bind_administrators", _bind_administrators)]
