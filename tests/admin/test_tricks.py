"""What a hostile client, or an unlucky moment, may try against the checks of a change."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from graphql_admin.actions import Action
from tests.support.api import Api
from tests.support.changes import ask, endings, ways_to
from tests.support.directory import Directory
from tests.support.memory_pool import MemoryPool
from tests.support.scripted import Reply, ScriptedCognito, failure, held, raw, reply
from tests.support.started import until

WAYS = pytest.mark.parametrize("way", ["graphql", "rest", "batch"])
SCOPE, OWN, FORBIDDEN = "OUT_OF_SCOPE", "OWN_ACCOUNT", "FORBIDDEN"
GET, LIST = "AdminGetUser", "AdminListGroupsForUser"
POLICY = """
[groups]
Admins = ["*"]
Support = ["addUserToGroup", "removeUserFromGroup", "disableUser", "enableUser"]
Helpers = ["enableUser"]
[protected]
groups = ["Billing"]
"""
PEOPLE = {
    "ada": ["Admins"],
    "alan": ["Admins"],
    "sue": ["Support"],
    "hal": ["Helpers"],
    "carl": ["Customers"],
}


@pytest.fixture
def pool(scripted: ScriptedCognito) -> MemoryPool:
    """Some people, behind `scripted`."""
    pool = MemoryPool()
    for name, groups in PEOPLE.items():
        pool.add(name, *groups)
    pool.install(scripted)
    return pool


@pytest.fixture
def start(
    serve_policy: Callable[..., Api],
    pool: MemoryPool,  # noqa: ARG001  # behind `scripted`
) -> Callable[..., Api]:
    """Start the server in front of them."""
    return lambda **settings: serve_policy(POLICY, **{"authority_max_age": "0", **settings})


def token(api: Api, name: str, *groups: str) -> str:
    return api.token(*(groups or PEOPLE[name]), username=name)


# Reads that end half way

FILLER = [{"GroupName": f"g{number}"} for number in range(60)]


def in_pages(
    pool: MemoryPool, who: str, second: Reply | Callable[[], Reply]
) -> Callable[[dict[str, Any]], Reply]:
    """Reply with sixty groups of a user that mean nothing, and `second` for what comes after."""

    def script(parameters: dict[str, Any]) -> Reply:
        if parameters["Username"] != who:
            return reply(pool.call(LIST, parameters))
        if "NextToken" not in parameters:
            return reply({"Groups": FILLER, "NextToken": "more"})
        return second if isinstance(second, Reply) else second()

    return script


FAULTS: dict[str, Callable[[threading.Event], Reply]] = {
    "throttled": lambda _: failure("TooManyRequestsException"),
    "failed": lambda _: failure("InternalErrorException", 500),
    "denied": lambda _: failure("AccessDeniedException"),
    "gone": lambda _: failure("UserNotFoundException"),
    "hanging": lambda never: held(never, reply({"Groups": []})),
    "not JSON": lambda _: raw(b"<html>", 200),
    "without groups": lambda _: reply({}),
    "with a row that is none": lambda _: reply({"Groups": [{}]}),
    "endless": lambda _: reply({"Groups": FILLER, "NextToken": "more"}),
}


@pytest.mark.slow
@WAYS
@pytest.mark.parametrize("whose", ["caller", "target"])
@pytest.mark.parametrize("fault", FAULTS)
def test_second_page_that_fails(  # noqa: PLR0917  # fixtures and parameters
    start: Callable[..., Api],
    scripted: ScriptedCognito,
    pool: MemoryPool,
    way: str,
    whose: str,
    fault: str,
) -> None:
    """Groups of which the second page does not come are not taken for all that there are."""
    never = threading.Event()
    second = FAULTS[fault](never)
    scripted.on(LIST, in_pages(pool, "sue" if whose == "caller" else "carl", second))
    api = start(deadline=1)
    said = ask(api, way, "enableUser", "carl", token=token(api, "sue"))
    assert said is not None
    assert said in {
        "AUTHORITY_UNAVAILABLE",
        "UPSTREAM_ERROR",
        "TIMEOUT",
        "UNAVAILABLE",  # any of these in a batch
        "THROTTLED",
        "USER_NOT_FOUND",
        FORBIDDEN,
    }
    assert pool.writes == []
    never.set()


@WAYS
@pytest.mark.parametrize("group", ["Admins", "Billing"])
def test_second_page_that_matters(
    start: Callable[..., Api], scripted: ScriptedCognito, pool: MemoryPool, way: str, group: str
) -> None:
    """What keeps a target out of reach may be on the last page of their groups."""
    scripted.on(LIST, in_pages(pool, "carl", reply({"Groups": [{"GroupName": group}]})))
    api = start()
    actions, sue = ("disableUser", "enableUser"), token(api, "sue")
    said = {action: ask(api, way, action, "carl", token=sue) for action in actions}
    assert said == dict.fromkeys(actions, SCOPE)
    assert pool.writes == []


@WAYS
def test_caller_in_many_groups(
    start: Callable[..., Api], scripted: ScriptedCognito, pool: MemoryPool, way: str
) -> None:
    """A caller's own rights may be on the last page too."""
    scripted.on(LIST, in_pages(pool, "sue", reply({"Groups": [{"GroupName": "Support"}]})))
    api = start()
    assert ask(api, way, "enableUser", "carl", token=token(api, "sue")) is None


