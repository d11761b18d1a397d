"""The `reverse_dns` clause: a name of the candidate's address, confirmed in both directions, fits a pattern."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from roci import Matcher, Verdict, hookimpl

SHOWN = 5  # names in a reason: whoever runs the reverse zone decides how many there are


def bare(name: str) -> str:
    """A host name as it is compared: lower case, without the dot of the root."""
    return name.strip().lower().removesuffix(".")


def fits(pattern: str, name: str) -> bool:
    """Whether a whole name fits a pattern: `*` is any text, dots too, and `?` one character.

    The stretches between stars are atomic, the first place each fits is taken for good: that finds every match
    and keeps the time short whatever the name, which a stranger chose.
    """
    first, *rest = (
        "".join("." if sign == "?" else re.escape(sign) for sign in part) for part in bare(pattern).split("*")
    )
    middle = "".join(f"(?>.*?{part})" for part in rest[:-1] if part)
    return re.fullmatch(first + middle + "".join(f".*{part}" for part in rest[-1:]), bare(name), re.DOTALL) is not None


class NamedLike(msgspec.Struct, kw_only=True):
    pattern: str

    def __post_init__(self) -> None:
        if not bare(self.pattern):
            raise ValueError("pattern: must not be empty; *.lab.lan fits every name that ends in .lab.lan")


class ReverseDns:
    name = "reverse_dns"
    clause: type[msgspec.Struct] = NamedLike

    def matches(self, clause: NamedLike, facts: Mapping[str, Any]) -> Verdict:
        address, names = facts.get("effective_ip", ""), facts.get("names", ())
        for name in names:
            if fits(clause.pattern, name):
                return Verdict(True, f"{address} is {bare(name)}, which matches {clause.pattern}")
        return Verdict(False, _why_not(clause.pattern, address, names, facts.get("names_error")))


def _why_not(pattern: str, address: str, names: Sequence[str], error: str | None) -> str:
    if names:
        listed = ", ".join(bare(name) for name in names[:SHOWN]) + (", …" if names[SHOWN:] else "")
        found = f"no confirmed name of {address} matches {pattern} (names: {listed})"
    else:
        found = f"{address} has no confirmed name to match {pattern}"
    return f"{found}; the look-up failed: {error}" if error else found


@hookimpl
def register_matchers() -> Iterable[Matcher]:
    return [ReverseDns()]
