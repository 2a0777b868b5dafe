"""What callers see of the attributes of users, by every way through the schema to a user."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from graphql import GraphQLObjectType, get_named_type, is_leaf_type
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client import REGISTRY, generate_latest

from graphql_admin.actions import Action
from graphql_admin.admin.guards import RequiresByType, guard_of
from graphql_admin.admin.nodes import global_id
from graphql_admin.admin.schema import AdminSchema
from tests.support.api import Api
from tests.support.scripted import ScriptedCognito, reply
from tests.support.tokens import ABSENT, CLIENT_ID
from tests.support.ways import GROUP, IDENTITIES, MAX_CALLS, REPLIES, sample

LABELS = json.dumps([each.label for each in Action if not each.is_for_oneself])
VALUES = {
    "email": "walrus.one@zebrafish.example",
    "phone_number": "+4915550417263",
    "name": "Quagga Narwhal",
    "given_name": "Quokka",
    "family_name": "Okapiname",
    "preferred_username": "pangolin-name",
    "identities": IDENTITIES.replace("]", ', {"userId": "axolotl-identity"}]'),
    "custom:plan": "ocelot-plan",
}
PARTS = {**VALUES, "identities": "axolotl-identity"}
"""What must not be found anywhere where an attribute is hidden: its value, or part of it."""
MASKED = {"email": "w***@z***", "phone_number": "+*******7263"}
USER: dict[str, Any] = {
    "Username": "bob",
    "Enabled": True,
    "UserStatus": "FORCE_CHANGE_PASSWORD",
    "UserCreateDate": 1700000000.5,
    "UserLastModifiedDate": 1700000000.5,
    "Attributes": [
        {"Name": "sub", "Value": "sub-of-bob"},
        {"Name": "email_verified", "Value": "true"},
        *({"Name": name, "Value": value} for name, value in VALUES.items()),
    ],
}
SCHEMA = AdminSchema().graphql_schema


def every_field(typename: str) -> str:
    """Return a selection of all fields of an object that are no lists of other objects' pages."""
    selected = []
    for name, field in SCHEMA.type_map[typename].fields.items():
        inner = get_named_type(field.type)
        if is_leaf_type(inner):
            selected.append(name)
        elif not inner.name.endswith("Connection"):
            selected.append(f"{name} {every_field(inner.name)}")
    return f"{{ {' '.join(selected)} }}"


FIELDS = every_field("User")


def policy(reads: str = "", masks: str = "") -> str:
    """Return a policy under which Support, and a machine, see so much."""
    text = f"""
[groups]
Admins = ["*"]
Support = {LABELS}
[scopes]
"api/support" = {LABELS}
[writes]
Support = ["*"]
"api/support" = ["*"]
"""
    for table, listed in (("reads", reads), ("masks", masks)):
        if listed:
            text += f'[{table}]\nSupport = {listed}\n"api/support" = {listed}\n'
    return text


# Every way through the schema to a user


@dataclass(frozen=True)
class UserPath:
    """A document that leads to a user, and its variables."""

    document: str

    def __str__(self) -> str:
        return " ".join(self.document.split())[:120]


def find_paths() -> Iterator[UserPath]:
    """Yield a document for every way to a field of type `User`, passing no field twice."""
    for prefix, root in (("query", SCHEMA.query_type), ("mutation", SCHEMA.mutation_type)):
        yield from _find(root, prefix, ())


def _openings(name: str, field: Any) -> Iterator[str]:
    guard = guard_of(field.extensions["strawberry-definition"])
    if isinstance(guard, RequiresByType):
        for typename, key, value in (("User", "username", "bob"), ("Group", "name", "Editors")):
            id_ = global_id(typename, value)
            arguments = {
                "node": f'id: "{id_}"',
                "nodes": f'ids: ["{id_}"]',
                "_entities": f'representations: [{{__typename: "{typename}", {key}: "{value}"}}]',
            }
            yield f"{name}({arguments[name]}) {{ ... on {typename}"
    else:
        arguments_ = sample(field.args)
        yield f"{name}({arguments_})" if arguments_ else name


