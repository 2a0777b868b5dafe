"""Short and empty pages of Cognito make no answer false: what is not known is not said."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from tests.support.api import Api
from tests.support.scripted import Reply, ScriptedCognito, reply

USER = "query ($by: UserBy!) { user(by: $by) { username } }"

ENTITIES = """query ($representations: [_Any!]!) {
  _entities(representations: $representations) { ... on User { username } }
}"""

GROUPS = """query ($first: Int!, $after: String) {
  user(by: {username: "bob"}) {
    groups(first: $first, after: $after) {
      nodes { name } edges { cursor node { name } } pageInfo { hasNextPage endCursor }
    }
  }
}"""

PERSON = {
    "Username": "bob",
    "Attributes": [
        {"Name": "sub", "Value": "s-bob"},
        {"Name": "email", "Value": "bob@example.com"},
        {"Name": "phone_number", "Value": "+15550100"},
    ],
}
NAMESAKE = {**PERSON, "Username": "bobby"}

KEYS = [{"email": "bob@example.com"}, {"sub": "s-bob"}, {"phoneNumber": "+15550100"}]


def pages(
    rows: str, token: str, content: Sequence[Sequence[dict[str, Any]]]
) -> Callable[[dict[str, Any]], Reply]:
    """Return a script that answers one page after another, as the page token says."""

    def answer(asked: dict[str, Any]) -> Reply:
        number = int(asked.get(token, 0))
        result: dict[str, Any] = {rows: list(content[number])}
        if number + 1 < len(content):
            result[token] = str(number + 1)
        return reply(result)

    return answer


def script_users(scripted: ScriptedCognito, *content: Sequence[dict[str, Any]]) -> None:
    """Let the list of users come in these pages."""
    scripted.on("ListUsers", pages("Users", "PaginationToken", content))


@pytest.mark.parametrize("empty", [1, 9, 50])
@pytest.mark.parametrize("by", KEYS, ids=lambda by: next(iter(by)))
def test_person_behind_empty_pages(
    serve: Callable[..., Api], scripted: ScriptedCognito, by: dict[str, str], empty: int
) -> None:
    """A person is found behind any number of empty pages that the request's calls allow."""
    script_users(scripted, *[[]] * empty, [PERSON])
    assert serve(scripted.url).send(USER, {"by": by}).data == {"user": {"username": "bob"}}


@pytest.mark.parametrize("by", KEYS, ids=lambda by: next(iter(by)))
def test_no_user_after_empty_pages(
    serve: Callable[..., Api], scripted: ScriptedCognito, by: dict[str, str]
) -> None:
    """That there is no such person is known at the end of the list."""
    script_users(scripted, *[[]] * 30)
    assert serve(scripted.url).send(USER, {"by": by}).data == {"user": None}
    assert len(scripted.requests) == 30


@pytest.mark.parametrize("between", [0, 8, 50])
def test_two_people_with_empty_pages_between(
    serve: Callable[..., Api], scripted: ScriptedCognito, between: int
) -> None:
    """The first of two is not given for the only one, however far they are from each other."""
    script_users(scripted, [PERSON], *[[]] * between, [NAMESAKE], [])
    answer = serve(scripted.url).send(USER, {"by": {"email": "bob@example.com"}})
    assert answer.codes == ["AMBIGUOUS_USER"]
    assert answer.partial == {"user": None}


@pytest.mark.parametrize("by", KEYS[:2], ids=lambda by: next(iter(by)))
@pytest.mark.parametrize("first_page", [[], [PERSON]], ids=["none so far", "one so far"])
def test_list_longer_than_the_calls(
    serve: Callable[..., Api],
    scripted: ScriptedCognito,
    by: dict[str, str],
    first_page: list[dict[str, Any]],
) -> None:
    """Where the request's calls do not reach the end of the list, the answer is an error."""
    script_users(scripted, first_page, *[[]] * 100)
    answer = serve(scripted.url, max_calls=20).send(USER, {"by": by})
    if "sub" in by and first_page:
        assert answer.data == {"user": {"username": "bob"}}  # no two have one `sub`
    else:
        assert answer.codes == ["QUERY_TOO_EXPENSIVE"]
        assert answer.partial == {"user": None}
        assert len(scripted.requests) == 20


def test_tokens_that_lead_in_a_circle(serve: Callable[..., Api], scripted: ScriptedCognito) -> None:
    """A list of Cognito's that leads back to where it was is an error before the calls are up."""
    follow = {None: "a", "a": "b", "b": "c", "c": "a"}
    scripted.on(
        "ListUsers",
        lambda asked: reply({"Users": [], "PaginationToken": follow[asked.get("PaginationToken")]}),
    )
    answer = serve(scripted.url).send(USER, {"by": {"sub": "s-bob"}})
    assert answer.codes == ["UPSTREAM_ERROR"]
    assert len(scripted.requests) == 4


