"""Clauses that say nothing about the candidate: `any` always holds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from roci import Matcher, Verdict, hookimpl


class Anyone(msgspec.Struct, kw_only=True):
    pass


class Always:
    name = "any"
    clause: type[msgspec.Struct] = Anyone

    def matches(self, clause: Anyone, facts: Mapping[str, Any]) -> Verdict:
        return Verdict(True, "the policy is for everyone")


@hookimpl
def register_matchers() -> Iterable[Matcher]:
    return [Always()]