def _find(type_: Any, prefix: str, path: tuple[str, ...]) -> Iterator[UserPath]:
    if not isinstance(type_, GraphQLObjectType):
        return
    for name, field in type_.fields.items():
        if name in path:
            continue
        inner = get_named_type(field.type)
        for opening in _openings(name, field):
            opened = f"{prefix} {{ {opening}"
            below = inner
            if " ... on " in opening:
                below = SCHEMA.type_map[opening.rpartition(" ")[2]]
            if below.name == "User":
                document = f"{opened} {FIELDS}"
                yield UserPath(document + "}" * (document.count("{") - document.count("}")))
            yield from _find(below, opened, (*path, name))


PATHS = list(find_paths())
REST = [
    ("getUser", {"username": "bob"}),
    ("listUsers", {}),
    ("listUsersInGroup", {"groupname": "Editors"}),
]


@pytest.fixture
def pool(scripted: ScriptedCognito) -> ScriptedCognito:
    """A pool with one user, who has a value for every attribute that is looked for."""
    scripted.on_all(
        {
            **REPLIES,
            "ListUsers": {"Users": [USER]},
            "ListUsersInGroup": {"Users": [USER]},
            "AdminGetUser": {**USER, "UserAttributes": USER["Attributes"]},
            "AdminCreateUser": {"User": USER},
            "AdminListGroupsForUser": {"Groups": [GROUP]},
        }
    )
    return scripted


def machine(api: Api) -> str:
    """Return the token of a machine that has Support's rights."""
    no_user: dict[str, Any] = {"username": ABSENT, "cognito:groups": ABSENT}
    return api.token(sub=CLIENT_ID, scope="api/support", **no_user)


def asker(api: Api, path: UserPath) -> str:
    """Return the token for a path: a machine's, or that of bob for his own account."""
    return api.token("Support", username="bob") if "signUserOut" in path.document else machine(api)


def everything_said(api: Api, token: str, capture: Any, events: Path) -> str:
    """Ask by every path, and return all that was answered, logged, recorded and counted."""
    said = [api.send(path.document, token=asker(api, path)).response.text for path in PATHS]
    for name, parameters in REST:
        answer = api.client.get(
            f"/AdminQueries/{name}", params=parameters, headers={"Authorization": f"Bearer {token}"}
        )
        assert answer.status_code == 200
        said.append(answer.text)
    logged = capture.readouterr()
    return "".join(
        [*said, logged.out, logged.err, events.read_text(), generate_latest(REGISTRY).decode()]
    )


@pytest.mark.usefixtures("pool")
@settings(
    max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    seen=st.dictionaries(
        st.sampled_from([*VALUES, "*"]), st.sampled_from(["reads", "masks"]), max_size=5
    )
)
def test_nothing_hidden_is_said(
    serve_policy: Callable[..., Api],
    capfd: pytest.CaptureFixture[str],
    tmp_path: Path,
    seen: dict[str, str],
) -> None:
    """No byte of a reply, an error, a log line, an event or a metric has what is hidden."""
    reads = [name for name, table in seen.items() if table == "reads"]
    masks = [name for name, table in seen.items() if table == "masks" and seen.get("*") != "reads"]
    if "*" in masks:
        reads, masks = [], ["*"]
    api = serve_policy(policy(json.dumps(reads), json.dumps(masks)), max_calls=MAX_CALLS)
    said = everything_said(api, machine(api), capfd, tmp_path / "audit.jsonl")
    for name, text in PARTS.items():
        if name in reads or "*" in reads:
            assert text in said
        else:
            assert text not in said
        if name in masks or "*" in masks:
            assert MASKED.get(name, "***") in said


