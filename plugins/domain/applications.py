"""What is to run: named Compose files with numbered revisions, and the state each is in."""

from __future__ import annotations

import dataclasses
import hashlib
import re
from collections.abc import Container, Mapping
from typing import Any

import peewee

from roci import SYSTEM, Conflict, Event, Invalid, NotFound, Spec, current_actor, emit, hookimpl, now

from . import hosts
from .model import Model, Utc, picked

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
LONGEST_DESCRIPTION = 10_000  # characters
LONGEST = 256 * 1024  # bytes of Compose file
MOVES = {
    "stopped": {"deploying"},
    "running": {"deploying", "stopped", "failed"},
    "failed": {"deploying", "stopped", "running"},
    "deploying": {"running", "failed"},
}


class Application(Model):
    name = peewee.TextField()
    key = peewee.TextField(unique=True)  # the name in lower case, which must be unique
    description = peewee.TextField(default="")
    backend = peewee.TextField(default="compose")
    status = peewee.TextField(default="stopped")  # stopped, deploying, running, failed
    host_id = peewee.TextField(null=True, index=True)  # where it belongs: the next deploy goes there
    revision = peewee.IntegerField(default=1)
    deployed_host_id = peewee.TextField(null=True, index=True)  # where it lies; None: no host has files of it
    deployed_revision = peewee.IntegerField(null=True)  # accepted there last; a failure may have left things too
    running_revision = peewee.IntegerField(null=True)  # deployed there last with success
    last_error = peewee.TextField(null=True)
    last_deployed_at = Utc(null=True)
    updated_at = Utc(default=now)

    class Meta:
        only_save_dirty = True


class Revision(Model):
    application = peewee.ForeignKeyField(Application, backref="revisions", on_delete="CASCADE")
    number = peewee.IntegerField()
    text = peewee.TextField()
    author = peewee.TextField()

    class Meta:
        indexes = ((("application", "number"), True),)


@dataclasses.dataclass(frozen=True)
class ApplicationAdded(Event):
    application_id: str
    name: str
    after: Mapping[str, Any] | None = None


@dataclasses.dataclass(frozen=True)
class ApplicationChanged(Event):
    application_id: str
    name: str
    changes: Mapping[str, Any]
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None


@dataclasses.dataclass(frozen=True)
class ApplicationMoved(Event):
    """Its status changed."""

    application_id: str
    name: str
    status: str
    error: str | None
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None


@dataclasses.dataclass(frozen=True)
class ApplicationRemoved(Event):
    application_id: str
    name: str
    before: Mapping[str, Any] | None = None


def get(application_id: str) -> Application:
    application: Application | None = Application.by_id(application_id)
    if application is None:
        raise NotFound("Application not found")
    return application


def all_() -> list[Application]:
    return list(Application.select().order_by(Application.created_at, Application.id))


def lying_on(host_id: str, project: str) -> Application | None:
    """The application whose Compose project on a host is this one."""
    mine = (Application.deployed_host_id == host_id) & (Application.key == project)
    found: Application | None = Application.get_or_none(mine)
    return found


def projects_of(host_id: str, everywhere: Container[str] = ()) -> list[str]:
    """The Compose projects whose data may lie on a host: of its applications, and of backends that use many hosts."""
    return [row.key for row in all_() if host_id in (row.host_id, row.deployed_host_id) or row.backend in everywhere]


def revisions(application_id: str) -> list[Revision]:
    """Newest first."""
    return list(_revisions(get(application_id)).order_by(Revision.number.desc()))


def history(application_id: str) -> list[Revision]:
    """The same without their texts."""
    told = (Revision.number, Revision.author, Revision.created_at)
    mine = Revision.select(*told).where(Revision.application == get(application_id))
    return list(mine.order_by(Revision.number.desc()))


def _revisions(application: Application) -> peewee.ModelSelect[Revision]:
    return Revision.select().where(Revision.application == application)


def text(application: Application, number: int | None = None) -> str:
    """The Compose file at a revision; None: the current one."""
    wanted = application.revision if number is None else number
    revision = Revision.first("application_id = ? and number = ?", application.id, wanted)
    if revision is None:
        raise NotFound(f"Revision {wanted} not found")
    return str(revision.text)


def spec(application: Application) -> Spec:
    return Spec(application.name, text(application))


def check_name(name: str) -> None:
    if not NAME.fullmatch(name):
        raise Invalid("name: 1 to 63 letters, digits, dots, dashes or underscores, beginning with a letter or digit")


def check_text(compose: str) -> None:
    if not compose.strip():
        raise Invalid("compose_yaml: must not be empty")
    if len(compose.encode()) > LONGEST:
        raise Invalid(f"compose_yaml: at most {LONGEST // 1024} KiB")


def check_description(description: str) -> None:
    if len(description) > LONGEST_DESCRIPTION:
        raise Invalid(f"description: at most {LONGEST_DESCRIPTION} characters")


def add(
    name: str, compose: str, description: str = "", host_id: str | None = None, backend: str = "compose"
) -> Application:
    """A new application, stopped, at revision 1. The backend has validated the file. Raises Conflict."""
    check_name(name)
    check_text(compose)
    check_description(description)
    if Application.get_or_none(Application.key == project_key(name)):
        raise Conflict(f"an application named {name!r} already exists")
    application = Application.create(
        name=name, key=project_key(name), description=description, host_id=host_id, backend=backend
    )
    _revise(application, compose)
    emit(ApplicationAdded(application.id, name, _state(application)))
    return application


