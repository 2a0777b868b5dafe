"""`graphql-admin check`: what it finds wrong with a pool, and what it could not look at."""

import asyncio
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from graphql_admin.actions import Action
from graphql_admin.cli.check import Findings, check, probe_of
from graphql_admin.cognito.operations import is_read
from graphql_admin.settings import load_settings
from tests.support.api import Api
from tests.support.directory import Directory
from tests.support.scripted import ScriptedCognito, failure, hang_up, held, raw, reply, user_of
from tests.support.started import NO_QUOTAS, NOT_IN_MOTO
from tests.support.tokens import CLIENT_ID, POOL_ID

POLICY = """
[groups]
Admins = ["*"]
Support = ["listUsers"]
"*" = ["listGroups"]
[scopes]
"api/all" = ["*"]
[grants]
Support = ["Customers"]
"api/all" = ["*"]
[protected]
groups = ["Billing"]
"""
OPERATIONS = {operation for action in Action for operation in action.operations}
DESCRIBING = ",".join(
    each.label
    for each in Action
    if each is Action.GET_USER or "DescribeUserPool" in each.operations
)
"""The actions without which nothing needs the description of the pool."""
TRIGGER = "arn:aws:lambda:eu-west-1:123456789012:function:secret-name"


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, jwks_url: str, tmp_path: Path) -> Callable[..., Findings]:
    """Check a pool of a Cognito with a policy: `run(url, pool_id, policy, **settings)`."""

    def run(url: str, pool_id: str = POOL_ID, policy: str = POLICY, **settings: Any) -> Findings:
        monkeypatch.setenv("AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER", url)
        path = tmp_path / "policy.toml"
        path.write_text(policy)
        if "admin_groups" not in settings:
            settings["policy_file"] = path
        loaded = load_settings(
            user_pool_id=pool_id,
            client_ids=CLIENT_ID,
            dev=True,
            quotas=NO_QUOTAS,
            **{"jwks_url": jwks_url, **settings},
        )
        return asyncio.run(check(loaded))

    return run


@pytest.fixture
def pool(directory: Directory) -> Directory:
    """A pool with the groups of the policy."""
    for name in ("Admins", "Support", "Customers", "Billing"):
        directory.add_group(name)
    return directory


@pytest.fixture
def backend(scripted: ScriptedCognito) -> ScriptedCognito:
    """A Cognito that has every group, and no user."""
    for operation in filter(is_read, OPERATIONS):
        scripted.on(operation, failure("UserNotFoundException"))
    scripted.on("GetGroup", lambda given: reply({"Group": {"GroupName": given["GroupName"]}}))
    scripted.on("ListGroups", reply({"Groups": []}))
    scripted.on("ListUsers", reply({"Users": []}))
    scripted.on("ListUsersInGroup", failure("ResourceNotFoundException"))
    scripted.on("DescribeUserPool", reply({"UserPool": {"LambdaConfig": {}}}))
    return scripted


def test_good(run: Callable[..., Findings], pool: Directory, moto_url: str) -> None:
    """A pool that has what the policy names is good, and there is nothing to say."""
    assert run(moto_url, pool.pool_id, disabled_actions=NOT_IN_MOTO) == Findings()


@pytest.mark.parametrize("disabled", ["", "getGroup"])
def test_unknown_groups(
    run: Callable[..., Findings], pool: Directory, moto_url: str, disabled: str
) -> None:
    """Groups that the policy names and the pool does not have are named, whichever way is open."""
    policy = POLICY.replace("Support =", "Suport =").replace('"Billing"', '"Billing", "a b"')
    # A page is 60.
    for number in range(70):
        pool.add_group(f"A{number}")
    disabled = f"{disabled},{NOT_IN_MOTO}".strip(",")
    found = run(moto_url, pool.pool_id, policy, disabled_actions=disabled)
    assert found == Findings(
        ["The policy has groups that the pool does not have: 'Suport', 'a b'."]
    )


