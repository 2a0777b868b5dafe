"""What callers see of the attributes of users, by every way through the schema to a user."""

import json
import random
from base64 import urlsafe_b64decode
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from graphql import GraphQLObjectType, get_named_type, is_leaf_type
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client import REGISTRY, generate_latest

from graphql_admin.actions import Action
from graphql_admin.admin.guards import GatedSteps, RequiresByType, guard_of
from graphql_admin.admin.nodes import global_id
from graphql_admin.admin.schema import AdminSchema
from tests.support.api import Api
from tests.support.scripted import ScriptedCognito, UserDirectory, failure, reply
from tests.support.tokens import ABSENT, CLIENT_ID
from tests.support.ways import GROUP, IDENTITIES, MAX_CALLS, REPLIES, STEP, sample, sample_value

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

    @property
    def root(self) -> str:
        """The operation, and the root field."""
        return self.document.partition("(")[0]

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
    elif isinstance(guard, GatedSteps):
        yield f"{name}{STEP}"
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
FIRST_PATHS = list({each.root: each for each in reversed(PATHS)}.values())
"""One path for each root field."""


HOW = ("dryRun: true", "onError: REJECT_ALL", "onError: CONTINUE")
"""How a batch is carried out."""


def step_of(name: str) -> str:
    """Return the step of a batch that carries out a mutation."""
    return f"{{{name}: {sample_value('', SCHEMA.mutation_type.fields[name].args['input'].type)}}}"


def find_changes() -> Iterator[UserPath]:
    """Yield documents that ask for errors, of each change alone, and of all of them in a batch."""
    mutations = dict(SCHEMA.mutation_type.fields)
    result = every_field(get_named_type(mutations.pop("batch").type).name)
    for name, field in mutations.items():
        arguments = sample(field.args)
        yield UserPath(f"mutation {{ {name}({arguments}) {{ errors {{ code message field }} }} }}")
    steps = " ".join(step_of(name) for name in mutations if name != "signUserOut")
    for how in HOW:
        yield UserPath(f"mutation {{ batch(input: {{steps: [{steps}], {how}}}) {result} }}")


CHANGES_TOLD = list(find_changes())
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
    paths = [*PATHS, *CHANGES_TOLD]
    said = [api.send(path.document, token=asker(api, path)).response.text for path in paths]
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


TABLES = st.dictionaries(
    st.sampled_from([*VALUES, "*"]), st.sampled_from(["reads", "masks"]), max_size=5
)
"""Attributes, and in which table a policy names them."""
ANY_FIXTURES = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


def check_nothing_hidden(
    serve_policy: Callable[..., Api], capture: Any, events: Path, seen: dict[str, str]
) -> None:
    """Ask by every path under a policy, and look for what is hidden in all that is said."""
    reads = [name for name, table in seen.items() if table == "reads"]
    masks = [name for name, table in seen.items() if table == "masks" and seen.get("*") != "reads"]
    if "*" in masks:
        reads, masks = [], ["*"]
    api = serve_policy(policy(json.dumps(reads), json.dumps(masks)), max_calls=MAX_CALLS)
    said = everything_said(api, machine(api), capture, events)
    for name, text in PARTS.items():
        if name in reads or "*" in reads:
            assert text in said
        else:
            assert text not in said
        if name in masks or "*" in masks:
            assert MASKED.get(name, "***") in said


@pytest.mark.usefixtures("pool")
@settings(max_examples=4, deadline=None, suppress_health_check=ANY_FIXTURES)
@given(seen=TABLES)
def test_nothing_hidden_is_said(
    serve_policy: Callable[..., Api],
    capfd: pytest.CaptureFixture[str],
    tmp_path: Path,
    seen: dict[str, str],
) -> None:
    """No byte of a reply, an error, a log line, an event or a metric has what is hidden."""
    check_nothing_hidden(serve_policy, capfd, tmp_path / "audit.jsonl", seen)


@pytest.mark.slow
@pytest.mark.usefixtures("pool", "paths")
@settings(max_examples=10, deadline=None, suppress_health_check=ANY_FIXTURES)
@given(seen=TABLES)
def test_nothing_hidden_is_said_by_many_policies(
    serve_policy: Callable[..., Api],
    capfd: pytest.CaptureFixture[str],
    tmp_path: Path,
    seen: dict[str, str],
) -> None:
    """So it is under many more policies, with plans and without."""
    check_nothing_hidden(serve_policy, capfd, tmp_path / "audit.jsonl", seen)


