"""Many changes in one request: each is what it is alone, and none gets lost."""

import asyncio
import json
import threading
import time
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import httpx2
import pytest
from graphql import get_named_type

from graphql_admin.actions import Action
from graphql_admin.app import create_app
from graphql_admin.engine.costs import MAX_STEPS
from graphql_admin.settings import load_settings
from graphql_admin.targets import TargetKind
from tests.support.api import Api
from tests.support.changes import ask, endings, events_in, input_of, is_on_group, is_on_user
from tests.support.directory import Directory
from tests.support.leaks import PASSWORD
from tests.support.memory_pool import MemoryPool, Person
from tests.support.patience import PATIENCE
from tests.support.scripted import ScriptedCognito, failure, hang_up, held, reply
from tests.support.started import until
from tests.support.tokens import CLIENT_ID, POOL_ID, Pool
from tests.support.ways import SCHEMA

STEPS = [action for action in Action if action.write and not action.is_for_oneself]
EVERY = pytest.mark.parametrize("action", STEPS, ids=lambda action: action.label)
LABELS = ", ".join(f'"{action.label}"' for action in STEPS)
PROTECTED = "6f1c0000-0000-4000-8000-000000000000"
POLICY = f"""
[groups]
Admins = ["*"]
Support = [{LABELS}]
[writes]
Support = ["*"]
[protected]
users = ["{PROTECTED}"]
"""
PEOPLE = {
    "ada": ("Admins",),
    "sue": ("Support",),
    "carl": (),
    "alan": ("Admins",),
    "protected": (),
}
RESULT = "index action outcome errors { code field message }"
BATCH = f"""mutation ($input: BatchInput!) {{
    batch(input: $input) {{ errors {{ code field }} results {{ {RESULT} }} }}
}}"""


@pytest.fixture
def pool(scripted: ScriptedCognito) -> MemoryPool:
    """The people."""
    pool = MemoryPool()
    for name, groups in PEOPLE.items():
        pool.add(name, *groups, sub=PROTECTED if name == "protected" else None)
    pool.install(scripted)
    return pool


@pytest.fixture
def start(
    serve_policy: Callable[..., Api],
    pool: MemoryPool,  # noqa: ARG001  # behind `scripted`
) -> Callable[..., Api]:
    """Start the server in front of them."""
    return lambda policy=POLICY, **settings: serve_policy(policy, **settings)


def token_of(api: Api, name: str) -> str:
    return api.token(*PEOPLE[name], username=name)


def send(api: Api, steps: list[Any], *, caller: str = "ada", **options: Any) -> Any:
    """Ask for a batch; return its payload."""
    given = {"input": {"steps": steps, **options}}
    return api.send(BATCH, given, token=token_of(api, caller)).data["batch"]


def outcomes(payload: Any) -> list[str]:
    return [result["outcome"] for result in payload["results"]]


def codes(payload: Any) -> list[list[str]]:
    return [[error["code"] for error in result["errors"]] for result in payload["results"]]


def add(username: str, group: str = "Editors") -> dict[str, Any]:
    return {"addUserToGroup": {"username": username, "groupName": group}}


def writes_of(backend: ScriptedCognito) -> list[str]:
    """Return the operations that came and change something."""
    every = {operation for action in Action for operation in action.writes}
    return [each for each in backend.operations() if each in every]


# A step is what it is alone


@EVERY
def test_step_is_as_alone(
    start: Callable[..., Api],
    scripted: ScriptedCognito,
    pool: MemoryPool,
    tmp_path: Path,
    action: Action,
) -> None:
    """A step has the code, the calls and the event that its mutation has alone."""
    api = start(authority_max_age="0")
    api.send("{ userPool { mfa } }", token=token_of(api, "ada"))
    users = [None] if not is_on_user(action) else ["new"] if action.row.creates else list(PEOPLE)
    groups = ["Customers", "Admins"] if is_on_group(action) else [None]
    wrong = []
    warm = input_of(action, users[0], groups[0])
    send(api, [{action.label: warm}])  # describes the pool, which is cached
    for caller, user, group in product(["carl", "sue", "ada"], users, groups):
        came = []
        for way in ("alone", "step"):
            before, asked = pool.people, len(scripted.requests)
            if way == "alone":
                code = ask(api, "graphql", action, user, group, token=token_of(api, caller))
            else:
                step = {action.label: input_of(action, user, group)}
                (listed,) = codes(send(api, [step], caller=caller))
                code = listed[0] if listed else None
            calls = [each.operation for each in scripted.requests[asked:]]
            came.append((code, calls, endings(tmp_path / "audit.jsonl")[-1]))
            for name in {*before, *pool.people}:
                pool.restore(before[name]) if name in before else pool.remove(name)
        if came[0] != came[1]:
            wrong.append((caller, user, group, came))
    assert wrong == []


@EVERY
@pytest.mark.parametrize("answer", ["failed", "gone", "denied"])
def test_step_that_fails(
    start: Callable[..., Api],
    scripted: ScriptedCognito,
    tmp_path: Path,
    action: Action,
    answer: str,
) -> None:
    """What Cognito says of a step is in its result as in the mutation's errors."""
    assert action.write
    what = "Resource" if action.target is TargetKind.GROUP else "User"
    answers = {
        "failed": failure("InternalErrorException", 500),
        "denied": failure("AccessDeniedException"),
        "gone": failure(f"{what}NotFoundException"),
    }
    scripted.on(action.write, answers[answer])
    user = "new" if action.row.creates else "carl"
    given = input_of(action, user if is_on_user(action) else None, "G")
    if not is_on_group(action):
        given.pop("groupName", None)
    payload = send(start(), [{action.label: given}, add("carl")])
    ((code,), last) = codes(payload)
    assert last == [] or action is Action.ADD_USER_TO_GROUP
    if answer == "gone":
        assert code in {"USER_NOT_FOUND", "GROUP_NOT_FOUND"}
    else:
        assert code == {"failed": "UNCERTAIN", "denied": "UNAVAILABLE"}[answer]
    assert outcomes(payload)[0] == ("UNCERTAIN" if answer == "failed" else "FAILED")
    assert events_in(tmp_path / "audit.jsonl")[0]["outcome"] == (
        "unknown" if answer == "failed" else "failed"
    )


# What a batch is


