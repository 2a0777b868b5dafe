"""What clients send does not stay in memory beyond the bounds, in a process as users start it."""

import itertools
from collections.abc import Iterator

import httpx2
import pytest

from tests.support.patience import PATIENCE
from tests.support.scripted import ScriptedCognito
from tests.support.started import Server, served
from tests.support.tokens import POOL_ID, Pool

pytestmark = pytest.mark.slow

GROWTH = 60
"""MiB that a process may grow by: a full cache, and what Python's allocator keeps."""


@pytest.fixture
def server(scripted: ScriptedCognito, jwks_url: str) -> Iterator[Server]:
    """A server in a process of its own."""
    with served(scripted.url, jwks_url) as server:
        yield server


def client(server: Server, signing_key: Pool, *groups: str) -> httpx2.Client:
    """Return a client with a token."""
    issuer = f"https://cognito-idp.eu-west-1.amazonaws.com/{POOL_ID}"
    token = signing_key.access_token("ann", list(groups), iss=issuer)
    return httpx2.Client(
        base_url=server.url,
        headers={"Authorization": f"Bearer {token}"},
        trust_env=False,
        timeout=PATIENCE,
    )


def test_plans(server: Server, signing_key: Pool) -> None:
    """An ordinary user's conditions make plans that are kept as long as they fit."""
    parameters = " ".join(f"$b{number}: Boolean!" for number in range(7))
    fields = " ".join(f"a{number}: sub @skip(if: $b{number % 7})" for number in range(50))
    fields += " ".join(f" a{number}: sub" for number in range(50, 97))
    with client(server, signing_key) as ann:
        before = 0.0
        values = list(itertools.product([False, True], repeat=7))
        for number in range(800):
            query = f"query ({parameters}) {{ viewer {{ {fields} }} }} # {number // 128}"
            variables = {f"b{place}": value for place, value in enumerate(values[number % 128])}
            answer = ann.post("/graphql", json={"query": query, "variables": variables})
            assert "errors" not in answer.json()
            before = before or server.memory()
        assert server.memory() - before < GROWTH


@pytest.mark.parametrize("length", [60_000, 255_000])
def test_documents(server: Server, signing_key: Pool, length: int) -> None:
    """Long documents are not kept beyond the cache's size; the longest are not even read."""
    with client(server, signing_key) as ann:
        before = 0.0
        for number in range(300):
            query = f"#{number}" + "ä" * (length // 2) + "\n{ viewer { sub } }"
            answer = ann.post("/graphql", json={"query": query})
            assert ("errors" in answer.json()) is (length > 131_072)
            before = before or server.memory()
        assert server.memory() - before < GROWTH


def test_headers(server: Server) -> None:
    """Nothing long is remembered of headers, and nothing at all without a token."""
    with httpx2.Client(base_url=server.url, trust_env=False, timeout=PATIENCE) as mallory:
        before = 0.0
        for number in range(300):
            accept = f"application/json;v={number};w=" + "a" * 50_000
            answer = mallory.post(
                "/graphql", json={"query": "{ __typename }"}, headers={"Accept": accept}
            )
            assert answer.status_code in {401, 431}
            before = before or server.memory()
        assert server.memory() - before < 10