READS = {each for action in Action for each in (*action.row.reads, *action.row.checks)}
WRITES = {each for action in Action for each in action.writes}


def say_by_first_paths(api: Api, capture: Any, events: Path) -> list[str]:
    """Ask by one path for each root field; return what was answered, logged and recorded."""
    paths = [*FIRST_PATHS, *CHANGES_TOLD]
    said = [api.send(path.document, token=asker(api, path)).response.text for path in paths]
    logged = capture.readouterr()
    return [*said, logged.out, logged.err, events.read_text()]


@pytest.mark.parametrize("failing", [WRITES, READS - {"AdminGetUser"}, READS], ids=len)
def test_nothing_hidden_is_said_by_errors(
    serve_policy: Callable[..., Api],
    pool: ScriptedCognito,
    capfd: pytest.CaptureFixture[str],
    tmp_path: Path,
    failing: set[str],
) -> None:
    """What Cognito's errors say of a user is passed on by none of this server's."""
    for operation in failing:
        detail = f"no {' '.join(PARTS.values())}"
        pool.on(operation, failure("InvalidParameterException", detail=detail))
    api = serve_policy(policy("[]"), max_calls=MAX_CALLS)
    said = say_by_first_paths(api, capfd, tmp_path / "audit.jsonl")
    assert "INVALID" in "".join(said) or "BAD_USER_INPUT" in "".join(said)
    for part in PARTS.values():
        assert not [each for each in said if part in each]


BROKEN: dict[str, dict[str, Any]] = {
    "no name": {"Username": None},
    "no sub": {"Attributes": USER["Attributes"][1:]},
    "no state": {"Enabled": None, "UserStatus": 5, "UserCreateDate": "never"},
    "values of other types": {
        "Attributes": [
            *USER["Attributes"],
            *({"Name": name, "Value": {value: [value]}} for name, value in PARTS.items()),
            {"Name": ["email", PARTS["email"]], "Value": "x"},
        ]
    },
    "no list": {"Attributes": PARTS},
}


@pytest.mark.parametrize("broken", BROKEN)
def test_nothing_hidden_is_said_of_broken_users(
    serve_policy: Callable[..., Api],
    pool: ScriptedCognito,
    capfd: pytest.CaptureFixture[str],
    tmp_path: Path,
    broken: str,
) -> None:
    """A reply that cannot be read is an error without its values, in the log, too."""
    user = {**USER, **BROKEN[broken]}
    pool.on("ListUsers", reply({"Users": [user]}))
    pool.on("ListUsersInGroup", reply({"Users": [user]}))
    pool.on("AdminGetUser", reply({**user, "UserAttributes": user["Attributes"]}))
    pool.on("AdminCreateUser", reply({"User": user}))
    api = serve_policy(policy("[]"), max_calls=MAX_CALLS)
    said = say_by_first_paths(api, capfd, tmp_path / "audit.jsonl")
    for part in PARTS.values():
        assert not [each for each in said if part in each]


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


@pytest.mark.usefixtures("paths")
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


IDENTIFYING = {
    "literal": ("{ user(by: {email: %s}) { sub } }", None),
    "alias": ("{ other: user(by: {email: %s}) { email: username } }", None),
    "fragment": ("{ ... { ...F } } fragment F on Query { user(by: {email: %s}) { id } }", None),
    "condition": (
        "query ($yes: Boolean! = true) { user(by: {email: %s}) @include(if: $yes) { sub } }",
        None,
    ),
    "beside the schema": ("{ __schema { __typename } user(by: {email: %s}) { sub } }", None),
    "default": ("query ($email: String! = %s) { user(by: {email: $email}) { sub } }", None),
    "variable": (
        "query ($email: String!) { user(by: {email: $email}) { sub } }",
        lambda email: {"email": email},
    ),
    "variable of the whole": (
        "query ($by: UserBy!) { user(by: $by) { sub } }",
        lambda email: {"by": {"email": email}},
    ),
}
"""Documents that search for an e-mail address, and what makes their variables."""


