"""On whom one may act: over GraphQL and REST alike, with what the pool has afterwards."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from graphql_admin.actions import Action
from graphql_admin.admin.nodes import global_id
from graphql_admin.policy.decisions import RULES
from tests.support.api import Api
from tests.support.changes import ask, code_by, document_of, endings, is_on_group, ways_to
from tests.support.directory import Directory
from tests.support.memory_pool import MemoryPool
from tests.support.patience import PATIENCE
from tests.support.scripted import Reply, ScriptedCognito, failure, held, reply
from tests.support.started import until
from tests.support.tokens import ABSENT, CLIENT_ID

PROTECTED = "6f1c0000-0000-4000-8000-000000000000"
POLICY = """
[groups]
Admins = ["*"]
Support = [
    "addUserToGroup", "removeUserFromGroup", "confirmUserSignUp", "disableUser", "enableUser",
    "deleteUser", "endUserSessions", "setUserPassword", "resetUserPassword", "resendInvitation",
]
Helpers = ["enableUser"]
[scopes]
"api/all" = ["*"]
"api/support" = [
    "addUserToGroup", "removeUserFromGroup", "confirmUserSignUp", "disableUser", "enableUser",
    "deleteUser", "endUserSessions", "setUserPassword", "resetUserPassword", "resendInvitation",
]
[protected]
groups = ["Billing"]
"""
WITH_PROTECTED_USER = f'{POLICY}users = ["{PROTECTED}"]\n'

GROUPS = ("Admins", "Support", "Helpers", "Customers", "Billing")
PEOPLE = {
    "ada": ("Admins",),
    "alan": ("Admins",),
    "sue": ("Support", "Customers"),
    "sam": ("Support",),
    "hal": ("Helpers",),
    "bill": ("Billing",),
    "carl": ("Customers",),
}

WAYS = pytest.mark.parametrize("way", ["graphql", "rest", "batch"])
SCOPE, OWN, FORBIDDEN = "OUT_OF_SCOPE", "OWN_ACCOUNT", "FORBIDDEN"


# Against moto, as a plain client of it sees what came.


@dataclass
class Scene:
    """A pool of moto's with some people, and what starts a server in front of it."""

    directory: Directory
    serve: Callable[..., Api]
    folder: Path
    subs: dict[str, str] = field(default_factory=dict)

    def start(self, policy: str = POLICY, **settings: Any) -> Api:
        path = self.folder / "policy.toml"
        path.write_text(policy)
        return self.serve(policy_file=path, audit_file=self.events, amplify=True, **settings)

    @property
    def events(self) -> Path:
        return self.folder / "audit.jsonl"

    def token(self, api: Api, name: str, *groups: str) -> str:
        return api.token(*(groups or PEOPLE[name]), username=name, sub=self.subs[name])

    def state(self) -> dict[str, tuple[bool, set[str]]]:
        """Return who is enabled, and in which groups."""
        users = self.directory.cognito.list_users(UserPoolId=self.directory.pool_id)["Users"]
        return {
            user["Username"]: (user["Enabled"], self.directory.groups_of(user["Username"]))
            for user in users
        }

    def disable(self, name: str) -> None:
        self.directory.cognito.admin_disable_user(UserPoolId=self.directory.pool_id, Username=name)

    def enable(self, name: str) -> None:
        self.directory.cognito.admin_enable_user(UserPoolId=self.directory.pool_id, Username=name)

    def remove(self, name: str, group: str) -> None:
        self.directory.cognito.admin_remove_user_from_group(
            UserPoolId=self.directory.pool_id, Username=name, GroupName=group
        )

    def delete(self, name: str) -> None:
        self.directory.cognito.admin_delete_user(UserPoolId=self.directory.pool_id, Username=name)


@pytest.fixture
def scene(directory: Directory, serve: Callable[..., Api], moto_url: str, tmp_path: Path) -> Scene:
    """People in a pool of moto's."""
    for group in GROUPS:
        directory.add_group(group)
    subs = {name: directory.add_user(name, *groups) for name, groups in PEOPLE.items()}

    def start(**settings: Any) -> Api:
        return serve(moto_url, directory.pool_id, **settings)

    return Scene(directory, start, tmp_path, subs)