# Moments


@WAYS
def test_alias_that_moves(
    start: Callable[..., Api], scripted: ScriptedCognito, pool: MemoryPool, way: str
) -> None:
    """Who was looked at is changed, though their address is another's by then."""

    def list_groups(parameters: dict[str, Any]) -> Reply:
        result = reply(pool.call(LIST, parameters))
        if parameters["Username"] == "hal":  # who has been looked at
            pool.change("hal", email="old@example.com")
            pool.change("ada", email="hal@example.com")
        return result

    scripted.on(LIST, list_groups)
    api = start()
    said = ask(api, way, "disableUser", "hal@example.com", token=token(api, "sue"))
    assert said is None
    assert pool.writes == [("AdminDisableUser", "hal")]
    assert pool.people["ada"].enabled


@WAYS
@pytest.mark.parametrize(
    ("change", "code"),
    [
        (("enableUser", "carl"), "CONFLICT"),
        (("addUserToGroup", "carl", "Helpers"), "CONFLICT"),
        (("disableUser", "hal"), "CONFLICT"),
        (("removeUserFromGroup", "hal", "Helpers"), "CONFLICT"),
    ],
)
def test_deprived_during_the_checks(  # noqa: PLR0917  # fixtures and parameters
    start: Callable[..., Api],
    scripted: ScriptedCognito,
    pool: MemoryPool,
    way: str,
    change: tuple[str, ...],
    code: str,
) -> None:
    """Who loses their rights while their change is decided on neither gives nor takes any more."""
    is_looked_at, go_on = threading.Event(), threading.Event()

    def list_groups(parameters: dict[str, Any]) -> Reply:
        result = reply(pool.call(LIST, parameters))
        if parameters["Username"] == change[1]:
            is_looked_at.set()
            return held(go_on, result)
        return result

    scripted.on(LIST, list_groups)
    api = start()
    ada, sue = token(api, "ada"), token(api, "sue")
    with ThreadPoolExecutor(1) as thread:
        said = thread.submit(ask, api, way, *change, token=sue)
        until(is_looked_at.is_set)
        assert ask(api, way, "disableUser", "sue", token=ada) is None
        go_on.set()
        assert said.result() == code
    assert pool.writes == [("AdminDisableUser", "sue")]


@WAYS
def test_group_made_anew(
    serve: Callable[..., Api], moto_url: str, directory: Directory, way: str
) -> None:
    """A token of a member of a group is not one of a member of another group of that name."""
    directory.add_group("Admins")
    sub = directory.add_user("ada", "Admins")
    directory.add_user("carl")
    api = serve(moto_url, directory.pool_id, amplify=True, authority_max_age="0")
    ada = api.token("Admins", username="ada", sub=sub)
    assert ask(api, way, "enableUser", "carl", token=ada) is None
    directory.cognito.delete_group(UserPoolId=directory.pool_id, GroupName="Admins")
    directory.add_group("Admins")
    assert ask(api, way, "disableUser", "carl", token=ada) == FORBIDDEN
    assert directory.user("carl")["Enabled"]


# Names