@pytest.mark.usefixtures("paths")
@pytest.mark.parametrize("form", IDENTIFYING)
def test_identifiers_in_every_form(
    serve_policy: Callable[..., Api], pool: ScriptedCognito, form: str
) -> None:
    """By a hidden attribute no user is found, and no call is made, however that is written."""
    api = serve_policy(policy('["name"]'))
    document, variables = IDENTIFYING[form]
    for email in (VALUES["email"], "nobody@example.com"):
        text = document % json.dumps(email) if "%s" in document else document
        denied = api.send(text, variables and variables(email), token=machine(api))
        assert denied.codes == ["FORBIDDEN"]
        assert "bob" not in denied.response.text
    assert pool.operations() == []
    seeing = api.send(text, variables and variables(email), token=api.token("Admins"))
    assert seeing.codes == []
    assert pool.operations() == ["ListUsers"]


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


def on_existing_users() -> Iterator[tuple[str, str]]:
    """Yield the mutations on a user who is there already, each with a document for a `%s`."""
    for action in Action:
        if action.write and action.row.is_on_existing_user and not action.is_for_oneself:
            field = SCHEMA.mutation_type.fields[action.label]
            arguments = sample(field.args).replace('username: "bob"', "username: %s")
            payload = get_named_type(field.type).fields
            below = f"user {FIELDS}" if "user" in payload else ""
            shown = f"{{ {below} errors {{ code message field }} }}"
            yield action.label, f"mutation {{ payload: {action.label}({arguments}) {shown} }}"


CHANGES = dict(on_existing_users())
RESULT = every_field("BatchPayload")
STEPS = {change: step_of(change).replace('username: "bob"', "username: %s") for change in CHANGES}


@pytest.mark.parametrize("groups", [[], ["Chiefs"]], ids=["machine", "who sees less than others"])
@pytest.mark.parametrize("change", CHANGES)
def test_changes_by_hidden_aliases(
    serve_policy: Callable[..., Api], pool: ScriptedCognito, change: str, groups: list[str]
) -> None:
    """Every change by a hidden alias is answered as for a name that no user has, and not made."""

    def find(parameters: dict[str, Any]) -> Any:
        if parameters["Username"] in {"bob", *VALUES.values()}:
            return reply({**USER, "UserAttributes": USER["Attributes"]})
        return failure("UserNotFoundException")

    pool.on("AdminGetUser", find)
    text = policy('["name"]').replace("[reads]", '[reads]\nChiefs = ["name"]')
    api = serve_policy(text.replace("[groups]", '[groups]\nChiefs = ["*"]'))
    token = api.token(*groups) if groups else machine(api)
    pool.people["root"] = [*pool.people["root"], *groups]
    for how in HOW:
        answers = set()
        for name in ("nobody", VALUES["email"], VALUES["preferred_username"]):
            step = STEPS[change] % json.dumps(name)
            document = f"mutation {{ batch(input: {{steps: [{step}], {how}}}) {RESULT} }}"
            answers.add(api.send(document, token=token).response.text)
        assert len(answers) == 1
        assert "USER_NOT_FOUND" in answers.pop()
    unknown = api.send(CHANGES[change] % '"nobody"', token=token)
    payload = unknown.data["payload"]
    assert [each["code"] for each in payload["errors"]] == ["USER_NOT_FOUND"]
    for alias in ("email", "phone_number", "preferred_username"):
        answer = api.send(CHANGES[change] % json.dumps(VALUES[alias]), token=token)
        assert answer.response.text == unknown.response.text
        assert answer.response.headers.keys() == unknown.response.headers.keys()
    assert not WRITES & set(pool.operations())
    made = api.send(CHANGES[change] % '"bob"', token=token).data["payload"]
    assert [each["code"] for each in made["errors"]] != ["USER_NOT_FOUND"]


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("is_masked", [False, True])
@pytest.mark.parametrize("pool_is_known", [True, False])
def test_checks_do_not_tell_who_has_an_address(
    serve_policy: Callable[..., Api],
    pool: ScriptedCognito,
    how: str,
    is_masked: bool,
    pool_is_known: bool,
) -> None:
    """A check alone does not find out whose a hidden address is; the change itself says so."""

    def find(parameters: dict[str, Any]) -> Any:
        if parameters["Username"] in {"bob", VALUES["email"], VALUES["preferred_username"]}:
            return reply({**USER, "UserAttributes": USER["Attributes"]})
        if parameters["Username"] == "eve":
            eve = [{"Name": "sub", "Value": "sub-of-eve"}]
            return reply({**USER, "Username": "eve", "Attributes": [], "UserAttributes": eve})
        return failure("UserNotFoundException")

    pool.on("AdminGetUser", find)
    if not pool_is_known:
        pool.on("DescribeUserPool", failure("AccessDeniedException"))
    masked = '["email", "preferred_username"]' if is_masked else ""
    api = serve_policy(policy('["name"]', masked))
    probes = [
        ("email", '{createUser: {username: "new", email: %s, emailVerified: true}}'),
        ("email", '{updateUser: {username: "eve", email: %s, emailVerified: true}}'),
        ("preferred_username", "{createUser: {username: %s}}"),
        *([] if pool_is_known else [("email", "{createUser: {username: %s}}")]),
    ]
    for attribute, probe in probes:
        said = []
        for value in (VALUES[attribute], VALUES[attribute].replace("a", "e")):
            step = probe % json.dumps(value)
            document = f"""mutation {{ batch(input: {{steps: [{step}], {how}}}) {{
                results {{ outcome errors {{ code message field }} }}
            }} }}"""
            said.append(api.send(document, token=machine(api)).response.text)
        is_search = "email: %s" in probe
        if how == "dryRun: true" and not is_masked:
            assert said[0] == said[1]
            assert "WOULD_BE_DONE" in said[0]
        elif is_search and pool_is_known:
            assert "ALREADY_EXISTS" in said[0]
            assert "ALREADY_EXISTS" not in said[1]
        elif how != "onError: CONTINUE" and is_masked and not is_search:
            assert "ALREADY_EXISTS" in said[0]


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


