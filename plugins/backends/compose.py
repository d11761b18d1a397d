"""Deploy an application with Docker Compose. The host's Compose reads the file; here it is only looked through."""

from __future__ import annotations

from typing import Literal

from roci import Spec, Step, hookimpl

from . import composefile


class Compose:
    name = "compose"

    def validate(self, spec: Spec) -> None:
        composefile.parse(spec.text)

    def plan(self, action: Literal["deploy", "stop", "start", "delete"], spec: Spec) -> list[Step]:
        which = {"project": spec.project, "app": spec.name}
        claim = Step("project.claim", which)
        match action:
            case "deploy":
                files = [path for _, path in composefile.referenced_files(composefile.parse(spec.text))]
                write = Step("compose.write", {**which, "text": spec.text, "files": files})
                return [claim, write, Step("compose.up", which)]
            case "stop" | "start":
                return [claim, Step(f"compose.{action}", which)]
            case "delete":
                return [claim, Step("compose.down", which), Step("compose.forget", which)]


@hookimpl
def register_backends() -> list[Compose]:
    return [Compose()]
