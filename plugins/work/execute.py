"""What is done to a host itself: a command, a container, a registry, an image, a reboot. Each is one operation.

Whoever may call these was asked before. All raise NotFound for a host that is not approved, Invalid for arguments
that break a rule, NotReady for a host that is not connected or does not allow it; then nothing is recorded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from roci import Conflict, Invalid, NotFound, OperationKind, Outcome, Permission, Roci, Sensitive, hookimpl

from ..agent import naming, wire
from ..agent.hub import Hub
from ..agent.masking import Masker, without_secrets, without_url_secrets
from ..agent.steps import Keeper
from ..domain import applications, hosts, operations, registries
from ..domain.applications import Application
from ..domain.hosts import Host
from ..domain.model import new_id
from ..domain.operations import Cause, Operation, current_cause
from ..domain.secrets import VARIABLE
from .operate import Operator
from .run import Run
from .whole import whole

LONGEST_COMMAND = 8192  # characters
LONGEST_FOLDER = 1024
MOST_VARIABLES, LONGEST_ENVIRONMENT = 200, 64 * 1024  # names; bytes of names and values
TIMEOUTS = range(1, 901)  # seconds
PULL_TIMEOUTS = range(1, 3601)
GRACES = range(0, 601)
ACTIONS = ("start", "stop", "restart", "pause", "unpause", "remove")
RUNNING = ("running", "paused", "restarting")  # words for the state of a container that is up
PRUNABLE = ("containers", "images", "networks", "volumes", "build_cache")
REBOOT_WITHIN = 300  # seconds

PERMISSIONS = (
    Permission("hosts.exec", "run commands on hosts"),
    Permission("hosts.reboot", "reboot hosts"),
    Permission("hosts.prune", "remove from hosts what nothing uses"),
    Permission("containers.control", "start, stop, restart, pause and unpause containers"),
    Permission("containers.remove", "remove containers"),
    Permission("containers.logs", "read the logs of containers"),
    Permission("images.pull", "have hosts pull images"),
    Permission("registries.login", "log hosts in at registries, and out"),
)


def host(host_id: str) -> Host:
    """An approved host; to everybody else it is not there."""
    found = hosts.get(host_id)
    if found.status != "approved":
        raise NotFound("Agent not found")
    return found


async def execute(
    roci: Roci,
    host_id: str,
    command: str,
    working_directory: str | None = None,
    env: Mapping[str, str] | None = None,
    seconds: int = 60,
) -> Run:
    """Run a shell line on a host. The environment's values are stored nowhere, its names are."""
    env = env or {}
    check_command(command, working_directory, seconds)
    check_environment("env", env)
    args = {"command": command, "secrets": sorted(env)}
    if working_directory:
        args["working_directory"] = working_directory
    message = wire.Exec(
        command_id=new_id(),
        command=command,
        working_directory=working_directory,
        env=dict(env),
        timeout_seconds=seconds,
    )
    return await _do(roci, host_id, message, seconds, args)


def check_command(command: str, working_directory: str | None, seconds: int) -> None:
    if not command.strip():
        raise Invalid("command: must not be blank")
    if len(command) > LONGEST_COMMAND:
        raise Invalid(f"command: at most {LONGEST_COMMAND} characters")
    if "\0" in command:
        raise Invalid("command: contains a NUL")
    if working_directory is not None and (
        not working_directory.startswith("/") or len(working_directory) > LONGEST_FOLDER or "\0" in working_directory
    ):
        raise Invalid(f"working_directory: an absolute path of at most {LONGEST_FOLDER} characters")
    if seconds not in TIMEOUTS:
        raise Invalid(f"timeout_seconds: a whole number from {TIMEOUTS[0]} to {TIMEOUTS[-1]}")