@WAYS
def test_helper_cannot_become_an_administrator(scene: Scene, way: str) -> None:
    """Who may add to groups adds neither themselves nor others to one that gives more."""
    api = scene.start()
    sue = scene.token(api, "sue")
    before = scene.state()
    assert ask(api, way, "addUserToGroup", "sue", "Admins", token=sue) == SCOPE
    assert ask(api, way, "addUserToGroup", "carl", "Admins", token=sue) == SCOPE
    assert ask(api, way, "addUserToGroup", "sue", "Helpers", token=sue) == OWN
    assert ask(api, way, "addUserToGroup", "carl", "Billing", token=sue) == SCOPE
    assert ask(api, way, "removeUserFromGroup", "ada", "Admins", token=sue) == SCOPE
    assert ask(api, way, "removeUserFromGroup", "sue", "Support", token=sue) == OWN
    assert scene.state() == before
    assert {outcome for outcome, _ in endings(scene.events)} == {"refused"}


@WAYS
def test_rights_that_are_gone(scene: Scene, way: str) -> None:
    """Who was removed, disabled or deleted changes nothing more, and reads until the token ends."""
    api = scene.start(authority_max_age="0")
    tokens = {name: scene.token(api, name) for name in ("ada", "alan", "sam")}
    said = {name: ask(api, way, "enableUser", "carl", token=tokens[name]) for name in tokens}
    assert said == dict.fromkeys(tokens)
    scene.remove("ada", "Admins")
    scene.disable("alan")
    scene.delete("sam")
    said = {name: ask(api, way, "disableUser", "carl", token=tokens[name]) for name in tokens}
    assert said == dict.fromkeys(tokens, FORBIDDEN)
    viewers = [api.send("{ viewer { username } }", token=token).data for token in tokens.values()]
    assert viewers == [{"viewer": {"username": name}} for name in tokens]
    assert api.send("{ users { nodes { username } } }", token=tokens["alan"]).data
    scene.directory.add_user("sam", "Support")
    # The name is another's now.
    assert ask(api, way, "disableUser", "carl", token=tokens["sam"]) == FORBIDDEN
    assert scene.state()["carl"][0] is True


@WAYS
def test_what_is_believed_no_longer(scene: Scene, way: str) -> None:
    """What was taken outside of this server is gone once the age of what was read is over."""
    api = scene.start(authority_max_age="1")
    sue = scene.token(api, "sue")
    assert ask(api, way, "enableUser", "carl", token=sue) is None
    scene.remove("sue", "Support")
    assert until(lambda: ask(api, way, "enableUser", "carl", token=sue)) == FORBIDDEN
    assert ask(api, way, "disableUser", "carl", token=sue) == FORBIDDEN
    assert scene.state()["carl"][0] is True


@WAYS
def test_what_is_believed_for_a_while(scene: Scene, way: str) -> None:
    """The pool is asked of a caller once in a while; what this server changes is known at once."""
    api = scene.start()
    ada, sue = scene.token(api, "ada"), scene.token(api, "sue")
    assert ask(api, way, "enableUser", "carl", token=sue) is None
    assert ask(api, way, "disableUser", "sue", token=ada) is None
    assert ask(api, way, "enableUser", "carl", token=sue) == FORBIDDEN
    assert ask(api, way, "enableUser", "sue", token=ada) is None


@WAYS
def test_token_never_widens_and_is_never_widened(scene: Scene, way: str) -> None:
    """Only what both the token and the pool say counts."""
    api = scene.start(authority_max_age="0")
    claims = scene.token(api, "carl", "Admins")
    assert ask(api, way, "disableUser", "hal", token=claims) == FORBIDDEN
    humble = scene.token(api, "ada", "Helpers")
    assert ask(api, way, "disableUser", "hal", token=humble) == FORBIDDEN
    assert scene.state()["hal"][0] is True


# Against a scripted Cognito, where every call counts, and names are resolved as Cognito does.


