"""Lists: every page size, every resumption, whatever pages Cognito returns."""

import random
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterator
from itertools import chain, repeat
from typing import Any

import pytest

from graphql_admin.admin.cursors import CursorCodec, Position
from tests.support.api import Api
from tests.support.directory import Directory
from tests.support.scripted import ScriptedCognito, UserDirectory, reply

PEOPLE = 250

LISTS = {
    "users": """query ($first: Int!, $after: String) { list: users(first: $first, after: $after) {
        ...Page } }""",
    "filtered": """query ($first: Int!, $after: String) {
        list: users(first: $first, after: $after, filter: {username: {startsWith: "user"}}) {
        ...Page } }""",
    "group": """query ($first: Int!, $after: String) { group(name: "Support") {
        list: users(first: $first, after: $after) { ...Page } } }""",
}
PAGE = """ fragment Page on UserConnection {
    nodes { username }
    edges { cursor node { username } }
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
}"""


def read(api: Api, kind: str, first: int, after: str | None) -> dict[str, Any]:
    """Return one page, checked for what holds of every page."""
    data = api.send(LISTS[kind] + PAGE, {"first": first, "after": after}).data
    page: dict[str, Any] = data["group"]["list"] if kind == "group" else data["list"]
    info = page["pageInfo"]
    assert [edge["node"] for edge in page["edges"]] == page["nodes"]
    assert len(page["nodes"]) <= first
    assert info["hasPreviousPage"] is (after is not None)
    cursors = [edge["cursor"] for edge in page["edges"]]
    assert len(set(cursors)) == len(cursors)
    assert info["startCursor"] == (cursors[0] if cursors else None)
    assert info["endCursor"] is not None or not info["hasNextPage"]
    return page


def walk(api: Api, kind: str, sizes: Iterator[int]) -> list[str]:
    """Return the usernames on all pages, in order."""
    found: list[str] = []
    after = None
    for first in sizes:
        page = read(api, kind, first, after)
        found += [node["username"] for node in page["nodes"]]
        if not page["pageInfo"]["hasNextPage"]:
            return found
        after = page["pageInfo"]["endCursor"]
    raise AssertionError("the sizes ran out")


def script_people(
    scripted: ScriptedCognito, count: int, chance: random.Random, **options: Any
) -> UserDirectory:
    """Let a scripted Cognito have so many people, in pages of unreliable lengths."""
    people = UserDirectory(count, chance, **options)
    people.install(scripted)
    scripted.on("GetGroup", lambda asked: reply({"Group": {"GroupName": asked["GroupName"]}}))
    return people


@pytest.fixture(scope="module")
def crowd(cognito: Any) -> Directory:
    """A pool of 250 people in moto, all of them in the group Support."""
    directory = Directory.create(cognito)
    directory.add_group("Support")
    for number in range(PEOPLE):
        directory.add_user(f"user{number:04}", "Support")
    return directory


@pytest.mark.slow
@pytest.mark.parametrize("first", range(1, 61))
def test_walk_with_every_page_size(
    serve: Callable[..., Api], moto_url: str, crowd: Directory, first: int
) -> None:
    """All users are listed once, whatever the page size, and all pages but the last are full."""
    api = serve(moto_url, crowd.pool_id)
    found = walk(api, "users", repeat(first))
    assert sorted(found) == [f"user{number:04}" for number in range(PEOPLE)]


@pytest.mark.slow
@pytest.mark.parametrize("kind", LISTS)
@pytest.mark.parametrize("first", [1, 7, 25, 60])
def test_walk_each_list(
    serve: Callable[..., Api], moto_url: str, crowd: Directory, kind: str, first: int
) -> None:
    """Each list of users is walked alike."""
    found = walk(serve(moto_url, crowd.pool_id), kind, repeat(first))
    assert sorted(found) == [f"user{number:04}" for number in range(PEOPLE)]


@pytest.mark.slow
@pytest.mark.parametrize("oversized", [False, True])
@pytest.mark.parametrize("first", range(1, 61))
def test_walk_unreliable_pages(
    serve: Callable[..., Api], scripted: ScriptedCognito, first: int, oversized: bool
) -> None:
    """Short, empty and oversized pages from Cognito neither skip nor repeat a user."""
    people = script_people(scripted, PEOPLE, random.Random(first), oversized=oversized)
    kind = list(LISTS)[first % len(LISTS)]
    assert walk(serve(scripted.url), kind, repeat(first)) == people.usernames


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
def test_walk_changing_first(
    serve: Callable[..., Api], scripted: ScriptedCognito, seed: int
) -> None:
    """The page size may change on the way."""
    chance = random.Random(seed)
    people = script_people(scripted, PEOPLE, chance)
    sizes = (chance.randint(1, 60) for _ in repeat(None))
    assert walk(serve(scripted.url), "users", sizes) == people.usernames