@pytest.mark.usefixtures("pool")
def test_every_path_reaches_the_user(serve_policy: Callable[..., Api]) -> None:
    """Every path shows the user's values to who may see them: otherwise it would test nothing."""
    api = serve_policy(policy(), max_calls=MAX_CALLS)
    for path in PATHS:
        answer = api.send(path.document, token=asker(api, path))
        assert VALUES["email"] in answer.response.text, path


@pytest.mark.usefixtures("pool")
def test_hidden_and_masked(serve_policy: Callable[..., Api]) -> None:
    """What is hidden is null and missing; what is masked is seen in part, its flag as a whole."""
    api = serve_policy(policy('["name"]', '["email", "custom:plan"]'))
    token = machine(api)
    user = api.send(f'{{ user(by: {{username: "bob"}}) {FIELDS} }}', token=token).data["user"]
    assert {name: user[name] for name in ("fullName", "email", "emailVerified", "phoneNumber")} == {
        "fullName": VALUES["name"],
        "email": "w***@z***",
        "emailVerified": True,
        "phoneNumber": None,
    }
    assert {each["name"]: each["value"] for each in user["attributes"]} == {
        "sub": "sub-of-bob",
        "email_verified": "true",
        "email": "w***@z***",
        "name": VALUES["name"],
        "custom:plan": "***",
    }
    rights = api.send("{ viewer { attributes { read masked write } } }", token=token).data
    assert rights["viewer"]["attributes"] == {
        "read": ["email_verified", "name"],
        "masked": ["custom:plan", "email"],
        "write": ["*"],
    }


FORMS = [
    ("{ users(filter: %s) { nodes { username } } }", False),
    ("{ other: users(filter: %s) { edges { node { id } } } }", False),
    (
        "query ($yes: Boolean = true) { users(filter: %s) @include(if: $yes) { nodes { sub } } }",
        False,
    ),
    ("{ ...F } fragment F on Query { users(filter: %s) { nodes { __typename } } }", False),
    ("{ __schema { __typename } users(filter: %s) { nodes { username } } }", False),
    ("query ($match: StringMatch!) { users(filter: {%s: $match}) { nodes { username } } }", True),
]


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form[0][:40])
@pytest.mark.parametrize(
    ("match", "is_denied"),
    [
        ({"email": {"equals": "x@y.z"}}, True),
        ({"email": {"startsWith": "x"}}, True),
        ({"email": {"startsWith": ""}}, True),
        ({"phoneNumber": {"equals": "+4915550417263"}}, False),
        ({"phoneNumber": {"startsWith": "+49"}}, True),
        ({"phoneNumber": {"startsWith": ""}}, True),
        ({"fullName": {"startsWith": "Q"}}, False),
        ({"username": {"startsWith": "b"}}, False),
        ({"sub": {"equals": "sub-of-bob"}}, False),
    ],
    ids=str,
)
def test_filters(
    serve_policy: Callable[..., Api],
    pool: ScriptedCognito,
    form: tuple[str, bool],
    match: dict[str, dict[str, str]],
    is_denied: bool,
) -> None:
    """A search by what is hidden is denied, however it is written, before any call."""
    api = serve_policy(policy('["name"]', '["phone_number"]'))
    document, takes_variable = form
    ((name, condition),) = match.items()
    ((operator, value),) = condition.items()
    if takes_variable:
        document, variables = document % name, {"match": condition}
    else:
        document, variables = document % f'{{{name}: {{{operator}: "{value}"}}}}', {}
    answer = api.send(document, variables, token=machine(api))
    assert answer.codes == (["FORBIDDEN"] if is_denied else [])
    assert pool.operations() == ([] if is_denied else ["ListUsers"])


def test_identifiers(serve_policy: Callable[..., Api], pool: ScriptedCognito) -> None:
    """A user is found by a masked address, and not by a hidden one."""
    api = serve_policy(policy('["name"]', '["phone_number"]'))
    token = machine(api)
    found = api.send(
        '{ user(by: {phoneNumber: "+4915550417263"}) { username phoneNumber } }', token=token
    )
    assert found.data["user"] == {"username": "bob", "phoneNumber": "+*******7263"}
    asked = len(pool.requests)
    for address in (VALUES["email"], "nobody@example.com"):
        denied = api.send(f'{{ user(by: {{email: "{address}"}}) {{ username }} }}', token=token)
        assert denied.codes == ["FORBIDDEN"]
    assert len(pool.requests) == asked


