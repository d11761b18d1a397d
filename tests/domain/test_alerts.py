"""Thresholds and alerts as tables have them: one open alert of a kind, resolved once, gone with its host."""

from __future__ import annotations

import datetime
from typing import Any

import pytest

from roci import Invalid, NotFound, Roci, now
from roci_plugins.domain import alerts, channels, events, hosts, notices
from roci_plugins.domain.alerts import Alert, Fire, NewThreshold, Raise, Resolve, Threshold
from roci_plugins.domain.hosts import Host, Introduction

NOBODY = "00000000-0000-4000-8000-000000000000"


def add_host(name: str = "nas") -> Host:
    return hosts.add(Introduction(name, "10.0.0.1", "10.0.0.1", "10.0.0.1"))


def on(host: Host, **more: Any) -> NewThreshold:
    return NewThreshold(
        **{"host_id": host.id, "metric_type": "cpu", "threshold_value": 80.0, "comparison": "gt", **more}
    )


def hot(host: Host, row: Threshold | None = None, **more: Any) -> Fire:
    of = {"threshold_id": row.id, "threshold": 80.0, "as_of": row.updated_at} if row else {}
    return Fire(
        **{"host_id": host.id, "type": "cpu", "severity": "warning", "message": "hot", "value": 81.0, **of, **more}
    )


def fired(found: Fire) -> Alert:
    alert = alerts.fire(found)
    assert alert is not None
    return alert


def recorded(name: str) -> int:
    return events.list_(name=name)[1]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("metric_type", "cpu_usage_percent"),
        ("comparison", "gte"),
        ("threshold_value", float("nan")),
        ("threshold_value", float("inf")),
        ("for_seconds", -1),
        ("for_seconds", alerts.LONGEST + 1),
        ("hysteresis", -0.5),
        ("hysteresis", float("nan")),
    ],
)
def test_a_threshold_that_makes_no_sense_is_refused_with_the_field(roci: Roci, field: str, value: Any) -> None:
    with roci.store.transaction():
        host = add_host()
        with pytest.raises(Invalid, match=field):
            alerts.add_threshold(on(host, **{field: value}))
        row = alerts.add_threshold(on(host))
        with pytest.raises(Invalid, match=field):
            alerts.change_threshold(row.id, **{field: value})


def test_a_threshold_of_a_host_that_there_is_not_is_not_found(roci: Roci) -> None:
    with roci.store.transaction(), pytest.raises(NotFound):
        alerts.add_threshold(NewThreshold(NOBODY, "cpu", 80.0, "gt"))


def test_thresholds_are_listed_for_all_hosts_or_one(roci: Roci) -> None:
    with roci.store.transaction():
        nas, pi = add_host("nas"), add_host("pi")
        rows = [alerts.add_threshold(on(host)) for host in (nas, pi, nas)]
        assert [row.id for row in alerts.thresholds()] == [row.id for row in rows]
        assert [row.id for row in alerts.thresholds(pi.id)] == [rows[1].id]
        assert alerts.thresholds(NOBODY) == []


def test_what_was_open_of_a_threshold_is_resolved_when_it_is_changed(roci: Roci) -> None:
    with roci.store.transaction():
        host = add_host()
        row = alerts.add_threshold(on(host))
        alert = fired(hot(host, row))
        alerts.change_threshold(row.id, threshold_value=80.0)
        assert not alerts.get(alert.id).resolved, "nothing was changed"
        alerts.change_threshold(row.id, threshold_value=90.0)
        assert alerts.get(alert.id).resolved


@pytest.mark.parametrize("change", ["disable", "remove"])
def test_a_threshold_that_holds_no_more_resolves_what_it_raised(roci: Roci, change: str) -> None:
    with roci.store.transaction():
        host = add_host()
        row = alerts.add_threshold(on(host))
        alert = fired(hot(host, row))
        other = fired(hot(host, alerts.add_threshold(on(host))))
        alerts.change_threshold(row.id, enabled=False) if change == "disable" else alerts.remove_threshold(row.id)
        assert alerts.get(alert.id).resolved and not alerts.get(other.id).resolved


def test_only_what_a_threshold_says_can_be_changed(roci: Roci) -> None:
    with roci.store.transaction():
        row = alerts.add_threshold(on(add_host()))
        with pytest.raises(Invalid, match="host_id"):
            alerts.change_threshold(row.id, host_id=NOBODY)
        with pytest.raises(NotFound):
            alerts.change_threshold(NOBODY, enabled=False)
        with pytest.raises(NotFound):
            alerts.remove_threshold(NOBODY)


def test_there_is_one_open_alert_of_a_kind(roci: Roci) -> None:
    with roci.store.transaction():
        host = add_host()
        first, second = (alerts.add_threshold(on(host, threshold_value=limit)) for limit in (50.0, 90.0))
        alert = fired(hot(host, first))
        assert alerts.fire(hot(host, first)) is None
        assert fired(hot(host, second)).id != alert.id, "each threshold is judged by itself"
        stopped = {"type": "container_stopped", "value": None}
        fired(hot(host, subject="web", **stopped))
        fired(hot(host, subject="db", **stopped))
        assert alerts.fire(hot(host, subject="db", **stopped)) is None
        alerts.resolve(alert.id)
        fired(hot(host, first))


