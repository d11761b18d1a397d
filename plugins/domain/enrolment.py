"""Admission of agents: which record a newcomer is, and what the decision makes of it."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Collection

from roci import Conflict, Sensitive, TooMany

from . import hostkeys, hosts
from .hostkeys import HostKey
from .hosts import Host, Introduction
from .policies import Decision

log = logging.getLogger("roci.enrol")
MOST_STRANGERS = 1000  # hosts that are not approved: they may not fill the disk
MOST_OF_ONE_ADDRESS = 100  # of them, so that nobody takes the places of all others


@dataclasses.dataclass(frozen=True)
class Admission:
    """The host an agent turned out to be; `token` is set when its agent is to keep a new one."""

    host: Host
    token: Sensitive | None
    key_id: str | None = None  # the host's key it came in by: when that ends, so does its connection


class Undecided(Conflict):
    """The record turned out to need a decision."""


def known(
    introduction: Introduction, agent_id: str | None, token: str | None, connected: Collection[str]
) -> Host | None:
    """The record this agent belongs to, or None for a newcomer. A wrong token never yields the record it names."""
    if agent_id and token and (host := hosts.by_token(agent_id, token)):
        return host
    return hosts.without_token(introduction.hostname, introduction.effective_ip, connected)


def is_settled(introduction: Introduction, agent_id: str | None, token: str | None) -> bool:
    """Whether this agent's record was decided, so that no policy need be asked. Changes nothing."""
    if hostkeys.presented(token):
        return True
    if agent_id and token and (host := hosts.find_by_token(agent_id, token)):
        return host.status != "pending"
    free = hosts.without_token(introduction.hostname, introduction.effective_ip, ())
    return free is not None and free.status != "pending"


def register(
    introduction: Introduction,
    agent_id: str | None,
    token: str | None,
    connected: Collection[str],
    decision: Decision | None,
) -> Admission:
    """Take up or make the agent's record. Only pending ones are decided, which needs a decision: Undecided."""
    if key := hostkeys.presented(token):
        return _by_key(key, introduction, connected)
    host = known(introduction, agent_id, token, connected)
    if decision is None and (host is None or host.status == "pending"):
        raise Undecided("the policies must be asked first")
    if host is None:
        if decision and decision.status != "approved":
            _make_room(introduction.effective_ip, connected)
        host = hosts.add(introduction)
    else:
        hosts.refresh(host, _by_its_name(host, introduction, connected))
    if (
        decision
        and host.status == "pending"
        and (host.decision_reason, host.status)
        != (
            decision.reason,
            decision.status,
        )
    ):
        hosts.decide(host, decision.status, decision.policy_id, decision.reason)
    return Admission(host, token_for(host))


def _make_room(effective_ip: str, connected: Collection[str]) -> None:
    """For one more host that is not approved. Raises TooMany."""
    for most, address, whose in ((MOST_OF_ONE_ADDRESS, effective_ip, " from this address"), (MOST_STRANGERS, None, "")):
        if not hosts.make_room(most, connected, address):
            text = f"{most} hosts{whose} are connected and not approved: approve, reject or remove some of them"
            raise TooMany(text, retry_after=300)


def _by_key(key: HostKey, introduction: Introduction, connected: Collection[str]) -> Admission:
    """The key is all it has: with a token of its own it would stay when the key is revoked."""
    hostkeys.touch(key.id)
    introduction = _by_its_name(hosts.get(key.host_id), introduction, connected)
    return Admission(hosts.by_key(key.host_id, introduction), None, key.id)


def _by_its_name(host: Host, introduction: Introduction, connected: Collection[str]) -> Introduction:
    """A host may be renamed, but not to what another one that is here is called: people would take it for that one."""
    name = introduction.hostname
    if name == host.hostname or not hosts.is_taken(name, connected, but=host.id):
        return introduction
    log.warning("%s says its name is %s, which is another host's: it keeps its own", host.hostname, name)
    return dataclasses.replace(introduction, hostname=host.hostname)


def token_for(host: Host) -> Sensitive | None:
    """An approved host gets its token until it has shown once that it keeps it."""
    return hosts.issue_token(host) if host.status == "approved" and not host.token_presented else None


def approve(host_id: str, by: str) -> Admission:
    host = hosts.approve(host_id, by)
    return Admission(host, token_for(host))


def register_local(introduction: Introduction) -> Admission:
    """This machine's own host, approved because whoever runs ROCI runs the machine."""
    host = hosts.local()
    if host is None:
        host = hosts.decide(hosts.add(introduction), "approved", None, "this machine")
    return Admission(hosts.refresh(host, introduction), None)
