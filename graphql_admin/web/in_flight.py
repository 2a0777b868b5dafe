"""Limits on requests in flight that call Cognito, and on their memory, shared between callers."""

from collections.abc import Callable, Mapping
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

    def holding(
        self, caller: str, document: Document, variables: Mapping[str, Any] | None
    ) -> "Holding":
        """Return a context in which a request of a caller counts as in flight.

        Entering it gives what counts bytes of replies, too, until its end.

        Raises:
            Overloaded: When it is entered: the caller has too much in flight.
        """
        return Holding(self, caller, document, size_of(variables))

    def take(self, caller: str, document: Document, own: int) -> None:
        """Take a place for a request, and memory for its document and `own` bytes of variables.

        Raises:
            Overloaded: The caller has too many requests, or too much data, in flight.
        """
        share = self._shares.get(id(document))
        if not self._places.take(caller):
            raise Overloaded
        if not self._memory.take(caller, own if share else own + document.size):
            self._places.give_back(caller)
            raise Overloaded
        if share is None:
            share = self._shares[id(document)] = _Share(caller)
        share.requests += 1

    def take_reply(self, caller: str, size: int) -> None:
        """Take memory for a reply.

        Raises:
            Overloaded: The caller has too much in flight.
        """
        if not self._replies.take(caller, size):
            raise Overloaded

    def give_back(self, caller: str, document: Document, own: int, replied: int) -> None:
        """Give back what was taken for a request."""
        if replied:
            self._replies.give_back(caller, replied)
        self._places.give_back(caller)
        if own:
            self._memory.give_back(caller, own)
        share = self._shares[id(document)]
        share.requests -= 1
        if not share.requests:
            del self._shares[id(document)]
            self._memory.give_back(share.caller, document.size)


class Holding:
    """A request in flight. A generator instead would take three times as long to create."""

    __slots__ = ("_caller", "_document", "_in_flight", "_own", "_replied")

    def __init__(self, in_flight: InFlight, caller: str, document: Document, own: int) -> None:
        self._in_flight = in_flight
        self._caller = caller
        self._document = document
        self._own = own
        self._replied = 0

    def __enter__(self) -> Callable[[int], None]:
        self._in_flight.take(self._caller, self._document, self._own)
        return self._hold

    def __exit__(self, *_: object) -> None:
        self._in_flight.give_back(self._caller, self._document, self._own, self._replied)

    def _hold(self, size: int) -> None:
        self._in_flight.take_reply(self._caller, size)
        self._replied += size