def test_a_threshold_that_is_another_by_now_raises_nothing(roci: Roci) -> None:
    with roci.store.transaction():
        host = add_host()
        row = alerts.add_threshold(on(host))
        before = hot(host, row)
        alerts.change_threshold(row.id, threshold_value=200.0)
        assert alerts.fire(before) is None
        alerts.change_threshold(row.id, enabled=False)
        assert alerts.fire(hot(host, alerts.threshold(row.id))) is None
        alerts.remove_threshold(row.id)
        assert alerts.fire(hot(host, row)) is None


def test_an_alert_is_resolved_once(roci: Roci) -> None:
    with roci.store.transaction():
        alert = fired(hot(add_host()))
        first = alerts.resolve(alert.id)
        assert first.resolved and first.resolved_at
        assert alerts.resolve(alert.id).resolved_at == first.resolved_at
        with pytest.raises(NotFound):
            alerts.resolve(NOBODY)
    with roci.store.transaction():
        assert (recorded("AlertFired"), recorded("AlertResolved")) == (1, 1)


def test_what_is_open_is_counted_by_severity(roci: Roci) -> None:
    with roci.store.transaction():
        host = add_host()
        for number in range(3):
            fired(hot(host, type="container_stopped", subject=f"web-{number}", severity="critical"))
        over = fired(hot(host))
        assert alerts.count_open() == {"critical": 3, "warning": 1}
        alerts.resolve(over.id)
        assert alerts.count_open() == {"critical": 3}


def test_what_was_found_is_recorded_in_order(roci: Roci) -> None:
    with roci.store.transaction():
        host = add_host()
        first = hot(host)
        worse = Raise(first.id, "critical", "very hot", 130.0)
        alerts.record([first, worse, Resolve(first.id, 10.0), Raise(first.id, "critical", "too late"), hot(host)])
        (newest, before), total = alerts.list_()
        assert total == 2 and not newest.resolved
        assert (before.severity, before.message, before.current_value, before.last_value) == (
            "critical",
            "very hot",
            81.0,
            10.0,
        )
        alerts.record([], {newest.id: 95.0, before.id: 99.0})
        assert alerts.get(newest.id).last_value == 95.0 and alerts.get(newest.id).current_value == 81.0
        assert alerts.get(before.id).last_value == 10.0, "what is over stays as it was"


def test_alerts_are_listed_newest_first_by_state_and_host(roci: Roci) -> None:
    with roci.store.transaction():
        nas, pi = add_host("nas"), add_host("pi")
        old, new, other = fired(hot(nas)), fired(hot(nas, type="disk")), fired(hot(pi))
        alerts.resolve(old.id)

        def ids(**wanted: Any) -> list[str]:
            return [row.id for row in alerts.list_(**wanted)[0]]

        assert ids() == [other.id, new.id, old.id]
        assert ids(status="active") == [other.id, new.id] and ids(status="resolved") == [old.id]
        assert ids(host_id=nas.id) == [new.id, old.id]
        assert ids(limit=1, offset=1) == [new.id] and alerts.list_(limit=1)[1] == 3


def test_a_host_that_is_removed_takes_its_alerts_and_thresholds_along(roci: Roci) -> None:
    with roci.store.transaction():
        nas, pi = add_host("nas"), add_host("pi")
        for host in (nas, pi):
            fired(hot(host, alerts.add_threshold(on(host))))
    with roci.store.transaction():
        hosts.remove(nas.id)
        late = hot(nas)
    with roci.store.transaction():
        assert [row.host_id for row in alerts.thresholds()] == [pi.id]
        assert [row.host_id for row in alerts.list_()[0]] == [pi.id]
        assert alerts.fire(late) is None


def test_resolved_alerts_are_forgotten_in_time_and_open_ones_never(roci: Roci) -> None:
    with roci.store.transaction():
        host = add_host()
        over, still = fired(hot(host)), fired(hot(host, type="disk"))
        alerts.resolve(over.id)
        assert alerts.prune(now() - datetime.timedelta(days=1)) == 0
        assert alerts.prune(now() + datetime.timedelta(days=1)) == 1
        assert [row.id for row in alerts.list_()[0]] == [still.id]


def test_people_are_told_in_the_same_transaction(roci: Roci) -> None:
    with roci.store.transaction():
        channel = channels.Channel.create(name="phone", kind="webhook")
        host = add_host()
        alert = fired(hot(host, subject="web", type="container_stopped"))
        alerts.record([Raise(alert.id, "critical", "worse")])
        alerts.resolve(alert.id)
        told = [notices.read(row) for row in notices.Delivery.select().where(notices.Delivery.channel == channel)]
    assert [(each.kind, each.severity, each.title) for each in told] == [
        ("alert.fired", "warning", "nas: container stopped web"),
        ("alert.fired", "critical", "nas: container stopped web"),
        ("alert.resolved", "critical", "nas: container stopped web is over"),
    ]
    assert {(each.alert_id, each.host_id, each.subject) for each in told} == {(alert.id, host.id, "web")}
    assert told[-1].body == "It is over. It was: worse"


def test_a_name_that_a_host_made_up_is_one_line_in_what_people_are_told(roci: Roci) -> None:
    name = "web\r\nBcc: me@evil\u2028\x1b[2J"
    with roci.store.transaction():
        channels.Channel.create(name="phone", kind="webhook")
        fired(hot(add_host(), subject=name, type="container_stopped", message=f"the container {name} stopped"))
        (told,) = map(notices.read, notices.Delivery.select())
    assert told.title == "nas: container stopped web Bcc: me@evil [2J"
    assert told.subject == "web Bcc: me@evil [2J"
    assert told.body == "the container web Bcc: me@evil [2J stopped"