def bad_batch() -> tuple[list[Any], dict[int, tuple[str, str]]]:
    """Return 50 steps of which 7 are refused or fail, and what these come to."""
    bad: dict[int, tuple[Any, str, str]] = {
        3: ({"disableUser": {"username": "ada"}}, "REFUSED", "OWN_ACCOUNT"),
        8: ({"deleteUser": {"username": "protected"}}, "REFUSED", "OUT_OF_SCOPE"),
        15: (add("a b"), "FAILED", "INVALID_VALUE"),
        21: (
            {"setUserPassword": {"username": "missing", "password": "x"}},
            "FAILED",
            "USER_NOT_FOUND",
        ),
        22: ({"disableUser": {"username": "missing"}}, "FAILED", "USER_NOT_FOUND"),
        37: ({"updateUser": {"username": "carl"}}, "FAILED", "INVALID_VALUE"),
        49: (
            {"removeUserFromGroup": {"username": "ada", "groupName": "Admins"}},
            "REFUSED",
            "OWN_ACCOUNT",
        ),
    }
    steps = [bad[n][0] if n in bad else add("carl", f"G{n}") for n in range(MAX_STEPS)]
    return steps, {n: (outcome, code) for n, (_, outcome, code) in bad.items()}


@pytest.mark.parametrize("policy", ["CONTINUE", "STOP", "REJECT_ALL"])
def test_fifty_with_seven_bad(
    start: Callable[..., Api],
    scripted: ScriptedCognito,
    pool: MemoryPool,
    tmp_path: Path,
    policy: str,
) -> None:
    """The results say exactly what is in the pool afterwards."""
    steps, bad = bad_batch()
    payload = send(start(), steps, onError=policy)
    assert payload["errors"] == []
    results = payload["results"]
    assert [result["index"] for result in results] == list(range(MAX_STEPS))
    assert [result["action"] for result in results] == [next(iter(step)) for step in steps]
    first = min(bad)
    for index, result in enumerate(results):
        errors = [error["code"] for error in result["errors"]]
        if index in bad and (policy != "STOP" or index == first):
            assert (result["outcome"], errors) == (bad[index][0], [bad[index][1]])
        elif policy == "REJECT_ALL" or (policy == "STOP" and index > first):
            assert (result["outcome"], errors) == ("SKIPPED", [])
        else:
            assert (result["outcome"], errors) == ("DONE", [])
    done = {f"G{n}" for n, result in enumerate(results) if result["outcome"] == "DONE"}
    assert pool.people["carl"].groups == done
    assert len(done) == {"CONTINUE": 43, "STOP": 3, "REJECT_ALL": 0}[policy]
    assert len(writes_of(scripted)) == len(done)
    events = events_in(tmp_path / "audit.jsonl")
    tried = range(first + 1) if policy == "STOP" else range(MAX_STEPS)
    assert [event["step"] for event in events] == list(tried)
    assert len({event["batch"] for event in events}) == 1
    recorded = {
        "CONTINUE": {"done", "refused", "failed"},
        "STOP": {"done", "refused"},
        "REJECT_ALL": {"dry_run"},
    }
    assert {event["outcome"] for event in events} == recorded[policy]


def test_reject_all_that_passes(
    start: Callable[..., Api], pool: MemoryPool, tmp_path: Path
) -> None:
    """If every step passes the check, all are carried out."""
    payload = send(start(), [add("carl", f"G{n}") for n in range(MAX_STEPS)], onError="REJECT_ALL")
    assert set(outcomes(payload)) == {"DONE"}
    assert len(pool.people["carl"].groups) == MAX_STEPS
    ends = [event["outcome"] for event in events_in(tmp_path / "audit.jsonl")]
    assert ends == ["dry_run"] * MAX_STEPS + ["done"] * MAX_STEPS


def test_reject_all_stops_at_what_cognito_refuses(
    start: Callable[..., Api], scripted: ScriptedCognito
) -> None:
    """After the check, a step that Cognito refuses is the last one."""
    scripted.on("AdminEnableUser", failure("UserLambdaValidationException"))
    steps = [add("carl"), {"enableUser": {"username": "carl"}}, add("carl", "Others")]
    payload = send(start(), steps, onError="REJECT_ALL")
    assert outcomes(payload) == ["DONE", "FAILED", "SKIPPED"]
    assert codes(payload) == [[], ["REJECTED_BY_TRIGGER"], []]


@EVERY
def test_dry_run(
    start: Callable[..., Api],
    scripted: ScriptedCognito,
    pool: MemoryPool,
    tmp_path: Path,
    action: Action,
) -> None:
    """It predicts what this server decides, sends nothing, and reserves no user."""
    api = start(authority_max_age="0")
    scripted.on(
        "GetGroup",
        lambda told: (
            failure("ResourceNotFoundException")
            if action.row.creates
            else reply({"Group": {"GroupName": told["GroupName"]}})
        ),
    )
    users = [None] if not is_on_user(action) else ["new"] if action.row.creates else list(PEOPLE)
    groups = ["Customers", "Admins"] if is_on_group(action) else [None]
    for caller, user, group in product(["carl", "sue", "ada"], users, groups):
        step = {action.label: input_of(action, user, group)}
        before = pool.people
        predicted = send(api, [step], caller=caller, dryRun=True)
        assert pool.people is before
        assert events_in(tmp_path / "audit.jsonl")[-1]["outcome"] == "dry_run"
        real = send(api, [step], caller=caller)
        assert codes(predicted) == codes(real), (caller, user, group)
        assert outcomes(predicted) == [
            "WOULD_BE_DONE" if each == "DONE" else each for each in outcomes(real)
        ]
        api = start(authority_max_age="0")  # without what the real one reserves
        for name in {*before, *pool.people}:
            pool.restore(before[name]) if name in before else pool.remove(name)


def test_dry_run_reserves_no_user(start: Callable[..., Api]) -> None:
    """Who would be disabled, and who would do it, can do as they like at once."""
    api = start(authority_max_age="0")
    payload = send(api, [{"disableUser": {"username": "alan"}}], dryRun=True)
    assert outcomes(payload) == ["WOULD_BE_DONE"]
    payload = send(api, [{"disableUser": {"username": "ada"}}, add("alan")], caller="alan")
    assert outcomes(payload) == ["DONE", "DONE"]


