"""How late the event loop is, as others ask for it."""

from __future__ import annotations

from roci import Roci
from roci_plugins.agent.scripted import until
from roci_plugins.work.lag import LOOKS, Lag


def test_it_tells_of_the_last_minute_only() -> None:
    lag = Lag()
    assert (lag.p50, lag.p99, lag.worst) == (0.0, 0.0, 0.0)
    lag.note(9.0)
    for number in range(LOOKS):
        lag.note(number / LOOKS)
    assert (lag.p50, lag.p99) == (0.5 - 1 / LOOKS, 0.99 - 1 / LOOKS)
    assert lag.worst == 1 - 1 / LOOKS


def test_waking_early_is_not_late() -> None:
    lag = Lag()
    lag.note(-0.001)
    assert lag.worst == 0.0


async def test_the_loop_of_a_running_server_is_watched(roci: Roci) -> None:
    lag = roci.part(Lag)
    await until(lambda: len(lag._late) > 1)
    assert 0 <= lag.p50 <= lag.p99 <= lag.worst
