from __future__ import annotations

from roci import Roci, Settings
from roci_plugins.matchers.logic import Always, Anyone


def test_any_holds_whoever_comes() -> None:
    assert Always().matches(Anyone(), {}).holds
    assert Always().matches(Anyone(), {"effective_ip": "203.0.113.5"}).why == "the policy is for everyone"


def test_the_five_types_of_clause_are_registered() -> None:
    assert {"cidr", "reverse_dns", "totp", "time_window", "any"} <= set(
        Roci(Settings(data_dir="/nonexistent")).matchers
    )
