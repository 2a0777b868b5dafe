"""An event loop whose clock jumps, so that hours pass in no time and exactly."""

import asyncio
import selectors
from collections.abc import Awaitable, Callable
from typing import Any

START = 1000.0


class _SkippingSelector(selectors.DefaultSelector):
    """Instead of waiting for time to pass, it lets the loop's clock jump."""

    now = START

    def select(self, timeout: float | None = None) -> Any:
        assert timeout is not None, "all tasks wait for one another"
        self.now += max(0.0, timeout)
        return super().select(0)


class _SkippingLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._skipping = _SkippingSelector()
        super().__init__(self._skipping)

    def time(self) -> float:
        return self._skipping.now


def play(act: Callable[[], Awaitable[None]]) -> None:
    """Run `act` on a clock that jumps."""

    async def run() -> None:
        await act()

    with asyncio.Runner(loop_factory=_SkippingLoop) as runner:
        runner.run(run())


def now() -> float:
    """Seconds since the start."""
    return asyncio.get_running_loop().time() - START