def check_environment(field: str, env: Mapping[str, str]) -> None:
    """Raises Invalid that names the field."""
    if len(env) > MOST_VARIABLES:
        raise Invalid(f"{field}: at most {MOST_VARIABLES} variables")
    for name, value in env.items():
        if not VARIABLE.fullmatch(name):
            raise Invalid(f"{field}: {name[:100]!r} is no name of a variable")
        if "\0" in value:
            raise Invalid(f"{field}: the value of {name} contains a NUL")
    if sum(len(name.encode()) + len(value.encode()) for name, value in env.items()) > LONGEST_ENVIRONMENT:
        raise Invalid(f"{field}: at most {LONGEST_ENVIRONMENT // 1024} KiB of names and values")


async def control(
    roci: Roci, host_id: str, action: str, container: str, grace: int | None = None, force: bool = False
) -> Run:
    """Start, stop, restart, pause, unpause or remove a container, by id, beginning of one, or name.

    Raises Conflict while something is done to the application it belongs to, and for what would be undone at once.
    """
    if action not in ACTIONS:
        raise Invalid(f"action: one of {', '.join(ACTIONS)}")
    if not container.strip() or len(container) > 256:
        raise Invalid("container: an id or a name")
    check_grace(grace)
    message = wire.ContainerAction(
        command_id=new_id(), action=action, container=container, timeout_seconds=grace, force=force
    )
    args = {"action": action, "container": container}

    def application() -> Application | None:
        if (found := container_called(roci.part(Hub), host_id, container)) is None or not found.app:
            return None
        owner = applications.lying_on(host_id, found.app)
        if owner and action in ("stop", "remove") and found.status in RUNNING:
            _check_stays_so(roci, owner)
        return owner

    return await _do(roci, host_id, message, int(message.limit or 0), args, find=application)


async def restart(roci: Roci, application_id: str, grace: int | None = None) -> Run:
    """Restart all containers of an application where it lies. Raises Conflict where its state forbids that."""
    check_grace(grace)
    row = await roci.read(applications.get, application_id)
    project = applications.project_key(row.name)
    if (host_id := row.deployed_host_id) is None:
        raise Conflict("the application lies on no host: deploy it first")

    def application() -> Application:
        return applications.check_restartable(applications.get(application_id), str(host_id))

    message = wire.Restart(
        command_id=new_id(), project=project, timeout_seconds=grace, app_id=row.name, backend=row.backend
    )
    return await _do(roci, host_id, message, int(message.limit or 0), {}, find=application)


def check_grace(grace: int | None) -> None:
    if grace is not None and grace not in GRACES:
        raise Invalid(f"timeout_seconds: a whole number from {GRACES[0]} to {GRACES[-1]}")


def _check_stays_so(roci: Roci, application: Application) -> None:
    if isinstance(roci.backends.get(application.backend), Keeper):
        raise Conflict(
            f"the {application.backend} would start it again, as a container of the application {application.name}: "
            "stop the application, or restart the container"
        )


def container_called(hub: Hub, host_id: str, text: str) -> wire.Container | None:
    """The container that a host reported under this name, id or beginning of one. Safe from any thread."""
    live = hub.roster.get(host_id)
    found = naming.meant(text, (live and live.containers) or (), naming.reported)
    return found[0] if found else None


def is_missing(hub: Hub, host_id: str, container: str, said: str) -> bool:
    """Whether something failed because the host has no such container: it said so, or it never listed one.

    A host may have what it has not listed yet, so this is asked after it tried.
    """
    if wire.NO_CONTAINER.search(said):
        return True
    live = hub.roster.get(host_id)
    is_listing = live is not None and live.containers is not None and live.engine_error is None
    return is_listing and container_called(hub, host_id, container) is None


async def reboot(roci: Roci, host_id: str) -> Run:
    """It ends when the host has registered again, after another boot where its agent tells that."""
    live = roci.part(Hub).roster.get(host_id)
    before = live.link.boot_id if live and live.link else None
    args = {"boot_id": before} if before else {}
    return await _do(roci, host_id, wire.Reboot(command_id=new_id()), REBOOT_WITHIN, args)