@pytest.mark.parametrize(
    ("step", "code"),
    [
        (add("missing"), "USER_NOT_FOUND"),
        (add("carl", "None"), "GROUP_NOT_FOUND"),
        ({"enableUser": {"username": "missing"}}, "USER_NOT_FOUND"),
        ({"updateGroup": {"groupName": "None", "precedence": 1}}, "GROUP_NOT_FOUND"),
        ({"deleteGroup": {"groupName": "None", "withMembers": True}}, "GROUP_NOT_FOUND"),
        ({"createGroup": {"groupName": "Some"}}, "ALREADY_EXISTS"),
        ({"createUser": {"username": "carl"}}, "ALREADY_EXISTS"),
        (
            {
                "updateUser": {
                    "username": "carl",
                    "attributes": [{"name": "custom:no", "value": "x"}],
                }
            },
            "INVALID_VALUE",
        ),
    ],
)
def test_dry_run_looks_at_the_pool(
    start: Callable[..., Api], scripted: ScriptedCognito, step: Any, code: str
) -> None:
    """It tells what there is, and what there is not."""
    scripted.on(
        "GetGroup",
        lambda told: (
            failure("ResourceNotFoundException")
            if told["GroupName"] == "None"
            else reply({"Group": {"GroupName": told["GroupName"]}})
        ),
    )
    payload = send(start(), [step], dryRun=True, onError="STOP")
    assert (outcomes(payload), codes(payload)) == (["FAILED"], [[code]])
    assert writes_of(scripted) == []


@pytest.mark.parametrize(
    ("steps", "field"),
    [
        ([], "steps"),
        ([add("carl")] * (MAX_STEPS + 1), "steps"),
        ([add("carl"), {}], "steps.1"),
        ([add("carl"), {**add("carl"), "enableUser": {"username": "carl"}}], "steps.1"),
        ([{"enableUser": None}], "steps.0"),
        ([{**add("carl"), "enableUser": None}], "steps.0"),
    ],
)
def test_steps_that_are_none(
    start: Callable[..., Api], scripted: ScriptedCognito, tmp_path: Path, steps: Any, field: str
) -> None:
    """What is not up to fifty steps of one mutation each is rejected before anything is sent."""
    payload = send(start(), steps)
    assert payload == {"errors": [{"code": "INVALID_VALUE", "field": field}], "results": []}
    assert scripted.requests == []
    assert events_in(tmp_path / "audit.jsonl") == []


@pytest.mark.parametrize(
    "steps",
    [
        "[{enableUser: {username: $a}, disableUser: {username: $a}}]",
        "[{enableUser: $none}]",
        "{enableUser: $none}",
    ],
)
def test_steps_that_are_none_as_literals(
    start: Callable[..., Api], scripted: ScriptedCognito, steps: str
) -> None:
    """It is the same where the document has them."""
    api = start()
    document = f"""mutation ($a: String!, $none: EnableUserInput) {{
        a: addUserToGroup(input: {{username: $a, groupName: "G"}}) {{ errors {{ code }} }}
        batch(input: {{steps: {steps}}}) {{ errors {{ code field }} results {{ index }} }}
    }}"""
    if "$none" not in steps:
        document = document.replace(", $none: EnableUserInput", "")
    given = api.send(document, {"a": "carl", "none": None}, token=token_of(api, "ada")).data
    assert given["batch"] == {
        "errors": [{"code": "INVALID_VALUE", "field": "steps.0"}],
        "results": [],
    }
    assert writes_of(scripted) == ["AdminAddUserToGroup"]


def test_no_step_for_oneself(start: Callable[..., Api]) -> None:
    """`signUserOut` is no step: whose sessions it ends does not depend on the step."""
    fields = start().send('{ __type(name: "BatchStep") { inputFields { name } } }').data
    names = {field["name"] for field in fields["__type"]["inputFields"]}
    assert names == {action.label for action in STEPS}


def test_disabled_actions_are_no_steps(
    serve: Callable[..., Api], scripted: ScriptedCognito
) -> None:
    """A disabled action, and its input, are nowhere; without any, there is no batch."""
    api = serve(scripted.url, disabled_actions="deleteUser")
    sdl = api.send("{ _service { sdl } }").data["_service"]["sdl"]
    assert "deleteUser:" not in sdl
    assert "DeleteUserInput" not in sdl
    api = serve(scripted.url, disabled_actions=",".join(each.label for each in STEPS))
    sdl = api.send("{ _service { sdl } }").data["_service"]["sdl"]
    assert "signUserOut" in sdl
    assert "batch(" not in sdl
    assert "BatchStep " not in sdl


# Objects in results


def test_objects(api: Api, directory: Directory) -> None:
    """Users and groups are read back after the last step, each with what its payload says."""
    directory.add_user("bob")
    directory.add_user("gone")
    directory.add_group("Editors")
    steps = [
        {"disableUser": {"username": "bob"}},
        {"enableUser": {"username": "bob"}},
        add("bob"),
        {"deleteUser": {"username": "gone"}},
        {"createGroup": {"groupName": "New"}},
        {"deleteGroup": {"groupName": "New"}},
        {"createUser": {"username": "new"}},
    ]
    document = BATCH.replace(
        "index", "index deletedId invited user { username enabled } group { name description }"
    )
    token = api.token_of_user("Admins")
    payload = api.send(document, {"input": {"steps": steps}}, token=token).data["batch"]
    results = payload["results"]
    assert set(outcomes(payload)) == {"DONE"}, payload
    shown = [(each["user"], each["group"], each["deletedId"], each["invited"]) for each in results]
    bob = {"username": "bob", "enabled": True}
    gone, group = (
        api.send(
            "query ($of: [_Any!]!) { _entities(representations: $of) { ... on Node { id } } }",
            {"of": [reference]},
        ).data["_entities"][0]["id"]
        for reference in (
            {"__typename": "User", "username": "gone"},
            {"__typename": "Group", "name": "New"},
        )
    )
    assert shown == [
        (bob, None, None, None),
        (bob, None, None, None),
        (bob, {"name": "Editors", "description": ""}, None, None),
        (None, None, gone, None),
        (None, {"name": "New", "description": ""}, None, None),
        (None, None, group, None),
        ({"username": "new", "enabled": True}, None, None, False),
    ]


def test_objects_take_their_rights(serve_policy: Callable[..., Api], pool: MemoryPool) -> None:  # noqa: ARG001
    """Who may not read users gets no more of them from a batch than the key."""
    api = serve_policy(POLICY)
    given = {"input": {"steps": [add("carl", "Customers")]}}
    token = token_of(api, "sue")
    keys = BATCH.replace("index", "index user { username } group { name }")
    (result,) = api.send(keys, given, token=token).data["batch"]["results"]
    assert (result["user"], result["group"]) == ({"username": "carl"}, {"name": "Customers"})
    beyond = BATCH.replace("index", "index user { email } group { description }")
    answer = api.send(beyond, given, token=token)
    assert answer.codes == ["FORBIDDEN", "FORBIDDEN"]
    (result,) = answer.partial["batch"]["results"]
    assert (result["outcome"], result["user"], result["group"]) == ("DONE", None, None)


