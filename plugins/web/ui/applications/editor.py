"""/applications/new and /applications/…/edit: the Compose file, checked as one types.

Whatever refuses a text, it is shown again: an error in it, somebody who saved meanwhile, a stay that is over. Scripts
send the same forms and ask for JSON: what to say as HTML, and where to go.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

from quart import Blueprint, jsonify, render_template, request

from roci import Forbidden, Invalid, RociError, Spec, Unauthenticated

from ....backends import dockerrun, yamltext
from ....core.app import refused
from ....domain import applications
from ....domain.applications import Application
from ....surfaces.http import actor, check_origin, needs, require, roci, server
from ....work import deploy, drafts
from ....work.drafts import Draft, Judgement, Outdated
from ... import shell, statics
from ...forms import done, sent
from ...language import _
from .. import diffs, lists, shown
from ..activity import doings
from . import environment

routes = Blueprint("editor", __name__, url_prefix="/applications")
EXAMPLE = """\
services:
  web:
    image: nginx:alpine
    restart: unless-stopped
    ports:
      - "8081:80"
    volumes:
      - pages:/usr/share/nginx/html
    environment:
      TZ: ${TZ:-Etc/UTC}

volumes:
  pages:
"""


FIELDS = ("name", "compose", "host_id", "backend", "description", "seen", "docker_run", "then")


@dataclass(frozen=True)
class Given:
    """What stands in the form."""

    name: str = ""
    compose: str = EXAMPLE
    host_id: str = ""
    backend: str = "compose"
    description: str = ""
    seen: str = ""  # the revision it began with
    docker_run: str = ""
    then: str = ""  # "", "deploy" or "convert"

    @property
    def draft(self) -> Draft:
        return Draft(self.name, self.compose, self.backend, self.host_id or None)


@dataclass(frozen=True)
class Said:
    """What the page says above the form."""

    wrong: str = ""
    line: int | None = None
    status: int = 200
    well: str = ""
    notes: tuple[str, ...] = ()
    theirs: list[diffs.Line] | None = None  # what somebody else changed meanwhile
    mine: list[diffs.Line] | None = None  # what saving would change
    author: str = ""
    revision: int = 0


def _given(form: Any, base: Given) -> Given:
    """What was sent; what was not stays as it is. Browsers end lines in their own way."""
    fields = {name: str(form[name]).replace("\r\n", "\n") for name in FIELDS if name in form}
    return replace(base, **fields)


def _of(app: Application, compose: str) -> Given:
    host = app.host_id or app.deployed_host_id or ""
    return Given(app.name, compose, host, app.backend, app.description, str(app.revision))


def _wrong(error: RociError) -> Said:
    line, reason = yamltext.located(error.message)
    return Said(reason, line, error.status)


# --- the page --------------------------------------------------------------------


async def _page(app: Application | None, given: Given, said: Said) -> Any:
    """The editor; for scripts that saved, only what there is to say."""
    if _is_script():
        html = await _fragment("said", told=said)
        return jsonify(html=html, seen=given.seen, line=said.line, compose=given.compose), said.status
    page = await shell.render(
        "applications/editor.html",
        _("Edit") if app else _("New application"),
        ("applications", "hosts") if app else (),
        subject=shell.Subject("application", app.id, app.name) if app else None,
        scripts=("editor.js",),
        styles=("diff.css", "editor.css"),
        libraries=("ace/ace.css", "ace/ace.js", "ace/mode-yaml.js"),
        app=app,
        given=given,
        longest=applications.LONGEST_DESCRIPTION,
        told=said,
        judged=None if "part" in request.args else await _judged(app, given),
        hosts=shown.choosable(server(), await actor(), *((app.host_id, app.deployed_host_id) if app else ())),
        backends=list(server().backends),
        tone=shown.tone,
    )
    return page, said.status


def _is_script() -> bool:
    accepted = request.accept_mimetypes
    return accepted.best == "application/json" and not accepted.accept_html


async def _fragment(name: str, **values: Any) -> str:
    return await render_template(f"ui/applications/editor_{name}.html", **values)


@dataclass(frozen=True)
class Judged:
    """What the side of the page shows."""

    judgement: Judgement
    variables: list[environment.Told]


async def _judged(app: Application | None, given: Given) -> Judged:
    try:
        judgement = await drafts.judge(server(), given.draft)
    except Invalid as error:  # a backend that is no more
        judgement = Judgement((drafts.Problem(None, error.message),))
    return Judged(judgement, await environment.told(app, judgement.variables))


@routes.get("/new")
@needs("applications.write")
async def new() -> Any:
    """The form for a new one: a name, a Compose file, a host."""
    hosts = shown.choosable(server(), await actor())
    mine = next((row.id for row in hosts if row.is_here), hosts[0].id if len(hosts) == 1 else "")
    return await _page(None, Given(host_id=request.args.get("host", mine)), Said())


@routes.get("/<id>/edit")
@needs("applications.write")
async def edit(id: str) -> Any:
    """The form with its file as it is, or as it was at `?revision=`."""
    app = await roci.read(applications.get, id)
    number = lists.number("revision")
    compose = await roci.read(applications.text, app, number)
    said = Said()
    if number not in (None, app.revision):
        current = await roci.read(applications.text, app)
        said = Said(mine=await asyncio.to_thread(diffs.lines, current, compose), revision=number or 0)
    return await _page(app, _of(app, compose), said)


# --- checking ----------------------------------------------------------------------


@routes.post("/new/check")
@needs("applications.write")
async def check_new() -> Any:
    """What can be said of a text: errors and warnings with their lines, and what it holds."""
    return await _fragment("outline", judged=await _judged(None, _given(await sent(), Given())))


@routes.post("/<id>/check")
@needs("applications.write")
async def check(id: str) -> Any:
    """The same, of an application's text."""
    form = await sent()
    app = await roci.read(applications.get, id)
    return await _fragment("outline", judged=await _judged(app, _given(form, _of(app, ""))))


