"""Finding objects again: by global id, and by key from another subgraph."""

import base64
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from graphql_admin.admin.nodes import global_id, parse_global_id
from graphql_admin.errors import BadUserInput
from tests.support.api import Api
from tests.support.directory import Directory
from tests.support.patience import PATIENCE
from tests.support.scripted import Reply, ScriptedCognito, reply

ENTITIES = """query ($representations: [_Any!]!, $beyond: Boolean = true) {
    _entities(representations: $representations) {
        __typename
        ... on User { username @include(if: $beyond) email @include(if: $beyond) }
        ... on Group { name description @include(if: $beyond) }
    }
}"""


def test_node(api: Api, directory: Directory) -> None:
    """The id of an object fetches it again, wherever the id came from."""
    directory.add_group("Editors", Description="Who edits")
    directory.add_user("bob", "Editors", email="bob@example.com")
    met = api.send("""mutation { enableUser(input: {username: "bob"}) { user { id } } }""").data[
        "enableUser"
    ]["user"]["id"]
    seen = api.send("{ users { nodes { username id groups { nodes { id } } } } }").data
    (user,) = (each for each in seen["users"]["nodes"] if each["username"] == "bob")
    assert user["id"] == met
    node = "query ($id: ID!) { node(id: $id) { __typename id ...U ...G } }"
    node += " fragment U on User { email } fragment G on Group { description }"
    assert api.send(node, {"id": user["id"]}).data["node"] == {
        "__typename": "User",
        "id": user["id"],
        "email": "bob@example.com",
    }
    (group,) = user["groups"]["nodes"]
    assert api.send(node, {"id": group["id"]}).data["node"] == {
        "__typename": "Group",
        "id": group["id"],
        "description": "Who edits",
    }


DOCUMENTED = re.compile(r"that of the user `(\w+)` is\s+`([^`]+)`")


@pytest.mark.parametrize("typename", ["User", "Group"])
@pytest.mark.parametrize("name", ["bob", "b", "bo", "jürgen", "山田", "a?>~", "x" * 128])
def test_a_global_id_has_one_form(typename: str, name: str) -> None:
    """It is Base64 with padding, which every language has, and no other form is taken."""
    id_ = global_id(typename, name)
    assert id_ == base64.b64encode(f"{typename}:{name}".encode()).decode()
    assert parse_global_id(id_, "id") == (typename, name)
    urlsafe = id_.replace("+", "-").replace("/", "_")
    for other in {id_.rstrip("="), urlsafe, f"{id_}=", f" {id_}"} - {id_}:
        with pytest.raises(BadUserInput):
            parse_global_id(other, "id")


def test_the_global_id_in_the_documentation_is_that_of_the_user(
    api: Api, directory: Directory
) -> None:
    """Who makes an id as the page on federation says finds the user by it."""
    page = (Path(__file__).parents[2] / "docs" / "federation.md").read_text(encoding="utf-8")
    ((username, id_),) = DOCUMENTED.findall(page)
    directory.add_user(username)
    query = "query ($id: ID!) { node(id: $id) { id ... on User { username } } }"
    assert api.send(query, {"id": id_}).data == {"node": {"id": id_, "username": username}}


def test_node_gone(api: Api, directory: Directory) -> None:
    """An object that is gone is null, and no error."""
    directory.add_group("Editors")
    directory.add_user("bob")
    ids = [
        api.send('{ user(by: {username: "bob"}) { id } }').data["user"]["id"],
        api.send('{ group(name: "Editors") { id } }').data["group"]["id"],
    ]
    directory.cognito.admin_delete_user(UserPoolId=directory.pool_id, Username="bob")
    directory.cognito.delete_group(UserPoolId=directory.pool_id, GroupName="Editors")
    for id_ in ids:
        assert api.send("query ($id: ID!) { node(id: $id) { id } }", {"id": id_}).data == {
            "node": None
        }


