"""Reading groups, and the lists between groups and users."""

import threading
from collections.abc import Callable
from typing import Any

import pytest

from graphql_admin.admin.pagination import SPARE_CALLS
from graphql_admin.admin.users.types import MAX_COUNTED
from tests.support.api import Api
from tests.support.directory import Directory
from tests.support.scripted import Reply, ScriptedCognito, failure, held, reply


def test_group(api: Api, directory: Directory) -> None:
    """A group is read with all that Cognito holds."""
    directory.add_group("Editors", Description="Who edits", Precedence=0)
    group = api.send(
        '{ group(name: "Editors") { name description precedence roleArn createdAt updatedAt } }'
    ).data["group"]
    assert group.pop("createdAt").endswith("Z")
    assert group.pop("updatedAt").endswith("Z")
    assert group == {
        "name": "Editors",
        "description": "Who edits",
        "precedence": 0,
        "roleArn": None,
    }


def test_group_not_found(api: Api) -> None:
    """A group that is not there is null, and no error."""
    assert api.send('{ group(name: "Nowhere") { name } }').data == {"group": None}


def test_groups(api: Api, directory: Directory) -> None:
    """All groups are listed."""
    for name in ("A", "B", "C"):
        directory.add_group(name)
    nodes = api.send("{ groups { nodes { name } } }").data["groups"]["nodes"]
    assert {node["name"] for node in nodes} == {"A", "B", "C"}


def test_groups_of_user_in_order(api: Api, directory: Directory) -> None:
    """A user's groups come by precedence, those without it last, and then by name."""
    for name, members in {
        "Zebras": {"Precedence": 1},
        "Apes": {"Precedence": 1},
        "Newts": {},
        "Bees": {},
        "Lions": {"Precedence": 0},
    }.items():
        directory.add_group(name, **members)
    directory.add_user("bob", "Newts", "Zebras", "Bees", "Lions", "Apes")
    expected = ["Lions", "Apes", "Zebras", "Bees", "Newts"]
    query = """query ($first: Int!, $after: String) { user(by: {username: "bob"}) {
        groups(first: $first, after: $after) { nodes { name } pageInfo { hasNextPage endCursor } }
    } }"""
    for first in (1, 2, 3, 60):
        found: list[str] = []
        after = None
        while True:
            page = api.send(query, {"first": first, "after": after}).data["user"]["groups"]
            found += [node["name"] for node in page["nodes"]]
            if not page["pageInfo"]["hasNextPage"]:
                break
            after = page["pageInfo"]["endCursor"]
        assert found == expected


def test_groups_of_user_in_none(api: Api, directory: Directory) -> None:
    """A user in no group has an empty list, which has no cursors and no next page."""
    directory.add_user("bob")
    reply = api.send(
        """{ user(by: {username: "bob"}) { groups { nodes { name } edges { cursor } pageInfo {
            hasNextPage hasPreviousPage startCursor endCursor } } } }"""
    )
    assert reply.data["user"]["groups"] == {
        "nodes": [],
        "edges": [],
        "pageInfo": {
            "hasNextPage": False,
            "hasPreviousPage": False,
            "startCursor": None,
            "endCursor": None,
        },
    }


def test_users_in_group(api: Api, directory: Directory) -> None:
    """The users of a group are listed, and their groups in turn."""
    directory.add_group("Editors")
    directory.add_group("Others")
    directory.add_user("bob", "Editors", "Others")
    directory.add_user("eve", "Others")
    reply = api.send(
        """{ group(name: "Editors") { users(first: 60) { nodes {
            username groups { nodes { name } }
        } } } }"""
    )
    (bob,) = reply.data["group"]["users"]["nodes"]
    assert bob["username"] == "bob"
    assert {node["name"] for node in bob["groups"]["nodes"]} == {"Editors", "Others"}


def test_groups_of_unknown_user(serve: Callable[..., Api], scripted: ScriptedCognito) -> None:
    """A user who is gone when their groups are read has null there, and no empty list."""
    scripted.on("ListUsers", reply({"Users": [{"Username": "bob", "Enabled": True}]}))
    scripted.on("AdminListGroupsForUser", failure("UserNotFoundException"))
    answer = serve(scripted.url).send("{ users { nodes { username groups { nodes { name } } } } }")
    assert answer.data["users"]["nodes"] == [{"username": "bob", "groups": None}]


@pytest.mark.parametrize("name", ["a,Admins", "Admins "])
def test_group_names_are_never_split(
    serve: Callable[..., Api], scripted: ScriptedCognito, name: str
) -> None:
    """A group whose name contains an administrators' group gives nothing."""
    reply = serve(scripted.url).send("{ users { nodes { username } } }", groups=(name,))
    assert reply.codes == ["FORBIDDEN"]
    assert scripted.requests == []


# Counting the members of a group.

COUNT = """query ($upTo: Int! = 60) {
    group(name: "Editors") { memberCount(upTo: $upTo) { atLeast exact } }
}"""
EMPTY, UNKNOWN = {"atLeast": 0, "exact": True}, {"atLeast": 0, "exact": False}


def members(*names: str, token: str | None = None) -> Reply:
    """Return a page of members."""
    page = {"Users": [{"Username": name} for name in names]}
    return reply(page if token is None else {**page, "NextToken": token})


@pytest.fixture
def counted(scripted: ScriptedCognito, serve: Callable[..., Api]) -> Api:
    """A server in front of a pool with a group, whose members are scripted by the test."""
    scripted.on("GetGroup", reply({"Group": {"GroupName": "Editors"}}))
    return serve(scripted.url, deadline=2)


