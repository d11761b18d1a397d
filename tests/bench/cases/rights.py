"""Decisions about rights with a thousand people and two hundred roles, and sign-ins with what they do to the loop."""

from __future__ import annotations

import asyncio
import http.client
import itertools
import json
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from urllib.parse import urlsplit

import ground
from table import Figure, at_least, at_most, median, ms, percentile

from roci import Actor, Roci, Settings
from roci_plugins.auth.passwords import HASHER
from roci_plugins.domain import access, principals, roles
from roci_plugins.domain.rules import Rule
from tests.e2e.bed import PASSWORD

PEOPLE, ROLES, CLIENTS = 1000, 200, 50
ACTIONS = ("hosts.read", "applications.deploy", "secrets.list", "policies.write")


def run(quick: bool) -> Iterator[Figure]:
    yield from asyncio.run(_decisions(20_000 if quick else 100_000))
    yield from _sign_ins(5 if quick else 20)


# --- decisions ---------------------------------------------------------------


async def _decisions(count: int) -> list[Figure]:
    with tempfile.TemporaryDirectory(prefix="roci-bench-") as folder:
        roci = Roci(Settings(data_dir=folder, local_agent=False))
        async with roci.running():
            people = await roci.write(_populate)
            began = time.perf_counter()
            await roci.write(principals.change, people[0].id, description="changed")
            learnt = time.perf_counter() - began
            asked = [
                (who, action, resource)
                for who in people
                for action in ACTIONS
                for resource in ("", f"space/s{int(who.name[6:]) % 20}")
            ]
            fresh = _timed(roci, asked)
            again = _timed(roci, list(itertools.islice(itertools.cycle(asked), count)))
    what = f"a decision, {PEOPLE:,} people and {ROLES} roles"
    return [
        Figure(f"{what}: asked for the first time", f"{fresh * 1e6:.1f} us", **at_most(fresh * 1000, 1, "ms")),
        Figure(
            f"{what}: asked again", f"{again * 1e6:.1f} us", f"{1 / again:,.0f}/s", **at_most(again * 1000, 0.1, "ms")
        ),
        Figure("a change of somebody, until every decision knows of it", ms(learnt)),
    ]


def _timed(roci: Roci, asked: list[tuple[Actor, str, str]]) -> float:
    """Seconds for each."""
    began = time.perf_counter()
    for who, action, resource in asked:
        roci.may(who, action, resource)
    return (time.perf_counter() - began) / len(asked)


def _populate() -> list[Actor]:
    """Roles of ten rules, every other one inherits; everybody has five, some of them in one space only."""
    for number in range(ROLES):
        rules = [Rule(f"noun{number}-{each}.*", f"app/{each}") for each in range(9)]
        rules.append(Rule(ACTIONS[number % len(ACTIONS)], "*" if number % 3 else f"space/s{number % 20}"))
        parents = [f"role{number - 1}"] if number % 2 else []
        access.add_role(roles.NewRole(f"role{number}", rules, inherits=parents))
    found = []
    for number in range(PEOPLE):
        row = principals.add(principals.NewPrincipal(f"person{number}"))
        for each in range(5):
            roles.tie(row.name, f"role{(number * 7 + each * 31) % ROLES}", f"s{number % 20}" if each % 2 else None)
        found.append(access.actor(row))
    return found


# --- signing in --------------------------------------------------------------


def _sign_ins(seconds: float) -> Iterator[Figure]:
    """Half of the clients know the password. What the lock-out or the queue turns away is counted apart."""
    hash_takes = _hash()
    with ground.server({"ROCI_TRUSTED_PROXIES": "127.0.0.0/8"}) as server:
        client = ground.client(server)
        client.get("/bench/lateness")  # from now on it looks
        counted: Counter[int] = Counter()
        over = time.monotonic() + seconds
        threads = [
            threading.Thread(target=_knock, args=(server.url, number, over, counted)) for number in range(CLIENTS)
        ]
        before, began = ground.cpu(server), time.monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        took = time.monotonic() - began
        busy = (ground.cpu(server) - before) / took
        late = client.get("/bench/lateness")[1]["samples"]
    checked = (counted[200] + counted[401]) / took
    what = f"sign-ins by {CLIENTS} clients, half with wrong passwords"
    yield Figure(
        f"{what}: checked",
        f"{checked:.0f}/s",
        f"{1 / hash_takes:.0f}/s argon2, one thread",
        **at_least(checked, 1 / hash_takes),
    )
    yield Figure(f"{what}: let in, refused, turned away", " ".join(f"{counted[each]}" for each in (200, 401, 429)))
    yield Figure(f"{what}: processor of the server, share of a core", f"{busy:.0%}")
    yield Figure(f"{what}: event-loop lag, median", ms(median(late)))
    p99 = percentile(late, 99)
    yield Figure(f"{what}: event-loop lag, p99", ms(p99), **at_most(p99 * 1000, 25, "ms"))
    yield Figure(f"{what}: event-loop lag, worst", ms(max(late)))


def _hash() -> float:
    known = HASHER.hash(PASSWORD)
    began = time.perf_counter()
    for _ in range(10):
        HASHER.verify(known, PASSWORD)
    return (time.perf_counter() - began) / 10


def _knock(url: str, number: int, over: float, counted: Counter[int]) -> None:
    """Each attempt from an address of its own, those with wrong passwords for another name each time: the worst case,
    since nothing of it is locked out.
    """
    where = urlsplit(url)
    connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=60)
    is_right = number % 2 == 0
    for attempt in itertools.count():
        if time.monotonic() > over:
            return
        given = {"username": "admin", "password": PASSWORD}
        if not is_right:
            given = {"username": f"nobody{number}-{attempt}", "password": "wrong"}
        address = f"10.{number}.{attempt // 250}.{attempt % 250}"
        headers = {"Content-Type": "application/json", "X-Forwarded-For": address}
        connection.request("POST", "/login", json.dumps(given), headers)
        answer = connection.getresponse()
        answer.read()
        counted[answer.status] += 1
        if answer.status == 429:
            time.sleep(0.2)
