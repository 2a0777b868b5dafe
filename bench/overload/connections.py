"""Attacks by what a connection does, or does not do."""

import asyncio
from typing import ClassVar

from bench.operations import LIST
from bench.overload.attacks import VIEWER, Attack, Target, graphql

_HOLD = 6.0
"""Seconds for which an attacker holds what was opened."""

_PIPELINED = 100_000
"""Requests sent on one connection."""

_SMALL_BUFFER = 4096

_FEW_PLACES = {"MAX_CONCURRENCY": "20"}
"""So that twenty requests at once are as many as there may be."""


class Heads(Attack):
    """20 connections with 1 MB of header lines that never end."""

    name = "heads"

    async def run(self, target: Target) -> str:
        lines = "".join(f"a{number}: b\r\n" for number in range(100_000)).encode()[:1_040_000]
        async with target.connected(20) as sockets:
            head = b"GET /graphql HTTP/1.1\r\nHost: x\r\n" + lines
            taken = await target.send_all(sockets, head, _HOLD)
            await asyncio.sleep(_HOLD)
        return f"all was taken on {taken} of {len(sockets)}"


class _Pipeline(Attack):
    count: ClassVar[int]

    async def run(self, target: Target) -> str:
        request = b"GET /graphql HTTP/1.1\r\nHost: x\r\n\r\n"
        async with target.connected(self.count, buffer=_SMALL_BUFFER) as sockets:
            taken = await target.send_all(sockets, request * _PIPELINED, _HOLD)
            # Twice as long, since the server may well have stood still at first.
            await asyncio.sleep(2 * _HOLD)
        return f"all was taken on {taken} of {len(sockets)}"


class Pipeline(_Pipeline):
    """100,000 pipelined requests on a connection, whose answers are not read."""

    name = "pipeline-1"
    count = 1


class Pipelines(_Pipeline):
    """The same on 20 connections, at 20 concurrent requests at most."""

    name = "pipeline-20"
    count = 20
    settings = _FEW_PLACES


class SlowReaders(Attack):
    """20 connections, each with 200 lists asked for and none read."""

    name = "slow-readers"

    async def run(self, target: Target) -> str:
        request = graphql(LIST.document, target.admin)
        async with target.connected(20, buffer=_SMALL_BUFFER) as sockets:
            taken = await target.send_all(sockets, request * 200, _HOLD)
            await asyncio.sleep(_HOLD)
        return f"all was taken on {taken} of {len(sockets)}"


class _Idle(Attack):
    count: ClassVar[int]

    async def run(self, target: Target) -> str:
        async with target.connected(self.count) as sockets:
            await asyncio.sleep(_HOLD)
        return f"{len(sockets)} were connected"


class Idle(_Idle):
    """140 connections that send nothing, at 128 file descriptors."""

    name = "idle-140"
    count = 140
    descriptors = 128


class ManyIdle(_Idle):
    """1,100 connections that send nothing, at 1,024 file descriptors."""

    name = "idle-1100"
    count = 1_100
    descriptors = 1_024


class PendingBodies(Attack):
    """20 bodies of one user that do not come, at 20 concurrent requests at most."""

    name = "pending-bodies"
    settings = _FEW_PLACES

    async def run(self, target: Target) -> str:
        request = graphql(VIEWER, target.user)
        async with target.connected(20) as sockets:
            taken = await target.send_all(sockets, request[:-5], _HOLD)
            await asyncio.sleep(_HOLD)
        return f"all but the end was taken on {taken} of {len(sockets)}"


class FullBodies(Attack):
    """1,000 connections, each with a body of 256 KiB that lacks its last bytes."""

    name = "full-bodies"

    async def run(self, target: Target) -> str:
        request = graphql(VIEWER + " " * 262_000, target.user)
        async with target.connected(1_000) as sockets:
            taken = await target.send_all(sockets, request[:-5], _HOLD)
            await asyncio.sleep(_HOLD)
        return f"all but the end was taken on {taken} of {len(sockets)}"


CONNECTIONS: tuple[type[Attack], ...] = (
    Heads,
    Pipeline,
    Pipelines,
    SlowReaders,
    Idle,
    ManyIdle,
    PendingBodies,
    FullBodies,
)
"""These attacks, in the order of the table."""
