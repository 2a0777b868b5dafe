"""Limits on requests in flight that call Cognito, and on their memory, shared between callers."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from graphql_admin.cognito.shares import Places
from graphql_admin.engine.documents import Document
from graphql_admin.engine.limits import size_of
from graphql_admin.errors import Overloaded

MAX_BYTES = 32 * 2**20
"""Estimated size of the documents and variables of all requests in flight that call Cognito. Cached
documents count too: they may be evicted while requests use them."""

MAX_REPLY_BYTES = 32 * 2**20
"""Bytes of the replies that all requests in flight use, each multiplied by how often the response
may repeat it. One request can have at most half of them."""


@dataclass(slots=True)
class _Share:
    """A document that requests in flight share."""

    caller: str
    """The caller of the first of them. The document counts for this caller until the last ends."""

    requests: int = 0


class InFlight:
    """Requests in flight that call Cognito.

    Args:
        max_requests: Most requests in flight.
        max_bytes: Estimated size of their documents and variables.
        max_reply_bytes: Bytes of replies from Cognito to them.
    """

    def __init__(
        self,
        max_requests: int,
        max_bytes: int = MAX_BYTES,
        max_reply_bytes: int = MAX_REPLY_BYTES,
    ) -> None:
        self._places = Places(max_requests)
        self._memory = Places(max_bytes)
        self._replies = Places(max_reply_bytes)
        self._shares: dict[int, _Share] = {}
        """By `id` of the document, which is unique because the requests keep the document alive."""

    @contextmanager
    def holding(
        self, caller: str, document: Document, variables: Mapping[str, Any] | None
    ) -> Iterator[Callable[[int], None]]:
        """Count a request of a caller until the end of the `with` block.

        Yields what counts bytes of replies, too, until then.

        Raises:
            Overloaded: The caller has too many requests, or too much data, in flight.
        """
        own = size_of(variables)
        identity = id(document)
        share = self._shares.get(identity)
        needed = own if share else own + document.size
        if not self._places.take(caller):
            raise Overloaded
        if not self._memory.take(caller, needed):
            self._places.give_back(caller)
            raise Overloaded
        if share is None:
            share = self._shares[identity] = _Share(caller)
        share.requests += 1
        replied = 0

        def hold(size: int) -> None:
            nonlocal replied
            if not self._replies.take(caller, size):
                raise Overloaded
            replied += size

        try:
            yield hold
        finally:
            if replied:
                self._replies.give_back(caller, replied)
            self._places.give_back(caller)
            if own:
                self._memory.give_back(caller, own)
            share.requests -= 1
            if not share.requests:
                del self._shares[identity]
                self._memory.give_back(share.caller, document.size)
