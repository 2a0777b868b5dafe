"""Attacks by one caller, with a valid token or a forged one, on what all callers share."""

import asyncio
import json
from base64 import urlsafe_b64encode
from itertools import repeat

from bench.operations import GET
from bench.overload.attacks import VIEWER, Attack, Target, get_user, graphql, told
from bench.people import PAGE_SIZE, PAGES, Person

_SECONDS = 8.0
"""For which such an attack goes on."""

_LONG = 20.0
"""The same, where keys matter: for the first ten seconds none are fetched again."""

_PEOPLE = [Person(number) for number in range(PAGES * PAGE_SIZE)]
_LAST_READ = _PEOPLE[199]


class Nothing(Attack):
    """Nothing: what the other rows compare with."""

    name = "nothing"

    async def run(self, _: Target) -> str:
        await asyncio.sleep(_SECONDS / 2)
        return ""


class Loops(Attack):
    """300 loops in which one caller reads, at 200 concurrent requests at most."""

    name = "loops"
    settings = {"MAX_CONCURRENCY": "200"}  # noqa: RUF012  # never changed

    async def run(self, target: Target) -> str:
        target.stub.set_delay(0.5)
        requests = (get_user(person, target.admin) for _ in repeat(None) for person in _PEOPLE)
        return told(await target.ask_each(requests, at_once=300, seconds=_SECONDS))


class SharedReads(Attack):
    """200 reads of one caller wait for a quota; the other joins the last of them."""

    name = "shared-reads"
    settings = {"QUOTAS": "UserRead=20"}  # noqa: RUF012  # never changed
    query = GET.document
    variables = {"username": _LAST_READ.username}  # noqa: RUF012  # never changed
    interval = 0.5

    async def run(self, target: Target) -> str:
        requests = (
            get_user(person, target.admin) for _ in repeat(None) for person in _PEOPLE[:200]
        )
        return told(await target.ask_each(requests, at_once=200, seconds=_SECONDS))


class ThrottledUser(Attack):
    """Cognito throttles one user, whom one caller reads in 10 loops; the other reads another."""

    name = "throttled-user"
    settings = {"QUOTAS": ""}  # noqa: RUF012  # never changed
    query = GET.document
    variables = {"username": _LAST_READ.username}  # noqa: RUF012  # never changed

    async def run(self, target: Target) -> str:
        target.stub.tell("/throttled", [_PEOPLE[0].username])
        requests = repeat(get_user(_PEOPLE[0], target.admin))
        return told(await target.ask_each(requests, at_once=10, seconds=_SECONDS))


class ForgedTokens(Attack):
    """100 loops with forged tokens while the keys' endpoint hangs, at 20 requests at most."""

    name = "forged-tokens"
    settings = {"MAX_CONCURRENCY": "20"}  # noqa: RUF012  # never changed

    async def run(self, target: Target) -> str:
        target.stub.tell("/keys", False)
        _, _, rest = target.user.partition(".")
        requests = (graphql(VIEWER, f"{_header(number)}.{rest}") for number in range(1_000_000))
        return told(await target.ask_each(requests, at_once=100, seconds=_LONG))


def _header(number: int) -> str:
    """The header of a token that says it was signed with a key of this number."""
    header = json.dumps({"alg": "RS256", "kid": f"forged-{number}"})
    return urlsafe_b64encode(header.encode()).decode().rstrip("=")


class HangingCognito(Attack):
    """1,700 reads at once from a Cognito that never answers, with a deadline of 8 s."""

    name = "hanging"
    settings = {"DEADLINE": "8"}  # noqa: RUF012  # never changed

    async def run(self, target: Target) -> str:
        target.stub.set_delay(3600)
        requests = (get_user(_PEOPLE[number % 960], target.admin) for number in range(1_700))
        return told(await target.ask_each(requests, at_once=1_700, seconds=_SECONDS))


CALLERS: tuple[type[Attack], ...] = (
    Loops,
    SharedReads,
    ThrottledUser,
    ForgedTokens,
    HangingCognito,
)
"""These attacks, in the order of the table."""
