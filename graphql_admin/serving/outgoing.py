"""What goes out on a connection: the parts of a response in one piece, as far as it is taken."""

import asyncio
import contextlib
import socket
import struct

TOGETHER = 65_536
"""Bytes up to which parts are joined, which is less work than to send several, and bytes that may
wait for the end of a turn of the event loop."""


class Outgoing:
    """What is written to a transport.

    Args:
        transport: The connection's.
        loop: The running event loop.
    """

    __slots__ = ("_loop", "_transport", "_waiting", "may_write", "untaken")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._waiting: list[bytes] = []
        """What goes out at the end of this turn of the event loop."""
        self.may_write: asyncio.Event | None = None
        """Is set when writing may go on, while it is paused."""
        self.untaken = 0
        """Bytes that the client had not taken when writing was paused, or stock was last taken."""
        # It is paused with the first byte that the kernel does not take at once.
        transport.set_write_buffer_limits(high=0)

    def write(self, pieces: list[bytes], *, at_once: bool) -> None:
        """Send something; `at_once`, or with what else is written in this turn of the loop."""
        if self._waiting or not at_once:
            if not self._waiting:
                self._loop.call_soon(self.flush)
            self._waiting += pieces
            if at_once or sum(map(len, self._waiting)) > TOGETHER:
                self.flush()
        elif pieces:
            self._send(pieces)

    def flush(self) -> None:
        """Send what waits."""
        if self._waiting:
            pieces, self._waiting = self._waiting, []
            self._send(pieces)

    def _send(self, pieces: list[bytes]) -> None:
        if self._transport.is_closing():
            return
        if len(pieces[-1]) > TOGETHER:
            self._transport.writelines([b"".join(pieces[:-1]), pieces[-1]])
        else:
            self._transport.write(b"".join(pieces))

    def pause(self) -> None:
        """Note that the client is slow to take what was written."""
        self.may_write = asyncio.Event()
        self.untaken = self._transport.get_write_buffer_size()

    def take_stock(self) -> int:
        """Return how many bytes the client took since writing was paused, or this was asked."""
        before, self.untaken = self.untaken, self._transport.get_write_buffer_size()
        return before - self.untaken

    def resume(self) -> None:
        """Note that the client has taken what was written, or never will."""
        if self.may_write is not None:
            self.may_write.set()
        self.may_write = None
        self.untaken = 0

    async def drain(self) -> None:
        """Wait until the client has taken what was written."""
        if self.may_write is not None:
            await self.may_write.wait()

    def reset(self) -> None:
        """Close at once, so that the kernel too forgets what was to be sent."""
        self._waiting.clear()
        self.resume()
        client = self._transport.get_extra_info("socket")
        if client is not None:
            with contextlib.suppress(OSError), client.dup() as duplicate:
                at_once = struct.pack("ii", 1, 0)
                duplicate.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
        self._transport.abort()
