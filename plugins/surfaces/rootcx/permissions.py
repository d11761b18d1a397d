"""Permission keys of this dialect, `namespace:scope:action`, and the rules they stand for. Both ways, and pure.

`*` is everything and `prefix:*` all that begins so; a star anywhere else is a letter like others. Some keys stand for
actions that are ROCI's own. `roci:ACTION` and `roci:ACTION:RESOURCE` say a rule as ROCI says it, so that roles
written in other dialects can be read, and written back, in this one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from roci import Invalid, Permission

from ...domain.rules import ANY, Rule, covers

KEY = re.compile(r"[A-Za-z0-9_:.*/@+\[\]-]{1,300}")
NATIVE = "roci:"
MANAGED = ("list", "create", "update", "delete")  # of secrets: their values are not in it

KEYS = {
    "*": "Everything",
    "admin:agents.manage": "Change and remove AI agents, and see all their sessions",
    "admin:apps.deploy": "Deploy apps, start and stop their workers",
    "admin:apps.install": "Install, upgrade and uninstall apps and integrations",
    "admin:audit.read": "Read the audit log",
    "admin:channels.manage": "Create, activate and remove channels",
    "admin:secrets.manage": "Set, list and delete the secrets of the platform and of every app",
    "platform:apps.create": "Install new apps",
}


def _managing(scope: str) -> list[Rule]:
    return [Rule(f"secrets.{verb}", scope) for verb in MANAGED]


# What a key stands for besides itself. A wildcard that covers the key stands for it too.
MEANINGS: dict[str, list[Rule]] = {
    "admin:audit.read": [Rule("audit.read")],
    "admin:secrets.manage": [*_managing("platform"), *_managing("app/*")],
}
APP = re.compile(r"app:([a-z][a-z0-9_]*):\*")


def rules_of(key: str) -> list[Rule]:
    """Raises Invalid for what can be no key."""
    if not KEY.fullmatch(key):
        raise Invalid(f"permissions: {key[:60]!r} is no permission key")
    if key == ANY:
        return [Rule(ANY)]
    if key.startswith(NATIVE):
        return [_native(key.removeprefix(NATIVE))]
    if key in MEANINGS:
        return MEANINGS[key]
    return [Rule(_pattern(key)), *_meant(key)]


def _native(rest: str) -> Rule:
    action, colon, resource = rest.rpartition(":")
    rule = Rule(action, resource) if colon else Rule(rest)
    if not all(rule):
        raise Invalid(f"permissions: {NATIVE}{rest[:60]} names no action")
    return rule


def _pattern(key: str) -> str:
    """As a pattern of actions, in which only the star at the end of `prefix:*` is one."""
    stem, star = (key[:-1], ANY) if key.endswith(":*") else (key, "")
    return stem.replace("*", "[*]") + star


def _meant(key: str) -> list[Rule]:
    """What a wildcard stands for besides keys."""
    if not key.endswith(":*"):
        return []
    if key == "app:*":
        return _managing("app/*")
    if found := APP.fullmatch(key):
        return _managing(f"app/{found[1]}")
    return [rule for each, rules in MEANINGS.items() if each.startswith(key[:-1]) for rule in rules]


def key_of(rule: Rule) -> str:
    """The shortest key that says this rule and nothing else."""
    plain = rule.action.replace("[*]", "*")
    if rule.resource == ANY and (plain == ANY or ":" in plain) and rules_of(plain) == [rule]:
        return plain
    said = f"{NATIVE}{rule.action}:{rule.resource}"
    return said.removesuffix(f":{ANY}") if ":" not in rule.action and rule.resource == ANY else said


def rules_of_all(keys: Iterable[str]) -> list[Rule]:
    """Each rule once, in the order of the keys. Raises Invalid."""
    return list(dict.fromkeys(rule for key in keys for rule in rules_of(key)))


def keys_of(dialect: str, text: Any, rules: Iterable[Rule]) -> list[str]:
    """What a role grants by itself: as it was written here, while it grants that, or what its rules come to."""
    granted = list(dict.fromkeys(rules))
    if dialect == "rootcx" and isinstance(text, Mapping) and rules_of_all(text["permissions"]) == granted:
        return list(text["permissions"])
    return [key_of(rule) for rule in granted]


def narrowed(keys: Iterable[str], scopes: Iterable[str] | None) -> list[str]:
    """What is left of keys for a credential that is only for these actions; sorted."""
    kept = set(keys)
    if scopes is None:
        return sorted(kept)
    patterns = set(scopes)
    within = {key for key in kept if all(covers(patterns, rule.action) for rule in rules_of(key))}
    everywhere = [rule.action for key in kept for rule in rules_of(key) if rule.resource == ANY]
    return sorted(within | {key_of(Rule(scope)) for scope in patterns if covers(everywhere, scope)})


def available(registered: Iterable[Permission]) -> list[dict[str, str]]:
    """Every key there is, with its meaning, by key."""
    known = KEYS | {f"{NATIVE}{permission.name}": permission.meaning for permission in registered}
    return [{"key": key, "description": known[key]} for key in sorted(known)]