# Rights, in the middle


def test_no_token(start: Callable[..., Api], scripted: ScriptedCognito, tmp_path: Path) -> None:
    """Without a token there is no batch."""
    api = start(introspection="public")
    for steps in ([add("carl"), add("carl")], []):
        answer = api.send(BATCH, {"input": {"steps": steps}}, token="")
        assert answer.codes == ["UNAUTHENTICATED"]
    assert scripted.requests == []
    assert endings(tmp_path / "audit.jsonl") == [("refused", "UNAUTHENTICATED")]


def test_nothing_without_rights(
    start: Callable[..., Api], scripted: ScriptedCognito, tmp_path: Path
) -> None:
    """Who may do nothing does nothing, fifty times, and Cognito is not called."""
    payload = send(start(), [add("carl", f"G{n}") for n in range(MAX_STEPS)], caller="carl")
    assert codes(payload) == [["FORBIDDEN"]] * MAX_STEPS
    assert set(outcomes(payload)) == {"REFUSED"}
    assert scripted.requests == []
    assert endings(tmp_path / "audit.jsonl") == [("refused", "FORBIDDEN")] * MAX_STEPS


def test_rights_taken_in_the_middle(
    start: Callable[..., Api], scripted: ScriptedCognito, pool: MemoryPool
) -> None:
    """From the step on before which the caller lost their rights, the steps are refused."""

    def demote(_: dict[str, Any]) -> Any:
        pool.change("sue", groups=frozenset())
        return reply({})

    scripted.on("AdminEnableUser", demote)
    steps = [
        add("carl", "A"),
        {"enableUser": {"username": "carl"}},
        add("carl", "B"),
        add("carl", "C"),
    ]
    payload = send(start(authority_max_age="0"), steps, caller="sue")
    assert codes(payload) == [[], [], ["FORBIDDEN"], ["FORBIDDEN"]]
    assert pool.people["carl"].groups == {"A"}


def test_disabled_by_another_in_the_middle(
    start: Callable[..., Api], scripted: ScriptedCognito, pool: MemoryPool
) -> None:
    """A caller who is disabled by another is stopped at once, whatever the cache has of them."""
    api = start()
    started, go = threading.Event(), threading.Event()

    def enable(_: dict[str, Any]) -> Any:
        started.set()
        return held(go, reply({}))

    scripted.on("AdminEnableUser", enable)
    steps = [
        {"enableUser": {"username": "carl"}},
        add("carl", "A"),
        {"disableUser": {"username": "ada"}},
    ]
    got: list[Any] = []
    batch = threading.Thread(target=lambda: got.append(send(api, steps, caller="alan")))
    batch.start()
    started.wait(10)
    assert outcomes(send(api, [{"disableUser": {"username": "alan"}}])) == ["DONE"]
    go.set()
    batch.join()
    assert codes(got[0]) == [[], ["FORBIDDEN"], ["FORBIDDEN"]]
    assert pool.people["ada"].enabled
    assert pool.people["carl"].groups == set()


def test_steps_that_undo_each_other(
    start: Callable[..., Api], pool: MemoryPool, scripted: ScriptedCognito
) -> None:
    """Each step finds the pool as those before it left it."""
    scripted.on(
        "AdminUpdateUserAttributes",
        lambda told: (
            reply({}) if told["Username"] in pool.people else failure("UserNotFoundException")
        ),
    )
    steps = [
        add("carl", "Admins"),
        {"disableUser": {"username": "carl"}},
        {"enableUser": {"username": "carl"}},
        {"removeUserFromGroup": {"username": "carl", "groupName": "Admins"}},
        {"deleteUser": {"username": "carl"}},
        {"updateUser": {"username": "carl", "fullName": "C"}},
        {"createUser": {"username": "carl"}},
        add("carl", "Customers"),
    ]
    payload = send(start(), steps)
    assert codes(payload) == [[], [], [], [], [], ["USER_NOT_FOUND"], [], []]
    assert pool.people["carl"].groups == {"Customers"}
    # With fewer rights than the target was given meanwhile, the rest is refused.
    steps = [add("carl", "Support"), {"disableUser": {"username": "carl"}}, add("carl", "Admins")]
    payload = send(start(), steps, caller="sue")
    assert codes(payload) == [[], [], ["OUT_OF_SCOPE"]]


# Prices


@EVERY
@pytest.mark.parametrize("options", [{}, {"dryRun": True}, {"onError": "REJECT_ALL"}], ids=str)
@pytest.mark.parametrize("max_age", ["10", "0"])
@pytest.mark.parametrize("caller", ["ada", "sue"])
def test_fifty_of_any_kind_pass(  # noqa: PLR0917  # fixtures and parameters
    start: Callable[..., Api],
    scripted: ScriptedCognito,
    pool: MemoryPool,
    action: Action,
    options: dict[str, Any],
    max_age: str,
    caller: str,
) -> None:
    """Fifty steps of any kind are within the default price, and cost no more than estimated."""
    for number in range(MAX_STEPS):
        pool.add(f"u{number}")
    api = start(authority_max_age=max_age)
    steps = []
    for number in range(MAX_STEPS):
        user = f"new{number}" if action.row.creates else f"u{number}"
        named = (
            user if is_on_user(action) else None,
            f"G{number}" if is_on_group(action) else None,
        )
        steps.append({action.label: input_of(action, *named)})
    body = {
        "query": BATCH.replace("index", "index user { email }") if caller == "ada" else BATCH,
        "variables": {"input": {"steps": steps, **options}},
        "extensions": {"cost": True},
    }
    headers = {"Authorization": token_of(api, caller)}
    answer = api.client.post("/graphql", json=body, headers=headers).json()
    assert "errors" not in answer, answer["errors"]
    cost = answer["extensions"]["cost"]
    assert cost["calls"] == len(scripted.requests)
    assert 0 < cost["calls"] <= cost["estimated"]
    codes_ = {code for each in codes(answer["data"]["batch"]) for code in each}
    # A created group is there already where every group is.
    assert codes_ <= {"ALREADY_EXISTS"}


