"""`roci doctor`: says what is wrong and the command that mends it."""

from __future__ import annotations

import sys

import click

from roci import hookimpl


@click.command
@click.option(
    "--config", type=click.Path(dir_okay=False), envvar="ROCI_CONFIG", help="Settings (default: $ROCI_CONFIG)."
)
def doctor(config: str | None) -> None:
    """Say what is wrong here, and the command that mends it. Ends with 1 if anything is."""
    from ..work.doctor import inspect

    broken = False
    for finding in inspect(config):
        click.echo(finding)
        broken |= finding.level == "FAIL"
    sys.exit(1 if broken else 0)


@hookimpl
def register_commands(cli: click.Group) -> None:
    cli.add_command(doctor)