# Several groups, with both tables, or one of them

GROUPS = ("Admins", "Support", "Readers")
ATTRIBUTES = ("email", "email_verified", "phone_number", "name", "identities", "custom:plan")


@st.composite
def tables_of(draw: st.DrawFn) -> dict[str, dict[str, list[str]]]:
    """Draw tables that a server starts with."""
    tables: dict[str, dict[str, list[str]]] = {"reads": {}, "masks": {}}
    for group in GROUPS:
        kind = draw(st.sampled_from(["none", "all read", "all masked", "some"]))
        if kind == "some":
            by_name = draw(
                st.dictionaries(
                    st.sampled_from([name for name in ATTRIBUTES if name != "email_verified"]),
                    st.sampled_from(["reads", "masks"]),
                )
            )
            for table in draw(st.sampled_from([("reads", "masks"), ("reads",), ("masks",)])):
                listed = [name for name, each in by_name.items() if each == table]
                tables[table][group] = listed
        elif kind != "none":
            tables["reads" if kind == "all read" else "masks"][group] = ["*"]
    return {table: lists for table, lists in tables.items() if lists}


def is_in(name: str, listed: list[str] | None) -> bool:
    return listed is not None and ("*" in listed or name in listed)


def expected(name: str, groups: set[str], tables: dict[str, dict[str, list[str]]]) -> str | None:
    """Return what is seen of one attribute, by the words of the documentation; None if nothing."""
    value = dict(VALUES, email_verified="true")[name]
    seen: list[str] = []
    for group in groups:
        read = tables.get("reads", {}).get(group)
        masked = tables.get("masks", {}).get(group)
        everything = read is None and ("reads" not in tables or group == "Admins")
        if name == "email_verified":
            whole = is_in(name, read) or is_in("email", read) or is_in("email", masked)
        else:
            whole = is_in(name, read)
        if whole or (everything and not is_in(name, masked)):
            return value
        if is_in(name, masked):
            seen.append(MASKED.get(name, "***"))
    return seen[0] if seen else None


