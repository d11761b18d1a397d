from __future__ import annotations

from typing import Any

import pytest

from roci_plugins.agent.commands.projects import FILES, foreign
from roci_plugins.backends.containers import HASH

OURS = "/data/shop/docker-compose.yml"


@pytest.mark.parametrize(
    ("labels", "theirs"),
    [
        ({FILES: OURS}, False),
        ({HASH: "x"}, False),
        ({FILES: "/srv/shop/docker-compose.yml"}, True),
        ({FILES: f"{OURS},/srv/override.yml"}, True),
        ({}, True),
    ],
)
def test_a_container_is_ours_when_our_file_or_plain_docker_made_it(labels: dict[str, Any], theirs: bool) -> None:
    assert bool(foreign([{"Labels": labels}], OURS)) is theirs
