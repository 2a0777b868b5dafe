"""Attacks by what is written in a request: documents, variables and headers."""

from collections.abc import Iterator
from itertools import product
from typing import ClassVar

from bench.overload.attacks import VIEWER, Attack, Target, graphql, numbered, told

_SECONDS = 40.0
"""After which such an attack begins no more requests."""

_NAMES = "abcdefg"


class Newlines(Attack):
    """125,000 newlines and 900 unknown fields in a document, 3 times."""

    name = "newlines"

    async def run(self, target: Target) -> str:
        fields = " ".join(f"x{number}" for number in range(900))
        query = "{viewer{" + "\n" * 125_000 + fields + "}}"
        requests = [graphql(each, target.user) for each in numbered([query], 3)]
        return told(await target.ask_each(requests, at_once=1, seconds=_SECONDS))


class Entities(Attack):
    """60,000 newlines and `_entities` with 300 representations that are none, 3 times."""

    name = "entities"
    newlines: ClassVar[int] = 60_000
    count: ClassVar[int] = 300

    async def run(self, target: Target) -> str:
        query = "query ($r: [_Any!]!) {" + "\n" * self.newlines
        query += "_entities(representations: $r) { __typename }}"
        variables = {"r": [dict[str, str]()] * self.count}
        requests = [graphql(each, target.user, variables) for each in numbered([query], 3)]
        return told(await target.ask_each(requests, at_once=1, seconds=_SECONDS))


class Representations(Entities):
    """40,000 representations that are none, 3 times."""

    name = "representations"
    newlines = 0
    count = 40_000


class Fragments(Attack):
    """30 fragments, each of which spreads all that follow, 20 times."""

    name = "fragments"

    async def run(self, target: Target) -> str:
        count = 30
        fragments = [
            f"fragment f{number} on Viewer {{ "
            + " ".join(f"...f{later}" for later in range(number + 1, count))
            + " }"
            for number in range(count - 1)
        ]
        fragments.append(f"fragment f{count - 1} on Viewer {{ username }}")
        query = "{ viewer { ...f0 } } " + " ".join(fragments)
        requests = [graphql(each, target.user) for each in numbered([query], 20)]
        return told(await target.ask_each(requests, at_once=1, seconds=_SECONDS))


class Plans(Attack):
    """4,000 requests with all values of 7 Boolean variables over 97 fields."""

    name = "plans"

    async def run(self, target: Target) -> str:
        outcomes = await target.ask_each(self._requests(target.user), at_once=8, seconds=_SECONDS)
        return told(outcomes)

    def _requests(self, token: str) -> Iterator[bytes]:
        declared = ", ".join(f"${name}: Boolean!" for name in _NAMES)
        fields = [f"a{number}: username" for number in range(97)]
        size = -(-len(fields) // len(_NAMES))
        parts = [
            f"... @include(if: ${name}) {{ {' '.join(fields[row * size : (row + 1) * size])} }}"
            for row, name in enumerate(_NAMES)
        ]
        document = f"query ({declared}) {{ viewer {{ {' '.join(parts)} }} }}"
        # No more than 100 of a document's 128: it might have a bound of its own.
        values = list(product([False, True], repeat=len(_NAMES)))[-100:]
        for text in numbered([document], 4_000 // len(values)):
            for each in values:
                yield graphql(text, token, dict(zip(_NAMES, each, strict=True)))


class Comments(Attack):
    """512 documents, each with 255 kB of comment."""

    name = "comments"

    async def run(self, target: Target) -> str:
        documents = numbered(["#" + "x" * 255_000 + "\n" + VIEWER], 512)
        requests = (graphql(each, target.user) for each in documents)
        return told(await target.ask_each(requests, at_once=4, seconds=_SECONDS))


class AcceptHeaders(Attack):
    """300 `Accept` headers of 1 MB, without a token."""

    name = "accept"

    async def run(self, target: Target) -> str:
        requests = (
            graphql(VIEWER, None, Accept=f"*/*, a/{number}, " + "x" * 1_000_000)
            for number in range(300)
        )
        return told(await target.ask_each(requests, at_once=4, seconds=_SECONDS))


DOCUMENTS: tuple[type[Attack], ...] = (
    Newlines,
    Entities,
    Representations,
    Fragments,
    Plans,
    Comments,
    AcceptHeaders,
)
"""These attacks, in the order of the table."""
