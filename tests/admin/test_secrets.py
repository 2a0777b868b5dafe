"""Passwords go from the input to the call's body, and nowhere else."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY, generate_latest

from tests.support.api import Api
from tests.support.leaks import PASSWORD
from tests.support.scripted import ScriptedCognito, failure, half, hang_up, raw, reply, user_of

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


@pytest.mark.parametrize("says", ANSWERS)
def test_password_is_nowhere_else(
    serve: Callable[..., Api],
    scripted: ScriptedCognito,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    says: str,
) -> None:
    """However it is given, and whatever comes of it: in no answer, log line, event or metric."""
    scripted.on("AdminGetUser", reply(user_of("bob")))
    scripted.on("AdminSetUserPassword", ANSWERS[says])
    path = tmp_path / "audit.jsonl"
    api = serve(scripted.url, audit_file=path, amplify=True, introspection="public")
    for token in (api.token("Admins"), api.token("Readers"), ""):
        headers = {"Authorization": token} if token else {}
        answers = [
            api.client.post("/graphql", json=body, headers=headers) for body in BODIES.values()
        ]
        body = {"username": "bob", "password": PASSWORD}
        answers += [
            api.client.post(f"/AdminQueries/{route}", json=body, headers=headers)
            for route in ("setUserPassword", "disableUsers", "signUserOut")
        ]
        for answer in answers:
            assert PASSWORD not in answer.text
            assert PASSWORD not in str(answer.headers)
    assert PASSWORD not in path.read_text()
    assert PASSWORD not in "".join(capfd.readouterr())
    assert PASSWORD not in generate_latest(REGISTRY).decode()
    sent = [each for each in scripted.requests if PASSWORD in each.body.decode()]
    assert {each.operation for each in sent} == {"AdminSetUserPassword"}
    assert all(PASSWORD not in f"{each.url}{each.headers}" for each in sent)
    assert len(sent) == 6  # of those that fit the schema, by who may
    events = [json.loads(line) for line in path.read_text().splitlines()]
    assert {"setUserPassword"} == {event["action"] for event in events} - {"signUserOut"}