@pytest.mark.parametrize(
    "id_",
    [
        "",
        "bob",
        "VXNlcg==",
        "VXNlcjo=",
        "UGV0OnJleA==",
        "VXNlcjpib2I",
        "VXNlcjpib2I!",
        "VXNlcjpib2J=",
        "VXNlcjpib2I==",
        "VXNlcjpib2I=AAAA",
        "VX NlcjpiYm9i",
        "VXNlcjpib2I=\n",
        "VXNlcjphIGI=",
        "é",
    ],
    ids=[
        "empty",
        "no id",
        "no key",
        "empty key",
        "no type",
        "cut short",
        "longer",
        "loose end",
        "padded twice",
        "more behind the padding",
        "space between",
        "line end",
        "space",
        "not ASCII",
    ],
)
def test_node_malformed(serve: Callable[..., Api], scripted: ScriptedCognito, id_: str) -> None:
    """What is not an id of this server is refused before Cognito is called."""
    answer = serve(scripted.url).send("query ($id: ID!) { node(id: $id) { id } }", {"id": id_})
    assert answer.codes == ["BAD_USER_INPUT"]
    assert scripted.requests == []


def test_node_is_no_other_user(serve: Callable[..., Api], scripted: ScriptedCognito) -> None:
    """A user whom Cognito finds by an alias or `sub` is not the one whose id was asked for."""
    scripted.on("AdminGetUser", reply({"Username": "eve", "UserAttributes": []}))
    answer = serve(scripted.url).send('{ node(id: "VXNlcjpib2I=") { id } }')
    assert answer.data == {"node": None}


def test_entities(api: Api, directory: Directory) -> None:
    """References by each key give their objects, in the order asked for."""
    directory.add_group("Editors", Description="Who edits")
    sub = directory.add_user("bob", email="bob@example.com")
    directory.add_user("eve", email="eve@example.com")
    references = [
        {"__typename": "Group", "name": "Editors"},
        {"__typename": "User", "sub": sub},
        {"__typename": "User", "username": "eve", "more": "than the key"},
    ]
    assert api.send(ENTITIES, {"representations": references}).data["_entities"] == [
        {"__typename": "Group", "name": "Editors", "description": "Who edits"},
        {"__typename": "User", "username": "bob", "email": "bob@example.com"},
        {"__typename": "User", "username": "eve", "email": "eve@example.com"},
    ]


@pytest.mark.parametrize("type_", ["_Entity", "Node", "User"])
def test_entities_through_any_fragment(api: Api, directory: Directory, type_: str) -> None:
    """Fields are read for whichever fragment asks for them, on the union itself too."""
    directory.add_user("bob", email="bob@example.com")
    query = f"""query ($representations: [_Any!]!) {{
        _entities(representations: $representations) {{
            ... on {type_} {{ ... on User {{ email }} }}
        }}
    }}"""
    references = [{"__typename": "User", "username": "bob"}]
    answer = api.send(query, {"representations": references})
    assert answer.data == {"_entities": [{"email": "bob@example.com"}]}


def test_entities_missing_or_malformed(api: Api, directory: Directory) -> None:
    """A reference that leads nowhere is null with its own error, and the others are whole."""
    directory.add_user("bob", email="bob@example.com")
    references: list[Any] = [
        {"__typename": "User", "username": "bob"},
        {"__typename": "User", "username": "nobody"},
        {"__typename": "User", "sub": "nobody"},
        {"__typename": "Group", "name": "Nowhere"},
        {"__typename": "Pet", "name": "Rex"},
        {"username": "bob"},
        {"__typename": "User"},
        {"__typename": "User", "username": 5},
        {"__typename": "User", "username": "a b"},
        {"__typename": "Group", "name": "a b"},
        {"__typename": ["User"], "username": "bob"},
        "bob",
    ]
    answer = api.send(ENTITIES, {"representations": references})
    assert answer.partial["_entities"] == [
        {"__typename": "User", "username": "bob", "email": "bob@example.com"},
        *[None] * 11,
    ]
    by_index = {e["path"][1]: e["extensions"]["code"] for e in answer.errors}
    assert by_index == {
        1: "USER_NOT_FOUND",
        2: "USER_NOT_FOUND",
        3: "GROUP_NOT_FOUND",
        **dict.fromkeys(range(4, 12), "BAD_USER_INPUT"),
    }


