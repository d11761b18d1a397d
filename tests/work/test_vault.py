"""Several stores as one, and what deploys get from them."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from roci import Conflict, Invalid, NotFound, Roci, Sensitive, Settings, StartupError, Unavailable, hookimpl
from roci_plugins.agent.scripted import ScriptedAgent, until
from roci_plugins.domain import applications, events, keyring, operations, secrets
from roci_plugins.domain.applications import Application
from roci_plugins.secretstores import Scope, SecretStore, Stored
from roci_plugins.work import deploy, vault
from roci_plugins.work.operate import Operator
from roci_plugins.work.vault import Vault

COMPOSE = "services:\n  w:\n    image: nginx\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (folder := tmp_path / "mounted").mkdir()
    return folder


@pytest.fixture
def settings(tmp_path: Path, folder: Path) -> Settings:
    sections = {"secrets": {"folder": str(folder)}}
    return Settings(data_dir=str(tmp_path / "data"), local_agent=False, sections=sections)


@pytest.fixture
def box(roci: Roci) -> Vault:
    return vault.of(roci)


@pytest_asyncio.fixture
async def a1(roci: Roci) -> Application:
    return await roci.write(applications.add, "a1", COMPOSE)


def mount(folder: Path, application: str, **files: str) -> None:
    (place := folder / "applications" / application).mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (place / name).write_text(text)


async def recorded(roci: Roci, name: str) -> list[Any]:
    return [row.data for row in (await roci.read(events.list_, name=name))[0]]


async def test_the_first_store_that_has_a_name_counts(box: Vault, folder: Path, a1: Application) -> None:
    scope = f"application/{a1.id}"
    await box.put(scope, "BOTH", Sensitive("of the database"))
    mount(folder, "a1", BOTH="of the folder", ONLY_THERE="2\n")
    found = [(entry.stored.name, entry.store) for entry in await box.names(scope)]
    assert found == [("BOTH", "database"), ("ONLY_THERE", "folder")]
    assert await box.reveal(scope, "BOTH") == "of the database"
    assert await box.values_for(a1.id) == {"BOTH": "of the database", "ONLY_THERE": "2"}


async def test_what_a_read_only_store_has_is_neither_set_nor_removed(box: Vault, folder: Path) -> None:
    (folder / "MOUNTED").write_text("1")
    with pytest.raises(Conflict, match="MOUNTED comes from the folder"):
        await box.put("platform", "MOUNTED", Sensitive("2"))
    with pytest.raises(Conflict, match="MOUNTED comes from the folder"):
        await box.remove("platform", "MOUNTED")
    assert await box.reveal("platform", "MOUNTED") == "1"


async def test_each_value_that_is_given_is_recorded_wherever_it_lies(
    roci: Roci, box: Vault, folder: Path, a1: Application
) -> None:
    (folder / "MOUNTED").write_text("swordfish-1")
    mount(folder, "a1", A="swordfish-2", B="swordfish-3")
    await box.names("platform")
    await box.reveal("platform", "MOUNTED")
    await box.values_for(a1.id)
    assert await recorded(roci, "SecretRead") == [{"name": "MOUNTED", "scope": "platform"}]
    assert await recorded(roci, "SecretsRead") == [{"names": ["A", "B"], "scope": f"application/{a1.id}"}]
    for path in roci.settings.data.rglob("*"):
        assert not path.is_file() or b"swordfish" not in path.read_bytes()


async def test_files_that_compose_cannot_use_stay_out_of_deploys(box: Vault, folder: Path, a1: Application) -> None:
    mount(folder, "a1", **{"tls.crt": "x", "PATH": "/evil", "FINE": "1"})
    assert await box.values_for(a1.id) == {"FINE": "1"}


async def test_a_name_that_was_allowed_once_can_be_read_and_removed_but_not_set_or_deployed(
    roci: Roci, box: Vault, a1: Application
) -> None:
    scope, name = f"application/{a1.id}", "OTEL_EXPORTER_OTLP_ENDPOINT"
    for free in ("COMPOSE_PROFILES", "DOCKER_GID"):
        await roci.write(secrets.put, keyring.of(roci), scope, free, "front")
    sealed = keyring.of(roci).seal("http://10.0.0.1", f"{scope}/{name}")
    row = {"scope": scope, "name": name, "key_id": sealed.key_id, "blob": sealed.blob, "created_by": "ann"}
    await roci.write(lambda: secrets.Secret.create(**row))
    assert [entry.stored.name for entry in await box.names(scope)] == ["COMPOSE_PROFILES", "DOCKER_GID", name]
    assert await box.reveal(scope, name) == "http://10.0.0.1"
    with pytest.raises(Invalid, match="OTEL_EXPORTER_OTLP_ENDPOINT is the run's own"):
        await box.put(scope, name, Sensitive("http://10.0.0.2"))
    with pytest.raises(Invalid, match="OTEL_EXPORTER_OTLP_ENDPOINT is the run's own"):
        await deploy.deploy(roci, a1.id, None, {})
    await box.remove(scope, name)
    assert await box.values_for(a1.id) == {"COMPOSE_PROFILES": "front", "DOCKER_GID": "front"}


async def test_internal_scopes_and_missing_owners_have_no_secrets(box: Vault) -> None:
    for scope in ("system", "principal/x", "provider/x", "application/none", "space/none"):
        with pytest.raises(NotFound):
            await box.names(scope)
        with pytest.raises(NotFound):
            await box.put(scope, "K", Sensitive("v"))
    with pytest.raises(Invalid):
        await box.names("anything")


async def test_a_plugin_brings_a_store_with_one_hook(tmp_path: Path) -> None:
    """register_secret_stores: the example that somebody with a password manager would follow."""

    class Manager:
        name = "manager"
        writable = True

        def __init__(self) -> None:
            self.kept: dict[str, Sensitive] = {"FROM_AFAR": Sensitive("1")}

        async def names(self, scope: Scope) -> Sequence[Stored]:
            return [Stored(name) for name in self.kept] if scope.id == "platform" else []

        async def get(self, scope: Scope, name: str) -> Sensitive | None:
            return self.kept.get(name)

        async def set(self, scope: Scope, name: str, value: Sensitive, description: str | None) -> None:
            self.kept[name] = value

        async def remove(self, scope: Scope, name: str) -> None:
            del self.kept[name]

    class Plugin:
        __name__ = "manager"

        def __init__(self, store: SecretStore) -> None:
            self.store = store

        @hookimpl
        def register_secret_stores(self, roci: Roci) -> Iterable[SecretStore]:
            return [self.store]

    settings = Settings(data_dir=str(tmp_path / "data"), local_agent=False)
    async with (roci := Roci(settings, [Plugin(manager := Manager())])).running():
        box = vault.of(roci)
        assert await box.reveal("platform", "FROM_AFAR") == "1"
        await box.put("platform", "FROM_AFAR", Sensitive("2"))
        await box.put("platform", "NEW", Sensitive("3"))
        assert manager.kept == {"FROM_AFAR": "2"}
        assert [(entry.stored.name, entry.store) for entry in await box.names("platform")] == [
            ("FROM_AFAR", "manager"),
            ("NEW", "database"),
        ]
        await box.remove("platform", "FROM_AFAR")
        assert manager.kept == {}
    with pytest.raises(StartupError, match="store of secrets named 'manager'"):
        Roci(settings, [Plugin(Manager()), type("Other", (Plugin,), {"__name__": "other"})(Manager())])


async def test_a_store_that_is_away_is_told_by_the_health_check(roci: Roci, folder: Path) -> None:
    assert await roci.health_checks["secrets"].check() is None
    folder.rmdir()
    assert "is it mounted" in (await roci.health_checks["secrets"].check() or "")


# --- deploys -----------------------------------------------------------------


async def ended(roci: Roci, operation: Any) -> Any:
    await until(lambda: roci.part(Operator).run(operation.id) is None)
    return await roci.read(operations.get, operation.id)


async def test_a_deploy_gets_the_applications_secrets_and_its_own_win(
    roci: Roci, box: Vault, folder: Path, a1: Application, agent: ScriptedAgent, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    await box.put(f"application/{a1.id}", "STORED", Sensitive("swordfish-stored"))
    await box.put(f"application/{a1.id}", "BOTH", Sensitive("swordfish-lost"))
    mount(folder, "a1", MOUNTED="swordfish-mounted")
    given = {"BOTH": Sensitive("swordfish-given")}
    operation = await deploy.deploy(roci, a1.id, agent.agent_id, given)
    frame = await agent.answer(output="swordfish-stored swordfish-mounted swordfish-given")
    sent = {secret["name"]: secret["value"] for secret in frame["secrets"]}
    assert sent == {"STORED": "swordfish-stored", "MOUNTED": "swordfish-mounted", "BOTH": "swordfish-given"}
    row = await ended(roci, operation)
    assert (row.status, row.output) == ("succeeded", "*** *** ***")
    assert row.args == {"secrets": ["BOTH", "MOUNTED", "STORED"]}
    for path in roci.settings.data.rglob("*"):
        assert not path.is_file() or b"swordfish" not in path.read_bytes(), path
    assert "swordfish" not in caplog.text


async def test_a_deploy_whose_secrets_cannot_be_read_changes_nothing(
    roci: Roci, box: Vault, folder: Path, a1: Application, agent: ScriptedAgent
) -> None:
    mount(folder, "a1", LARGE="x" * 70_000)
    with pytest.raises(Unavailable, match="LARGE"):
        await deploy.deploy(roci, a1.id, agent.agent_id, {})
    assert (await roci.read(applications.get, a1.id)).status == "stopped"


async def test_stored_and_given_secrets_are_counted_together(
    roci: Roci, box: Vault, folder: Path, a1: Application, agent: ScriptedAgent
) -> None:
    mount(folder, "a1", **{f"S{number}": "v" for number in range(deploy.MOST_SECRETS)})
    with pytest.raises(Invalid, match="at most 100"):
        await deploy.deploy(roci, a1.id, agent.agent_id, {"ONE_MORE": Sensitive("v")})


async def test_with_an_application_its_secrets_go(roci: Roci, box: Vault, a1: Application) -> None:
    await box.put(f"application/{a1.id}", "STORED", Sensitive("v"))
    await box.put("platform", "STAYS", Sensitive("v"))
    await deploy.delete(roci, a1.id, "a1")
    left = [row.name for row in await roci.read(secrets.list_) if row.scope != "system"]
    assert left == ["STAYS"] and len(await recorded(roci, "SecretRemoved")) == 1