@pytest.fixture
def pool(scripted: ScriptedCognito) -> MemoryPool:
    """The same people, and one who is protected, behind `scripted`."""
    pool = MemoryPool()
    for name, groups in PEOPLE.items():
        pool.add(name, *groups)
    pool.add("paul", sub=PROTECTED)
    pool.install(scripted)
    return pool


@pytest.fixture
def start(
    serve_policy: Callable[..., Api],
    pool: MemoryPool,  # noqa: ARG001  # behind `scripted`
) -> Callable[..., Api]:
    """Start the server in front of them."""
    return lambda policy=POLICY, **settings: serve_policy(policy, **settings)


def token_of(api: Api, caller: str) -> str:
    """Return a token of a person of the pool, or of a machine with a scope."""
    if "/" in caller:
        return api.token(
            sub=CLIENT_ID, scope=caller, **{"username": ABSENT, "cognito:groups": ABSENT}
        )
    return api.token(*PEOPLE.get(caller, ()), username=caller)


@WAYS
@pytest.mark.parametrize("caller", ["sue", "api/support"])
@pytest.mark.parametrize("group", ["Admins", "Billing"])
def test_groups_out_of_scope(
    start: Callable[..., Api], scripted: ScriptedCognito, way: str, caller: str, group: str
) -> None:
    """A group that gives more, or is protected, is neither given nor taken; nothing is read."""
    api = start()
    actions, token = ("addUserToGroup", "removeUserFromGroup"), token_of(api, caller)
    said = {action: ask(api, way, action, "carl", group, token=token) for action in actions}
    assert said == dict.fromkeys(actions, SCOPE)
    assert scripted.requests == []


GET, LIST = "AdminGetUser", "AdminListGroupsForUser"


@WAYS
@pytest.mark.parametrize(
    ("caller", "action", "target", "reads", "policy"),
    [
        ("ada", ("addUserToGroup", "Support"), "carl", [], POLICY),
        ("ada", ("addUserToGroup", "Customers"), "hal", [], POLICY),
        ("ada", ("confirmUserSignUp",), "carl", [], POLICY),
        ("ada", ("enableUser",), "carl", [], POLICY),
        ("ada", ("removeUserFromGroup", "Customers"), "carl", [], POLICY),
        ("ada", ("enableUser",), "carl", [GET], WITH_PROTECTED_USER),
        # What takes rights has the caller's read again, after the target is reserved, and the
        # target's if they matter; also where there are none, for there may be some by then.
        ("ada", ("disableUser",), "carl", [GET, GET, LIST], POLICY),
        ("ada", ("removeUserFromGroup", "Support"), "sam", [GET, GET, LIST], POLICY),
        ("ada", ("disableUser",), "sam", [GET, GET, LIST], POLICY),
        ("sue", ("addUserToGroup", "Customers"), "hal", [GET, LIST], POLICY),
        ("sue", ("confirmUserSignUp",), "carl", [GET, LIST], POLICY),
        ("sue", ("enableUser",), "carl", [GET, LIST], POLICY),
        ("sue", ("removeUserFromGroup", "Customers"), "carl", [GET, LIST], POLICY),
        ("sue", ("disableUser",), "carl", [GET, LIST, GET, LIST, LIST], POLICY),
        ("api/all", ("enableUser",), "carl", [], POLICY),
        ("api/all", ("disableUser",), "sam", [GET], POLICY),
        ("api/support", ("disableUser",), "sam", [GET, LIST, LIST], POLICY),
    ],
)
def test_calls(  # noqa: PLR0917  # fixtures and parameters
    start: Callable[..., Api],
    scripted: ScriptedCognito,
    way: str,
    caller: str,
    action: tuple[str, ...],
    target: str,
    reads: list[str],
    policy: str,
) -> None:
    """A change takes its call, what the rules read, and the caller's authority now and then."""
    api = start(policy)
    token = token_of(api, caller)
    write = Action.labelled(action[0]).write
    name, *group = action
    authority = [] if "/" in caller else [GET, LIST]
    assert ask(api, way, name, target, *group, token=token) is None
    assert scripted.operations() == [*authority, *reads, write]
    if not ("disableUser" in action or "Support" in action):
        scripted.requests.clear()
        assert ask(api, way, name, target, *group, token=token) is None
        assert scripted.operations() == [*reads, write]