@pytest.mark.parametrize("way", ["variables", "literals", "default"])
def test_aliases_of_a_batch(start: Callable[..., Api], scripted: ScriptedCognito, way: str) -> None:
    """Batches of one request have fifty steps in all, however they are written."""
    api = start()
    steps = json.dumps([add("carl")] * 30).replace('"addUserToGroup"', "addUserToGroup")
    for name in ("username", "groupName"):
        steps = steps.replace(f'"{name}"', name)
    heads = {
        "variables": "($i: BatchInput!, $s: [BatchStep!]!)",
        "literals": "",
        "default": f"($i: BatchInput! = {{steps: {steps}}})",
    }
    inputs = {
        "variables": ("$i", "{steps: $s}"),
        "literals": (f"{{steps: {steps}}}",) * 2,
        "default": ("$i", "$i"),
    }
    a, b = (f"batch(input: {each}) {{ results {{ outcome }} }}" for each in inputs[way])
    document = f"mutation {heads[way]} {{ a: {a} b: {b} }}"
    given = {"i": {"steps": [add("carl")] * 30}, "s": [add("carl")] * 30}
    answer = api.send(document, given if way == "variables" else {}, token=token_of(api, "ada"))
    assert answer.codes == ["QUERY_TOO_EXPENSIVE"]
    assert scripted.requests == []
    given = {"i": {"steps": [add("carl")] * 25}, "s": [add("carl")] * 25}
    if way == "variables":
        done = api.send(document, given, token=token_of(api, "ada")).data
        assert [outcomes(done[each]) for each in "ab"] == [["DONE"] * 25] * 2


def test_results_have_the_price_of_their_objects(
    start: Callable[..., Api], scripted: ScriptedCognito
) -> None:
    """What is read back is counted for each step, by the limit of every request."""
    api = start()
    document = BATCH.replace(
        "index", "index user { email groups { nodes { name users { nodes { username } } } } }"
    )
    answer = api.send(
        document, {"input": {"steps": [add("carl")] * MAX_STEPS}}, token=token_of(api, "ada")
    )
    assert answer.codes == ["QUERY_TOO_EXPENSIVE"]
    assert scripted.requests == []
    answer = api.send(document, {"input": {"steps": [add("carl")]}}, token=token_of(api, "ada"))
    assert answer.data["batch"]["results"]


# Time, quotas, faults


def test_step_throttled(
    start: Callable[..., Api], scripted: ScriptedCognito, pool: MemoryPool
) -> None:
    """A step for which there is no quota in time is told, and no result is lost."""
    scripted.on("AdminEnableUser", failure("TooManyRequestsException"))
    steps = [add("carl", "A"), {"enableUser": {"username": "carl"}}, add("carl", "B")]
    payload = send(start(deadline=3), steps)
    assert outcomes(payload)[:2] == ["DONE", "FAILED"]
    assert codes(payload)[1] == ["THROTTLED"]
    assert len(payload["results"]) == 3
    assert (outcomes(payload)[2] == "DONE") == ("B" in pool.people["carl"].groups)


def test_throttled_for_a_moment(start: Callable[..., Api], scripted: ScriptedCognito) -> None:
    """What Cognito throttles for a moment is sent again, and the client sees nothing of it."""
    scripted.on("AdminEnableUser", [failure("TooManyRequestsException"), reply({})])
    payload = send(start(), [{"enableUser": {"username": "carl"}}, add("carl")])
    assert outcomes(payload) == ["DONE", "DONE"]


def test_deadline_in_the_middle(
    start: Callable[..., Api], scripted: ScriptedCognito, tmp_path: Path, pool: MemoryPool
) -> None:
    """What was done by then is told, and the rest is skipped and can be sent again."""

    def slowly(told: dict[str, Any]) -> Any:
        time.sleep(0.3)
        pool.change("carl", groups=pool.people["carl"].groups | {told["GroupName"]})
        return reply({})

    scripted.on("AdminAddUserToGroup", slowly)
    started = time.monotonic()
    payload = send(start(deadline=2), [add("carl", f"G{n}") for n in range(MAX_STEPS)])
    assert time.monotonic() - started < 10
    ends = outcomes(payload)
    done = ends.count("DONE")
    assert len(ends) == MAX_STEPS
    assert 0 < done < MAX_STEPS
    assert ends[-1] == "SKIPPED"
    assert {f"G{n}" for n, each in enumerate(ends) if each == "DONE"} <= pool.people["carl"].groups
    tried = MAX_STEPS - ends.count("SKIPPED")
    assert len(events_in(tmp_path / "audit.jsonl")) == tried
    assert pool.people["carl"].groups <= {f"G{n}" for n in range(tried)}


def test_pool_that_hangs(start: Callable[..., Api], scripted: ScriptedCognito) -> None:
    """A step that does not end in time is uncertain, and there is still an answer."""
    never = threading.Event()
    scripted.on("AdminEnableUser", held(never, reply({})))
    steps = [add("carl"), {"enableUser": {"username": "carl"}}, add("carl", "B")]
    payload = send(start(deadline=2), steps)
    never.set()
    assert outcomes(payload) == ["DONE", "UNCERTAIN", "SKIPPED"]
    assert codes(payload) == [[], ["UNCERTAIN"], []]


def test_broken_sink(start: Callable[..., Api], scripted: ScriptedCognito, tmp_path: Path) -> None:
    """Without a record no step is made, and nothing is read for one."""
    folder = tmp_path / "events"
    folder.mkdir()
    api = start(audit_file=folder / "audit.jsonl")
    (folder / "audit.jsonl").unlink()
    folder.rmdir()
    payload = send(api, [add("carl"), add("carl", "B")])
    assert codes(payload) == [["UNAVAILABLE"]] * 2
    assert outcomes(payload) == ["REFUSED"] * 2
    assert scripted.requests == []
    folder.mkdir()  # for the events that wait