def test_entities_cost(serve: Callable[..., Api], scripted: ScriptedCognito) -> None:
    """A reference costs one call however often it stands there, and none for its key alone."""
    scripted.on(
        "AdminGetUser",
        lambda asked: reply({"Username": asked["Username"], "UserAttributes": []}),
    )
    api = serve(scripted.url)
    references = [{"__typename": "User", "username": f"user{n % 30}"} for n in range(60)]
    assert len(api.send(ENTITIES, {"representations": references}).data["_entities"]) == 60
    assert sorted(request.parameters["Username"] for request in scripted.requests) == sorted(
        f"user{n}" for n in range(30)
    )
    scripted.requests.clear()
    keys = "query ($r: [_Any!]!) { _entities(representations: $r) { %s } }"
    users = "... on User { __typename username }"
    found = api.send(keys % users, {"r": references[:1]}).data["_entities"]
    assert found == [{"__typename": "User", "username": "user0"}]
    found = api.send(
        keys % "... on User { __typename sub }", {"r": [{"__typename": "User", "sub": "s"}]}
    ).data["_entities"]
    assert found == [{"__typename": "User", "sub": "s"}]
    found = api.send(
        keys % "... on Group { name } ... on User { email }",
        {"r": [{"__typename": "Group", "name": "Editors"}]},
    ).data["_entities"]
    assert found == [{"name": "Editors"}]
    assert scripted.requests == []


def test_entities_are_no_other_users(serve: Callable[..., Api], scripted: ScriptedCognito) -> None:
    """A user whom Cognito finds by an alias or `sub` is not the one whose username was given."""
    scripted.on("AdminGetUser", reply({"Username": "eve", "UserAttributes": []}))
    references = [{"__typename": "User", "username": "bob"}]
    answer = serve(scripted.url).send(ENTITIES, {"representations": references})
    assert answer.codes == ["USER_NOT_FOUND"]
    assert answer.partial == {"_entities": [None]}


def test_entities_below_their_union(serve: Callable[..., Api], scripted: ScriptedCognito) -> None:
    """What is asked for in a fragment on the union itself is fetched as it is anywhere else."""
    scripted.on("GetGroup", reply({"Group": {"GroupName": "Editors", "Description": "Who edits"}}))
    answer = serve(scripted.url).send(
        """query ($references: [_Any!]!) { _entities(representations: $references) { ...E } }
        fragment E on _Entity { ... on Group { description } }""",
        {"references": [{"__typename": "Group", "name": "Editors"}]},
    )
    assert answer.data["_entities"] == [{"description": "Who edits"}]


def test_entities_at_once(serve: Callable[..., Api], scripted: ScriptedCognito) -> None:
    """References are resolved together: none is answered before all have been asked for."""
    everyone = threading.Barrier(20)

    def get_user(asked: dict[str, Any]) -> Reply:
        everyone.wait(PATIENCE)
        return reply({"Username": asked["Username"], "UserAttributes": []})

    scripted.on("AdminGetUser", get_user)
    references = [{"__typename": "User", "username": f"user{n}"} for n in range(20)]
    found = serve(scripted.url).send(ENTITIES, {"representations": references}).data["_entities"]
    assert [user["username"] for user in found] == [f"user{n}" for n in range(20)]


def test_entities_cost_by_sub(serve: Callable[..., Api], scripted: ScriptedCognito) -> None:
    """A `sub` that is found is sought no further, even where Cognito says that there is more."""
    attributes = [{"Name": "sub", "Value": "s"}]
    user = {"Username": "bob", "Attributes": attributes, "UserAttributes": attributes}
    scripted.on("ListUsers", reply({"Users": [user], "PaginationToken": "more"}))
    scripted.on("AdminGetUser", reply(user))
    api = serve(scripted.url)
    by_sub = {"__typename": "User", "sub": "s"}
    assert api.send(ENTITIES, {"representations": [by_sub, by_sub]}).data["_entities"][1]
    assert scripted.operations() == ["ListUsers"]
    scripted.requests.clear()
    # Nothing tells that two different keys are one person's, before both are looked up.
    by_username = {"__typename": "User", "username": "bob"}
    api.send(ENTITIES, {"representations": [by_sub, by_username, by_sub, by_username]})
    assert sorted(scripted.operations()) == ["AdminGetUser", "ListUsers"]