@pytest.mark.slow
def test_walk_changing_first_in_moto(
    serve: Callable[..., Api], moto_url: str, crowd: Directory
) -> None:
    """The page size may change on the way, also where pages are as long as asked."""
    sizes = chain([1, 60, 2, 59, 7], repeat(13))
    found = walk(serve(moto_url, crowd.pool_id), "users", sizes)
    assert sorted(found) == [f"user{number:04}" for number in range(PEOPLE)]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
def test_resume_from_any_edge(
    serve: Callable[..., Api], scripted: ScriptedCognito, seed: int
) -> None:
    """The cursor of every edge leads to the person who comes next."""
    chance = random.Random(seed)
    people = script_people(scripted, 60, chance, oversized=seed % 2 == 1)
    api = serve(scripted.url)
    kind = list(LISTS)[seed % len(LISTS)]
    after, met = None, 0
    while True:
        page = read(api, kind, 17, after)
        for place, edge in enumerate(page["edges"], start=met + 1):
            resumed: list[str] = []
            cursor = edge["cursor"]
            while cursor and not resumed:
                rest = read(api, kind, chance.randint(1, 60), cursor)
                resumed = [node["username"] for node in rest["nodes"]]
                cursor = rest["pageInfo"]["endCursor"] if rest["pageInfo"]["hasNextPage"] else None
            assert resumed == people.usernames[place : place + len(resumed)]
            assert resumed or place == len(people.usernames)
        met += len(page["edges"])
        if not page["pageInfo"]["hasNextPage"]:
            break
        after = page["pageInfo"]["endCursor"]
    assert met == len(people.usernames)


def test_bound_on_empty_pages(serve: Callable[..., Api], scripted: ScriptedCognito) -> None:
    """Where Cognito returns empty pages without end, the page is empty, and leads on."""
    tokens = (str(number) for number in range(1000))
    scripted.on("ListUsers", lambda _: reply({"Users": [], "PaginationToken": next(tokens)}))
    api = serve(scripted.url)
    page = read(api, "users", 5, None)
    assert page["nodes"] == []
    assert page["pageInfo"]["hasNextPage"] is True
    calls = len(scripted.requests)
    assert calls < 20
    page = read(api, "users", 5, page["pageInfo"]["endCursor"])
    assert scripted.requests[calls].parameters["PaginationToken"] == str(calls - 1)


def test_token_that_leads_to_itself(serve: Callable[..., Api], scripted: ScriptedCognito) -> None:
    """A list of Cognito's that never ends is an error, and no endless loop."""
    scripted.on("ListUsers", reply({"Users": [{"Username": "bob"}], "PaginationToken": "same"}))
    reply_ = serve(scripted.url).send("{ users(first: 3) { nodes { username } } }")
    assert reply_.codes == ["UPSTREAM_ERROR"]


def test_first_page_costs_one_call(serve: Callable[..., Api], scripted: ScriptedCognito) -> None:
    """A full page is one call, with `first` as its limit and nothing else."""
    rows = [{"Username": f"u{number}"} for number in range(25)]
    scripted.on("ListUsers", reply({"Users": rows, "PaginationToken": "more"}))
    api = serve(scripted.url)
    data = api.send("{ users { nodes { username } pageInfo { hasNextPage } } }").data
    assert len(data["users"]["nodes"]) == 25
    assert data["users"]["pageInfo"]["hasNextPage"] is True
    assert [request.parameters for request in scripted.requests] == [
        {"UserPoolId": api.pool_id, "Limit": 25}
    ]


@pytest.mark.parametrize("first", [0, -1, 61, 10**9])
@pytest.mark.parametrize("kind", LISTS)
def test_first_out_of_range(
    serve: Callable[..., Api], scripted: ScriptedCognito, kind: str, first: int
) -> None:
    """A page size that Cognito does not have is refused, and no list is read."""
    scripted.on("GetGroup", reply({"Group": {"GroupName": "Support"}}))
    answer = serve(scripted.url).send(LISTS[kind] + PAGE, {"first": first})
    assert answer.codes == ["BAD_USER_INPUT"]
    assert answer.errors[0]["extensions"]["field"] == "first"
    assert set(scripted.operations()) <= {"GetGroup"}