def test_fault_in_a_step(
    start: Callable[..., Api], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A fault of this server in one step loses no result of the others."""
    from graphql_admin.admin import accounts  # noqa: PLC0415

    def fault(*_: object) -> Any:
        raise RuntimeError(PASSWORD)

    monkeypatch.setattr(accounts.DeletionInput, "prepare", fault)
    payload = send(start(), [add("carl"), {"deleteUser": {"username": "carl"}}, add("carl", "B")])
    assert outcomes(payload) == ["DONE", "FAILED", "DONE"]
    assert codes(payload) == [[], ["UNAVAILABLE"], []]
    assert PASSWORD not in json.dumps(payload)
    assert endings(tmp_path / "audit.jsonl")[1] == ("failed", "INTERNAL")


def test_two_batches_at_once(start: Callable[..., Api], pool: MemoryPool) -> None:
    """Two administrators who disable each other, fifty steps each: one is left."""
    api = start()
    got: list[Any] = []
    both = [
        threading.Thread(
            target=lambda by=by, whom=whom: got.append(
                send(api, [{"disableUser": {"username": whom}}] * MAX_STEPS, caller=by)
            )
        )
        for by, whom in (("ada", "alan"), ("alan", "ada"))
    ]
    for each in both:
        each.start()
    for each in both:
        each.join()
    assert [pool.people[name].enabled for name in ("ada", "alan")].count(True) >= 1
    assert all(len(each["results"]) == MAX_STEPS for each in got)


# Nothing leaks


@pytest.mark.parametrize(
    "answer",
    [
        reply({}),
        failure("InvalidPasswordException", detail=PASSWORD),
        failure("InternalErrorException", 500, detail=PASSWORD),
        hang_up(),
    ],
    ids=["done", "rejected", "failed", "hung up"],
)
@pytest.mark.parametrize("options", [{}, {"dryRun": True}, {"onError": "REJECT_ALL"}], ids=str)
def test_passwords(  # noqa: PLR0917  # fixtures and parameters
    start: Callable[..., Api],
    scripted: ScriptedCognito,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    answer: Any,
    options: dict[str, Any],
) -> None:
    """Passwords of steps go to Cognito, and nowhere else; `conftest` looks at the rest."""
    for operation in ("AdminSetUserPassword", "AdminCreateUser"):
        scripted.on(operation, answer)
    api = start()
    step = {"setUserPassword": {"username": "carl", "password": PASSWORD}}
    every = [
        [step, {"createUser": {"username": "new", "temporaryPassword": PASSWORD}}],
        [{"setUserPassword": {"username": "carl", "password": [PASSWORD]}}],
        [{"setUserPassword": {"username": "carl", "password": PASSWORD * 20}}],
        [{"setUserPassword": {"username": "carl", "password": "x", PASSWORD: 1}}],
        [{**step, **add("carl")}],
        [{**step, PASSWORD: PASSWORD}],
        [step] * (MAX_STEPS + 1),
        PASSWORD,
    ]
    headers = {"Authorization": token_of(api, "ada")}
    for steps in every:
        body = {"query": BATCH, "variables": {"input": {"steps": steps, **options}}}
        assert PASSWORD not in api.client.post("/graphql", json=body, headers=headers).text
    sent = any(PASSWORD in each.body.decode() for each in scripted.requests)
    assert sent == (options != {"dryRun": True})
    literal = f'{{setUserPassword: {{username: "carl", password: "{PASSWORD}"}}}}'
    errors = "{ errors { code } }"
    of_steps = f"batch(input: {{steps: $s}}) {errors}"
    for document in (
        f"mutation {{ batch(input: {{steps: [{literal}]}}) {{ results {{ {RESULT} }} }} }}",
        f"mutation {{ batch(input: {{steps: [{literal}, 1]}}) {errors} }}",
        f"mutation ($s: [BatchStep!] = [{literal}]) {{ {of_steps} }}",
        f"mutation ($s: [BatchStep!]! = [{literal}]) {{ {of_steps} }}",
    ):
        body = {"query": document}
        assert PASSWORD not in api.client.post("/graphql", json=body, headers=headers).text
    assert PASSWORD not in (tmp_path / "audit.jsonl").read_text()
    assert PASSWORD not in "".join(capfd.readouterr())


def test_fifty_by_the_quota(start: Callable[..., Api], scripted: ScriptedCognito) -> None:
    """Fifty changes at 25 a second are all made, and others read meanwhile as ever."""
    api = start(quotas="UserUpdate=25")
    got: list[Any] = []
    steps = [{"enableUser": {"username": "carl"}}] * MAX_STEPS
    batch = threading.Thread(target=lambda: got.append(send(api, steps)))
    started = time.monotonic()
    batch.start()
    until(lambda: "AdminEnableUser" in scripted.operations())
    reads = 0
    while batch.is_alive():
        answer = api.send('{ user(by: {username: "carl"}) { email } }', token=token_of(api, "alan"))
        assert answer.data["user"]
        reads += 1
    assert outcomes(got[0]) == ["DONE"] * MAX_STEPS
    assert time.monotonic() - started > 0.5
    assert reads > 10


def test_hung_up_in_the_middle(
    scripted: ScriptedCognito,
    signing_key: Pool,
    jwks_url: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """Each step that was made, or may have been, has its event; the others are not made."""
    scripted.on("AdminAddUserToGroup", reply({}))
    scripted.on("AdminEnableUser", held(threading.Event(), reply({})))
    monkeypatch.setenv("AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER", scripted.url)
    path = tmp_path / "audit.jsonl"
    settings = load_settings(
        user_pool_id=POOL_ID,
        client_ids=CLIENT_ID,
        jwks_url=jwks_url,
        dev=True,
        admin_groups="Admins",
        audit_file=path,
    )
    steps = [add("carl"), add("bob"), {"enableUser": {"username": "carl"}}, add("carl", "Late")]

    async def act() -> None:
        app = create_app(settings)
        transport = httpx2.ASGITransport(app)
        async with (
            app.router.lifespan_context(app),
            httpx2.AsyncClient(transport=transport, base_url="http://localhost") as client,
        ):
            headers = {"Authorization": signing_key.access_token("root", ["Admins"])}
            body = {"query": BATCH, "variables": {"input": {"steps": steps}}}
            request = asyncio.create_task(client.post("/graphql", json=body, headers=headers))
            async with asyncio.timeout(PATIENCE):
                while "AdminEnableUser" not in scripted.operations():  # noqa: ASYNC110  # another thread
                    await asyncio.sleep(0.01)
            request.cancel()
            with pytest.raises(asyncio.CancelledError):
                await request

    asyncio.run(act())
    assert endings(path) == [("done", None), ("done", None), ("unknown", "CANCELLED")]
    assert [event["step"] for event in events_in(path)] == [0, 1, 2]
    assert writes_of(scripted) == ["AdminAddUserToGroup"] * 2 + ["AdminEnableUser"]


# Values, doubts and faults of steps

VALUES: list[tuple[str, dict[str, Any]]] = [
    *(
        ("updateUser", {"username": "carl", **values})
        for values in (
            {},
            {"email": "c@example.org"},
            {"email": "alan@example.com", "emailVerified": True},
            {"email": "c@example.org", "emailVerified": True},
            {"emailVerified": True},
            {"fullName": None},
            {"fullName": ""},
            {"fullName": None, "givenName": "Carl"},
            {"fullName": "Carl", "attributes": [{"name": "name", "value": "Carla"}]},
            {"fullName": "a\0b"},
            {"fullName": "x" * 2049},
            {"preferredUsername": "a b"},
            *(
                {"attributes": [{"name": name, "value": "x"}]}
                for name in ("sub", "identities", "cognito:x", "custom:none", "custom:fixed", "")
            ),
            {"attributes": [{"name": "custom:fixed", "value": None}]},
            {"ifUpdatedAt": "2020-01-01T00:00:00Z", "fullName": "Carl"},
        )
    ),
    *(
        ("createUser", {"username": "new", **values})
        for values in (
            {},
            {"inviteBy": []},
            {"inviteBy": ["EMAIL"]},
            {"inviteBy": ["EMAIL"], "email": "n@example.org", "emailVerified": True},
            {"email": "alan@example.com", "emailVerified": True},
            {"email": "n@example.org"},
            {"temporaryPassword": ""},
        )
    ),
    *(
        ("updateGroup", {"groupName": "Editors", **values})
        for values in (
            {},
            {"description": None},
            {"description": ""},
            {"description": "Who edits"},
            {"precedence": 0},
            {"precedence": None},
            {"precedence": -1},
        )
    ),
    ("deleteGroup", {"groupName": "Editors", "withMembers": True}),
    ("deleteGroup", {"groupName": "Editors", "withMembers": False}),
    ("deleteUser", {"username": "carl", "ifSub": "another"}),
    ("setUserPassword", {"username": "carl", "password": "with space"}),
    ("setUserMfa", {"username": "carl"}),
]


def literal_of(value: Any, name: str = "") -> str:
    """Return a value as a document has it."""
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {literal_of(each, key)}' for key, each in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(literal_of(each, name) for each in value)}]"
    return value if name == "inviteBy" else json.dumps(value)


def test_values_are_as_alone(
    start: Callable[..., Api], scripted: ScriptedCognito, pool: MemoryPool
) -> None:
    """Whatever values a step has, and however they are written, it sends what its mutation sends.

    What is invalid is invalid in the same field, and a dry run says so too.
    """
    plain = {"AttributeDataType": "String", "Mutable": True}
    texts = ("name", "given_name", "email", "preferred_username")
    schema = [
        *({"Name": name, **plain} for name in texts),
        {"Name": "email_verified", **plain, "AttributeDataType": "Boolean"},
        {"Name": "custom:fixed", **plain, "Mutable": False},
    ]
    described = {"SchemaAttributes": schema, "AliasAttributes": ["email"]}
    scripted.on("DescribeUserPool", reply({"UserPool": described}))
    holder = {
        "Username": "alan",
        "Attributes": [
            {"Name": "sub", "Value": "sub-of-alan"},
            {"Name": "email", "Value": "alan@example.com"},
            {"Name": "email_verified", "Value": "true"},
        ],
    }
    scripted.on(
        "ListUsers",
        lambda told: reply({"Users": [holder] if "alan@" in told["Filter"] else []}),
    )
    scripted.on("ListUsersInGroup", reply({"Users": [holder]}))
    before = pool.people
    api = start()
    token = token_of(api, "ada")
    send(api, [{"updateUser": {"username": "carl", "fullName": "C"}}])  # describes the pool

    def come(way: str, name: str, values: dict[str, Any]) -> Any:
        asked, step = len(scripted.requests), {name: values}
        if way == "alone":
            input_ = f"{name[0].upper()}{name[1:]}Input"
            document = f"""mutation ($input: {input_}!) {{
                done: {name}(input: $input) {{ errors {{ code field }} }}
            }}"""
            errors = api.send(document, {"input": values}, token=token).data["done"]["errors"]
        else:
            options = "dryRun: true, " if way == "dry" else ""
            of_steps = "[$step]" if way == "variable" else f"[{literal_of(step)}]"
            head = "($step: BatchStep!)" if way == "variable" else ""
            document = f"""mutation {head} {{
                batch(input: {{{options}steps: {of_steps}}}) {{
                    results {{ errors {{ code field }} }}
                }}
            }}"""
            given = {"step": step} if way == "variable" else {}
            done = api.send(document, given, token=token).data["batch"]
            (errors,) = (each["errors"] for each in done["results"])
        for username in {*before, *pool.people}:
            pool.restore(before[username]) if username in before else pool.remove(username)
        sent = [(each.operation, each.parameters) for each in scripted.requests[asked:]]
        writes = {operation for action in Action for operation in action.writes}
        if way == "dry":
            assert not writes.intersection(operation for operation, _ in sent)
        else:
            for operation, parameters in sent:
                assert "ForceAliasCreation" not in parameters
                if operation == "AdminCreateUser":
                    assert {"MessageAction", "DesiredDeliveryMediums"} & parameters.keys()
        return errors, [each for each in sent if way != "dry"]

    wrong, codes_ = [], set()
    for name, values in VALUES:
        errors, sent = come("alone", name, values)
        came = {way: come(way, name, values) for way in ("variable", "literal", "dry")}
        expected = {"variable": (errors, sent), "literal": (errors, sent), "dry": (errors, [])}
        if came != expected:
            wrong.append((name, values, expected, came))
        codes_ |= {error["code"] for error in errors}
    assert wrong == []
    assert codes_ >= {"INVALID_VALUE", "ALREADY_EXISTS", "STALE", "WRONG_STATE"}


@pytest.mark.parametrize("fault", ["failed", "hung up"])
@pytest.mark.parametrize("since", ["made by it", "older", "not there"])
def test_creation_in_doubt(
    start: Callable[..., Api],
    scripted: ScriptedCognito,
    pool: MemoryPool,
    fault: str,
    since: str,
) -> None:
    """A creation in doubt is looked at, and sent once; the steps around it are as they are."""
    found: list[str] = []

    def create(told: dict[str, Any]) -> Any:
        found.append(told["Username"])
        return failure("InternalErrorException", 500) if fault == "failed" else hang_up()

    def find(told: dict[str, Any]) -> Any:
        if told["Username"] != "new":
            return reply(pool.call("AdminGetUser", told))
        if not found or since == "not there":
            return failure("UserNotFoundException")
        pool.restore(Person("new", "sub-of-new", ""))
        made = time.time() - (3600 if since == "older" else 0)
        return reply({**pool.call("AdminGetUser", told), "UserCreateDate": made})

    scripted.on("AdminCreateUser", create)
    scripted.on("AdminGetUser", find)
    steps = [add("carl", "A"), {"createUser": {"username": "new"}}, add("carl", "B")]
    payload = send(start(), steps)
    assert found == ["new"]
    expected = {
        "made by it": ("DONE", []),
        "older": ("FAILED", ["ALREADY_EXISTS"]),
        "not there": ("UNCERTAIN", ["UNCERTAIN"]),
    }
    assert (outcomes(payload)[1], codes(payload)[1]) == expected[since]
    assert pool.people["carl"].groups == {"A", "B"}


def test_creations_of_one_name(
    start: Callable[..., Api], scripted: ScriptedCognito, pool: MemoryPool
) -> None:
    """Of ten creations of one name, one is done."""
    payload = send(start(), [{"createUser": {"username": "new"}}] * 10)
    assert codes(payload) == [[], *[["ALREADY_EXISTS"]] * 9]
    assert "new" in pool.people
    assert len({each.parameters["Username"] for each in scripted.requests
                if each.operation == "AdminCreateUser"}) == 1  # fmt: skip


def test_sink_that_breaks_in_the_middle(
    start: Callable[..., Api], scripted: ScriptedCognito, pool: MemoryPool, tmp_path: Path
) -> None:
    """From then on nothing is changed, and what was done has its event once the sink works."""
    folder, path = tmp_path / "events", tmp_path / "events" / "audit.jsonl"
    folder.mkdir()
    api = start(audit_file=path)

    def enable(_: dict[str, Any]) -> Any:
        path.rename(tmp_path / "moved.jsonl")
        folder.rmdir()
        return reply({})

    scripted.on("AdminEnableUser", enable)
    steps = [add("carl", "A"), {"enableUser": {"username": "carl"}}, add("carl", "B")]
    payload = send(api, steps, onError="STOP")
    assert outcomes(payload) == ["DONE", "DONE", "REFUSED"]
    assert codes(payload) == [[], [], ["UNAVAILABLE"]]
    assert pool.people["carl"].groups == {"A"}
    folder.mkdir()
    until(lambda: outcomes(send(api, [add("carl", "C")])) == ["DONE"])
    written = [*events_in(tmp_path / "moved.jsonl"), *events_in(path)]
    assert {(each["step"], each["outcome"]) for each in written} >= {(0, "done"), (1, "done")}


def test_check_that_runs_out_of_time(
    start: Callable[..., Api], scripted: ScriptedCognito, pool: MemoryPool
) -> None:
    """Where not all steps could be checked, `REJECT_ALL` carries out none."""

    def slowly(told: dict[str, Any]) -> Any:
        time.sleep(0.2)
        return reply({"Group": {"GroupName": told["GroupName"]}})

    scripted.on("GetGroup", slowly)
    steps = [add("carl", f"G{n}") for n in range(MAX_STEPS)]
    payload = send(start(deadline=2), steps, onError="REJECT_ALL")
    assert set(outcomes(payload)) <= {"SKIPPED", "FAILED"}
    assert outcomes(payload)[-1] == "SKIPPED"
    assert len(payload["results"]) == MAX_STEPS
    assert writes_of(scripted) == []
    assert pool.people["carl"].groups == set()


def test_read_back_that_fails(
    start: Callable[..., Api], scripted: ScriptedCognito, pool: MemoryPool
) -> None:
    """Where the users cannot be read back, the results say what was done."""

    def find(told: dict[str, Any]) -> Any:
        if told["Username"] == "carl":
            return failure("InternalErrorException", 500)
        return reply(pool.call("AdminGetUser", told))

    scripted.on("AdminGetUser", find)
    document = BATCH.replace("index", "index user { email }")
    # Nothing is read of the target of what takes no rights, where no user is protected.
    given = {"input": {"steps": [{"createUser": {"username": "new"}}, add("carl", "A")]}}
    api = start(policy='[groups]\nAdmins = ["*"]\n')
    answer = api.send(document, given, token=token_of(api, "ada"))
    assert answer.codes == ["UPSTREAM_ERROR"]
    results = answer.partial["batch"]["results"]
    assert [each["outcome"] for each in results] == ["DONE", "DONE"]
    assert [each["user"] for each in results] == [{"email": "new@example.com"}, None]


@pytest.mark.parametrize("way", ["variables", "literals"])
def test_price_of_members_that_are_left_out(start: Callable[..., Api], way: str) -> None:
    """A variable without a value is no member of a step, whose price is that of the other."""
    api = start()
    document = """mutation ($steps: [BatchStep!]!) {
        batch(input: {steps: $steps}) { results { outcome } }
    }"""
    steps = [{"disableUser": {"username": f"u{n}"}} for n in range(20)]
    given: dict[str, Any] = {"steps": steps}
    if way == "literals":
        each = ", ".join(f"{literal_of(step)[:-1]}, enableUser: $none}}" for step in steps)
        document = f"""mutation ($none: EnableUserInput) {{
            batch(input: {{steps: [{each}]}}) {{ results {{ outcome }} }}
        }}"""
        given = {}
    body = {"query": document, "variables": given, "extensions": {"cost": True}}
    headers = {"Authorization": token_of(api, "sue")}
    answer = api.client.post("/graphql", json=body, headers=headers).json()
    assert len(answer["data"]["batch"]["results"]) == 20
    assert answer["extensions"]["cost"]["estimated"] > 60


def test_results_have_what_payloads_have() -> None:
    """Whatever the payload of a mutation shows, the result of its step shows."""
    types = SCHEMA.graphql_schema.type_map
    results = set(types["BatchStepResult"].fields)
    mutations = SCHEMA.graphql_schema.mutation_type.fields
    for action in STEPS:
        payload = get_named_type(mutations[action.label].type)
        assert results.issuperset(payload.fields), action.label


@pytest.mark.parametrize("options", [{"dryRun": True}, {"onError": "REJECT_ALL"}], ids=str)
def test_checks_look_once(
    start: Callable[..., Api], scripted: ScriptedCognito, options: dict[str, Any]
) -> None:
    """Steps about one group, or one user, look it up once, and a group that is read not again."""
    api = start()
    steps = [add("carl"), add("alan"), add("carl"), {"enableUser": {"username": "carl"}}]
    send(api, steps, **options)
    assert scripted.operations().count("GetGroup") == 1
    scripted.requests.clear()
    send(api, [{"updateGroup": {"groupName": "Editors", "precedence": 1}}], **options)
    assert scripted.operations().count("GetGroup") == (1 if "dryRun" in options else 2)
