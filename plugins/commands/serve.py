"""`roci serve`: the server, in the foreground."""

from __future__ import annotations

import logging

import click

from roci import Settings, StartupError, config_option, core, hookimpl


@hookimpl
def register_commands(cli: click.Group) -> None:
    cli.add_command(serve)


@click.command()
@config_option
def serve(settings: Settings) -> None:
    """Serve the API, the web pages and the agents, until SIGTERM or Ctrl-C."""
    import asyncio
    import gc

    from roci import Roci

    from ..work import doctor

    disk = doctor.filesystem(settings.data, doctor.mounts())
    if disk.level == "FAIL":
        raise StartupError(f"{disk.what}: {disk.mend}")
    logging.basicConfig(level=settings.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("peewee").setLevel(logging.INFO)  # its debug log has every statement with its values
    gc.disable()  # nearly all that a start makes stays; it is looked at once, when all is there
    asyncio.run(core("serve").serve(Roci(settings), click.echo))
