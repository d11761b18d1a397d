from __future__ import annotations

import dataclasses
import datetime

from roci import Outcome, Roci, current_actor, now
from roci_plugins.domain import hosts, operations
from roci_plugins.domain.automation import VIA
from roci_plugins.domain.hosts import Introduction
from roci_plugins.domain.operations import Operation
from roci_plugins.work.automation import Automation, cause


def test_context_is_kept_without_what_is_secret() -> None:
    said = {
        "actor": "me",
        "url": "https://me:tokentoken@git.lan",
        "deep": [{"x": "has hunter22 in it", "n": 5}],
        "e": "",
    }
    found = cause("hunter22", said, {"TOKEN": "hunter22", "SHORT": "me"})
    assert found.run_id == "hunter22", "it groups, so it stays"
    assert found.run_context == {
        "actor": "me",
        "url": "https://me:***@git.lan",
        "deep": [{"x": "has *** in it", "n": 5}],
        "e": "",
    }


def test_nothing_said_is_nothing_kept() -> None:
    assert cause("", None, {}) == operations.Cause(None, None)


def _ended(via: str, days: int) -> str:
    host = hosts.all_()[0] if hosts.all_() else hosts.add(Introduction("nas", "10.0.0.2", "10.0.0.2", "10.0.0.2"))
    token = current_actor.set(dataclasses.replace(current_actor.get(), via=via))
    try:
        row = operations.begin("exec", host, 60)
    finally:
        current_actor.reset(token)
    operations.finish(row.id, Outcome("succeeded", exit_code=0))
    Operation.update(finished_at=now() - datetime.timedelta(days=days)).where(Operation.id == row.id).execute()
    return str(row.id)


async def test_what_keys_did_is_forgotten_earlier(roci: Roci) -> None:
    old = await roci.write(_ended, VIA, 31)
    kept = [await roci.write(_ended, VIA, 29), await roci.write(_ended, "cookie", 31)]
    roci.section(Automation).keep_days = 0
    await roci.tasks["forget old operations of automation"].run()
    assert await roci.read(operations.get, old)
    roci.section(Automation).keep_days = 30
    await roci.tasks["forget old operations of automation"].run()
    rows, _ = await roci.read(operations.list_, 10)
    assert {row.id for row in rows} == set(kept)