@pytest.mark.parametrize("disabled", ["", "getGroup"])
def test_unknown_groups_of_administrators(
    run: Callable[..., Findings], pool: Directory, moto_url: str, disabled: str
) -> None:
    """So are those of `ADMIN_GROUPS`, where nothing else would say that no user has a right."""
    disabled = f"{disabled},{NOT_IN_MOTO}".strip(",")
    found = run(moto_url, pool.pool_id, admin_groups="Admins, Adminz", disabled_actions=disabled)
    assert found == Findings(["The policy has groups that the pool does not have: 'Adminz'."])


def test_groups_not_compared(run: Callable[..., Findings], backend: ScriptedCognito) -> None:
    """Where no action lists groups, it is said that they were not compared."""
    found = run(backend.url, disabled_actions="getGroup,listGroups,updateGroup")
    assert found.problems == []
    assert [note for note in found.notes if "were not compared" in note]
    assert "ListGroups" not in backend.operations()


@pytest.mark.parametrize("operation", ["AdminGetUser", "AdminListGroupsForUser"])
@pytest.mark.parametrize("code", ["AccessDeniedException", "AccessDenied"])
def test_right_of_the_checks(
    run: Callable[..., Findings], backend: ScriptedCognito, operation: str, code: str
) -> None:
    """A right without which every change is rejected is named, also where its action is off."""
    backend.on(operation, failure(code))
    (problem,) = run(backend.url, disabled_actions="getUser,listGroupsForUser").problems
    assert f"may not call {operation}." in problem
    assert "every change is rejected" in problem


def test_every_read_is_probed() -> None:
    """What any action reads by is asked for once, to see whether there is a right to it."""
    assert {each for each in OPERATIONS if probe_of(each) is not None} == set(
        filter(is_read, OPERATIONS)
    )
    assert probe_of("AdminGetDevice") is None  # which would need a device


def test_other_rights(run: Callable[..., Findings], backend: ScriptedCognito) -> None:
    """Every right that is missing is named, and of a read it is not said that changes need it."""
    backend.on("ListUsers", failure("AccessDeniedException"))
    backend.on("GetGroup", failure("AccessDeniedException"))
    names = ("Admins", "Support", "Customers", "Billing")
    backend.on("ListGroups", reply({"Groups": [{"GroupName": name} for name in names]}))
    found = run(backend.url)
    begins = "The server's own credentials may not call "
    assert [each.removeprefix(begins).split(".")[0] for each in found.problems] == [
        "GetGroup",
        "ListUsers",
    ]
    assert "every change" not in "".join(found.problems)


@pytest.mark.parametrize("operation", ["AdminListUserSessions", "AdminGetUserAuthFactors"])
def test_what_the_pool_does_not_have(
    run: Callable[..., Findings], backend: ScriptedCognito, operation: str
) -> None:
    """A plan or setting that does not support an action is no problem, and is said."""
    names = ("Admins", "Support", "Customers", "Billing")
    backend.on("ListGroups", reply({"Groups": [{"GroupName": name} for name in names]}))
    backend.on(operation, failure("OperationNotEnabledException"))
    found = run(backend.url)
    assert found.problems == []
    assert found.notes == [f"The user pool's plan or settings do not support {operation}."]


LACKS = {
    "500": raw(b"<html>", 500),
    "UnsupportedOperation": failure("UnsupportedOperation"),
    "InvalidAction": failure("InvalidAction"),
}


@pytest.mark.parametrize("said", LACKS)
@pytest.mark.parametrize("operation", ["AdminListDevices", "AdminGetUserAuthFactors", "GetGroup"])
def test_operation_that_fails(
    run: Callable[..., Findings], backend: ScriptedCognito, operation: str, said: str
) -> None:
    """An operation that fails, or that an emulator lacks, is named; the others are checked."""
    names = ("Admins", "Support", "Customers", "Billing")
    backend.on("ListGroups", reply({"Groups": [{"GroupName": name} for name in names]}))
    backend.on("ListUsers", failure("AccessDeniedException"))
    backend.on("ListUsersInGroup", failure("OperationNotEnabledException"))
    backend.on(operation, LACKS[said])
    found = run(backend.url, policy=POLICY.replace("Support =", "Suport ="))
    begins = [each.split(".")[0] for each in found.problems]
    assert f"The call of {operation} failed (UPSTREAM_ERROR); see the log" in begins
    assert "The server's own credentials may not call ListUsers" in begins
    assert ("have: 'Suport'" in "".join(found.problems)) == (operation == "GetGroup")
    assert len(begins) == 2 + (operation == "GetGroup")
    assert "The user pool's plan or settings do not support ListUsersInGroup." in found.notes