@pytest.mark.usefixtures("pool")
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(tables=tables_of(), groups=st.sets(st.sampled_from(GROUPS), min_size=1))
def test_several_groups(
    serve_policy: Callable[..., Api],
    tables: dict[str, dict[str, list[str]]],
    groups: set[str],
) -> None:
    """A member of several groups sees of each attribute the most that one of them gives."""
    text = f'[groups]\nAdmins = ["*"]\nSupport = {LABELS}\nReaders = {LABELS}\n'
    text += '[writes]\nSupport = ["*"]\nReaders = ["*"]\n'
    for table, lists in tables.items():
        text += f"[{table}]\n"
        text += "".join(f"{group} = {json.dumps(listed)}\n" for group, listed in lists.items())
    api = serve_policy(text)
    document = """{
        user(by: {username: "bob"}) { ...F }
        users { nodes { ...F } }
        group(name: "Editors") { users { nodes { ...F } } }
    }
    fragment F on User { email attributes { name value } identities { userId } }"""
    answer = api.send(document, token=api.token(*groups))
    users = [
        answer.data["user"],
        *answer.data["users"]["nodes"],
        *answer.data["group"]["users"]["nodes"],
    ]
    wanted = {name: expected(name, groups, tables) for name in ATTRIBUTES}
    for user in users:
        shown = {each["name"]: each["value"] for each in user["attributes"]}
        assert {name: shown.get(name) for name in ATTRIBUTES} == wanted
        assert user["email"] == wanted["email"]
        is_whole = wanted["identities"] == VALUES["identities"]
        assert (user["identities"] is not None) is is_whole
    for name, part in PARTS.items():
        if name in wanted and wanted[name] != VALUES[name]:
            assert part not in answer.response.text


# What starts from a name

BELOW = {
    "groups { nodes { name } }": "AdminListGroupsForUser",
    "devices { nodes { key } }": "AdminListDevices",
    "authEvents { nodes { id } }": "AdminListUserAuthEvents",
    "sessions { id }": "AdminListUserSessions",
    "authFactors { firstFactors }": "AdminGetUserAuthFactors",
}


def entity(name: str, below: str) -> str:
    reference = f'{{__typename: "User", username: "{name}"}}'
    return f"{{ _entities(representations: [{reference}]) {{ ... on User {{ {below} }} }} }}"


@pytest.mark.parametrize("below", BELOW)
@pytest.mark.parametrize("name", [VALUES["email"], "bob", VALUES["phone_number"]])
def test_what_starts_from_a_name(
    serve_policy: Callable[..., Api], pool: ScriptedCognito, below: str, name: str
) -> None:
    """Nothing is read of a user by a hidden alias; by a name that may be known, all is."""
    api = serve_policy(policy('["name"]', '["phone_number"]'))
    answer = api.send(entity(name, below), token=machine(api))
    if name == VALUES["email"]:
        assert pool.operations() == ["AdminGetUser"]
        (found,) = answer.partial["_entities"]
        assert not any((found or {}).values())
    else:
        assert answer.codes == []
        assert pool.operations() == ["AdminGetUser", BELOW[below]]
        # By the username, whatever was given.
        assert pool.requests[-1].parameters["Username"] == "bob"


def test_what_starts_from_a_name_is_priced(
    serve_policy: Callable[..., Api], pool: ScriptedCognito
) -> None:
    """The user is looked up once for all, and the price of the reference is enough for it."""
    api = serve_policy(policy('["name"]'), max_calls=1 + len(BELOW))
    answer = api.send(entity("bob", " ".join(BELOW)), token=machine(api))
    assert answer.codes == []
    assert sorted(pool.operations()) == sorted(["AdminGetUser", *BELOW.values()])


def test_what_hangs_below_a_payload_is_priced(
    serve_policy: Callable[..., Api], pool: ScriptedCognito
) -> None:
    """So is the price of a payload whose user is not read back."""
    document = """mutation {
        enableUser(input: {username: "bob"}) { user { groups { nodes { name } } } }
    }"""
    api = serve_policy(policy('["name"]'), max_calls=5)
    answer = api.send(document, token=machine(api))
    assert answer.data["enableUser"]["user"]["groups"]["nodes"] == [{"name": "Editors"}]
    assert len(pool.operations()) <= 5


@pytest.mark.parametrize("masks", ["", '["email"]'])
def test_factors_come_with_the_user(
    serve_policy: Callable[..., Api], pool: ScriptedCognito, masks: str
) -> None:
    """What AdminGetUser says of MFA is no attribute: it is shown, without a call more."""
    row = {**USER, "UserAttributes": USER["Attributes"], "UserMFASettingList": ["EMAIL_OTP"]}
    del row["Attributes"]
    pool.on("AdminGetUser", reply(row))
    api = serve_policy(policy('["name"]', masks))
    document = '{ user(by: {username: "bob"}) { authFactors { mfa } email } }'
    answer = api.send(document, token=machine(api))
    assert answer.data["user"] == {
        "authFactors": {"mfa": ["EMAIL_OTP"]},
        "email": MASKED["email"] if masks else None,
    }
    assert pool.operations() == ["AdminGetUser"]


