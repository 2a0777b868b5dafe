"""How far a command is: on a terminal a line that is written over, elsewhere nothing."""

import sys
import time

import click

_INTERVAL = 0.1
"""Seconds between two lines."""

_WIDTH = 24


class Bar:
    """A bar on standard error, if that is a terminal.

    Args:
        label: What is done.
        total: How many users there are; None if that is not known.
    """

    def __init__(self, label: str, total: int | None) -> None:
        self._label = label
        self._total = total
        self._is_shown = sys.stderr.isatty()
        self._shown_at = 0.0
        self._has_line = False

    def show(self, done: int) -> None:
        """Show how many users are done."""
        now = time.monotonic()
        if not self._is_shown or (now - self._shown_at < _INTERVAL and done != self._total):
            return
        self._shown_at = now
        self._has_line = True
        click.echo(f"\r{self._label} {self._draw(done)}\x1b[K", err=True, nl=False)

    def _draw(self, done: int) -> str:
        if not self._total:
            return f"{done:,}"
        # The total of a pool is an estimate, so there may be more.
        share = min(1.0, done / self._total)
        filled = int(_WIDTH * share)
        bar = "#" * filled + "-" * (_WIDTH - filled)
        return f"[{bar}] {done:,} of {self._total:,}"

    def end(self) -> None:
        """Leave the line, so that something else can be said."""
        if self._has_line:
            click.echo(err=True)
            self._has_line = False