async def log_in(roci: Roci, host_id: str, registry_url: str, username: str, password: Sensitive, **args: Any) -> Run:
    """Log a host's engine in at a registry. `args` are kept with the operation: which stored credential it was."""
    registries.check_url(registry_url)
    registries.check_login(username, password)
    message = wire.RegistryLogin(
        command_id=new_id(), registry_url=registry_url, username=username, password=str(password)
    )
    kept = {"registry_url": registry_url, "username": username, "secrets": ["password"], **args}
    return await _do(roci, host_id, message, 120, kept)


async def log_out(roci: Roci, host_id: str, registry_url: str) -> Run:
    registries.check_url(registry_url)
    message = wire.RegistryLogout(command_id=new_id(), registry_url=registry_url)
    return await _do(roci, host_id, message, wire.LOGOUT_WITHIN, {"registry_url": registry_url})


async def pull(roci: Roci, host_id: str, image: str, seconds: int = 600) -> Run:
    if not image.strip() or len(image) > 512 or image.startswith("-") or any(c.isspace() for c in image):
        raise Invalid("image: a name such as nginx:1.27")
    if seconds not in PULL_TIMEOUTS:
        raise Invalid(f"timeout_seconds: a whole number from {PULL_TIMEOUTS[0]} to {PULL_TIMEOUTS[-1]}")
    message = wire.Pull(command_id=new_id(), image=image, timeout_seconds=seconds)
    return await _do(roci, host_id, message, seconds, {"image": image})


async def prune(roci: Roci, host_id: str, what: Sequence[str], unused_images: bool = False) -> Run:
    """Remove what nothing uses. Volumes only go when they are named."""
    check_prunable(what)
    keep = await owned(roci, host_id)
    message = wire.Prune(command_id=new_id(), what=list(what), unused_images=unused_images, keep=keep)
    return await _do(roci, host_id, message, 600, {"what": list(what), "unused_images": unused_images})


async def owned(roci: Roci, host_id: str) -> list[str]:
    """The projects of which a prune takes nothing there. A backend that restarts things itself spreads over hosts."""
    keepers = [name for name, backend in roci.backends.items() if isinstance(backend, Keeper)]
    return await roci.read(applications.projects_of, host_id, keepers)


def check_prunable(what: Sequence[str]) -> None:
    if not what or not set(what) <= set(PRUNABLE):
        raise Invalid(f"what: some of {', '.join(PRUNABLE)}")


@whole
async def _do(
    roci: Roci,
    host_id: str,
    message: wire.Hand,
    seconds: int,
    args: Mapping[str, Any],
    find: Callable[[], Application | None] = lambda: None,
) -> Run:
    kind, secrets = wire.kind_of(message), wire.secrets_of(message)

    def accept() -> Operation:
        target = host(host_id)
        roci.part(Hub).able(host_id, kind)
        if application := find():
            operations.check_idle(application)
        masker, cause = Masker(secrets), current_cause.get()
        run_id = cause.run_id and without_url_secrets(cause.run_id)  # as it is: it groups what belongs together
        current_cause.set(Cause(run_id, without_secrets(cause.run_context, masker)))  # of this write only
        kept = {name: value if name == "secrets" else without_secrets(value, masker) for name, value in args.items()}
        return operations.begin(kind, target, seconds, application, kept, id=message.command_id)

    return await roci.part(Operator).launch(await roci.write(accept), message, secrets)


def _settle(operation: Operation, outcome: Outcome) -> None:
    """The operation tells it all."""


@hookimpl
def register_operations(roci: Roci) -> list[OperationKind]:
    return [OperationKind(wire.kind_of(hand), _settle) for hand in wire.HANDS if not hand.reads]


@hookimpl
def register_permissions() -> tuple[Permission, ...]:
    return PERMISSIONS
