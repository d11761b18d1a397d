"""What a rule of this dialect grants in ROCI's own words, and how other rules read here. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ...domain.rules import ANY, Rule, includes

IN_SPACE = {word: word for word in ("secrets", "builds", "sessions", "messages")} | {"agents": "handlers"}
ABOVE = {"service-accounts": "principals", "roles": "roles", "role-bindings": "bindings", "spaces": "spaces"}
NOUNS = IN_SPACE | ABOVE
WORDS = {noun: word for word, noun in NOUNS.items()}
ALIASES = {
    "space-secrets": "secrets",
    "space.secret": "secrets",
    "space-builds": "builds",
    "session-messages": "messages",
    "session_messages": "messages",
    "space.agent": "agents",
}
VERBS = {"list", "get", "create", "update", "delete", "read-values", ANY}
OURS = {"", "*", "api"}  # groups in which these resources are
SPACES = "space/*"

Written = Mapping[str, Any]  # a rule as it was sent


def scope(rule: Written) -> str:
    """`global` or `space`; where the rule does not say, what it is about decides."""
    if said := rule.get("scope"):
        return str(said).lower()
    words = {_word(each) for each in rule["resources"]}
    return "global" if words & (ABOVE.keys() | {ANY}) else "space"


def rules(written: Iterable[Written]) -> list[Rule]:
    """What these grant. Words that nobody knows grant nothing; each rule is there once."""
    return list(dict.fromkeys(rule for each in written if _is_about_us(each) for rule in _rules(each)))


def _is_about_us(rule: Written) -> bool:
    groups = rule.get("apiGroups")
    return groups is None or bool(OURS & set(groups))


def _rules(written: Written) -> Iterable[Rule]:
    everywhere = scope(written) == "global"
    words = [_word(each) for each in written["resources"]]
    nouns = [noun for word in words for noun in _nouns(word, everywhere)]
    for noun in nouns:
        for verb in written["verbs"]:
            yield from (_rule(action, everywhere) for action in _actions(noun, verb.lower()))


def _word(resource: str) -> str:
    resource = resource.lower()
    return ALIASES.get(resource, resource)


def _nouns(word: str, everywhere: bool) -> Iterable[str]:
    if word == ANY:
        return [ANY] if everywhere else IN_SPACE.values()
    return [noun for noun in [(NOUNS if everywhere else IN_SPACE).get(word)] if noun]


def _actions(noun: str, verb: str) -> Iterable[str]:
    verb = verb.replace("_", "-")
    if verb == "read":
        yield f"{noun}.get"
        if noun in ("messages", ANY):
            yield "messages.list"
    elif verb == ANY and noun == ANY:
        yield ANY
    elif verb in VERBS:
        yield f"{noun}.{verb}"


def _rule(action: str, everywhere: bool) -> Rule:
    return Rule(action, ANY if everywhere else SPACES)


def written(rule: Rule) -> dict[str, Any]:
    """A rule of another dialect as this one has it. What would read as more, and grant it when it is sent back, gets
    a word that nothing here is called: platform/secrets.
    """
    noun, _, verb = rule.action.partition(".")
    word, scope = WORDS.get(noun, noun), "global" if rule.resource == ANY else "space"
    shown = {"resources": [word], "verbs": [verb or ANY], "scope": scope}
    is_exact = rule.resource in (ANY, SPACES) and all(includes(rule.action, each.action) for each in rules([shown]))
    return shown if is_exact else shown | {"resources": [f"{rule.resource}/{word}"]}
