"""Passwords go from the input to the call's body, and nowhere else."""

import gc
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY, generate_latest

from tests.support.api import Api
from tests.support.leaks import PASSWORD
from tests.support.scripted import (
    ScriptedCognito,
    failure,
    half,
    hang_up,
    held,
    raw,
    reply,
    user_of,
)
from tests.support.started import until

CALL = "{ setUserPassword(input: %s) { user { username } errors { code message field } } }"
LITERAL = f'{{username: "bob", password: "{PASSWORD}"}}'
VARIABLE = "mutation ($input: SetUserPasswordInput!) " + CALL % "$input"
BODIES: dict[str, dict[str, Any]] = {
    "literal": {"query": "mutation " + CALL % LITERAL},
    "block": {"query": "mutation " + CALL % LITERAL.replace(f'"{PASSWORD}"', f'"""{PASSWORD}"""')},
    "variable": {
        "query": "mutation ($p: String!) " + CALL % '{username: "bob", password: $p}',
        "variables": {"p": PASSWORD},
    },
    "within a variable": {
        "query": VARIABLE,
        "variables": {"input": {"username": "bob", "password": PASSWORD}},
    },
    "default": {
        "query": f'mutation ($p: String! = "{PASSWORD}") '
        + CALL % '{username: "bob", password: $p}'
    },
    "default of the input": {
        "query": f"mutation ($input: SetUserPasswordInput! = {LITERAL}) " + CALL % "$input"
    },
    "too long": {
        "query": VARIABLE,
        "variables": {"input": {"username": "bob", "password": PASSWORD * 20}},
    },
    "with a space": {
        "query": VARIABLE,
        "variables": {"input": {"username": "bob", "password": f"{PASSWORD} x"}},
    },
    "list": {
        "query": VARIABLE,
        "variables": {"input": {"username": "bob", "password": [PASSWORD]}},
    },
    "object": {
        "query": VARIABLE,
        "variables": {"input": {"username": "bob", "password": {PASSWORD: PASSWORD}}},
    },
    "list literal": {"query": "mutation " + CALL % f'{{username: "b", password: ["{PASSWORD}"]}}'},
    "object literal": {
        "query": "mutation " + CALL % f'{{username: "b", password: {{a: "{PASSWORD}"}}}}'
    },
    "another field": {"query": "mutation " + CALL % f'{{username: "bob", pasword: "{PASSWORD}"}}'},
    "another field of a variable": {
        "query": VARIABLE,
        "variables": {"input": {"username": "bob", "password": "x", PASSWORD: PASSWORD}},
    },
    "as permanent": {
        "query": "mutation " + CALL % f'{{username: "b", password: "x", permanent: "{PASSWORD}"}}'
    },
    "no GraphQL": {"query": f'mutation {{ setUserPassword(input: {{password: "{PASSWORD}'},
    "another type": {
        "query": f'mutation ($p: Int! = "{PASSWORD}") ' + CALL % '{username: "b", password: $p}'
    },
}
ANSWERS = {
    "done": reply({}),
    "rejected": failure("InvalidPasswordException", detail=f"{PASSWORD} is too weak"),
    "no parameter": failure("InvalidParameterException", detail=f"Value {PASSWORD} at 'password'"),
    "trigger": failure("UserLambdaValidationException", detail=PASSWORD),
    "failed": failure("InternalErrorException", 500, detail=PASSWORD),
    "no JSON": raw(f"<html>{PASSWORD}</html>".encode(), 502),
    "half": half(failure("InvalidPasswordException", detail=PASSWORD)),
    "hung up": hang_up(),
}


OPERATIONS = {"setUserPassword": "AdminSetUserPassword", "createUser": "AdminCreateUser"}


def bodies_of(action: str) -> list[dict[str, Any]]:
    """Return the requests with the other mutation that takes a password in place of the one."""
    text = json.dumps(list(BODIES.values()))
    if action == "createUser":
        text = text.replace("setUserPassword", "createUser")
        text = text.replace("SetUserPasswordInput", "CreateUserInput")
        text = text.replace("password:", "temporaryPassword:")
        text = text.replace('"password":', '"temporaryPassword":')
    bodies: list[dict[str, Any]] = json.loads(text)
    return bodies


