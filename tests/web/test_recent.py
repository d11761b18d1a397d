"""The last hour of every host in memory."""

from __future__ import annotations

import pytest

from roci import Roci, now
from roci_plugins.agent.hub import Hub
from roci_plugins.agent.sample import Sample
from roci_plugins.agent.scripted import scripted_agent
from roci_plugins.web import recent
from roci_plugins.web.recent import EVERY, POINTS, Recent
from roci_plugins.work import deploy, enrol
from roci_plugins.work.metrics import Metrics


async def test_a_point_is_added_each_time_and_what_is_old_is_not_taken_for_new(
    roci: Roci, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with scripted_agent(roci) as agent:
        await agent.register("nas")
        await enrol.approve(roci, agent.agent_id)
        looking = Recent(roci)
        await looking.look()
        assert looking.of(agent.agent_id) == []
        stamp = now().isoformat().replace("+00:00", "Z")
        roci.part(Metrics).accept(agent.agent_id, Sample(timestamp=stamp, cpu_percent=10.0))
        await looking.look()
        assert looking.of(agent.agent_id) == [None] * (POINTS - 1) + [10.0]
        monkeypatch.setattr(recent, "now", lambda: now() + 1.5 * EVERY)
        await looking.look()
        assert looking.of(agent.agent_id)[-2:] == [10.0, None]
        after_a_restart = Recent(roci)
        await after_a_restart.look()
        assert after_a_restart.of(agent.agent_id)[-2:] == [10.0, None]
        await deploy.remove_host(roci, agent.agent_id)
        await looking.look()
        assert agent.agent_id not in roci.part(Hub).roster and looking.of(agent.agent_id) == []
