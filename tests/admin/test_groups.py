"""Reading groups, and the lists between groups and users."""

from collections.abc import Callable

import pytest

from tests.support.api import Api
from tests.support.directory import Directory
from tests.support.scripted import ScriptedCognito, failure, reply


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