@pytest.mark.parametrize("masks", ["", '["identities"]'])
def test_identities_that_are_not_seen(
    serve_policy: Callable[..., Api], pool: ScriptedCognito, masks: str
) -> None:
    """They are null, whether there are some or not; changes read them whatever the caller sees."""
    api = serve_policy(policy('["name"]', masks))
    token, document = machine(api), '{ user(by: {username: "bob"}) { identities { userId } } }'
    assert api.send(document, token=token).data["user"] == {"identities": None}
    unlink = """mutation ($id: String!) {
        unlinkUserIdentity(input: {username: "bob", provider: "sample", userId: $id}) {
            user { identities { userId } }
            errors { code }
        }
    }"""
    for id_, errors in (("unknown", [{"code": "NOT_FOUND"}]), ("id-at-provider", [])):
        payload = api.send(unlink, {"id": id_}, token=token).data["unlinkUserIdentity"]
        assert payload["errors"] == errors
        assert (payload["user"] or {"identities": None}) == {"identities": None}
    assert pool.operations().count("AdminDisableProviderForUser") == 1
    without = [each for each in USER["Attributes"] if each["Name"] != "identities"]
    pool.on("AdminGetUser", reply({**USER, "UserAttributes": without}))
    assert api.send(document, token=token).data["user"] == {"identities": None}


def test_administrators_who_see_less(
    serve_policy: Callable[..., Api], pool: ScriptedCognito
) -> None:
    """Where groups come from the token, who has every action and sees what all see may write."""
    pool.on("AdminGetUser", reply({**USER, "UserAttributes": USER["Attributes"]}))
    text = '[groups]\nAdmins = ["*"]\n%s[reads]\nAdmins = ["name"]\n'
    document = (
        "mutation ($name: String!) { enableUser(input: {username: $name}) { errors { code } } }"
    )
    for owners, name, errors in (
        ("", "bob", []),
        ("", VALUES["email"], [{"code": "USER_NOT_FOUND"}]),
        ('Owners = ["*"]\n', "bob", [{"code": "OUT_OF_SCOPE"}]),
    ):
        api = serve_policy(text % owners, authority_max_age="token")
        token = api.token("Admins", username="bob", sub="sub-of-bob")
        payload = api.send(document, {"name": name}, token=token).data["enableUser"]
        assert payload["errors"] == errors, (owners, name)


# By other doors


@pytest.mark.usefixtures("pool")
def test_two_callers_at_once(serve_policy: Callable[..., Api]) -> None:
    """Requests that share a call to Cognito show each caller what that caller sees."""
    api = serve_policy(policy('["name"]', '["email"]'))
    document = '{ user(by: {username: "bob"}) { email } users { nodes { email } } }'
    tokens = [(api.token("Admins"), VALUES["email"]), (api.token("Support"), MASKED["email"])] * 16
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda each: api.send(document, token=each[0]).data, tokens))
    for (_, email), data in zip(tokens, answers, strict=True):
        assert data == {"user": {"email": email}, "users": {"nodes": [{"email": email}]}}


def test_cursors_of_others(serve_policy: Callable[..., Api], pool: ScriptedCognito) -> None:
    """With the cursor of a search that another caller may make, the search is still refused."""
    pool.on("ListUsers", reply({"Users": [USER], "PaginationToken": "more"}))
    api = serve_policy(policy('["name"]'))
    search = '{ users(first: 1, %s filter: {email: {startsWith: "w"}}) { pageInfo { endCursor } } }'
    page = api.send(search % "", token=api.token("Admins")).data["users"]["pageInfo"]
    asked = len(pool.requests)
    cursor = f'after: "{page["endCursor"]}",'
    denied = api.send(search % cursor, token=machine(api))
    assert denied.codes == ["FORBIDDEN"]
    plain = f"{{ users(first: 1, {cursor[:-1]}) {{ nodes {{ username }} }} }}"
    assert api.send(plain, token=machine(api)).codes == ["INVALID_CURSOR"]
    assert len(pool.requests) == asked