@WAYS
def test_names_in_other_letters(
    start: Callable[..., Api], scripted: ScriptedCognito, pool: MemoryPool, way: str
) -> None:
    """In a pool that does not tell letters apart, callers are themselves in any of them."""
    for operation in pool.operations():
        scripted.on(
            operation,
            lambda given, operation=operation: reply(
                pool.call(operation, {**given, "Username": given["Username"].lower()})
            ),
        )
    api = start()
    sue = token(api, "sue")
    assert ask(api, way, "disableUser", "SUE", token=sue) == OWN
    assert ask(api, way, "disableUser", "Sub-Of-Sue", token=sue) == OWN
    assert ask(api, way, "disableUser", "ADA", token=sue) == SCOPE
    assert ask(api, way, "disableUser", "Hal", token=sue) is None
    assert pool.writes == [("AdminDisableUser", "hal")]


LOOKALIKES = [
    "admins",
    "ADMINS",
    "\N{GREEK CAPITAL LETTER ALPHA}dmins",
    "\N{FULLWIDTH LATIN CAPITAL LETTER A}dmins",
    "Admins\N{COMBINING ACUTE ACCENT}",
    "*",
    '"Admins"',
    "Admins,Admins",
]


@WAYS
def test_groups_that_look_like_another(
    serve: Callable[..., Api], moto_url: str, directory: Directory, tmp_path: Path, way: str
) -> None:
    """A group has the rights of its own name alone, to the letter, in the token and in the pool."""
    path = tmp_path / "policy.toml"
    path.write_text(POLICY)
    for group in ("Support", *LOOKALIKES):
        directory.add_group(group)
    sub = directory.add_user("sue", "Support")
    own = directory.add_user("carl", *LOOKALIKES)
    directory.add_user("hal")
    api = serve(moto_url, directory.pool_id, policy_file=path, amplify=True, authority_max_age="0")
    carl = api.token(*LOOKALIKES, username="carl", sub=own)
    assert ask(api, way, "disableUser", "hal", token=carl) == FORBIDDEN
    carl = api.token("Admins", username="carl", sub=own)
    assert ask(api, way, "disableUser", "hal", token=carl) == FORBIDDEN
    # Such a group gives nothing, so giving it is no way up; nor does it shield its members.
    sue = api.token("Support", username="sue", sub=sub)
    for group in LOOKALIKES:
        assert ask(api, way, "addUserToGroup", "hal", group, token=sue) is None
    hal = api.token(*LOOKALIKES, username="hal", sub=directory.enroll("hal"))
    assert ask(api, way, "disableUser", "carl", token=hal) == FORBIDDEN
    assert ask(api, way, "disableUser", "carl", token=sue) is None


@WAYS
@pytest.mark.parametrize(
    "group", ["", " ", "Admins ", " Admins", "Ad mins", "Admins\n", "Ad\u200bmins"]
)
def test_group_names_that_cannot_be(
    start: Callable[..., Api], scripted: ScriptedCognito, way: str, group: str
) -> None:
    """White space and what cannot be seen are in no group's name, and are not looked up."""
    api = start()
    said = ask(api, way, "addUserToGroup", "carl", group, token=token(api, "sue"))
    assert said == ("BAD_USER_INPUT" if way == "rest" else "INVALID_VALUE")
    assert scripted.requests == []


@pytest.mark.parametrize(
    "groups",
    [[], [""], ["*"], ["*", "*"], ["Customers", "Customers"], ["Admins,Support"], ["admins"]],
    ids=str,
)
@WAYS
def test_groups_of_a_token_that_give_nothing(
    start: Callable[..., Api], scripted: ScriptedCognito, way: str, groups: list[str]
) -> None:
    """What a token has for groups gives what the policy says of each, by its whole name."""
    api = start()
    carl = api.token(username="ada", **{"cognito:groups": groups})
    assert ask(api, way, "enableUser", "hal", token=carl) == FORBIDDEN
    assert scripted.requests == []


@WAYS
def test_groups_of_a_token_twice(start: Callable[..., Api], way: str) -> None:
    """A group that is named twice counts once."""
    api = start()
    sue = api.token("Support", "Support", username="sue")
    assert ask(api, way, "enableUser", "hal", token=sue) is None
    assert ask(api, way, "enableUser", "ada", token=sue) == SCOPE


