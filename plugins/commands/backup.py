"""`roci backup` and `roci restore`: what ROCI knows, out to one file and back."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from roci import Invalid, NotFound, Roci, Settings, config_option, core, hookimpl

if TYPE_CHECKING:
    from ..work.backup import Manifest

FILE = click.Path(dir_okay=False, path_type=Path, allow_dash=True)
READABLE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command
@click.argument("file", type=FILE)
@click.option("--recipient", "recipients", multiple=True, metavar="KEY", help="Encrypt for this age or SSH public key.")
@click.option("--recipient-file", "lists", multiple=True, type=READABLE, help="Encrypt for each key in this file.")
@config_option
def backup(file: Path, recipients: tuple[str, ...], lists: tuple[Path, ...], settings: Settings) -> None:
    """Copy the database and the keys to FILE while the server runs ("-": to the standard output).

    The settings file is not in it. Without a recipient the archive is readable by whoever has it, keys included.
    """
    from ..work import backup as archives

    texts = [*recipients, *(path.read_text() for path in lists)]
    keys = archives.recipients_of(texts) if texts else []
    if lists and not keys:
        raise Invalid("the recipient file names nobody")
    if str(file) == "-":
        if sys.stdout.isatty():
            raise Invalid("a backup is no text: name a file, or send the output to one")
        manifest = archives.create(settings.data, sys.stdout.buffer, keys)
        sys.stdout.buffer.flush()
    else:
        manifest = archives.write(settings.data, file, keys)
    size = sum(member.size for member in manifest.members.values())
    note = "encrypted" if keys else "not encrypted: keep it as safe as the keys in it"
    click.echo(f"Backed up {_counted(manifest)}, {size >> 10} KiB; {note}.", err=True)


@click.command
@click.argument("file", type=FILE, required=False)
@click.option("--identity", type=READABLE, help="The file with your age or SSH private key.")
@click.option("--data-dir", type=click.Path(file_okay=False, path_type=Path), help="Restore there (default: data_dir).")
@click.option("--force", is_flag=True, help="Replace a database that is there; the old one is kept beside it.")
@click.option("--finish", is_flag=True, help="Finish a restore that was interrupted.")
@config_option
def restore(
    file: Path | None, identity: Path | None, data_dir: Path | None, force: bool, finish: bool, settings: Settings
) -> None:
    """Put a backup back, from FILE or, for "-", the standard input. The server must not run."""
    from ..work import restore as restoring

    data = data_dir or settings.data
    if finish:
        done = restoring.resume(data)
        click.echo("The interrupted restore is finished." if done else "No restore was interrupted.")
        return
    if file is None:
        raise click.UsageError("name the FILE to restore")
    identities = restoring.identities_of(identity.read_text()) if identity else []
    terms = restoring.Terms(_known_migrations(settings), identities, force)
    if str(file) == "-":
        manifest = restoring.restore(sys.stdin.buffer, data, terms)
    else:
        try:
            with file.open("rb") as source:
                manifest = restoring.restore(source, data, terms)
        except FileNotFoundError:
            raise NotFound(f"there is no file {file}") from None
    click.echo(f"Restored {_counted(manifest)} of {manifest.created_at:%Y-%m-%d %H:%M} UTC to {data}.")


def _counted(manifest: Manifest) -> str:
    rows, tables, files = sum(manifest.tables.values()), len(manifest.tables), len(manifest.members) - 1
    return f"{rows} rows in {tables} tables and {files} other files"


def _known_migrations(settings: Settings) -> set[str]:
    return {migration.name for migration in core("loading").flatten(Roci(settings).hook.register_migrations())}


@hookimpl
def register_commands(cli: click.Group) -> None:
    cli.add_command(backup)
    cli.add_command(restore)
