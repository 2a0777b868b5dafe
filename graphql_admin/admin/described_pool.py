"""The settings of the user pool, for the changes that depend on them: cached for all requests."""

import asyncio
import re
from collections.abc import Mapping
from functools import partial
from typing import Any

import structlog

from graphql_admin.admin.context import Context
from graphql_admin.cognito.access import MissingRight, PoolReader
from graphql_admin.cognito.coalescing import SharedReads
from graphql_admin.cognito.replies import Reply
from graphql_admin.errors import AdminError, UpstreamFailed

log = structlog.get_logger(__name__)

DESCRIBED_AGE = 60.0
"""Seconds that a description of the pool is cached, and that it is not tried again for the names of
users where it could not be read."""

PATIENCE = 2.0
"""Most seconds to wait for a description that only saves another call."""

_SUB = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
"""The form of a `sub`, which Cognito takes for a username."""


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
        self._has_exact_names: bool | None = None
        self._may_ask = float("-inf")

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

    async def is_username(self, context: Context, name: str) -> bool:
        """Tell whether a name of an existing user can only be their username, as the pool has it.

        If that is not known, because the pool could not be described, it is not.

        Args:
            context: The context of the request that makes the call, if one is needed.
            name: A name that Cognito took for a user's.
        """
        if self._has_exact_names is None:
            await self._learn_names(context)
        return bool(self._has_exact_names) and _SUB.fullmatch(name) is None

    async def _learn_names(self, context: Context) -> None:
        """Read the pool for the names that it takes, which are fixed when it is made.

        Requests that come meanwhile do not wait for it.
        """
        now = asyncio.get_running_loop().time()
        if now < self._may_ask:
            return
        self._may_ask = now + DESCRIBED_AGE
        try:
            # The rest of the time is for reading the user instead.
            async with asyncio.timeout(min(PATIENCE, max(0.0, context.deadline - now) / 2)):
                await self.get(context)
        except (AdminError, TimeoutError):
            return  # what failed is logged where it did
        except asyncio.CancelledError:
            self._may_ask = now  # the client has left, and nothing is known
            raise

    async def _read(self, context: Context) -> Reply:
        try:
            reply = await context.count(self._pool.read, self.OPERATION, {})
        except MissingRight:
            if not self._has_warned:
                log.warning("settings of the user pool are not read: no right to do so")
                self._has_warned = True
            return Reply({"UserPool": None})
        described = reply.get("UserPool")
        if not isinstance(described, dict):
            log.error("reply from Cognito without its user pool")
            raise UpstreamFailed
        self._has_exact_names = _has_exact_names(described)
        context.charge(reply)
        return reply


def _has_exact_names(described: Mapping[str, Any]) -> bool:
    """Tell whether a pool finds users by their usernames, letter by letter, and by `sub` alone."""
    usernames = described.get("UsernameConfiguration") or {}
    return (
        not described.get("AliasAttributes")
        and not described.get("UsernameAttributes")
        and isinstance(usernames, dict)
        and usernames.get("CaseSensitive", True) is True  # the default of the API
    )
