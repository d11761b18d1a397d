"""The worker of the host that this process runs on, with all it can do: of `roci agent` and of the server itself."""

from __future__ import annotations

from collections.abc import Mapping

import pluggy

from roci import Backend, Command, StartupError

from .abilities import Check
from .engine import Engine, engine
from .journal import Journal
from .metrics import HostSampler
from .terminals import Terminals
from .ttys import Ttys
from .worker import AgentSettings, Worker


def make_worker(mine: AgentSettings, backends: Mapping[str, Backend], pm: pluggy.PluginManager) -> Worker:
    """Also ends what a former life left running. Raises OSError where it cannot keep a journal."""
    journal = Journal(mine.state)
    journal.recover()
    docker = engine(mine.engine)
    sampler, terminals = HostSampler(docker, mine.host_root), Terminals(Ttys(docker))
    return Worker(mine, journal, docker, backends, commands_of(pm), sampler, checks(docker), terminals)


def checks(docker: Engine) -> dict[str, Check]:
    """What a host offers only while it can."""
    return {"backend:swarm": docker.manages_swarm}


def commands_of(pm: pluggy.PluginManager) -> dict[str, Command]:
    """The agent commands of all plugins. Two of one name: StartupError."""
    commands: dict[str, Command] = {}
    for found in reversed(pm.hook.register_agent_commands()):
        if twice := commands.keys() & found.keys():
            raise StartupError(f"two plugins register an agent command named {sorted(twice)[0]!r}")
        commands |= found
    return commands