def tampered(cursor: str) -> dict[str, str]:
    """Return cursors that are almost `cursor`."""
    raw = urlsafe_b64decode(cursor)
    return {
        "empty": "",
        "truncated": cursor[:-1],
        "shorter": cursor[:-8],
        "edited": ("A" if cursor[0] != "A" else "B") + cursor[1:],
        "longer": cursor + "AAAA",
        "not base64": cursor[:-1] + "!",
        "not ASCII": cursor[:-1] + "é",
        "padded": cursor + "=",
        "spaced": cursor[:4] + " " + cursor[4:],
        "another skip": urlsafe_b64encode(raw[:-6] + b"\0\1" + raw[-4:]).decode(),
        "another token": urlsafe_b64encode(raw.replace(b'["', b'["0')).decode(),
        "no digest": urlsafe_b64encode(raw[8:]).decode(),
    }


def test_cursor_tampered(serve: Callable[..., Api], scripted: ScriptedCognito) -> None:
    """A cursor that is not as it was given is refused before Cognito is called."""
    script_people(scripted, 100, random.Random(1))
    api = serve(scripted.url)
    cursor = read(api, "users", 10, None)["pageInfo"]["endCursor"]
    calls = len(scripted.requests)
    for what, bad in tampered(cursor).items():
        answer = api.send(LISTS["users"] + PAGE, {"first": 10, "after": bad})
        assert answer.codes in (["INVALID_CURSOR"], ["BAD_REQUEST"]), what
        assert answer.partial in ({"list": None}, None), what
    assert len(scripted.requests) == calls


def test_cursor_of_another_list(serve: Callable[..., Api], scripted: ScriptedCognito) -> None:
    """A cursor of another field, filter, object or pool is refused before the list is read."""
    script_people(scripted, 100, random.Random(1), groups=["Support", "Editors"])
    api = serve(scripted.url)
    cursors = {kind: read(api, kind, 10, None)["pageInfo"]["endCursor"] for kind in LISTS}
    scripted.requests.clear()
    for kind, document in LISTS.items():
        for other in LISTS:
            if kind != other:
                variables = {"first": 10, "after": cursors[other]}
                assert api.send(document + PAGE, variables).codes == ["INVALID_CURSOR"]
    editors = LISTS["group"].replace("Support", "Editors")
    variables = {"first": 10, "after": cursors["group"]}
    assert api.send(editors + PAGE, variables).codes == ["INVALID_CURSOR"]
    groups = "query ($after: String) { groups(after: $after) { nodes { name } } }"
    assert api.send(groups, {"after": cursors["users"]}).codes == ["INVALID_CURSOR"]
    another_pool = serve(scripted.url, "eu-west-1_Another1")
    variables = {"first": 10, "after": cursors["users"]}
    assert another_pool.send(LISTS["users"] + PAGE, variables).codes == ["INVALID_CURSOR"]
    assert set(scripted.operations()) == {"GetGroup"}


@pytest.mark.parametrize("kind", LISTS)
def test_cursor_expired(serve: Callable[..., Api], scripted: ScriptedCognito, kind: str) -> None:
    """A cursor whose page token Cognito has forgotten is an invalid cursor."""
    script_people(scripted, 100, random.Random(1))
    api = serve(scripted.url)
    cursor = read(api, kind, 10, None)["pageInfo"]["endCursor"]
    script_people(scripted, 100, random.Random(1))
    answer = api.send(LISTS[kind] + PAGE, {"first": 10, "after": cursor})
    assert answer.codes == ["INVALID_CURSOR"]


def test_cursor_unknown_to_moto(serve: Callable[..., Api], moto_url: str, crowd: Directory) -> None:
    """The error that moto has for an unknown page token is an invalid cursor too."""
    codec = CursorCodec(crowd.pool_id, "ListUsers", parameters={})
    cursor = codec.encode(Position("gone", limit=10))
    api = serve(moto_url, crowd.pool_id)
    answer = api.send(LISTS["users"] + PAGE, {"first": 10, "after": cursor})
    assert answer.codes == ["INVALID_CURSOR"]
