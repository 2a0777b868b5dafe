"""Signals to stop: they unwind what a command does, and it ends without a traceback."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

INTERRUPTED = 130
"""The exit code of a command that was stopped."""


class Stop:
    """Records that a signal to stop was received.

    Python discards a KeyboardInterrupt that is raised within a finalizer or a callback, which
    happens on a busy machine. So it is raised again at the next step that may be stopped.
    """

    def __init__(self) -> None:
        self._is_asked = False

    def __call__(self, _: int, __: FrameType | None) -> None:
        """Handle the signal."""
        self._is_asked = True
        raise KeyboardInterrupt

    def check(self) -> None:
        """Raise KeyboardInterrupt if a signal to stop was received.

        Raises:
            KeyboardInterrupt: One was received.
        """
        if self._is_asked:
            raise KeyboardInterrupt

    def pass_on(self) -> None:
        """Send the signal again, if there was one, to its current handler."""
        if self._is_asked:
            signal.raise_signal(signal.SIGINT)


@contextmanager
def stopped_quietly() -> Iterator[Stop]:
    """Let SIGTERM unwind everything like Ctrl-C, and exit without a traceback.

    SIGHUP, which is sent when a terminal is closed, is passed on as SIGTERM to its current handler;
    unless it is ignored, as with `nohup`.
    """
    stop = Stop()
    signal.signal(signal.SIGTERM, stop)
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, stop)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, lambda *_: signal.raise_signal(signal.SIGTERM))
    try:
        yield stop
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
