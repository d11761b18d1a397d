"""What is known of a host now: whose its containers are."""

from __future__ import annotations

import pytest

from roci_plugins.agent.live import Live
from roci_plugins.domain.hosts import Host

NEW, PUBLISHED = 2, 1  # protocols: of agents that tell projects, and of the published messages only


@pytest.mark.parametrize(
    ("protocol", "app", "name", "is_its"),
    [
        (NEW, "shop", "anything", True),
        (NEW, "shop-db", "shop-db", False),
        (NEW, None, "shop", False),
        (NEW, None, "shop-private", False),
        (PUBLISHED, None, "shop", True),
        (PUBLISHED, None, "shop-web-1", True),
        (PUBLISHED, None, "shop_web_1", True),
        (PUBLISHED, None, "shopping-1", False),
        (PUBLISHED, "other", "shop-web-1", False),
    ],
)
def test_a_containers_name_decides_only_where_the_agent_tells_no_projects(
    protocol: int, app: str | None, name: str, is_its: bool
) -> None:
    assert Live(Host(hostname="nas", protocol=protocol)).is_of("shop", app, name) == is_its