@pytest.mark.parametrize(("action", "refused"), [("getUser", 1), ("getGroup", 0)])
def test_entities_refused(
    serve: Callable[..., Api],
    scripted: ScriptedCognito,
    tmp_path: Path,
    action: str,
    refused: int,
) -> None:
    """References of a type that the caller may not read are refused, and the others are whole."""
    scripted.on("AdminGetUser", reply({"Username": "bob", "UserAttributes": []}))
    scripted.on("GetGroup", reply({"Group": {"GroupName": "Editors"}}))
    policy = tmp_path / "policy.toml"
    policy.write_text(f'[groups]\nStaff = ["{action}"]\n')
    references = [
        {"__typename": "User", "username": "bob"},
        {"__typename": "Group", "name": "Editors"},
    ]
    answer = serve(scripted.url, policy_file=policy).send(
        ENTITIES, {"representations": references}, groups=("Staff",)
    )
    assert [error["path"] for error in answer.errors] == [["_entities", refused]]
    assert answer.codes == ["FORBIDDEN"]
    found = [entity and entity["__typename"] for entity in answer.partial["_entities"]]
    assert found == [None if refused == 0 else "User", None if refused == 1 else "Group"]
    assert len(scripted.requests) == 1


KEYS = """query ($references: [_Any!]!) { _entities(representations: $references) {
    __typename ... on User { %s } ... on Group { id name }
} }"""


def test_entities_known_by_their_keys(
    serve: Callable[..., Api], scripted: ScriptedCognito, tmp_path: Path
) -> None:
    """A reference of which no more than the key is asked takes no action, and reads nothing.

    So any caller with a token gets back what they sent, whether there is such an object or not.
    """
    policy = tmp_path / "policy.toml"
    policy.write_text('[groups]\nStaff = ["listGroups"]\n')
    api = serve(scripted.url, policy_file=policy)
    by_name = [
        {"__typename": "User", "username": "nobody"},
        {"__typename": "Group", "name": "Nowhere"},
    ]
    answer = api.send(KEYS % "id username", {"references": by_name}, groups=("Staff",))
    assert answer.data["_entities"] == [
        {"__typename": "User", "id": "VXNlcjpub2JvZHk=", "username": "nobody"},
        {"__typename": "Group", "id": "R3JvdXA6Tm93aGVyZQ==", "name": "Nowhere"},
    ]
    by_sub = [{"__typename": "User", "sub": "s"}]
    answer = api.send(KEYS % "sub", {"references": by_sub}, groups=())
    assert answer.data["_entities"] == [{"__typename": "User", "sub": "s"}]
    for beyond in ("id", "username", "sub email"):
        answer = api.send(KEYS % beyond, {"references": by_sub}, groups=("Staff",))
        assert answer.codes == ["FORBIDDEN"]
    for beyond in ("sub", "username email", "groups { nodes { name } }"):
        answer = api.send(KEYS % beyond, {"references": by_name[:1]}, groups=("Staff",))
        assert answer.codes == ["FORBIDDEN"]
    assert api.send(KEYS % "username", {"references": by_name}, token="").codes == [
        "UNAUTHENTICATED"
    ]
    assert scripted.requests == []


def test_node_field_switched_off(serve: Callable[..., Api], scripted: ScriptedCognito) -> None:
    """Without `node`, objects still have their ids, and other subgraphs can refer to them."""
    scripted.on("AdminGetUser", reply({"Username": "bob", "UserAttributes": []}))
    api = serve(scripted.url, node_field=False)
    answer = api.send('{ node(id: "VXNlcjpib2I=") { id } }')
    assert answer.codes == ["GRAPHQL_VALIDATION_FAILED"]
    assert api.send('{ user(by: {username: "bob"}) { id } }').data == {
        "user": {"id": "VXNlcjpib2I="}
    }
    references = [{"__typename": "User", "username": "bob"}]
    assert api.send(ENTITIES, {"representations": references}).data["_entities"]


def test_service(api: Api) -> None:
    """A gateway is given the schema that is published as `schema.graphql`."""
    file = Path(__file__).parent.parent.parent / "schema.graphql"
    sdl = api.send("{ _service { sdl } }").data["_service"]["sdl"]
    assert sdl.strip() == file.read_text(encoding="utf-8").strip()


def test_service_shows_auth_directives(
    serve: Callable[..., Api], scripted: ScriptedCognito
) -> None:
    """The auth directives are in what gateways are given, where the setting says so."""
    sdl = serve(scripted.url, auth_directives=True).send("{ _service { sdl } }").data
    assert 'import: ["@authenticated", "@key", "@policy", "@shareable"]' in sdl["_service"]["sdl"]