@pytest.mark.parametrize(
    "groups", ["Admins", {"Admins": 1}, [["Admins"]], [1], None, True], ids=str
)
@WAYS
def test_groups_of_a_token_that_cannot_be(
    start: Callable[..., Api], scripted: ScriptedCognito, way: str, groups: Any
) -> None:
    """A token with groups of another type is not good."""
    api = start()
    ada = api.token(username="ada", **{"cognito:groups": groups})
    assert ask(api, way, "enableUser", "hal", token=ada) == "UNAUTHENTICATED"
    assert scripted.requests == []


# Requests


@pytest.mark.parametrize(
    ("body", "media_type"),
    [
        ('{"username": "hal", "username": "ada"}', "application/json"),
        ('{"username": "ada", "Username": "hal", "sub": "sub-of-hal"}', "application/json"),
        ("username=hal&username=ada", "application/x-www-form-urlencoded"),
    ],
)
def test_two_targets_by_rest(
    start: Callable[..., Api], pool: MemoryPool, tmp_path: Path, body: str, media_type: str
) -> None:
    """Of two names in one request, that is changed which was decided on, and is on record."""
    api = start()
    answer = api.client.post(
        "/AdminQueries/disableUser?username=hal",
        content=body,
        headers={"Authorization": token(api, "sue"), "Content-Type": media_type},
    )
    assert (answer.status_code, answer.json()["code"]) == (403, SCOPE)
    assert pool.writes == []
    assert '"username":"ada"' in (tmp_path / "audit.jsonl").read_text().replace(" ", "")


def test_changes_in_one_document(
    start: Callable[..., Api], pool: MemoryPool, tmp_path: Path
) -> None:
    """The changes of a document come one after the other, each decided on as if alone."""
    api = start()
    document = """mutation {
        own: removeUserFromGroup(input: {username: "sue", groupName: "Support"}) { errors { code } }
        once: disableUser(input: {username: "hal"}) { errors { code } }
        again: disableUser(input: {username: "hal"}) { errors { code } }
        up: addUserToGroup(input: {username: "hal", groupName: "Admins"}) { errors { code } }
        down: removeUserFromGroup(input: {username: "ada", groupName: "Admins"}) { errors { code } }
        out: signUserOut(input: {username: "ada"}) { errors { code } }
    }"""
    answer = api.send(document, token=token(api, "sue"))
    said = {
        name: payload and [error["code"] for error in payload["errors"]]
        for name, payload in answer.partial.items()
    }
    assert said == {
        "own": [OWN],
        "once": [],
        "again": [],
        "up": [SCOPE],
        "down": [SCOPE],
        "out": None,
    }
    assert answer.codes == [FORBIDDEN]
    assert pool.writes == [("AdminDisableUser", "hal")] * 2
    assert endings(tmp_path / "audit.jsonl") == [
        ("refused", OWN),
        ("done", None),
        ("done", None),
        ("refused", SCOPE),
        ("refused", SCOPE),
        ("refused", FORBIDDEN),
    ]


@pytest.mark.parametrize("max_age", ["0", "10"])
def test_rights_that_go_within_a_document(
    start: Callable[..., Api], pool: MemoryPool, max_age: str
) -> None:
    """What a document takes from a user is gone for what comes after it, theirs or another's."""
    api = start(authority_max_age=max_age)
    ada, sue = token(api, "ada"), token(api, "sue")
    assert ask(api, "graphql", "enableUser", "carl", token=sue) is None
    document = """mutation {
        a: disableUser(input: {username: "sue"}) { errors { code } }
        b: enableUser(input: {username: "carl"}) { errors { code } }
    }"""
    assert api.send(document, token=ada).data == {"a": {"errors": []}, "b": {"errors": []}}
    assert ask(api, "graphql", "enableUser", "carl", token=sue) == FORBIDDEN
    assert pool.writes[-1] == ("AdminEnableUser", "carl")
    assert len(pool.writes) == 3


@pytest.mark.parametrize("way", ways_to(Action.SIGN_USER_OUT))
@pytest.mark.parametrize("name", ["ada", "sub-of-ada", "ada@example.com", "ROOT", "", "*"])
def test_signing_others_out(
    start: Callable[..., Api], scripted: ScriptedCognito, way: str, name: str
) -> None:
    """No caller signs another user out, whatever rights they have."""
    api = start()
    callers = ("alan", "sue", "carl")
    said = {each: ask(api, way, "signUserOut", name, token=token(api, each)) for each in callers}
    assert said == dict.fromkeys(callers, FORBIDDEN)
    assert scripted.requests == []
