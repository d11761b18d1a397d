"""`roci agent`: run this machine's containers for a ROCI server elsewhere."""

from __future__ import annotations

import logging
from typing import Any

import click

from roci import Settings, StartupError, config_option, core, hookimpl


@hookimpl
def register_commands(cli: click.Group) -> None:
    cli.add_command(agent)


@click.command()
@click.option("--server", help="The server's address: http://roci.lan:8080, or https, ws, wss.")
@click.option("--name", help="What this host is called (default: its hostname).")
@click.option("--volume-base", help="Where applications keep their files (default: /data).")
@click.option("--docker-host", help="The engine's address (default: $DOCKER_HOST, else the local socket).")
@click.option("--state-dir", help="Where the agent remembers who it is.")
@click.option("--totp", help="A one-time code, for servers that admit by one.")
@click.option(
    "--allow",
    help="What the server may ask for beyond the usual: exec (any command), terminal, reboot. With a minus, what not: "
    "-prune.",
)
@config_option
def agent(settings: Settings, allow: str | None, **given: Any) -> None:
    """Serve this machine to a ROCI server.

    The server's policies decide whether it may join. What the server may ask of this machine is a closed set,
    and this machine's own --allow has the last word.
    """
    import asyncio

    import msgspec

    from ..agent import runner
    from ..agent.worker import AgentSettings

    logging.basicConfig(level=settings.log_level.upper(), format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("websockets").setLevel(logging.WARNING)
    section = core("settings").read_section(AgentSettings, settings)
    changes = {name: value for name, value in given.items() if value is not None}
    if allow is not None:
        changes["allow"] = [name.strip() for name in allow.split(",") if name.strip()]
    try:
        asyncio.run(runner.run(settings, msgspec.structs.replace(section, **changes)))
    except OSError as error:
        raise StartupError(str(error)) from None
