"""`roci init`: writes the example configuration, which says of every setting what it does."""

from __future__ import annotations

import os
from pathlib import Path

import click

from roci import Conflict, Unavailable, hookimpl

EXAMPLE = Path(__file__).parents[1] / "config.example.yaml"


def write(file: Path, text: str, force: bool) -> None:
    """Make a file for its owner only. One that is there stays, unless forced."""
    draft = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    try:
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
            out.write(text)
        if force:
            draft.replace(file)
        else:
            os.link(draft, file)  # unlike a rename, never over another file
    except FileExistsError:
        raise Conflict(f"{file} exists already: --force replaces it") from None
    except OSError as error:
        raise Unavailable(f"cannot write {file}: {error.strerror}") from None
    finally:
        draft.unlink(missing_ok=True)


@click.command
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path, allow_dash=True), default="roci.yaml")
@click.option("--force", is_flag=True, help="Replace a file that is there.")
def init(file: Path, force: bool) -> None:
    """Write an example configuration to FILE (default: roci.yaml), or to the standard output for "-"."""
    if str(file) == "-":
        click.echo(EXAMPLE.read_text(), nl=False)
        return
    write(file, EXAMPLE.read_text(), force)
    click.echo(
        f"Wrote {file}. Every line in it says the default; change what you like, then: roci serve --config {file}"
    )


@hookimpl
def register_commands(cli: click.Group) -> None:
    cli.add_command(init)