def test_emulator(run: Callable[..., Findings], pool: Directory, moto_url: str) -> None:
    """What moto lacks is named, and the rest of the pool is checked."""
    found = run(moto_url, pool.pool_id, POLICY.replace("Support =", "Suport ="))
    *lacking, groups = found.problems
    assert [each.split(" failed")[0].removeprefix("The call of ") for each in lacking] == [
        "AdminGetUserAuthFactors",
        "AdminListDevices",
        "AdminListUserAuthEvents",
        "AdminListUserSessions",
    ]
    assert groups == "The policy has groups that the pool does not have: 'Suport'."


@pytest.mark.parametrize("said", ["500", "no pool", "hang up"])
def test_no_operation_answers(
    run: Callable[..., Findings], backend: ScriptedCognito, said: str
) -> None:
    """Where every call fails, it is the pool, which is said once."""
    answers = {**LACKS, "no pool": failure("ResourceNotFoundException"), "hang up": hang_up()}
    for operation in filter(is_read, OPERATIONS):
        backend.on(operation, answers[said])
    found = run(backend.url)
    (problem,) = found.problems
    assert "The call to the user pool failed (UPSTREAM_ERROR)" in problem
    assert found.notes == []


def test_pool_that_does_not_answer(run: Callable[..., Findings], backend: ScriptedCognito) -> None:
    """It is not asked again by each operation, which would take the time of each."""
    never = threading.Event()
    for operation in filter(is_read, OPERATIONS):
        backend.on(operation, held(never, reply({})))
    (problem,) = run(backend.url, deadline=1).problems
    never.set()
    assert "The call to the user pool failed (TIMEOUT)" in problem
    assert len(set(backend.operations())) == 1


def test_reads_alone_need_no_checks(run: Callable[..., Findings], backend: ScriptedCognito) -> None:
    """A server that changes nothing needs no right to check who may."""
    checks = {"AdminGetUser", "AdminListGroupsForUser"}
    disabled = [each.label for each in Action if each.write or checks & set(each.row.reads)]
    run(backend.url, disabled_actions=",".join(disabled))
    assert backend.operations()
    assert not checks & set(backend.operations())


@pytest.mark.parametrize(
    ("triggers", "age", "said"),
    [
        ({}, "10", None),
        ({"PreSignUp": TRIGGER}, "10", None),
        ({"PreTokenGeneration": TRIGGER}, "10", "has a pre token generation trigger"),
        (
            {"PreTokenGenerationConfig": {"LambdaVersion": "V2_0", "LambdaArn": TRIGGER}},
            "0",
            "has a pre token generation trigger",
        ),
        ({"PreTokenGeneration": TRIGGER}, "token", None),
        ({}, "token", "has no pre token generation trigger"),
    ],
)
def test_trigger(
    run: Callable[..., Findings],
    backend: ScriptedCognito,
    triggers: dict[str, Any],
    age: str,
    said: str | None,
) -> None:
    """A trigger that may write other groups into tokens is found, and what to set is said."""
    backend.on("DescribeUserPool", reply({"UserPool": {"LambdaConfig": triggers}}))
    found = run(backend.url, authority_max_age=age)
    notes = [note for note in found.notes if "were not compared" not in note]
    assert found.problems == []
    assert len(notes) == (said is not None)
    assert all(said and said in note and "AUTHORITY_MAX_AGE=token" in note for note in notes)
    assert TRIGGER not in "".join(found.notes)