@pytest.mark.parametrize("alias", ["email", "preferred_username"])
def test_hidden_aliases(
    serve_policy: Callable[..., Api], pool: ScriptedCognito, alias: str
) -> None:
    """Cognito takes an alias for a username: whose it is is not told by any answer."""
    api = serve_policy(policy('["name"]', '["phone_number"]'))
    token, name = machine(api), VALUES[alias]
    assert api.send(f'{{ user(by: {{username: "{name}"}}) {{ sub }} }}', token=token).data == {
        "user": None
    }
    reference = f'representations: [{{__typename: "User", username: "{name}"}}]'
    for below in ("groups { nodes { name } }", "email", "allowedActions"):
        answer = api.send(
            f"{{ _entities({reference}) {{ ... on User {{ {below} }} }} }}", token=token
        )
        assert "Editors" not in answer.response.text
        assert "walrus" not in answer.response.text
        assert answer.codes == ["USER_NOT_FOUND"] or answer.data == {
            "_entities": [{"allowedActions": None}]
        }
    for mutation in ("enableUser", "disableUser", "confirmUserSignUp"):
        document = (
            f'mutation {{ {mutation}(input: {{username: "{name}"}}) {{ errors {{ code }} }} }}'
        )
        payload = api.send(document, token=token).data[mutation]
        assert payload == {"errors": [{"code": "USER_NOT_FOUND"}]}
    assert not {"AdminEnableUser", "AdminDisableUser", "AdminListGroupsForUser"} & set(
        pool.operations()
    )
    for route in ("getUser", "listGroupsForUser"):
        answer_ = api.client.get(
            f"/AdminQueries/{route}",
            params={"username": name},
            headers={"Authorization": f"Bearer {token}"},
        )
        assert answer_.status_code == 404
    # By a masked alias, as by `equals`, and by the username, users are found.
    for known in (VALUES["phone_number"], "bob", "BOB", "sub-of-bob"):
        found = api.send(f'{{ user(by: {{username: "{known}"}}) {{ sub }} }}', token=token).data
        assert found == {"user": {"sub": "sub-of-bob"}}


@pytest.mark.usefixtures("pool")
def test_shared_reads(serve_policy: Callable[..., Api]) -> None:
    """Callers who see different things get their own, whatever was read or planned for others."""
    api = serve_policy(policy('["name"]'))
    document = '{ user(by: {username: "bob"}) { email fullName } }'
    everything = {"email": VALUES["email"], "fullName": VALUES["name"]}
    for _ in range(3):
        for token, seen in (
            (api.token("Admins"), everything),
            (api.token("Support"), {"email": None, "fullName": VALUES["name"]}),
            (api.token("Support", "Admins"), everything),
        ):
            assert api.send(document, token=token).data["user"] == seen


def test_rights_to_see_are_rights(serve_policy: Callable[..., Api], pool: ScriptedCognito) -> None:
    """Nobody takes over the account of a user who sees more than they do."""
    text = policy('["name"]').replace("[scopes]", f"Readers = {LABELS}\n[scopes]", 1)
    text = text.replace("[reads]", '[reads]\nReaders = ["email"]').replace(
        "[writes]", '[writes]\nReaders = ["*"]'
    )
    api = serve_policy(text)
    pool.on("AdminListGroupsForUser", reply({"Groups": [{"GroupName": "Readers"}]}))
    document = 'mutation { disableUser(input: {username: "bob"}) { errors { code } } }'
    payload = api.send(document, token=machine(api)).data["disableUser"]
    assert payload == {"errors": [{"code": "OUT_OF_SCOPE"}]}
    assert "AdminDisableUser" not in pool.operations()