def test_member_count(api: Api, directory: Directory) -> None:
    """Members are counted up to the page on which enough are reached, and no further."""
    directory.add_group("Editors")
    directory.add_user("other")
    assert api.send(COUNT).data["group"]["memberCount"] == EMPTY
    for number in range(61):
        directory.add_user(f"u{number}", "Editors")
    counts = {
        up_to: api.send(COUNT, {"upTo": up_to}).data["group"]["memberCount"]
        for up_to in (1, 60, 61, 1000)
    }
    first, whole = {"atLeast": 60, "exact": False}, {"atLeast": 61, "exact": True}
    assert counts == {1: first, 60: first, 61: whole, 1000: whole}


@pytest.mark.parametrize(
    ("pages", "up_to", "expected"),
    [
        ([members()], 60, EMPTY),
        ([members(token="1"), members(token="2"), members()], 60, EMPTY),
        ([members(token=f"{n}") for n in range(30)], 60, UNKNOWN),
        ([members("a", token="1"), members(token="2"), members("b")], 60,
         {"atLeast": 2, "exact": True}),
        # The end of the list is not known before it is read.
        ([members("a", "b", token="1"), members()], 2, {"atLeast": 2, "exact": False}),
        ([members("a", "b", token="1"), members()], 3, {"atLeast": 2, "exact": True}),
        # A user was removed and added again between two pages.
        ([members("a", "b", token="1"), members("b", "c")], 60, {"atLeast": 3, "exact": True}),
    ],
)  # fmt: skip
def test_member_count_of_short_pages(
    counted: Api,
    scripted: ScriptedCognito,
    pages: list[Reply],
    up_to: int,
    expected: dict[str, object],
) -> None:
    """A count is only said to be exact where the end of the list was read."""
    scripted.on("ListUsersInGroup", pages)
    assert counted.send(COUNT, {"upTo": up_to}).data["group"]["memberCount"] == expected
    assert len(scripted.requests) <= 1 + 1 + SPARE_CALLS


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ([members("a", token="1"), *[failure("InternalErrorException", 500)] * 3],
         "UPSTREAM_ERROR"),
        ([members("a", token="1"), members("b", token="1")], "UPSTREAM_ERROR"),
        (reply({"Users": [{"Username": "a"}, {}]}), "UPSTREAM_ERROR"),
        (reply({"Users": "a"}), "UPSTREAM_ERROR"),
        ([members("a", token="1"), held(threading.Event(), members("b"))], "TIMEOUT"),
        (failure("ResourceNotFoundException"), "GROUP_NOT_FOUND"),
    ],
    ids=["fails", "repeats", "nameless", "no list", "late", "deleted meanwhile"],
)  # fmt: skip
def test_member_count_that_fails(
    counted: Api, scripted: ScriptedCognito, answer: Any, code: str
) -> None:
    """There is no figure where the list cannot be read."""
    scripted.on("ListUsersInGroup", answer)
    answered = counted.send(COUNT)
    assert answered.codes == [code]
    assert answered.partial == {"group": {"memberCount": None}}


@pytest.mark.parametrize("up_to", [0, -1, MAX_COUNTED + 1])
def test_member_count_out_of_range(counted: Api, scripted: ScriptedCognito, up_to: int) -> None:
    """It is asked for within bounds."""
    answered = counted.send(COUNT, {"upTo": up_to})
    assert answered.codes == ["BAD_USER_INPUT"]
    assert answered.errors[0]["extensions"]["field"] == "upTo"
    assert "ListUsersInGroup" not in scripted.operations()


def test_price_of_member_count(counted: Api, scripted: ScriptedCognito) -> None:
    """It has the price of the pages that it may read, for each group."""
    scripted.on("ListGroups", reply({"Groups": [{"GroupName": "A"}, {"GroupName": "B"}]}))
    scripted.on("ListUsersInGroup", members("a"))
    document = """query ($first: Int!, $upTo: Int!) {
        groups(first: $first) { nodes { memberCount(upTo: $upTo) { atLeast } } }
    }"""

    def ask(first: int, up_to: int) -> Any:
        body = {
            "query": document,
            "variables": {"first": first, "upTo": up_to},
            "extensions": {"cost": True},
        }
        headers = {"Authorization": counted.token("Admins")}
        return counted.client.post("/graphql", json=body, headers=headers).json()

    costs = {
        asked: ask(*asked)["extensions"]["cost"]["estimated"]
        for asked in [(2, 1), (2, 60), (2, 61), (2, 1000), (8, 1000)]
    }
    assert costs == {(2, 1): 3, (2, 60): 3, (2, 61): 5, (2, 1000): 35, (8, 1000): 137}
    scripted.requests.clear()
    assert ask(9, 1000)["errors"][0]["extensions"]["code"] == "QUERY_TOO_EXPENSIVE"
    assert scripted.requests == []


def test_member_count_uses_up_the_calls(
    serve: Callable[..., Api], scripted: ScriptedCognito
) -> None:
    """Empty pages beyond the price count as they are read, and there is no figure without calls."""
    scripted.on("GetGroup", reply({"Group": {"GroupName": "Editors"}}))
    scripted.on("ListUsersInGroup", [members(token=f"{n}") for n in range(30)])
    answered = serve(scripted.url, max_calls=4).send(COUNT)
    assert answered.codes == ["QUERY_TOO_EXPENSIVE"]
    assert len(scripted.requests) == 4