@pytest.mark.parametrize("answer", [failure("AccessDeniedException"), reply({"UserPool": None})])
def test_trigger_not_looked_at(
    run: Callable[..., Findings], backend: ScriptedCognito, answer: Any
) -> None:
    """Without the permission to check for a trigger, a note says that it was not checked."""
    backend.on("DescribeUserPool", answer)
    found = run(backend.url, disabled_actions=DESCRIBING)
    assert found.problems == []
    assert ["trigger was not checked" in note for note in found.notes] == [True]


WRITES = """
[writes]
Support = ["name", "email", "custom:plan", "nick"]
"api/all" = ["*", "custom:paln"]
"""


def test_unknown_attributes(run: Callable[..., Findings], pool: Directory, moto_url: str) -> None:
    """Attributes that the policy names and the pool does not have are named."""
    pool.cognito.add_custom_attributes(
        UserPoolId=pool.pool_id,
        CustomAttributes=[{"Name": "plan", "AttributeDataType": "String"}],
    )
    run = partial(run, disabled_actions=NOT_IN_MOTO)
    assert run(moto_url, pool.pool_id, POLICY + WRITES) == Findings(
        ["The policy has attributes that the pool does not have: 'custom:paln', 'nick'."]
    )
    known = WRITES.replace('"nick"', '"nickname"').replace(', "custom:paln"', "")
    assert run(moto_url, pool.pool_id, POLICY + known) == Findings()


@pytest.mark.parametrize("answer", [failure("AccessDeniedException"), reply({"UserPool": None})])
def test_attributes_not_compared(
    run: Callable[..., Findings], backend: ScriptedCognito, answer: Any
) -> None:
    """Without the permission to read them, a note says that they were not compared."""
    backend.on("DescribeUserPool", answer)
    disabled = DESCRIBING
    found = run(backend.url, policy=POLICY + WRITES, disabled_actions=disabled)
    assert found.problems == []
    assert [note for note in found.notes if note.startswith("The attributes in the policy were")]


def test_right_to_read_the_pool(run: Callable[..., Findings], backend: ScriptedCognito) -> None:
    """Where `userPool` can be asked for, the right to read the pool is one that is needed."""
    backend.on("DescribeUserPool", failure("AccessDeniedException"))
    (problem,) = run(backend.url).problems
    assert "may not call DescribeUserPool." in problem


def test_token_mode(run: Callable[..., Findings], backend: ScriptedCognito) -> None:
    """In `token` mode no groups of users are read for the checks, nor compared."""
    found = run(backend.url, authority_max_age="token", disabled_actions="listGroupsForUser")
    assert "AdminListGroupsForUser" not in backend.operations()
    assert [note for note in found.notes if "were not compared" in note]


@pytest.mark.parametrize("operation", ["AdminGetUser", "AdminListGroupsForUser"])
def test_running_server_names_it(
    serve: Callable[..., Api],
    backend: ScriptedCognito,
    capsys: pytest.CaptureFixture[str],
    operation: str,
) -> None:
    """Where the server has no right to check who may make a change, it makes none and says why."""
    backend.people.clear()
    backend.on("AdminGetUser", reply(user_of("root")))
    backend.on(operation, failure("AccessDeniedException"))
    api = serve(backend.url)
    sent = api.send(
        'mutation { disableUser(input: {username: "bob"}) { errors { code } } }',
        token=api.token("Admins"),
    )
    assert sent.codes == ["AUTHORITY_UNAVAILABLE"]
    assert "AdminDisableUser" not in backend.operations()
    lines = [line for line in capsys.readouterr().out.splitlines() if "may not call" in line]
    assert len(lines) == 1
    assert operation in lines[0]


def test_away(run: Callable[..., Findings]) -> None:
    """A pool that does not answer is said once."""
    found = run("http://127.0.0.1:9", deadline=2)
    assert len(found.problems) == 1
    assert "The call to the user pool failed" in found.problems[0]


def client_with(*writable: str, flows: list[str] | None = None, **members: Any) -> Any:
    """Return a reply of DescribeUserPoolClient."""
    client = {"WriteAttributes": list(writable), "ExplicitAuthFlows": flows, **members}
    return reply({"UserPoolClient": {"ClientId": CLIENT_ID, **client}})


