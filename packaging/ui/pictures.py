"""Makes the pictures of README.md: `.venv/bin/python packaging/ui/pictures.py`, as root, with a Docker engine.

A ROCI of its own, two hosts with an engine each, real containers, and a browser that looks at them. What it started is
gone at the end.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))  # for tests.e2e

from playwright.sync_api import Page

from tests.e2e.bed import PASSWORD, Agent, Server
from tests.e2e.browsers import Visitor, chromium
from tests.e2e.engines import SecondHost, connect, find_engine, make_image, remove_labelled
from tests.e2e.journey import App, agent

TARGET = Path(__file__).parent / "pictures"
WIDE, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 800}
TALK = (
    'i=0; while true; do i=$$((i+1)); echo "level=info msg=\\"GET /page/$$i\\" status=200 ms=$$((i*7%40))"; '
    '[ $$((i%9)) = 0 ] && echo "level=warn msg=\\"slow answer\\" ms=$$((i*31%900))"; sleep 1; done'
)
STACKS = {
    "wiki": ("attic", {"web": 18081, "db": None}),
    "photos": ("attic", {"server": 18082, "worker": None, "cache": None}),
    "git": ("nas", {"forge": 18083}),
    "music": ("nas", {"player": 18084, "scanner": None}),
}


def compose(name: str, image: str, services: dict[str, int | None]) -> str:
    """The file of a stack: each service says something each second, those with a port answer there."""
    lines = ["services:"]
    for service, port in services.items():
        lines += [f"  {service}:", f"    image: {image}", "    restart: unless-stopped"]
        if port:
            lines += ["    ports:", f'      - "127.0.0.1:{port}:8080"', "    environment:", f"      TITLE: {name}"]
        lines += ["    command:", "      - sh", "      - -c", "      - |", f"        {TALK}"]
    return "\n".join([*lines, ""])


@contextlib.contextmanager
def house(folder: Path) -> Iterator[tuple[Server, str]]:
    """A server, two hosts and their stacks; and the id of the first host."""
    with contextlib.ExitStack() as ends:
        client = connect(find_engine())
        image = make_image(client)
        second = SecondHost()
        ends.callback(second.end)
        second.start()
        with contextlib.closing(second.connect()) as there:
            there.images.load(b"".join(client.images.get(image).save(named=True)))
        server = Server(
            folder, bind=f"127.0.0.1:0,{second.here}:0", environment={"ROCI_LINKS__HEARTBEAT_INTERVAL": "2"}
        )
        ends.callback(server.end)
        server.start()
        admit = {"name": "my network", "priority": 10, "match_type": {"type": "any"}, "action": "approve"}
        assert server.api.post("/api/v1/policies", admit)[0] == 201
        attic = Agent(folder, server.url, "attic", options=["--allow", "exec,terminal"])
        nas = Agent(folder, server.urls[1], "nas", netns=second.name, docker_host=second.docker_host)
        for each in (attic, nas):
            ends.callback(each.end)
            each.start()
        hosts = {name: agent(server.api, name, seconds=60)["id"] for name in ("attic", "nas")}
        for name, (host, services) in STACKS.items():
            ends.callback(remove_labelled, client, f"com.docker.compose.project={name}")
            App(server.api, name, compose(name, image, services), hosts[host]).run("deploy")
        yield server, hosts["attic"]


def take(page: Page, path: str, name: str, ready: str) -> None:
    """One picture of a page, when what `ready` selects is there."""
    page.goto(path)
    page.locator(ready).first.wait_for()
    page.wait_for_timeout(1500)
    page.screenshot(path=TARGET / f"{name}.png")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=3, help="how long the hosts run first: for longer lines")
    minutes = parser.parse_args().minutes
    TARGET.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="roci-pictures-") as folder, house(Path(folder)) as (server, attic):
        apps = {row["name"]: row["id"] for row in server.api.get("/api/v1/applications")[1]["applications"]}
        time.sleep(minutes * 60)
        with chromium() as browser:
            for scheme, size, suffix in (("light", WIDE, ""), ("dark", WIDE, "-dark"), ("dark", PHONE, "-phone")):
                visitor = Visitor(browser, server.url, viewport=size, color_scheme=scheme)
                visitor.sign_in("admin", PASSWORD)
                visitor.page.wait_for_url("**/")
                take(visitor.page, "/", f"overview{suffix}", ".spark, .troubles, .well")
                if suffix != "-dark":
                    take(visitor.page, f"/applications/{apps['photos']}", f"application{suffix}", "table")
                    take(visitor.page, f"/applications/{apps['photos']}/logs", f"logs{suffix}", "#content")
                if not suffix:
                    take(visitor.page, f"/applications/{apps['wiki']}/edit", "editor", ".ace_line")
                    take(visitor.page, f"/hosts/{attic}/metrics", "metrics", ".uplot canvas")
                visitor.context.close()
    print(f"made {', '.join(sorted(path.name for path in TARGET.glob('*.png')))} in {TARGET}")


if __name__ == "__main__":
    main()