@pytest.mark.parametrize("action", OPERATIONS)
@pytest.mark.parametrize("says", ANSWERS)
def test_password_is_nowhere_else(  # noqa: PLR0917  # fixtures and parameters
    serve: Callable[..., Api],
    scripted: ScriptedCognito,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    says: str,
    action: str,
) -> None:
    """However it is given, and whatever comes of it: in no answer, log line, event or metric."""
    scripted.on("DescribeUserPool", reply({"UserPool": {}}))
    scripted.on("AdminGetUser", reply(user_of("bob")))
    scripted.on(OPERATIONS[action], ANSWERS[says])
    path = tmp_path / "audit.jsonl"
    api = serve(scripted.url, audit_file=path, amplify=True, introspection="public")
    for token in (api.token("Admins"), api.token("Readers"), ""):
        headers = {"Authorization": token} if token else {}
        answers = [
            api.client.post("/graphql", json=body, headers=headers) for body in bodies_of(action)
        ]
        body = {"username": "bob", "password": PASSWORD, "temporaryPassword": PASSWORD}
        answers += [
            api.client.post(f"/AdminQueries/{route}", json=body, headers=headers)
            for route in ("setUserPassword", "createUser", "disableUsers", "signUserOut")
        ]
        for answer in answers:
            assert PASSWORD not in answer.text
            assert PASSWORD not in str(answer.headers)
    assert PASSWORD not in path.read_text()
    assert PASSWORD not in "".join(capfd.readouterr())
    assert PASSWORD not in generate_latest(REGISTRY).decode()
    sent = [each for each in scripted.requests if PASSWORD in each.body.decode()]
    assert {each.operation for each in sent} == {OPERATIONS[action]}
    assert all(PASSWORD not in f"{each.url}{each.headers}" for each in sent)
    assert len(sent) == 6  # of those that fit the schema, by who may
    events = [json.loads(line) for line in path.read_text().splitlines()]
    assert {action} == {event["action"] for event in events} - {"signUserOut"}


@pytest.mark.parametrize("says", ANSWERS)
@pytest.mark.parametrize("action", ["createUser", "updateUser"])
def test_attributes_are_nowhere_else(  # noqa: PLR0917  # fixtures and parameters
    serve: Callable[..., Api],
    scripted: ScriptedCognito,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    says: str,
    action: str,
) -> None:
    """Their values are as little of anyone's concern as passwords."""
    scripted.on("ListUsers", reply({"Users": []}))
    scripted.on("AdminGetUser", reply(user_of("bob")))
    schema = [{"Name": name} for name in ("name", "email", "email_verified", "custom:x")]
    described = {"AliasAttributes": ["email"], "SchemaAttributes": schema}
    for operation in ("AdminCreateUser", "AdminUpdateUserAttributes"):
        scripted.on(operation, ANSWERS[says])
    path = tmp_path / "audit.jsonl"
    type_ = f"{action[0].upper()}{action[1:]}Input"
    document = f"mutation ($i: {type_}!) {{ {action}(input: $i) {{ errors {{ message field }} }} }}"
    inputs: list[dict[str, Any]] = [
        {"fullName": PASSWORD},
        {"email": PASSWORD, "emailVerified": True},
        {"email": PASSWORD},
        {"emailVerified": PASSWORD},
        {"attributes": [{"name": "custom:x", "value": PASSWORD}]},
        {"attributes": [{"name": "custom:y", "value": PASSWORD}]},
        {"attributes": [{"name": "sub", "value": PASSWORD}]},
        {"attributes": [{"name": PASSWORD * 5, "value": PASSWORD}]},
        {"attributes": [{"name": "custom:x", "value": PASSWORD, PASSWORD: 1}]},
        {"attributes": PASSWORD},
        {"fullName": PASSWORD * 200},
        {"ifUpdatedAt": PASSWORD},
    ]
    for pool in ({"SchemaAttributes": []}, described):
        scripted.on("DescribeUserPool", reply({"UserPool": pool}))
        api = serve(scripted.url, audit_file=path)
        headers = {"Authorization": api.token("Admins")}
        for given in inputs:
            body = {"query": document, "variables": {"i": {"username": "bob", **given}}}
            answer = api.client.post("/graphql", json=body, headers=headers)
            assert PASSWORD not in answer.text
    assert PASSWORD not in path.read_text()
    assert PASSWORD not in "".join(capfd.readouterr())
    assert PASSWORD not in generate_latest(REGISTRY).decode()
    assert any(PASSWORD in each.body.decode() for each in scripted.requests)


@pytest.mark.parametrize(
    ("operation", "document"),
    [
        (
            "AdminUpdateUserAttributes",
            """mutation ($value: String!) {
                updateUser(input: {username: "bob", fullName: $value}) { errors { code } }
            }""",
        ),
        (
            "AdminSetUserPassword",
            """mutation ($value: String!) {
                setUserPassword(input: {username: "bob", password: $value}) { errors { code } }
            }""",
        ),
    ],
)
def test_no_repr_shows_a_value(
    serve: Callable[..., Api], scripted: ScriptedCognito, operation: str, document: str
) -> None:
    """While a change is on its way, no object of the server shows what it sets."""
    go = threading.Event()
    scripted.on("AdminGetUser", reply(user_of("bob")))
    scripted.on("DescribeUserPool", failure("AccessDeniedException"))  # so that Cognito decides
    scripted.on(operation, held(go, reply({})))
    api = serve(scripted.url)
    sent = threading.Thread(
        target=lambda: api.send(document, {"value": PASSWORD}, token=api.token("Admins"))
    )
    sent.start()
    try:
        until(lambda: operation in scripted.operations())
        own = [
            each
            for each in gc.get_objects()
            if str(type(each).__module__).startswith("graphql_admin.")
        ]
        shown = {type(each).__name__ for each in own if PASSWORD in repr(each)}
    finally:
        go.set()
        sent.join()
    assert {"Attempt", "_PendingCall"} <= {type(each).__name__ for each in own}
    assert shown == set()
