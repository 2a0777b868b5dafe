"""This server beside one on h11, an HTTP/1.1 parser of another family: the same conversations.

Whatever is sent in whatever pieces: no answer goes to another request, what both servers take
they understand alike, and this one never takes what the other refuses.
"""

import asyncio
import json
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from hashlib import sha256
from itertools import takewhile
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest
from uvicorn.protocols.http.h11_impl import H11Protocol

from tests.support.conversations import HIDDEN, Conversation, make
from tests.support.echo import echo
from tests.support.patience import PATIENCE
from tests.support.sockets import Answer, parse_all
from tests.support.started import listening

pytestmark = pytest.mark.slow

CONVERSATIONS = 2000
AT_ONCE = 60
PAUSE = 0.003
"""Seconds between two pieces, so that most arrive apart."""

QUIET = 0.5
"""Seconds after which a server that says nothing waits for more, most likely."""

LONG_QUIET = 4.0
"""The same where something is amiss, so that none fails because the machine is slow."""

EXPLAINED = {
    "an empty line before": "h11 refuses it, and RFC 9112, section 2.2, wants it ignored.",
    "chunk b'{n} ;x'": "h11 refuses it, and RFC 9112, section 7.1.1, has blanks there.",
    "GET http://other{t}": "h11 leaves Host, which RFC 9112, section 3.2.2, wants replaced.",
}
"""Where this server takes what h11 refuses, or takes it otherwise: the defect, and why."""


class Outcome(NamedTuple):
    """What a server made of a conversation."""

    seen: list[dict[str, Any]]
    """What it understood of the requests that it took, as `echo` says it."""
    refusals: list[int]
    """The statuses with which it refused, without having asked the application."""
    closed: bool
    announced: bool
    """Whether the last answer said that it was."""
    left: bytes
    """What came after the last whole answer."""


async def converse(url: str, conversation: Conversation, quiet: float) -> Outcome:
    """Have the conversation with a server."""
    address = urlsplit(url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    received, closed = b"", False

    async def read() -> None:
        nonlocal received, closed
        with suppress(ConnectionError):
            while data := await asyncio.wait_for(reader.read(1 << 20), quiet):
                received += data
        closed = True

    reading = asyncio.create_task(read())
    try:
        with suppress(ConnectionError):
            for piece in conversation.pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(PAUSE)
        with suppress(TimeoutError):
            await reading
    finally:
        reading.cancel()
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
    return _read_outcome(received, closed=closed)


def _read_outcome(received: bytes, *, closed: bool) -> Outcome:
    answers, rest = parse_all(received, _has_body)
    final = [answer for answer in answers if answer.status >= 200]
    seen = [_read_answer(answer) for answer in final if "x-mark" in answer.headers]
    refusals = [answer.status for answer in final if "x-mark" not in answer.headers]
    if refusals and "x-mark" in final[-1].headers:
        rest = rest or b"an answer after a refusal"
    announced = bool(final) and final[-1].headers.get("connection", "").lower() == "close"
    return Outcome(seen, refusals, closed, announced, rest)


def _has_body(answer: Answer) -> bool:
    return answer.headers.get("x-method") != "HEAD"


def _read_answer(answer: Answer) -> dict[str, Any]:
    seen = {"mark": answer.headers["x-mark"], "method": answer.headers["x-method"]}
    if answer.body:
        seen |= json.loads(answer.body)
    assert seen["mark"] == answer.headers["x-mark"]
    return seen


def find_fault(conversation: Conversation, ours: Outcome, theirs: Outcome) -> str | None:
    """Return what is wrong with what this server made of a conversation."""
    fault = _find_disorder(ours) or next(_find_losses(conversation, ours), None)
    if fault is None and not any(name in (conversation.defect or "") for name in EXPLAINED):
        fault = _find_difference(conversation, ours, theirs)
    return fault


def _find_disorder(ours: Outcome) -> str | None:
    if ours.left:
        return f"after its answers came {ours.left[:100]!r}"
    if len(ours.refusals) > 1 or any(not 400 <= status < 600 for status in ours.refusals):
        return f"it refused with {ours.refusals}"
    if 500 in ours.refusals:
        return "it failed"
    if ours.refusals and not ours.closed:
        return "it refused, and did not close the connection"
    return None


def _find_difference(conversation: Conversation, ours: Outcome, theirs: Outcome) -> str | None:
    for place, (own, other) in enumerate(zip(ours.seen, theirs.seen, strict=False)):
        if own != other:
            return f"answer {place} differs: {own} is not {other}"
    # With some defects uvicorn's h11 fails, and loses the answers that it owes.
    sound = len(list(takewhile(lambda sent: sent.defect is None, conversation.requests)))
    if len(ours.seen) > max(sound, len(theirs.seen)):
        return f"it took {ours.seen[len(theirs.seen)]}, which h11 refused with {theirs.refusals}"
    return None


def _find_losses(conversation: Conversation, ours: Outcome) -> Iterator[str]:
    """Yield what is wrong up to the first defect, as it is known without another server."""
    may_end = False
    for place, sent in enumerate(conversation.requests):
        if sent.defect:
            return
        if place >= len(ours.seen):
            if not may_end or not ours.announced or ours.refusals:
                yield f"{sent.mark} was not answered, but {ours.refusals}"
            return
        taken = ours.seen[place]
        if taken["mark"] != sent.mark:
            hidden = " of a body" if taken["mark"].startswith(HIDDEN) else ""
            yield f"{taken['mark']}{hidden} was answered in place of {sent.mark}"
        if taken.get("body") not in {None, sha256(sent.body).hexdigest()}:
            yield f"{sent.mark} has another body"
        if sent.is_last and not ours.closed:
            yield "the connection was not closed"
        may_end = sent.may_be_last


@pytest.fixture(scope="module")
def ours() -> Iterator[str]:
    """This server's protocol."""
    with listening(echo) as url:
        yield url


@pytest.fixture(scope="module")
def theirs() -> Iterator[str]:
    """The one on h11."""
    with listening(echo, http=H11Protocol) as url:
        yield url


def test_conversations(ours: str, theirs: str) -> None:
    """Thousands of conversations, half of them with something wrong in them."""

    async def compare(number: int, places: asyncio.Semaphore) -> tuple[Conversation, str | None]:
        conversation = make(number)
        async with places:
            for quiet in (QUIET, LONG_QUIET) if conversation.defect else (PATIENCE,):
                own, other = await asyncio.gather(
                    converse(ours, conversation, quiet), converse(theirs, conversation, quiet)
                )
                fault = find_fault(conversation, own, other)
                if fault is None:
                    break
        return conversation, fault

    async def act() -> list[tuple[Conversation, str | None]]:
        places = asyncio.Semaphore(AT_ONCE)
        return await asyncio.gather(*(compare(n, places) for n in range(CONVERSATIONS)))

    results = asyncio.run(act())
    faults = [(conversation, fault) for conversation, fault in results if fault]
    kinds = Counter(
        (conversation.defect, re.sub(r"m\d+-\w+|\{.*\}|\d+", "…", fault))
        for conversation, fault in faults
    )
    for (defect, fault), count in kinds.most_common(40):
        print(f"{count} × {defect}: {fault}")  # noqa: T201
    for conversation, fault in faults[:10]:
        print(f"\n{conversation.number} ({conversation.defect}): {fault}")  # noqa: T201
        for sent in conversation.requests:
            if sent.defect or conversation.defect is None:
                print(sent.data[:300])  # noqa: T201
    assert not faults
    assert {conversation.defect is None for conversation, _ in results} == {True, False}
