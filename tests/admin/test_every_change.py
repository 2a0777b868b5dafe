"""What holds of every change, old or new, over HTTP."""

import json
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from graphql_admin.actions import Action
from graphql_admin.targets import TargetKind
from graphql_admin.web.amplify import ADMIN_QUERIES
from tests.support.api import Api
from tests.support.scripted import ScriptedCognito, failure, held, reply
from tests.support.ways import REPLIES, WAYS

CHANGES = {
    way.action: way.document for way in WAYS if way.action.write and way.path == (way.action.label,)
}
CHECKED = {
    Action.CREATE_USER: "DescribeUserPool",
    Action.UPDATE_USER: "DescribeUserPool",
    Action.SET_USER_PASSWORD: "AdminGetUser",
    Action.RESEND_INVITATION: "AdminGetUser",
    Action.LINK_USER_IDENTITY: "AdminGetUser",
    Action.UNLINK_USER_IDENTITY: "AdminGetUser",
    Action.END_USER_SESSION: "AdminGetUser",
    Action.UPDATE_GROUP: "GetGroup",
    Action.DELETE_GROUP: "ListUsersInGroup",
}
"""A read before the write, of those that look at how things are."""
EVERY = pytest.mark.parametrize("action", CHANGES, ids=lambda action: action.label)


@pytest.fixture
def backend(scripted: ScriptedCognito) -> ScriptedCognito:
    """A Cognito that carries out whatever it is asked."""
    for action in Action:
        for operation in action.operations:
            scripted.on(operation, reply(REPLIES.get(operation, {})))
    scripted.on("ListUsersInGroup", reply({"Users": []}))
    return scripted


def test_changes_are_all_there() -> None:
    """The tests below are of every action that writes."""
    assert set(CHANGES) == {action for action in Action if action.write}
    assert set(CHECKED) == {action for action in CHANGES if action.row.checks}


@EVERY
def test_broken_sink(
    serve: Callable[..., Api], backend: ScriptedCognito, tmp_path: Path, action: Action
) -> None:
    """Without a record nothing is changed, and nothing is read to see whether it might be."""
    folder = tmp_path / "events"
    folder.mkdir()
    api = serve(backend.url, audit_file=folder / "audit.jsonl")
    (folder / "audit.jsonl").unlink()
    folder.rmdir()
    assert api.send(CHANGES[action]).codes == ["AUDIT_UNAVAILABLE"]
    assert backend.requests == []
    assert backend.authority == []
    folder.mkdir()  # for the event that waits


@EVERY
def test_token_of_before(
    serve: Callable[..., Api], backend: ScriptedCognito, tmp_path: Path, action: Action
) -> None:
    """A caller who was removed from the group, or the pool, changes nothing with the old token."""
    path = tmp_path / "audit.jsonl"
    api = serve(backend.url, audit_file=path, authority_max_age="0")
    backend.people["root"] = ("Readers",)
    if action.is_for_oneself:
        assert api.send(CHANGES[action]).data
        return
    assert api.send(CHANGES[action]).codes == ["FORBIDDEN"]
    del backend.people["root"]
    backend.on("AdminGetUser", failure("UserNotFoundException"))
    assert api.send(CHANGES[action]).codes == ["FORBIDDEN"]
    assert action.write not in backend.operations()
    endings = [json.loads(line)["outcome"] for line in path.read_text().splitlines()]
    assert endings == ["refused", "refused"]


@EVERY
@pytest.mark.parametrize("answer", ["failed", "denied", "gone"])
def test_write_that_does_not_go_well(
    serve: Callable[..., Api],
    backend: ScriptedCognito,
    tmp_path: Path,
    action: Action,
    answer: str,
) -> None:
    """No success without Cognito's word for it, and an honest record."""
    assert action.write
    if action.row.creates:  # it is not there yet
        backend.on("AdminGetUser", failure("UserNotFoundException"))
    what = "Resource" if action.target is TargetKind.GROUP else "User"
    gone = f"{what}NotFoundException"
    backend.on(
        action.write,
        {
            "failed": failure("InternalErrorException", 500),
            "denied": failure("AccessDeniedException"),
            "gone": failure(gone),
        }[answer],
    )
    path = tmp_path / "audit.jsonl"
    said = serve(backend.url, audit_file=path).send(CHANGES[action])
    (payload,) = said.partial.values()
    codes = said.codes + [error["code"] for error in (payload or {"errors": []})["errors"]]
    (event,) = map(json.loads, path.read_text().splitlines())
    if answer == "gone":
        assert codes in (["USER_NOT_FOUND"], ["GROUP_NOT_FOUND"])
        assert event["outcome"] == "failed"
    else:
        assert codes == ["UPSTREAM_ERROR"]
        assert event["outcome"] == ("unknown" if answer == "failed" else "failed")


@pytest.mark.parametrize("action", CHECKED, ids=lambda action: action.label)
@pytest.mark.parametrize("answer", ["hangs", "fails", "nonsense"])
def test_check_that_cannot_be_made(
    serve: Callable[..., Api],
    backend: ScriptedCognito,
    tmp_path: Path,
    action: Action,
    answer: str,
) -> None:
    """Where it cannot be told how things are, nothing is changed, and that is said and recorded."""
    never = threading.Event()
    script = {
        "hangs": held(never, reply({})),
        "fails": failure("InternalErrorException", 500),
        "nonsense": reply({"Username": 7, "Group": "Editors", "Users": "bob"}),
    }[answer]
    path = tmp_path / "audit.jsonl"
    api = serve(backend.url, audit_file=path, deadline=2)
    api.send('mutation { enableUser(input: {username: "bob"}) { errors { code } } }')
    backend.requests.clear()
    backend.on(CHECKED[action], script)
    document = CHANGES[action].replace("withMembers: true", "withMembers: false")
    said = api.send(document)
    assert said.codes == ["TIMEOUT" if answer == "hangs" else "UPSTREAM_ERROR"]
    if answer == "hangs":
        assert "Nothing was changed" in said.errors[0]["message"]
    assert action.write not in backend.operations()
    event = json.loads(path.read_text().splitlines()[-1])
    assert (event["action"], event["outcome"]) == (action.label, "failed")
    never.set()


@EVERY
def test_routes_are_those_of_admin_queries(
    serve: Callable[..., Api], backend: ScriptedCognito, action: Action
) -> None:
    """What came later has no route."""
    api = serve(backend.url, amplify=True)
    answer = api.client.post(
        f"/AdminQueries/{action.label}",
        json={"username": "root" if action is Action.SIGN_USER_OUT else "bob", "groupname": "A"},
        headers={"Authorization": api.token("Admins")},
    )
    assert answer.status_code == (200 if action in ADMIN_QUERIES else 404)
    assert (action.write in backend.operations()) == (action in ADMIN_QUERIES)
