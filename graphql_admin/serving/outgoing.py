"""Writes to a connection: joins the parts of a response, and tracks what the client reads."""

import asyncio
import contextlib
import socket
import struct

TOGETHER = 65_536
"""Most bytes that are joined, which is cheaper than several sends, and that wait for the end of a
turn of the event loop."""


class Outgoing:
    """The data written to a transport.

    Args:
        transport: The transport of the connection.
        loop: The running event loop.
    """

    __slots__ = ("_loop", "_transport", "_waiting", "may_write", "untaken")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._waiting: list[bytes] = []
        """The data to send at the end of this turn of the event loop."""
        self.may_write: asyncio.Event | None = None
        """Set when a paused writer may continue."""
        self.untaken = 0
        """Bytes that the client had not read when writing was paused, or at the last
        `take_stock`."""
        # Writing is paused with the first byte that the kernel does not accept at once.
        transport.set_write_buffer_limits(high=0)

    def write(self, pieces: list[bytes], *, at_once: bool) -> None:
        """Send data; `at_once`, or together with other writes in this turn of the loop."""
        if self._waiting or not at_once:
            if not self._waiting:
                self._loop.call_soon(self.flush)
            self._waiting += pieces
            if at_once or sum(map(len, self._waiting)) > TOGETHER:
                self.flush()
        elif pieces:
            self._send(pieces)

    def flush(self) -> None:
        """Send the waiting data."""
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
        """Record that the client reads slowly."""
        self.may_write = asyncio.Event()
        self.untaken = self._transport.get_write_buffer_size()

    def take_stock(self) -> int:
        """Return how many bytes the client has read since the pause, or since the last call."""
        before, self.untaken = self.untaken, self._transport.get_write_buffer_size()
        return before - self.untaken

    def resume(self) -> None:
        """Record that the client has read what was written, or never will."""
        if self.may_write is not None:
            self.may_write.set()
        self.may_write = None
        self.untaken = 0

    async def drain(self) -> None:
        """Wait until the client has read what was written."""
        if self.may_write is not None:
            await self.may_write.wait()

    def reset(self) -> None:
        """Close at once, so that the kernel, too, drops pending data."""
        self._waiting.clear()
        self.resume()
        client = self._transport.get_extra_info("socket")
        if client is not None:
            with contextlib.suppress(OSError), client.dup() as duplicate:
                at_once = struct.pack("ii", 1, 0)
                duplicate.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
        self._transport.abort()
