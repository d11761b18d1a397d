"""The authorizer: decided from memory, right after every change, narrowed by the credential."""

from __future__ import annotations

from roci import Actor, Roci, core
from roci_plugins.auth.rbac import Rbac
from roci_plugins.domain import access, principals
from roci_plugins.domain.principals import NewPrincipal
from roci_plugins.domain.roles import NewRole
from roci_plugins.domain.rules import Rule


async def somebody(roci: Roci) -> Actor:
    return access.actor(await roci.write(principals.add, NewPrincipal("ann")))


async def test_a_change_counts_from_the_moment_it_is_made(roci: Roci) -> None:
    ann = await somebody(roci)
    assert not roci.may(ann, "hosts.read")
    await roci.write(access.add_role, NewRole("viewer", [Rule("hosts.read")]))
    binding = await roci.write(access.bind, "ann", "viewer")
    assert roci.may(ann, "hosts.read") and not roci.may(ann, "hosts.remove")
    await roci.write(access.change_role, "viewer", rules=[Rule("hosts.remove")])
    assert roci.may(ann, "hosts.remove") and not roci.may(ann, "hosts.read")
    await roci.write(access.unbind, binding.id)
    assert not roci.may(ann, "hosts.remove")


async def test_scopes_narrow_and_never_widen(roci: Roci) -> None:
    ann = await somebody(roci)
    await roci.write(access.bind, "ann", "admin")
    narrow = Actor(ann.id, ann.name, scopes=frozenset({"hosts.*"}))
    assert roci.may(narrow, "hosts.read") and not roci.may(narrow, "applications.read")
    nobody = Actor("x", "nobody", scopes=frozenset({"*"}))
    assert not roci.may(nobody, "hosts.read")


async def test_what_is_no_stored_principal_has_the_rights_it_carries(roci: Roci) -> None:
    key = Actor("key", "probe", "agent", rights=frozenset({"metrics.write"}))
    assert roci.may(key, "metrics.write") and not roci.may(key, "hosts.read")


async def test_a_name_alone_gives_nothing(roci: Roci) -> None:
    await roci.write(access.add_administrator, NewPrincipal("admin"))
    assert not roci.may(Actor("a plugin's own", "admin"), "hosts.read")


async def test_the_command_line_is_noticed(roci: Roci) -> None:
    ann = await somebody(roci)
    other = Roci(roci.settings)
    other.store.prepare(core("loading").flatten(other.hook.register_models()), list(_migrations(other)))
    with other.store.transaction():
        access.make_administrator("ann")
    other.store.close()
    for model in core("loading").flatten(roci.hook.register_models()):
        model.bind(roci.store.db)
    await roci.part(Rbac).refresh()
    assert roci.may(ann, "hosts.read")


def _migrations(roci: Roci) -> list[object]:
    found: list[object] = core("loading").flatten(roci.hook.register_migrations())
    return found