def test_deadline_before_the_end_of_the_list(
    serve: Callable[..., Api], scripted: ScriptedCognito
) -> None:
    """Where the time does not reach the end of the list, the answer is an error."""
    script_users(scripted, *[[]] * 1000)
    api = serve(scripted.url, deadline=1, max_calls=10_000, quotas="UserList=5")
    answer = api.send(USER, {"by": {"email": "bob@example.com"}})
    assert answer.codes in (["TIMEOUT"], ["THROTTLED"])
    assert answer.partial == {"user": None}


@pytest.mark.parametrize("empty", [9, 50])
def test_reference_by_sub_behind_empty_pages(
    serve: Callable[..., Api], scripted: ScriptedCognito, empty: int
) -> None:
    """Another subgraph's reference by `sub` is resolved behind empty pages."""
    script_users(scripted, *[[]] * empty, [PERSON])
    references = [{"__typename": "User", "sub": "s-bob"}]
    answer = serve(scripted.url).send(ENTITIES, {"representations": references})
    assert answer.data == {"_entities": [{"username": "bob"}]}


def test_reference_by_sub_beyond_the_calls(
    serve: Callable[..., Api], scripted: ScriptedCognito
) -> None:
    """A reference whose list was not read to its end is not called gone."""
    script_users(scripted, *[[]] * 100)
    references = [{"__typename": "User", "sub": "s-bob"}]
    answer = serve(scripted.url, max_calls=20).send(ENTITIES, {"representations": references})
    assert answer.codes == ["QUERY_TOO_EXPENSIVE"]
    assert answer.partial == {"_entities": [None]}


def script_groups(scripted: ScriptedCognito, *content: Sequence[dict[str, Any]]) -> None:
    """Let bob be in groups that come in these pages."""
    scripted.on("AdminGetUser", reply({"Username": "bob"}))
    scripted.on("AdminListGroupsForUser", pages("Groups", "NextToken", content))


def group(name: str, precedence: int | None = None) -> dict[str, Any]:
    """Return a group in the format of Cognito."""
    return {"GroupName": name} | ({} if precedence is None else {"Precedence": precedence})


def walk_groups(api: Api, first: int) -> list[str]:
    """Return the names of bob's groups, page by page."""
    found: list[str] = []
    after = None
    while True:
        page = api.send(GROUPS, {"first": first, "after": after}).data["user"]["groups"]
        found += [node["name"] for node in page["nodes"]]
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            return found
        assert len(page["nodes"]) == first


@pytest.mark.parametrize("first", [1, 2, 4, 60])
@pytest.mark.parametrize("gap", [0, 12])
def test_order_of_groups_in_short_pages(
    serve: Callable[..., Api], scripted: ScriptedCognito, first: int, gap: int
) -> None:
    """A user's groups are in their order however Cognito cuts its pages."""
    script_groups(
        scripted,
        [group("Last"), group("Third", 3)],
        *[[]] * gap,
        [group("First", 0), group("Also"), group("Second", 1)],
        [],
    )
    found = walk_groups(serve(scripted.url), first)
    assert found == ["First", "Second", "Third", "Also", "Last"]


@pytest.mark.parametrize("first", [7, 25, 60])
def test_order_of_a_hundred_groups(
    serve: Callable[..., Api], scripted: ScriptedCognito, first: int
) -> None:
    """Of as many groups as Cognito lets a user be in, all come in their order, once."""
    groups = [group(f"g{number:03}", 99 - number) for number in range(100)]
    script_groups(scripted, groups[:60], groups[60:])
    found = walk_groups(serve(scripted.url), first)
    assert found == [f"g{99 - number:03}" for number in range(100)]


def test_resume_groups_from_any_edge(serve: Callable[..., Api], scripted: ScriptedCognito) -> None:
    """The cursor of every edge of a sorted list leads to the next."""
    groups = [group(f"g{number}", 9 - number) for number in range(10)]
    script_groups(scripted, groups[:3], [], groups[3:4], groups[4:])
    api = serve(scripted.url)
    edges = api.send(GROUPS, {"first": 10}).data["user"]["groups"]["edges"]
    for place, edge in enumerate(edges, start=1):
        rest = api.send(GROUPS, {"first": 60, "after": edge["cursor"]}).data["user"]["groups"]
        assert [node["name"] for node in rest["nodes"]] == [f"g{9 - n}" for n in range(place, 10)]


def test_groups_beyond_the_calls(serve: Callable[..., Api], scripted: ScriptedCognito) -> None:
    """Groups whose order is not known, since not all were read, are an error."""
    script_groups(scripted, *[[group(f"g{number}")] for number in range(50)])
    answer = serve(scripted.url, max_calls=20).send(GROUPS, {"first": 5})
    assert answer.codes == ["QUERY_TOO_EXPENSIVE"]
    assert answer.partial == {"user": {"groups": None}}