NODES = """query ($ids: [ID!]!) {
    nodes(ids: $ids) { __typename id ... on User { email } ... on Group { description } }
}"""


def test_nodes(serve: Callable[..., Api], directory: Directory, moto_url: str) -> None:
    """Objects come in the order of their ids, with null for what is gone."""
    directory.add_group("Editors", Description="Who edits")
    directory.add_user("bob", email="bob@example.com")
    bob, editors = global_id("User", "bob"), global_id("Group", "Editors")
    ids = [editors, bob, global_id("User", "gone"), global_id("Group", "gone"), bob]
    user = {"__typename": "User", "id": bob, "email": "bob@example.com"}
    group = {"__typename": "Group", "id": editors, "description": "Who edits"}
    api = serve(moto_url, directory.pool_id)
    assert api.send(NODES, {"ids": ids}).data["nodes"] == [group, user, None, None, user]


def test_nodes_cost_a_call_each(serve: Callable[..., Api], scripted: ScriptedCognito) -> None:
    """Each different id is priced as a call, and takes one."""
    scripted.on("AdminGetUser", reply({"Username": "bob", "UserAttributes": []}))
    api = serve(scripted.url, max_calls=2)
    bob = global_id("User", "bob")
    found = api.send(NODES, {"ids": [bob] * 60})
    assert found.data["nodes"] == [{"__typename": "User", "id": bob, "email": None}] * 60
    assert scripted.operations() == ["AdminGetUser"]
    ids = [global_id("User", str(number)) for number in range(3)]
    assert api.send(NODES, {"ids": ids}).codes == ["QUERY_TOO_EXPENSIVE"]
    assert scripted.operations() == ["AdminGetUser"]


def test_too_many_nodes(serve: Callable[..., Api], scripted: ScriptedCognito) -> None:
    """More ids than a page has items are refused before any call, and alone."""
    document = "query ($ids: [ID!]!) { nodes(ids: $ids) { id } viewer { username } }"
    refused = serve(scripted.url).send(document, {"ids": [global_id("User", "bob")] * 61})
    assert refused.codes == ["BAD_USER_INPUT"]
    assert refused.partial == {"nodes": None, "viewer": {"username": "root"}}
    assert scripted.requests == []


def test_nodes_that_are_denied(serve_policy: Callable[..., Api], scripted: ScriptedCognito) -> None:
    """What is denied, or no id, is an error in its place, and the others are there."""
    scripted.on("GetGroup", reply({"Group": {"GroupName": "Editors"}}))
    api = serve_policy('[groups]\nStaff = ["getGroup"]')
    ids = [global_id("User", "bob"), global_id("Group", "Editors"), "no id", global_id("Pet", "x")]
    answer = api.send(NODES, {"ids": ids}, token=api.token("Staff"))
    assert [(each["path"], each["extensions"]["code"]) for each in answer.errors] == [
        (["nodes", 0], "FORBIDDEN"),
        (["nodes", 2], "BAD_USER_INPUT"),
        (["nodes", 3], "BAD_USER_INPUT"),
    ]
    group = {"__typename": "Group", "id": ids[1], "description": None}
    assert answer.partial["nodes"] == [None, group, None, None]
    assert scripted.operations() == ["GetGroup"]


def test_entities_by_id(api: Api, directory: Directory) -> None:
    """Another subgraph may refer to an object by its id alone."""
    directory.add_group("Editors", Description="Who edits")
    directory.add_user("bob", email="bob@example.com")
    references = [
        {"__typename": "User", "id": global_id("User", "bob")},
        {"__typename": "Group", "id": global_id("Group", "Editors")},
    ]
    assert api.send(ENTITIES, {"representations": references}).data["_entities"] == [
        {"__typename": "User", "username": "bob", "email": "bob@example.com"},
        {"__typename": "Group", "name": "Editors", "description": "Who edits"},
    ]


@pytest.mark.parametrize("id_", ["no id", global_id("Group", "bob"), global_id("User", "")])
def test_entities_by_other_ids(
    serve: Callable[..., Api], scripted: ScriptedCognito, id_: str
) -> None:
    """What is not an id of an object of the type is refused before any call."""
    references = [{"__typename": "User", "id": id_}]
    assert serve(scripted.url).send(ENTITIES, {"representations": references}).codes == [
        "BAD_USER_INPUT"
    ]
    assert scripted.requests == []
