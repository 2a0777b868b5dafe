"""The settings of the user pool, for the changes that depend on them: cached for all requests."""

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Any

import structlog

from graphql_admin.admin.context import Context
from graphql_admin.cognito.access import MissingRight, PoolReader
from graphql_admin.cognito.coalescing import SharedReads
from graphql_admin.cognito.replies import Reply
from graphql_admin.errors import UpstreamFailed

log = structlog.get_logger(__name__)

DESCRIBED_AGE = 60.0
"""Seconds that a description of the pool is cached."""


class DescribedPool:
    """Describes the pool, whatever the caller may read of it.

    Args:
        pool: The pool.
    """

    OPERATION = "DescribeUserPool"

    def __init__(self, pool: PoolReader) -> None:
        self._pool = pool
        self._reads = SharedReads(keep=True)
        self._until = float("-inf")
        self._has_warned = False

    async def get(self, context: Context) -> Mapping[str, Any] | None:
        """Return Cognito's UserPoolType; None if this server's credentials may not read it.

        Args:
            context: The context of the request that makes the call, if one is needed.

        Raises:
            AdminError: It could not be read.
        """
        now = asyncio.get_running_loop().time()
        if now >= self._until:
            self._reads.forget()
            self._until = now + DESCRIBED_AGE
        read = partial(self._read, context)
        reply = await self._reads.get(self.OPERATION, read, deadline=context.deadline)
        described: Mapping[str, Any] | None = reply["UserPool"]
        return described

    async def _read(self, context: Context) -> Reply:
        try:
            reply = await context.count(self._pool.read, self.OPERATION, {})
        except MissingRight:
            if not self._has_warned:
                log.warning("attributes are not checked before they are set: no right to read them")
                self._has_warned = True
            return Reply({"UserPool": None})
        if not isinstance(reply.get("UserPool"), dict):
            log.error("reply from Cognito without its user pool")
            raise UpstreamFailed
        context.charge(reply)
        return reply