@pytest.mark.parametrize(
    ("route", "parameters"), [("listUsers", {}), ("listUsersInGroup", {"groupname": "Support"})]
)
def test_page_tokens_of_others(
    serve_policy: Callable[..., Api],
    pool: ScriptedCognito,
    route: str,
    parameters: dict[str, str],
) -> None:
    """A page token of Admin Queries' routes shows its sender what the sender sees, on every page.

    It names a place in a list: of the users themselves there is nothing in it.
    """
    users = UserDirectory(10, random.Random(5)).users

    def list_users(parameters: dict[str, Any]) -> Any:
        start = int(parameters.get("PaginationToken", parameters.get("NextToken", "0")))
        following = str(start + 3) if start + 3 < len(users) else None
        token = "PaginationToken" if route == "listUsers" else "NextToken"
        return reply({"Users": users[start : start + 3], token: following})

    pool.on("ListUsers", list_users)
    pool.on("ListUsersInGroup", list_users)
    api = serve_policy(policy('["name"]', '["phone_number"]'))

    def page(token: str, position: str | None) -> dict[str, Any]:
        answer = api.client.get(
            f"/AdminQueries/{route}",
            params={**parameters, "limit": "3", **({"token": position} if position else {})},
            headers={"Authorization": f"Bearer {token}"},
        )
        assert answer.status_code == 200
        seen: dict[str, Any] = answer.json()
        return seen

    position, pages, found = None, 0, 0
    while position is not None or not pages:
        whole = page(api.token("Admins"), position)
        part = page(machine(api), position)
        emails = [
            each["Value"]
            for user in whole["Users"]
            for each in user["Attributes"]
            if each["Name"] == "email"
        ]
        assert len(emails) == len(whole["Users"])
        assert [user["Username"] for user in part["Users"]] == [
            user["Username"] for user in whole["Users"]
        ]
        assert {each["Name"] for user in part["Users"] for each in user["Attributes"]} <= {"sub"}
        # Either's token leads both to the same place.
        following = whole.get("NextToken"), part.get("NextToken")
        for token in filter(None, following):
            held = urlsafe_b64decode(token)
            assert not any(email.encode() in held for email in emails)
        pages, found = pages + 1, found + len(emails)
        position = following[pages % 2]
    assert found == len(users)


@pytest.mark.usefixtures("pool")
def test_requests_by_get(serve_policy: Callable[..., Api]) -> None:
    """A query by GET is a query."""
    api = serve_policy(policy('["name"]'))
    headers = {"Authorization": f"Bearer {machine(api)}"}
    for query, said in (
        ("{ users { nodes { email name: fullName } } }", '{"email":null,"name":"Quagga Narwhal"}'),
        ('{ users(filter: {email: {equals: "x@y.z"}}) { nodes { sub } } }', "FORBIDDEN"),
    ):
        answer = api.client.get("/graphql", params={"query": query}, headers=headers)
        assert said in answer.text
        assert "walrus" not in answer.text


def test_guesses_in_references(serve_policy: Callable[..., Api], pool: ScriptedCognito) -> None:
    """An attribute in a reference is no key, and right or wrong the answer is the same."""
    api = serve_policy(policy('["name"]'))
    document = """query ($of: [_Any!]!) {
        _entities(representations: $of) { ... on User { username fullName email } }
    }"""
    answers = set()
    for email in (VALUES["email"], "x@y.z"):
        of = [
            {"__typename": "User", "email": email},
            {"__typename": "User", "username": "bob", "email": email},
            {"__typename": "User", "id": global_id("User", email)},
        ]
        answer = api.send(document, {"of": of[:2]}, token=machine(api))
        answers.add(answer.response.text)
        pool.on("AdminGetUser", reply({**USER, "UserAttributes": USER["Attributes"]}))
        alone = api.send(document, {"of": of[2:]}, token=machine(api))
        assert alone.codes == ["USER_NOT_FOUND"]
    assert len(answers) == 1
    assert "BAD_USER_INPUT" in answers.pop()


@pytest.mark.parametrize("route", ["enableUser", "disableUser", "confirmUserSignUp"])
def test_changes_by_rest(
    serve_policy: Callable[..., Api], pool: ScriptedCognito, route: str
) -> None:
    """The routes do not change a user by a hidden alias either."""
    api = serve_policy(policy('["name"]'))
    answer = api.client.post(
        f"/AdminQueries/{route}",
        json={"username": VALUES["email"]},
        headers={"Authorization": f"Bearer {machine(api)}"},
    )
    assert answer.status_code == 404
    assert set(pool.operations()) == {"AdminGetUser"}