HOSTED = ["ALLOW_REFRESH_TOKEN_AUTH"]
PROFILE = "aws.cognito.signin.user.admin"
CLOSED = {"AdminCreateUserConfig": {"AllowAdminCreateUserOnly": True}}


@pytest.mark.parametrize(
    ("claim", "answer", "pool", "problem"),
    [
        ("custom:groups", client_with("custom:groups", "email"), CLOSED, True),
        ("custom:groups", client_with("custom:groups", flows=HOSTED), {}, True),
        (
            "custom:groups",
            client_with("custom:groups", flows=HOSTED, AllowedOAuthScopes=["openid", PROFILE]),
            CLOSED,
            True,
        ),
        (
            "custom:groups",
            client_with("custom:groups", flows=["ALLOW_USER_SRP_AUTH", *HOSTED]),
            CLOSED,
            True,
        ),
        ("custom:groups", client_with("custom:groups", flows=HOSTED), CLOSED, False),
        ("custom:groups", client_with("email"), {}, None),
        ("custom:groups", client_with(), {}, None),
        ("profile", client_with(), {}, True),
        ("profile", client_with("email"), {}, None),
    ],
)
def test_client_that_may_write_the_groups(  # noqa: PLR0917  # pytest passes fixtures by name
    run: Callable[..., Findings],
    backend: ScriptedCognito,
    claim: str,
    answer: Any,
    pool: dict[str, Any],
    problem: bool | None,
) -> None:
    """An app client through which users may give themselves groups is a problem, and named."""
    backend.on("DescribeUserPool", reply({"UserPool": {"LambdaConfig": {}, **pool}}))
    backend.on("DescribeUserPoolClient", answer)
    found = run(backend.url, groups_claim=claim, token_use="id")
    said = f"The app client {CLIENT_ID} may write {claim}"
    assert [bool(each.startswith(said)) for each in found.problems] == [True] * (problem is True)
    assert len([each for each in found.notes if each.startswith(said)]) == (problem is False)


@pytest.mark.parametrize("answer", [failure("AccessDeniedException"), failure("X", 500)])
def test_client_that_was_not_looked_at(
    run: Callable[..., Findings], backend: ScriptedCognito, answer: Any
) -> None:
    """What could not be looked at is said."""
    backend.on("DescribeUserPoolClient", answer)
    found = run(backend.url, groups_claim="custom:groups", token_use="access,id")
    assert found.problems == []
    (note,) = [each for each in found.notes if CLIENT_ID in each]
    assert "may write custom:groups was not checked" in note


def test_claims_of_which_kind(run: Callable[..., Findings], backend: ScriptedCognito) -> None:
    """A claim that is no attribute, and attributes without ID tokens, are worth a note."""
    found = run(backend.url, groups_claim="https://example.com/groups")
    assert [each for each in found.notes if "is no attribute of users" in each]
    assert "DescribeUserPoolClient" not in backend.operations()
    schema = {"SchemaAttributes": [{"Name": "profile"}, {"Name": "custom:groups"}]}
    backend.on("DescribeUserPool", reply({"UserPool": {"LambdaConfig": {}, **schema}}))
    found = run(backend.url, groups_claim="roles")
    assert [each for each in found.notes if "is no attribute of users" in each]
    backend.on("DescribeUserPoolClient", client_with())
    found = run(backend.url, groups_claim="custom:groups")
    assert [each for each in found.notes if "TOKEN_USE has no `id`" in each]
    run(backend.url)
    assert backend.operations().count("DescribeUserPoolClient") == 1


def test_keys_of_each_issuer(
    run: Callable[..., Findings], backend: ScriptedCognito, jwks_url: str
) -> None:
    """Of several issuers, each whose keys cannot be fetched is named."""
    port = jwks_url.split("/")[2]
    good, bad = f"http://{port}/{POOL_ID}", f"http://127.0.0.1:9/{POOL_ID}"
    found = run(backend.url, issuer=f"{good},{bad}", jwks_url=None)
    assert found.problems == [f"The keys of {bad} could not be fetched; see the log."]
    found = run(backend.url, issuer=bad, jwks_url=None)
    assert found.problems == ["The pool's keys could not be fetched; see the log."]