# --- nothing that was typed is lost --------------------------------------------------


def _keeping(view: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """Where the stay is over, show what was sent back: a browser without scripts would lose it.

    Not what another site sends: its text would stand there as one's own.
    """

    @functools.wraps(view)
    async def kept(**args: Any) -> Any:
        try:
            return await view(**args)
        except Unauthenticated as error:
            check_origin()
            if _is_script() or "compose" not in (form := await request.form):
                raise
            await refused(server(), error)
            fields = [(name, value) for name, value in form.items() if name in FIELDS and name != "compose"]
            page = await render_template("kept.html", given=_given(form, Given()), fields=fields, static=statics.url)
            return page, error.status

    return kept


async def _form() -> tuple[Any, Said | None]:
    """The form, and what is wrong with it as such: it is of an earlier stay. Who asks is known by now."""
    try:
        return await sent(), None
    except Forbidden:
        words = _("You have signed in anew since this page was made: look it over and press the button again")
        return await request.form, Said(words, status=403)


@routes.post("/new")
@_keeping
@needs("applications.write")
async def add() -> Any:
    """Create it; and deploy it, where that button was pressed. What was typed stays when it is refused."""
    form, wrong = await _form()
    given, here = _given(form, Given(compose="")), server()
    if wrong:
        return await _page(None, given, wrong)
    try:
        if given.then == "convert":
            return await _converted(given)
        if given.then == "deploy":
            await require("applications.deploy")
        await asyncio.to_thread(deploy.backend_of(here, given.backend).validate, Spec(given.name, given.compose))
        app = await here.write(
            applications.add,
            given.name,
            given.compose,
            given.description,
            given.host_id or None,
            given.backend,
        )
    except RociError as error:
        return await _page(None, given, _wrong(error))
    return await _led_on(app, given, _("%(name)s was created", name=app.name))


async def _converted(given: Given) -> Any:
    """The page with the Compose file that a `docker run` becomes."""
    found = dockerrun.from_docker_run(given.docker_run)
    given = replace(given, name=given.name or found.name, compose=found.text, docker_run="")
    said = Said(well=_("This is what the docker run line becomes. Look it over before you deploy it."))
    return await _page(None, given, replace(said, notes=found.left_out))


@routes.post("/new/convert")
@needs("applications.write")
async def convert() -> Any:
    """A `docker run` line as a Compose file, for scripts: the text, the name, and what was left out."""
    form = await sent()
    found = dockerrun.from_docker_run(form.get("docker_run", ""))
    return jsonify(compose=found.text, name=found.name, left_out=found.left_out)


@routes.post("/<id>/edit")
@_keeping
@needs("applications.write")
async def save(id: str) -> Any:
    """Keep a new revision. Where somebody else did so meanwhile, nothing is lost: the difference is shown."""
    form, wrong = await _form()
    here = server()
    app = await here.read(applications.get, id)
    given = _given(form, replace(_of(app, ""), seen=""))
    if wrong:
        return await _page(app, given, wrong)
    try:
        app = await _kept(app, given)
    except Outdated as error:
        return await _page(app, *await _compared(id, given, error))
    except RociError as error:
        return await _page(await here.read(applications.get, id), given, _wrong(error))
    said = _("Saved as revision %(number)s", number=app.revision)
    return await _led_on(app, replace(given, seen=str(app.revision)), said)


async def _kept(app: Application, given: Given) -> Application:
    here = server()
    if given.then == "deploy":
        await require("applications.deploy")
    await asyncio.to_thread(deploy.backend_of(here, given.backend).validate, Spec(app.name, given.compose))
    changes: dict[str, Any] = {"description": given.description, "backend": given.backend}
    if given.host_id != (app.host_id or app.deployed_host_id or ""):
        changes["host_id"] = given.host_id or None
    return await here.write(drafts.keep, app.id, given.seen, given.compose, changes)


async def _compared(id: str, given: Given, error: Outdated) -> tuple[Given, Said]:
    """What they changed, and what saving would do to it. Saving again replaces theirs."""

    def read() -> tuple[str | None, str, str, int]:
        app = applications.get(id)
        seen = lists.whole(given.seen) or app.revision
        before = applications.text(app, seen) if seen < app.revision else None
        return before, applications.text(app), applications.history(id)[0].author, app.revision

    before, current, author, revision = await roci.read(read)
    theirs = await asyncio.to_thread(diffs.lines, before, current) if before is not None else None
    mine = await asyncio.to_thread(diffs.lines, current, given.compose)
    words = _("%(who)s saved revision %(number)s while you were writing", who=author, number=revision)
    said = Said(words, None, error.status, theirs=theirs, mine=mine, author=author, revision=revision)
    return replace(given, seen=str(revision)), said


async def _led_on(app: Application, given: Given, words: str) -> Any:
    """After it was kept: to the deploy's output; else scripts stay in the editor, and others see the application."""
    if given.then == "deploy":
        try:
            operation = await deploy.deploy(server(), app.id, None, {})
        except RociError as error:
            words = _("%(what)s, but not deployed: %(why)s", what=words, why=error.message)
            return _to(f"/applications/{app.id}/edit", words)
        return _to(*await doings.lead(operation, f"/applications/{app.id}"))
    if not _is_script():
        return done(f"/applications/{app.id}", words)
    if request.path == "/applications/new":
        return _to(f"/applications/{app.id}/edit", words)
    return await _page(app, given, Said(well=words))


def _to(path: str, words: str = "") -> Any:
    """Lead on; scripts are told where to."""
    answer = done(path, words)
    if not _is_script():
        return answer
    told = jsonify(to=path)
    for cookie in answer.headers.getlist("Set-Cookie"):
        told.headers.add("Set-Cookie", cookie)
    return told