ENABLED = "query ($name: String!) { user(by: {username: $name}) { enabled } }"
GROUPS_OF = """query ($name: String!) {
    _entities(representations: [{__typename: "User", username: $name}]) {
        ... on User { groups { nodes { name } } }
    }
}"""


@pytest.mark.parametrize(
    ("operation", "document", "name", "since", "target", "expected"),
    [
        (LIST, GROUPS_OF, "carl", {"carl": {"groups": {"Admins"}}}, "carl", SCOPE),
        (GET, ENABLED, "c@x.org",
         {"carl": {"email": "carl@x.org"}, "alan": {"email": "c@x.org"}}, "c@x.org", SCOPE),
        (LIST, GROUPS_OF, "sue", {"sue": {"groups": {"Customers"}}}, "carl", FORBIDDEN),
        (GET, ENABLED, "sue", {"sue": {"enabled": False}}, "carl", FORBIDDEN),
    ],
    ids=["target promoted", "alias moved", "caller removed", "caller disabled"],
)  # fmt: skip
def test_reads_from_before(  # noqa: PLR0917  # fixtures and parameters
    start: Callable[..., Api], scripted: ScriptedCognito, pool: MemoryPool, operation: str,
    document: str, name: str, since: dict[str, dict[str, Any]], target: str, expected: str,
) -> None:  # fmt: skip
    """A decision makes its own calls, and takes no reply that a query has been waiting for."""
    pool.change("carl", email="c@x.org")
    release, asked = threading.Event(), threading.Event()

    def script(parameters: dict[str, Any]) -> Reply:
        answer = reply(pool.call(operation, parameters))
        if parameters["Username"] != name or asked.is_set():
            return answer
        asked.set()
        return held(release, answer)

    scripted.on(operation, script)
    api = start(authority_max_age="0")
    # A decision that waits for the query gets its reply, and is seen to be wrong.
    waited = threading.Timer(1, release.set)
    with ThreadPoolExecutor() as executor:
        query = executor.submit(api.send, document, {"name": name}, token=token_of(api, "ada"))
        try:
            assert asked.wait(PATIENCE)
            for username, members in since.items():
                pool.change(username, **members)
            waited.start()
            said = ask(api, "graphql", "disableUser", target, token=token_of(api, "sue"))
        finally:
            waited.cancel()
            release.set()
        assert query.result().data
    assert said == expected
    assert pool.writes == []


READING = POLICY.replace("Support = [", 'Support = [\n    "getUser",')


@pytest.mark.parametrize("name", ["carl", "CARL", "Carl@Example.com", "sub-of-carl"])
@pytest.mark.parametrize(
    ("policy", "caller", "is_told"),
    [(POLICY, "sue", False), (READING, "sue", True), (POLICY, "api/support", False)],
)
@pytest.mark.parametrize(
    ("change", "shown"),
    [
        ("disableUser", "user { id username }"),
        ("deleteUser", "id: deletedId username: deletedUsername"),
    ],
)
def test_username_behind_an_alias(  # noqa: PLR0917  # fixtures and parameters
    start: Callable[..., Api], pool: MemoryPool, name: str, policy: str, caller: str,
    is_told: bool, change: str, shown: str,
) -> None:  # fmt: skip
    """Who may not read users learns no username from a payload that they did not send."""
    api = start(policy)
    document = document_of(Action.labelled(change), f"{shown} errors {{ code }}")
    variables = {"input": {"username": name}}
    done = api.send(document, variables, token=token_of(api, caller)).data["done"]
    expected = "carl" if is_told else name
    key = {"id": global_id("User", expected), "username": expected}
    assert done == {**({"user": key} if "user {" in shown else key), "errors": []}
    assert pool.writes[-1][1] == "carl"


