"""The `totp` clause: the candidate gave a right one-time code. Whether it is right is a fact, found in facts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from roci import Matcher, Verdict, hookimpl

WHY = {
    "valid": "the one-time code is right",
    "wrong": "the one-time code is wrong or has expired",
    "used": "the one-time code was used before",
    "absent": "no one-time code was given",
    "unconfigured": "no secret for one-time codes is set (totp_secret)",
    "throttled": "too many wrong one-time codes came from this address: codes are ignored for a minute",
}


class OneTimeCode(msgspec.Struct, kw_only=True):
    """No fields: the secret is the server's, so that a policy can be shown to anybody."""


class Totp:
    name = "totp"
    clause: type[msgspec.Struct] = OneTimeCode

    def matches(self, clause: OneTimeCode, facts: Mapping[str, Any]) -> Verdict:
        state = facts.get("totp")
        return Verdict(state == "valid", WHY.get(str(state), "one-time codes were not checked"))


@hookimpl
def register_matchers() -> Iterable[Matcher]:
    return [Totp()]
