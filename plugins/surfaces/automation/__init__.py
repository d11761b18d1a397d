"""What CI systems call, /api/automation/v1: commands on servers, deploys, registries, and how they went."""

from __future__ import annotations

from quart import Blueprint

from roci import Roci, Surface, hookimpl

from ...auth.automation import PATH
from . import commands, operations, registry
from .errors import ErrorBody, answer
from .gate import note_rate


@hookimpl
def register_surfaces(roci: Roci) -> list[Surface]:
    automation = Blueprint("automation", __name__)
    automation.after_request(note_rate)
    for module in (commands, registry, operations):
        automation.register_blueprint(module.routes)
    return [Surface("automation", PATH, automation, answer, None, ErrorBody)]