@pytest.mark.parametrize("disabled", ["", "getUser"])
@pytest.mark.parametrize("caller", ["ada", "api/all"])
def test_username_behind_an_alias_that_was_not_read(
    start: Callable[..., Api], scripted: ScriptedCognito, caller: str, disabled: str
) -> None:
    """It is read back where it is shown; where that action is disabled, it is as it was given."""
    api = start(disabled_actions=disabled)
    document = """mutation ($input: EnableUserInput!) {
        enableUser(input: $input) { user { id username SHOWN } }
    }"""
    variables, token = {"input": {"username": "carl@example.com"}}, token_of(api, caller)
    user = api.send(document.replace("SHOWN", ""), variables, token=token).data["enableUser"]
    name = "carl@example.com" if disabled else "carl"
    assert user == {"user": {"id": global_id("User", name), "username": name}}
    assert scripted.operations()[-1] == ("AdminEnableUser" if disabled else "AdminGetUser")
    answer = api.send(document.replace("SHOWN", "enabled"), variables, token=token)
    real = {"id": global_id("User", "carl"), "username": "carl", "enabled": True}
    assert answer.partial["enableUser"] == {"user": None if disabled else real}
    assert answer.codes == (["FORBIDDEN"] if disabled else [])


@pytest.mark.parametrize("name", [None, "sue", "sub-of-sue"])
def test_username_of_oneself(start: Callable[..., Api], name: str | None) -> None:
    """Callers know their own username, whichever of their names they give."""
    api = start()
    document = """mutation ($input: SignUserOutInput!) {
        signUserOut(input: $input) { user { id username } }
    }"""
    done = api.send(document, {"input": {"username": name}}, token=token_of(api, "sue")).data
    assert done["signUserOut"]["user"] == {"id": global_id("User", "sue"), "username": "sue"}


@WAYS
@pytest.mark.parametrize("target", ["alan", "sam"])
def test_rights_lost_outside_of_this_server(
    start: Callable[..., Api], scripted: ScriptedCognito, pool: MemoryPool, way: str, target: str
) -> None:
    """Before rights are taken the decision is made again, with all that it depends on by then.

    Who had every right did not depend on the target's groups; who has a part of them does.
    """
    pool.change("ada", groups={"Admins", "Support"})
    pool.change("alan", groups={"Admins", "Support"})
    api = start()
    ada = api.token("Admins", "Support", username="ada")
    assert ask(api, way, "enableUser", "hal", token=ada) is None  # what is believed from now on
    pool.change("ada", groups={"Support"})
    scripted.requests.clear()
    expected = SCOPE if target == "alan" else None
    assert ask(api, way, "removeUserFromGroup", target, "Support", token=ada) == expected
    written = [] if expected else ["AdminRemoveUserFromGroup"]
    assert scripted.operations() == [GET, GET, LIST, LIST, *written]


@pytest.mark.parametrize("way", ways_to(Action.SIGN_USER_OUT))
def test_signing_out_reads_nothing(
    start: Callable[..., Api], scripted: ScriptedCognito, way: str
) -> None:
    """Signing out takes one call, protected or not, and the caller's rights are not read."""
    api = start(WITH_PROTECTED_USER)
    token = api.token(username="paul", sub=PROTECTED)
    assert ask(api, way, "signUserOut", "paul", token=token) is None
    assert scripted.operations() == ["AdminUserGlobalSignOut"]


@WAYS
@pytest.mark.parametrize("operation", [GET, LIST])
@pytest.mark.parametrize("fault", ["hangs", "fails", "denied", "nonsense"])
def test_authority_that_cannot_be_read(  # noqa: PLR0917  # fixtures and parameters
    start: Callable[..., Api],
    scripted: ScriptedCognito,
    tmp_path: Path,
    way: str,
    operation: str,
    fault: str,
) -> None:
    """Where the pool does not say whether a caller may still do it, it is not done."""
    never = threading.Event()
    script = {
        "hangs": held(never, reply({})),
        "fails": failure("InternalErrorException", 500),
        "denied": failure("AccessDeniedException"),
        "nonsense": reply({"Username": "ada", "Groups": "Admins"}),
    }[fault]
    scripted.on(operation, script)
    api = start(deadline=1)
    said = ask(api, way, "enableUser", "carl", token=token_of(api, "ada"))
    assert said == code_by(way, "AUTHORITY_UNAVAILABLE")
    assert "AdminEnableUser" not in scripted.operations()
    assert endings(tmp_path / "audit.jsonl") == [("refused", "AUTHORITY_UNAVAILABLE")]
    never.set()


