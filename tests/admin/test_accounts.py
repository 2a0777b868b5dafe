"""Users deleted and signed out, over HTTP: on moto, and scripted where moto cannot show it."""

import json
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.support.api import Api
from tests.support.directory import Directory
from tests.support.memory_pool import MemoryPool
from tests.support.scripted import ScriptedCognito, failure, held, reply
from tests.support.started import until

DELETE = """mutation ($input: DeleteUserInput!) {
    deleteUser(input: $input) { deletedId deletedUsername errors { code field } }
}"""
END = """mutation ($input: EndUserSessionsInput!) {
    endUserSessions(input: $input) { user { username status } errors { code field } }
}"""


def events(path: Path) -> list[tuple[str, str | None, str, str | None]]:
    """Return the action, target, outcome and code of each event."""
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return [
        (each["action"], each["target"]["username"], each["outcome"], each["code"])
        for each in lines
    ]


def usernames(directory: Directory) -> set[str]:
    reply = directory.cognito.list_users(UserPoolId=directory.pool_id)
    return {user["Username"] for user in reply["Users"]}


# Against moto, checked by a plain client of it


def test_user_is_deleted(
    serve: Callable[..., Api], moto_url: str, directory: Directory, tmp_path: Path
) -> None:
    """The user is gone, with their memberships, and who they were is told."""
    path = tmp_path / "audit.jsonl"
    directory.add_group("Editors")
    sub = directory.add_user("bob", "Editors")
    api = serve(moto_url, directory.pool_id, audit_file=path)
    done = api.send(DELETE, {"input": {"username": "bob", "ifSub": sub}}).data["deleteUser"]
    assert (done["deletedUsername"], done["errors"]) == ("bob", [])
    assert api.send(
        "query ($id: ID!) { node(id: $id) { id } }", {"id": done["deletedId"]}
    ).data == {"node": None}
    assert "bob" not in usernames(directory)
    members = directory.cognito.list_users_in_group(
        UserPoolId=directory.pool_id, GroupName="Editors"
    )
    assert members["Users"] == []
    again = api.send(DELETE, {"input": {"username": "bob"}}).data["deleteUser"]
    assert again == {
        "deletedId": None,
        "deletedUsername": None,
        "errors": [{"code": "USER_NOT_FOUND", "field": "username"}],
    }
    assert events(path) == [
        ("deleteUser", "bob", "done", None),
        ("deleteUser", "bob", "failed", "USER_NOT_FOUND"),
    ]


def test_name_that_is_used_again(
    serve: Callable[..., Api], moto_url: str, directory: Directory, tmp_path: Path
) -> None:
    """Another user who has the username now is not deleted instead of the one that was meant."""
    path = tmp_path / "audit.jsonl"
    before = directory.add_user("bob")
    directory.cognito.admin_delete_user(UserPoolId=directory.pool_id, Username="bob")
    directory.add_user("bob")
    api = serve(moto_url, directory.pool_id, audit_file=path)
    answer = api.send(DELETE, {"input": {"username": "bob", "ifSub": before}}).data["deleteUser"]
    assert answer["errors"] == [{"code": "STALE", "field": "ifSub"}]
    assert answer["deletedUsername"] is None
    assert "bob" in usernames(directory)
    assert events(path) == [("deleteUser", "bob", "failed", "STALE")]


def test_user_is_signed_out(api: Api, directory: Directory) -> None:
    """Tokens of the user that Cognito is asked about are no longer good."""
    cognito = directory.cognito
    client = cognito.create_user_pool_client(
        UserPoolId=directory.pool_id,
        ClientName="app",
        ExplicitAuthFlows=["ALLOW_ADMIN_USER_PASSWORD_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"],
    )["UserPoolClient"]["ClientId"]
    directory.add_user("bob")
    cognito.admin_set_user_password(
        UserPoolId=directory.pool_id, Username="bob", Password="Correct-horse-1", Permanent=True
    )
    token = cognito.admin_initiate_auth(
        UserPoolId=directory.pool_id,
        ClientId=client,
        AuthFlow="ADMIN_USER_PASSWORD_AUTH",
        AuthParameters={"USERNAME": "bob", "PASSWORD": "Correct-horse-1"},
    )["AuthenticationResult"]["AccessToken"]
    assert cognito.get_user(AccessToken=token)["Username"] == "bob"
    done = api.send(END, {"input": {"username": "bob"}}).data["endUserSessions"]
    assert done == {"user": {"username": "bob", "status": "CONFIRMED"}, "errors": []}
    with pytest.raises(cognito.exceptions.NotAuthorizedException):
        cognito.get_user(AccessToken=token)
    missing = api.send(END, {"input": {"username": "eve"}}).data["endUserSessions"]
    assert missing["errors"] == [{"code": "USER_NOT_FOUND", "field": "username"}]


# Against a pool that resolves names as Cognito does


@pytest.fixture
def pool(scripted: ScriptedCognito) -> MemoryPool:
    """Some people behind `scripted`."""
    pool = MemoryPool()
    pool.add("ada", "Admins")
    pool.add("alan", "Admins")
    pool.add("sue", "Support")
    pool.add("carl")
    pool.install(scripted)
    return pool


POLICY = """
[groups]
Admins = ["*"]
Support = ["getUser", "deleteUser", "endUserSessions"]
"""


@pytest.fixture
def start(
    serve: Callable[..., Api],
    scripted: ScriptedCognito,
    pool: MemoryPool,  # noqa: ARG001  # behind `scripted`
    tmp_path: Path,
) -> Callable[..., Api]:
    """Start the server in front of them."""
    policy = tmp_path / "policy.toml"
    policy.write_text(POLICY)
    return lambda **settings: serve(
        scripted.url, policy_file=policy, audit_file=tmp_path / "audit.jsonl", **settings
    )


