"""What browsers are in the middle of: bounded, and gone after five minutes."""

from __future__ import annotations

import asyncio

from roci_plugins.auth import steps
from roci_plugins.auth.steps import Step, Steps


async def test_what_waits_is_found_by_its_secret_and_taken_once() -> None:
    waiting = Steps()
    secret = waiting.put(Step("ann"), "10.0.0.1")
    assert waiting.find(secret) == Step("ann") and waiting.find("guessed") is None and waiting.find(None) is None
    assert waiting.take(secret) == Step("ann") and waiting.take(secret) is None
    assert repr(secret) == "[hidden]"


async def test_it_is_over_after_five_minutes() -> None:
    waiting = Steps()
    secret = waiting.put(Step("ann"), "10.0.0.1")
    clock = asyncio.get_running_loop().time
    asyncio.get_running_loop().time = lambda: clock() + steps.LASTS  # type: ignore[method-assign]
    try:
        assert waiting.find(secret) is None
    finally:
        asyncio.get_running_loop().time = clock  # type: ignore[method-assign]


async def test_a_flood_from_one_place_pushes_out_only_its_own() -> None:
    waiting = Steps()
    secret = waiting.put(Step("ann"), "10.0.0.1")
    flood = [waiting.put(Step("eve"), "10.0.0.66") for _ in range(steps.MOST_FROM_ADDRESS + 5)]
    assert waiting.find(secret) and waiting.find(flood[-1]) and not waiting.find(flood[0])
    assert len(waiting) == 1 + steps.MOST_FROM_ADDRESS


async def test_a_flood_from_everywhere_stays_within_bounds() -> None:
    waiting = Steps()
    for number in range(steps.MOST + 10):
        waiting.put(Step("eve"), f"10.0.{number // 256}.{number % 256}")
    assert len(waiting) == steps.MOST