@WAYS
def test_token_mode(start: Callable[..., Api], scripted: ScriptedCognito, way: str) -> None:
    """Where the token's groups are all there is, the caller is read, and their groups are not.

    What a target may do cannot be told then, so only who has every right changes users.
    """
    api = start(authority_max_age="token")
    carl = api.token("Admins", username="carl")
    assert ask(api, way, "disableUser", "ada", token=carl) is None
    assert scripted.operations() == [GET, GET, GET, "AdminDisableUser"]
    sue = token_of(api, "sue")
    assert ask(api, way, "disableUser", "carl", token=sue) == SCOPE
    ada = token_of(api, "ada")  # disabled by now
    assert ask(api, way, "enableUser", "ada", token=ada) == FORBIDDEN


@pytest.mark.parametrize("action", RULES, ids=lambda action: action.label)
def test_broken_sink_comes_before_the_reads(
    start: Callable[..., Api],
    scripted: ScriptedCognito,
    pool: MemoryPool,
    tmp_path: Path,
    action: Action,
) -> None:
    """Without a record of it nothing is changed, and nothing is read for the decision."""
    folder = tmp_path / "events"
    folder.mkdir()
    api = start(audit_file=folder / "audit.jsonl")
    (folder / "audit.jsonl").unlink()
    folder.rmdir()
    user = "ada" if action.is_for_oneself else "carl"
    group = "Customers" if is_on_group(action) else None
    ways, token = ways_to(action), token_of(api, "ada")
    said = {way: ask(api, way, action, user, group, token=token) for way in ways}
    assert said == {way: code_by(way, "AUDIT_UNAVAILABLE") for way in ways}
    assert scripted.requests == []
    folder.mkdir()  # for the events that wait
    assert pool.writes == []


@WAYS
@pytest.mark.parametrize("operation", [GET, LIST])
def test_target_that_cannot_be_read(  # noqa: PLR0917  # fixtures and parameters
    start: Callable[..., Api], scripted: ScriptedCognito, pool: MemoryPool, tmp_path: Path,
    way: str, operation: str,
) -> None:  # fmt: skip
    """Where it cannot be told whom it is about, nothing is changed, and it is known that it is."""
    api = start()
    sue = token_of(api, "sue")
    assert ask(api, way, "enableUser", "hal", token=sue) is None  # her authority is known now
    scripted.on(operation, failure("InternalErrorException", 500))
    said = ask(api, way, "disableUser", "carl", token=sue)
    assert said == code_by(way, "UPSTREAM_ERROR")
    assert endings(tmp_path / "audit.jsonl")[-1] == ("failed", "UPSTREAM_ERROR")
    assert [operation for operation, _ in pool.writes] == ["AdminEnableUser"]


@WAYS
def test_disabled_actions_are_rights(
    serve: Callable[..., Api], moto_url: str, directory: Directory, tmp_path: Path, way: str
) -> None:
    """In a process where actions are disabled, no caller has more rights than in the others."""
    path = tmp_path / "policy.toml"
    path.write_text(
        "[groups]\n"
        'Admins = ["*"]\n'
        'Leads = ["addUserToGroup", "disableUser"]\n'
        'Helpers = ["addUserToGroup", "confirmUserSignUp", "enableUser"]\n'
    )
    for group in ("Admins", "Leads", "Helpers"):
        directory.add_group(group)
    sub = directory.add_user("sue", "Helpers")
    directory.add_user("pal")
    api = serve(
        moto_url,
        directory.pool_id,
        policy_file=path,
        amplify=True,
        disabled_actions="disableUser,removeUserFromGroup",
    )
    token = api.token("Helpers", username="sue", sub=sub)
    for user, group in [("sue", "Admins"), ("pal", "Admins"), ("pal", "Leads")]:
        assert ask(api, way, "addUserToGroup", user, group, token=token) == "OUT_OF_SCOPE"
    assert ask(api, way, "addUserToGroup", "pal", "Helpers", token=token) is None
    assert directory.groups_of("sue") == {"Helpers"}
    assert directory.groups_of("pal") == {"Helpers"}
