"""The services of a swarm's stack, as the engine lists them: do they run, and how they are halted and resumed. Pure.

A service that is halted notes down on itself what it was, so that it can be resumed without the file.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

REPLICAS = "roci.replicas"  # label of a halted service: how many it had
NOWHERE = "node.labels.roci.halted == never"  # the constraint that halts one that runs on every machine
FAILURES = 3  # tasks of one service that may fail before a deploy has
GIVEN_UP = ("paused", "rollback_started", "rollback_paused", "rollback_completed")  # an update that failed
BAD = ("failed", "rejected", "orphaned")
Listed = Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class State:
    """One service after a deploy. `error`: it will not come up."""

    name: str
    running: int
    wanted: int
    waiting: str = ""  # why it does not run yet
    error: str = ""
    container: str = ""  # of the task that tells so

    @property
    def is_up(self) -> bool:
        return not self.waiting and not self.error and self.running >= self.wanted

    def __str__(self) -> str:
        return f"{self.name}: {self.running}/{self.wanted} running" + (f", {self.waiting}" if self.waiting else "")


def states(services: Iterable[Listed], tasks: Sequence[Listed]) -> list[State]:
    """How far each service is, by name."""
    by_name = sorted(services, key=lambda service: str(service["Spec"]["Name"]))
    return [_state(service, [task for task in tasks if task["ServiceID"] == service["ID"]]) for service in by_name]


def _state(service: Listed, tasks: Sequence[Listed]) -> State:
    spec, name = service["Spec"], service["Spec"]["Name"]
    update = service.get("UpdateStatus") or {}
    begun = _moment(update.get("StartedAt") or service["UpdatedAt"])
    wanted = [task for task in tasks if task["DesiredState"] in ("running", "ready", "complete")]
    replicas = spec["Mode"].get("Replicated", {}).get("Replicas")
    many = len({task.get("NodeID") or task["ID"] for task in wanted}) if replicas is None else replicas
    running = sum(task["Status"]["State"] in ("running", "complete") for task in wanted)
    pending = [task for task in wanted if task["Status"]["State"] == "pending" and task["Status"].get("Err")]
    waiting = _reason(pending[0]) if pending else "being updated" if update.get("State") == "updating" else ""
    bad = [task for task in tasks if _moment(task["CreatedAt"]) >= begun and task["Status"]["State"] in BAD]
    given_up = update.get("State") in GIVEN_UP
    if not given_up and not (bad and (len(bad) >= FAILURES or not _restarts(spec))):
        return State(name, running, many, waiting)
    error = _reason(bad[-1]) if bad else str(update.get("Message", "its update failed"))
    container = (bad[-1]["Status"].get("ContainerStatus") or {}).get("ContainerID", "") if bad else ""
    return State(name, running, many, waiting, error, container)


def _moment(text: str) -> tuple[str, str]:
    """The engine leaves zeros out at the end of its nanoseconds."""
    return text[:19], text[19:].strip(".Z").ljust(9, "0")


def _restarts(spec: Listed) -> bool:
    return bool((spec["TaskTemplate"].get("RestartPolicy") or {}).get("Condition") != "none")


def _reason(task: Listed) -> str:
    status = task["Status"]
    return str(status.get("Err") or status.get("Message") or status["State"])


def halted(spec: Listed) -> dict[str, Any] | None:
    """The service's specification that has it run nowhere; None: it is halted already."""
    new = copy.deepcopy(dict(spec))
    labels = new.setdefault("Labels", {}) or {}
    if REPLICAS in labels:
        return None
    if "Replicated" in new["Mode"]:
        labels[REPLICAS] = str(new["Mode"]["Replicated"].get("Replicas", 1))
        new["Mode"]["Replicated"]["Replicas"] = 0
    else:
        labels[REPLICAS] = "global"
        placement = new["TaskTemplate"].setdefault("Placement", {})
        placement["Constraints"] = [*(placement.get("Constraints") or ()), NOWHERE]
    return {**new, "Labels": labels}


def restarted(spec: Listed) -> dict[str, Any]:
    """The specification that has the swarm put new tasks in the place of those that run."""
    template = spec["TaskTemplate"]
    return {**spec, "TaskTemplate": {**template, "ForceUpdate": template.get("ForceUpdate", 0) + 1}}


def resumed(spec: Listed) -> dict[str, Any] | None:
    """The specification it had before; None: it was never halted."""
    new = copy.deepcopy(dict(spec))
    before = (new.get("Labels") or {}).pop(REPLICAS, None)
    if before is None:
        return None
    if "Replicated" in new["Mode"]:
        new["Mode"]["Replicated"]["Replicas"] = int(before) if before.isdigit() else 1
    else:
        placement = new["TaskTemplate"]["Placement"]
        placement["Constraints"] = [one for one in placement["Constraints"] if one != NOWHERE]
    return new
