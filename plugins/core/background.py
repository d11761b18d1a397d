"""What goes on beside the callers: background work, and what must not end with whoever waits for it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, TypeVar

from roci import Task

T = TypeVar("T")
log = logging.getLogger("roci")


class Background:
    """The background work of one Roci."""

    def __init__(self) -> None:
        self.draining = asyncio.Event()
        self._running: set[asyncio.Task[None]] = set()

    def spawn(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        async def watched() -> None:
            try:
                await work
            except Exception:
                log.exception("%s failed", name)

        task = asyncio.get_running_loop().create_task(watched(), name=name)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        task.add_done_callback(lambda _: work.close())  # it may be cancelled before it began
        return task

    async def repeat(self, task: Task) -> None:
        while True:
            try:
                await task.run()
            except Exception:
                log.exception("the task %s failed; it goes on", task.name)
            await asyncio.sleep(task.every)

    async def finish(self, work: Coroutine[Any, Any, T]) -> T:
        """Wait for work that goes on when the caller is cancelled."""
        return await asyncio.shield(asyncio.ensure_future(work))

    async def cancel_all(self) -> None:
        for task in (running := list(self._running)):
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