def project_key(name: str) -> str:
    """Two names that would become one Compose project are one name."""
    return Spec(name, "").project


def change(application_id: str, *, for_next_deploy: bool = False, **changes: Any) -> Application:
    """Change description, compose (a new revision, unless it is the same text), host_id or backend.

    `for_next_deploy`: a new revision may be kept while the application runs, which goes on as it is until then; the
    published API does not let that happen. Raises Conflict, and Invalid that names what is wrong.
    """
    application = get(application_id)
    before, compose = _state(application), changes.pop("compose", None)
    if compose is not None and compose != text(application):
        check_text(compose)
        if application.status == "deploying" or (application.status == "running" and not for_next_deploy):
            raise Conflict(f"compose_yaml cannot change while the application is {application.status}: stop it first")
        application.revision += 1
        _revise(application, compose)
    check_description(changes.get("description") or "")
    for field in ("host_id", "backend"):
        if field in changes and changes[field] != getattr(application, field):
            _may_move(application, field)
    for field, value in changes.items():
        setattr(application, field, value)
    application.updated_at = now()
    application.save()
    changed = {**changes, "revision": application.revision}
    emit(ApplicationChanged(application.id, application.name, changed, before, _state(application)))
    return application


def _state(application: Application) -> dict[str, Any]:
    """An application as the audit trail shows it. Its file may hold secrets: only what tells it from others."""
    digest = hashlib.sha256(text(application).encode()).hexdigest()
    return picked(application, "name", "description", "backend", "host_id", "revision") | {"sha256": digest}


def _may_move(application: Application, field: str) -> None:
    if application.status in ("running", "deploying"):
        raise Conflict(f"{field} cannot change while the application is {application.status}: stop it first")


def _revise(application: Application, compose: str) -> None:
    author = current_actor.get(SYSTEM).name
    Revision.create(application=application, number=application.revision, text=compose, author=author)


def move(application: Application, status: str, error: str | None = None) -> Application:
    """Bring an application into a state, or raise Conflict. An error stays until the next success."""
    if status != application.status and status not in MOVES[application.status]:
        raise Conflict(f"the application is {application.status}")
    before = {"status": application.status, "error": application.last_error}
    application.status, application.last_error = status, error
    application.save()
    after = {"status": status, "error": error}
    emit(ApplicationMoved(application.id, application.name, status, error, before, after))
    return application


def check_deployable(application: Application, host_id: str | None) -> None:
    """Whether its state allows a deploy onto that host. Raises Conflict."""
    if application.status == "deploying":
        raise Conflict("the application is already deploying")
    if application.status == "running" and host_id != application.deployed_host_id:
        raise Conflict("the application is running on another agent: stop it first")


def begin_deploy(application: Application, host_id: str) -> Application:
    """Accept a deploy onto a host: it becomes the assigned one. What lies on another is the caller's to clear."""
    check_deployable(application, host_id)
    if host_id != application.deployed_host_id:
        application.running_revision = None
    application.host_id = application.deployed_host_id = host_id
    application.updated_at = now()
    application.deployed_revision, application.last_deployed_at = application.revision, now()
    return move(application, "deploying")


def begin_stop(application: Application) -> Application:
    if application.status not in ("running", "failed"):
        raise Conflict(f"the application is {application.status}, so there is nothing to stop")
    return application


def check_restartable(application: Application, host_id: str) -> Application:
    """Whether it runs, or did, on that host. Raises Conflict."""
    if application.status not in ("running", "failed"):
        raise Conflict(f"the application is {application.status}, so there is nothing to restart")
    if application.deployed_host_id != host_id:
        raise Conflict("the application has just been given to another host: try again")
    return application


def begin_start(application: Application) -> Application:
    if application.status not in ("stopped", "failed"):
        raise Conflict(f"the application is {application.status}, so it cannot be started")
    if application.deployed_revision is None:
        raise Conflict("the application was never deployed: deploy it first")
    if application.host_id not in (None, application.deployed_host_id):
        raise Conflict("the application was never deployed to that agent: deploy it first")
    return move(application, "deploying")


def come_up(application: Application, deployed: bool = False) -> Application:
    """It runs, after a deploy or a start. Heard of late, once it was given to another host, it belongs here again."""
    application.host_id = application.deployed_host_id
    if deployed:
        application.running_revision = application.deployed_revision
    return move(application, "running")


def check_removable(application: Application, confirm_name: str | None) -> Application:
    if confirm_name != application.name:
        raise Invalid("confirm_name: must be the application's name, exactly")
    if application.status == "deploying":
        raise Conflict("the application is deploying: wait for it, or cancel")
    return application


def remove(application: Application) -> None:
    """Forget an application and its revisions. The host's part is the operation's."""
    before = _state(application)
    application.delete_instance()
    emit(ApplicationRemoved(application.id, application.name, before))


def forget_host(host_id: str) -> hosts.Host:
    """Remove a host. Its applications belong to nobody then; what lies there, nobody knows of any more."""
    there = (Application.host_id == host_id) | (Application.deployed_host_id == host_id)
    for application in Application.select().where(there):
        if application.host_id == host_id:
            application.host_id = None
        if application.deployed_host_id == host_id:
            application.deployed_host_id = application.deployed_revision = application.running_revision = None
            if application.status in ("running", "deploying"):
                move(application, "failed", "agent removed")
        application.save()
    return hosts.remove(host_id)


@hookimpl
def register_models() -> list[type[peewee.Model]]:
    return [Application, Revision]