GROUPS = {"ada": "Admins", "alan": "Admins", "sue": "Support"}


def ask(api: Api, document: str, caller: str, **given: Any) -> Mapping[str, Any]:
    """Return the payload of a mutation."""
    token = api.token(GROUPS[caller], username=caller)
    (payload,) = api.send(document, {"input": given}, token=token).data.values()
    return payload  # type: ignore[no-any-return]


def codes(payload: Mapping[str, Any]) -> list[str]:
    return [error["code"] for error in payload["errors"]]


@pytest.mark.parametrize("name", ["carl", "sub-of-carl", "carl@example.com"])
def test_whoever_the_name_means_is_deleted(
    start: Callable[..., Api], pool: MemoryPool, name: str
) -> None:
    """The write goes to the username that was read, and the payload has it."""
    done = ask(start(), DELETE, "sue", username=name, ifSub="sub-of-carl")
    assert (done["deletedUsername"], codes(done)) == ("carl", [])
    assert pool.writes == [("AdminDeleteUser", "carl")]


def test_reads_of_a_deletion(start: Callable[..., Api], scripted: ScriptedCognito) -> None:
    """`ifSub` takes no read: the rules have read the user."""
    api = start()
    ask(api, DELETE, "ada", username="carl", ifSub="sub-of-carl")
    assert scripted.operations() == [
        *("AdminGetUser", "AdminListGroupsForUser"),  # of the caller
        "AdminGetUser",  # of the target
        *("AdminGetUser", "AdminListGroupsForUser"),  # of the caller, once the target is reserved
        "AdminDeleteUser",
    ]


@pytest.mark.parametrize("name", ["ada", "sub-of-ada", "ada@example.com"])
def test_oneself_is_not_deleted(start: Callable[..., Api], pool: MemoryPool, name: str) -> None:
    """By whatever name."""
    assert codes(ask(start(), DELETE, "ada", username=name)) == ["OWN_ACCOUNT"]
    assert pool.writes == []


def test_deleted_user_deletes_no_other(start: Callable[..., Api], pool: MemoryPool) -> None:
    """A user who was deleted a moment ago has a token that is still valid, and no rights."""
    api = start()
    assert codes(ask(api, DELETE, "ada", username="alan")) == []
    token = api.token("Admins", username="alan")
    answer = api.send(DELETE, {"input": {"username": "ada"}}, token=token)
    assert answer.codes == ["FORBIDDEN"]
    assert set(pool.people) == {"ada", "sue", "carl"}


def test_deleting_reserves(start: Callable[..., Api], scripted: ScriptedCognito) -> None:
    """Who is being deleted deletes no other, nor afterwards while the pool still shows them."""
    go = threading.Event()
    scripted.on("AdminDeleteUser", held(go, reply({})))
    api = start(authority_max_age="0")
    ended: list[Mapping[str, Any]] = []
    thread = threading.Thread(target=lambda: ended.append(ask(api, DELETE, "ada", username="alan")))
    thread.start()
    until(lambda: "AdminDeleteUser" in scripted.operations())
    assert codes(ask(api, DELETE, "alan", username="ada")) == ["CONFLICT"]
    go.set()
    thread.join()
    assert codes(ended[0]) == []
    assert codes(ask(api, DELETE, "alan", username="ada")) == ["CONFLICT"]
    assert scripted.operations().count("AdminDeleteUser") == 1


@pytest.mark.parametrize("trouble", ["500", "hangs"])
def test_deleted_in_doubt(
    start: Callable[..., Api],
    scripted: ScriptedCognito,
    pool: MemoryPool,
    tmp_path: Path,
    trouble: str,
) -> None:
    """A deletion that Cognito carried out and failed to say so is done, and its event says it.

    It is not sent again: the user is read again before, and is gone.
    """
    never = threading.Event()

    def script(_: dict[str, Any]) -> Any:
        pool.remove("carl")
        return (
            failure("InternalErrorException", 500) if trouble == "500" else held(never, reply({}))
        )

    scripted.on("AdminDeleteUser", script)
    done = ask(start(deadline=30), DELETE, "ada", username="carl")
    assert (done["deletedUsername"], codes(done)) == ("carl", [])
    assert scripted.operations().count("AdminDeleteUser") == 1
    assert events(tmp_path / "audit.jsonl") == [("deleteUser", "carl", "done", None)]
    never.set()


def test_deletion_that_stays_in_doubt(
    start: Callable[..., Api], scripted: ScriptedCognito, tmp_path: Path
) -> None:
    """Where it cannot be told, the error and the event say that."""
    scripted.on("AdminDeleteUser", failure("InternalErrorException", 500))
    api = start()
    token = api.token("Admins", username="ada")
    answer = api.send(DELETE, {"input": {"username": "carl"}}, token=token)
    assert answer.codes == ["UPSTREAM_ERROR"]
    assert events(tmp_path / "audit.jsonl") == [("deleteUser", "carl", "unknown", "UPSTREAM_ERROR")]


def test_sessions_of_who_may_do_more(start: Callable[..., Api], pool: MemoryPool) -> None:
    """A helper signs out helpers and users, and no administrator; every user themselves."""
    api = start()
    assert codes(ask(api, END, "sue", username="ada@example.com")) == ["OUT_OF_SCOPE"]
    assert codes(ask(api, END, "sue", username="carl@example.com")) == []
    assert codes(ask(api, END, "sue", username="sue")) == []
    assert codes(ask(api, END, "ada", username="alan")) == []
    assert [name for _, name in pool.writes] == ["carl", "sue", "alan"]
