"""What is done to hosts, in the reader's words: the kinds of operations, and how long one takes."""

from __future__ import annotations

import datetime
import re

from roci import now

from ....domain.operations import Operation
from ...forms import on_to
from ...language import N_, _

KINDS = {
    "deploy": N_("Deploy"),
    "start": N_("Start"),
    "stop": N_("Stop"),
    "restart": N_("Restart"),
    "delete": N_("Delete"),
    "container": N_("Container"),
    "exec": N_("Command"),
    "reboot": N_("Reboot"),
    "image_pull": N_("Pull an image"),
    "prune": N_("Prune"),
    "registry_login": N_("Log in at a registry"),
    "registry_logout": N_("Log out of a registry"),
}
CONTROLS = {
    "start": N_("Start the container %(name)s"),
    "stop": N_("Stop the container %(name)s"),
    "restart": N_("Restart the container %(name)s"),
    "pause": N_("Pause the container %(name)s"),
    "unpause": N_("Unpause the container %(name)s"),
    "remove": N_("Remove the container %(name)s"),
}
ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[ -/]*[0-~])")
OVERWRITTEN = re.compile(r"^[^\n]*\r(?=[^\r\n])", re.M)  # from where lines begin: else it is quadratic


def kind(name: str) -> str:
    """What a kind of operation is called; one that a plugin brings, by its own name."""
    return _(KINDS[name]) if name in KINDS else name.replace("_", " ")


def title(row: Operation) -> str:
    """What is done, and to what."""
    if row.kind == "container" and (words := CONTROLS.get(row.args.get("action", ""))):
        return _(words, name=row.args.get("container", ""))
    subject = row.application_name or row.args.get("image") or row.args.get("registry_url") or ""
    return f"{kind(row.kind)} {subject}".strip()


async def lead(row: Operation, back: str) -> tuple[str, str]:
    """Where `done` leads when this has begun or gone wrong: to it; who may not read it, back with words."""
    if row.status == "running":
        words = _("%(what)s: under way", what=title(row))
    elif row.status == "succeeded":
        words = _("%(what)s: done", what=title(row))
    else:
        words = _("%(what)s: that went wrong; whoever may read operations sees why", what=title(row))
    return await on_to(f"/operations/{row.id}", back, words)


def seconds(row: Operation) -> int:
    """How long it took, or takes until now."""
    begun: datetime.datetime = row.started_at or row.created_at
    return max(int(((row.finished_at or now()) - begun).total_seconds()), 0)


def took(row: Operation) -> str:
    """The same as a clock shows it: 0:07, 12:30, 1:02:03."""
    minutes, rest = divmod(seconds(row), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def plain(output: str) -> str:
    """What a terminal would be left with, without colours: lines that were written over are gone."""
    return OVERWRITTEN.sub("", ESCAPE.sub("", output)).replace("\r", "")
