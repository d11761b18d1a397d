from __future__ import annotations

from roci_plugins.agent.commands.restart import in_order


def test_containers_are_restarted_in_the_order_they_were_made_in() -> None:
    listed = [
        {"Id": "web", "Created": 3, "Labels": {"com.docker.compose.oneoff": "False"}},
        {"Id": "db", "Created": 1, "Labels": None},
        {"Id": "run", "Created": 2, "Labels": {"com.docker.compose.oneoff": "True"}},
    ]
    assert in_order(listed) == ["db", "web"]
