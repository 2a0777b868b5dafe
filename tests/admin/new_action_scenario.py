"""The two actions of `docs/contributing.md`, end to end.

`test_new_action` runs this where they are.
"""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from graphql_admin.actions import Action
from graphql_admin.policy.iam import iam_policy
from tests.support.api import Api
from tests.support.directory import Directory
from tests.support.scripted import ScriptedCognito, reply, user_of

NICKNAME = "Canary-7-nickname"


def test_actions(
    serve: Callable[..., Api],
    moto_url: str,
    directory: Directory,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """The pool is changed, the right target is recorded, and the value is nowhere."""
    directory.add_user("bob")
    path = tmp_path / "audit.jsonl"
    api = serve(moto_url, directory.pool_id, audit_file=path)
    done = api.send(
        """mutation ($set: SetUserNicknameInput!) {
            setUserNickname(input: $set) {
                user { username attributes { name value } } errors { code }
            }
            empty: setUserNickname(input: {username: "bob", nickname: ""}) {
                user { username } errors { code field }
            }
            missing: setUserNickname(input: {username: "eve", nickname: "E"}) {
                user { username } errors { code field }
            }
        }""",
        {"set": {"username": "bob", "nickname": NICKNAME}},
    ).data
    attributes = done["setUserNickname"]["user"].pop("attributes")
    assert {"name": "nickname", "value": NICKNAME} in attributes
    assert done == {
        "setUserNickname": {"user": {"username": "bob"}, "errors": []},
        "empty": {"user": None, "errors": [{"code": "INVALID_VALUE", "field": "nickname"}]},
        "missing": {"user": None, "errors": [{"code": "USER_NOT_FOUND", "field": "username"}]},
    }
    assert {"Name": "nickname", "Value": NICKNAME} in directory.user("bob")["UserAttributes"]
    refused = api.send(
        """mutation { expireUserPassword(input: {username: "bob"}) { errors { code } } }""",
        groups=("Readers",),
    )
    assert refused.codes == ["FORBIDDEN"]
    events = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(e["action"], e["target"]["username"], e["outcome"], e["code"]) for e in events] == [
        ("setUserNickname", "bob", "done", None),
        ("setUserNickname", "bob", "failed", "INVALID_VALUE"),
        ("setUserNickname", "eve", "failed", "USER_NOT_FOUND"),
        ("expireUserPassword", "bob", "refused", "FORBIDDEN"),
    ]
    printed = "".join(capfd.readouterr())
    assert "setUserNickname" in printed
    assert NICKNAME not in printed + path.read_text()


def test_price(serve: Callable[..., Api], scripted: ScriptedCognito) -> None:
    """The mutation costs its call, and what decides on it; its payload, what reads it back."""
    body = {
        "query": """mutation {
            expireUserPassword(input: {username: "bob"}) { user { status } errors { code } }
        }""",
        "extensions": {"cost": True},
    }
    scripted.on("AdminResetUserPassword", reply({}))
    scripted.on("AdminGetUser", reply(user_of("bob")))
    api = serve(scripted.url)
    headers = {"Authorization": api.token("Admins")}
    answer = api.client.post("/graphql", json=body, headers=headers).json()
    # The write; of the caller two reads, and two again after a change to themselves; of the target
    # one, and one for the payload.
    assert answer["extensions"]["cost"]["estimated"] == 7
    # Who it is comes first: no caller does this to themselves.
    reads = "AdminGetUser"
    assert scripted.operations() == [reads, "AdminResetUserPassword", reads]


def test_iam() -> None:
    """The IAM policy has the operation of the row."""
    actions = [Action.labelled("expireUserPassword"), Action.labelled("setUserNickname")]
    (statement,) = iam_policy("arn", actions)["Statement"]
    assert set(statement["Action"]) == {
        "cognito-idp:AdminResetUserPassword",
        "cognito-idp:AdminGetUser",
        "cognito-idp:AdminListGroupsForUser",
        "cognito-idp:AdminUpdateUserAttributes",
    }
