"""Nothing leaks: what a client sends and what Cognito says stays between the two."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests.support.leaks import PASSWORD, find_leaks, find_leaks_in_metrics
from tests.support.patience import PATIENCE
from tests.support.scripted import Reply, ScriptedCognito, failure, hang_up, raw, reply
from tests.support.started import ROOT, Server, served, until
from tests.support.tokens import Pool

EMAIL = "ann.private@example.com"
PHONE = "+12025550123"
USER = {
    "Username": "ann",
    "Enabled": True,
    "UserStatus": "CONFIRMED",
    "Attributes": [
        {"Name": "sub", "Value": "sub-of-ann"},
        {"Name": "email", "Value": EMAIL},
        {"Name": "phone_number", "Value": PHONE},
    ],
}


def secrets_in_every_place(token: str) -> list[dict[str, object]]:
    """Return requests that have a token, a password and an e-mail where they might slip out."""
    documents = [
        f'{{ user(by: {{email: "{EMAIL}"}}) {{ email phoneNumber }} }}',
        f'{{ users(filter: {{email: {{equals: "{EMAIL}"}}}}) {{ nodes {{ email }} }} }}',
        f'{{ user(by: {{email: "{EMAIL}", phoneNumber: "{PHONE}"}}) {{ email }} }}',
        f'{{ user(by: {{password: "{PASSWORD}"}}) {{ email }} }}',
        f'{{ users(after: "{token}") {{ nodes {{ email }} }} }}',
        f'{{ node(id: "{token}") {{ id }} }}',
        f'{{ users(filter: {{email: {{equals: "{EMAIL}\\u0000"}}}}) {{ nodes {{ email }} }} }}',
        f'{{ unterminated(email: "{EMAIL}',
        f'{{ _entities(representations: [{{__typename: "{EMAIL}"}}]) {{ __typename }} }}',
        f'{{ users(first: "{EMAIL}") {{ nodes {{ email }} }} }}',
        f'{{ user(by: ["{EMAIL}"]) {{ email }} }}',
        f'{{ "{EMAIL}" }}',
        f'{{ """{PASSWORD}""" }}',
    ]
    with_variables = {
        "query": "query Q($by: UserBy!) { user(by: $by) { email } }",
        "variables": {"by": {"email": EMAIL, "token": token, "password": PASSWORD}},
    }
    return [{"query": document} for document in documents] + [
        with_variables,
        {**with_variables, "variables": {"by": {"email": EMAIL}}},
        {**with_variables, "operationName": EMAIL},
        {"query": token, "extensions": PASSWORD},
    ]


@pytest.fixture(scope="module")
def server(lasting_scripted: ScriptedCognito, jwks_url: str) -> Iterator[Server]:
    """A server for the whole module, which ends well, and without having said a secret."""
    with served(lasting_scripted.url, jwks_url) as server:
        yield server
        server.program.send(signal.SIGTERM)
        code, events, log = server.finish()
        assert code == 0
        assert find_leaks(log) == find_leaks(events) == []


@pytest.mark.parametrize(
    "answer",
    [
        reply({"Users": [USER]}),
        failure("UserLambdaValidationException", detail=f"{EMAIL} {PASSWORD} {PHONE}"),
        failure("InternalErrorException", 500, detail=EMAIL),
        raw(f"<html>{EMAIL} {PASSWORD}</html>".encode(), 502),
        hang_up(),
    ],
    ids=["good", "refused", "failed", "not JSON", "hung up"],
)
def test_nothing_leaks(
    server: Server, shared_scripted: ScriptedCognito, signing_key: Pool, answer: Reply
) -> None:
    """Whatever is sent and whatever comes back, no secret is logged, counted or in an error."""
    shared_scripted.on("ListUsers", answer)
    shared_scripted.on("AdminGetUser", answer)
    before = len(server.program.log())
    token = signing_key.access_token("root", ["Admins"], email=EMAIL)
    headers = {"Authorization": f"Bearer {token}"}
    with httpx2.Client(base_url=server.url, headers=headers, timeout=PATIENCE) as client:
        answers = [client.post("/graphql", json=body) for body in secrets_in_every_place(token)]
        answers += [
            client.post("/graphql", content=f'{{"email": "{EMAIL}"'),
            client.get("/graphql", params={"query": "{ __typename }", "token": token}),
            client.get(f"/users/{EMAIL}/{token}"),
            client.get("/graphql", headers={"X-Request-Id": EMAIL}),
            client.get("/graphql", headers={"Authorization": f"Bearer {token}x"}),
            client.get("/graphql", headers={"Authorization": f"Basic {PASSWORD}"}),
        ]
    until(lambda: server.program.log()[before:].count('"event":"request"') == len(answers))
    counted = httpx2.get(server.metrics_url, timeout=PATIENCE).text
    assert find_leaks(server.program.said()) == find_leaks(counted) == []
    for response in answers:
        assert find_leaks(str(response.headers)) == []
        if "json" in response.headers["content-type"]:
            assert find_leaks(json.dumps(response.json().get("errors"))) == []
        else:
            assert find_leaks(response.text) == []


def test_leaks_are_found(signing_key: Pool, capsys: pytest.CaptureFixture[str]) -> None:
    """Each kind of secret is found where it is, and what is none is not taken for one."""
    for secret in (signing_key.access_token(), PASSWORD, EMAIL, PHONE):
        assert len(find_leaks(f'{{"event":"request","detail":"{secret}"}}')) == 1
    assert find_leaks("2026-11-22T21:13:58+00:00 request sub=54a59ed2-9f0e-4c9b ms=158.6") == []
    assert find_leaks_in_metrics() == []
    assert capsys.readouterr().out == ""


def test_every_test_is_searched(tmp_path: Path) -> None:
    """A test that passes fails nevertheless where a secret was captured or counted."""
    module = tmp_path / "test_careless.py"
    module.write_text(
        "from prometheus_client import Counter\n\n"
        f"def test_careless():\n    print({EMAIL!r})\n\n"
        f"def test_counted():\n    Counter('calls', 'Calls.', ['who']).labels({PHONE!r}).inc()\n"
    )
    arguments = ["-p", "tests.conftest", "--rootdir", str(tmp_path), "-c", "/dev/null", str(module)]
    run = subprocess.run(
        [sys.executable, "-m", "pytest", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 1
    assert "leaked: an e-mail address (Captured stdout call)" in run.stdout
    assert "leaked: a phone number\n" in run.stdout
