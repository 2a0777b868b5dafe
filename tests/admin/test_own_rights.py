"""Nobody gives back to themselves what was taken from them: not elsewhere, not at the same time."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.api import Api
from tests.support.changes import ask, endings
from tests.support.directory import Directory
from tests.support.memory_pool import MemoryPool
from tests.support.patience import PATIENCE
from tests.support.scripted import Reply, ScriptedCognito, failure, hang_up, reply

WAYS = pytest.mark.parametrize("way", ["graphql", "rest", "batch"])
FORBIDDEN, CONFLICT = "FORBIDDEN", "CONFLICT"
GET, LIST = "AdminGetUser", "AdminListGroupsForUser"
POLICY = """
[groups]
Admins = ["*"]
Support = ["disableUser", "enableUser"]
"""
PROTECTED = "6f1c0000-0000-4000-8000-000000000000"
WITH_PROTECTED_USER = f'{POLICY}[protected]\nusers = ["{PROTECTED}"]\n'
PEOPLE = {"ada": ["Admins"], "alan": ["Admins"], "sue": ["Support"], "carl": []}


@dataclass(frozen=True)
class Pair:
    """Callers who give rights to themselves, and changes that take them."""

    giving: str
    taking: str
    write: str
    group: tuple[str, ...] = ()


ENABLE = Pair("enableUser", "disableUser", "AdminEnableUser")
ADD = Pair("addUserToGroup", "removeUserFromGroup", "AdminAddUserToGroup", ("Admins",))
PAIRS = pytest.mark.parametrize("pair", [ENABLE, ADD], ids=lambda pair: pair.giving)


@pytest.fixture
def pool(scripted: ScriptedCognito) -> MemoryPool:
    """Some people, behind `scripted`; alan has every alias."""
    pool = MemoryPool()
    for name, groups in PEOPLE.items():
        pool.add(name, *groups)
    pool.change("alan", phone_number="+15550100", preferred_username="The-Turing")
    pool.install(scripted)
    return pool


Start = Callable[..., Api]


@pytest.fixture
def start(
    serve_policy: Callable[..., Api],
    pool: MemoryPool,  # noqa: ARG001  # behind `scripted`
) -> Callable[..., Api]:
    """Start the server in front of them, with its own settings, except those given."""
    return lambda policy=POLICY, **settings: serve_policy(policy, **settings)


def token(api: Api, name: str) -> str:
    return api.token(*PEOPLE[name], username=name)


def take(pool: MemoryPool, name: str, pair: Pair) -> None:
    """Take a user's rights as the pool's console does."""
    pool.change(name, **({"enabled": False} if pair is ENABLE else {"groups": frozenset()}))


# Elsewhere


@WAYS
@PAIRS
def test_rights_that_were_taken_elsewhere(  # noqa: PLR0917  # fixtures and parameters
    serve: Callable[..., Api],
    moto_url: str,
    directory: Directory,
    tmp_path: Path,
    way: str,
    pair: Pair,
) -> None:  # fmt: skip
    """Who loses their rights in AWS's console does not take them back while they are believed."""
    directory.add_group("Admins")
    sub = directory.add_user("alan", "Admins")
    directory.add_user("carl")
    audit = tmp_path / "audit.jsonl"
    api = serve(moto_url, directory.pool_id, audit_file=audit, amplify=True)
    alan = api.token("Admins", username="alan", sub=sub)
    assert ask(api, way, "enableUser", "carl", token=alan) is None
    named: dict[str, str] = {"UserPoolId": directory.pool_id, "Username": "alan"}
    if pair is ENABLE:
        directory.cognito.admin_disable_user(**named)  # type: ignore[arg-type]
    else:
        directory.cognito.admin_remove_user_from_group(**named, GroupName="Admins")  # type: ignore[call-arg,arg-type]
    before = directory.user("alan")["Enabled"], directory.groups_of("alan")
    assert ask(api, way, pair.giving, "alan", *pair.group, token=alan) == FORBIDDEN
    assert (directory.user("alan")["Enabled"], directory.groups_of("alan")) == before
    assert endings(audit)[-1] == ("refused", FORBIDDEN)
    # What was read then is what is believed from then on.
    assert ask(api, way, "enableUser", "carl", token=alan) == FORBIDDEN


NAMES = ["alan", "ALAN", "sub-of-alan", "alan@example.com", "Alan@Example.com", "+15550100",
         "the-turing"]  # fmt: skip


@PAIRS
@pytest.mark.parametrize("name", NAMES)
def test_every_name_of_oneself(
    start: Start, scripted: ScriptedCognito, pool: MemoryPool, name: str, pair: Pair
) -> None:
    """By whatever name, in whatever letters, callers give themselves nothing by an old reading."""
    api = start()
    alan = token(api, "alan")
    assert ask(api, "graphql", pair.giving, name, *pair.group, token=alan) is None
    scripted.requests.clear()
    assert ask(api, "graphql", pair.giving, name, *pair.group, token=alan) is None
    assert scripted.operations() == [GET, LIST, pair.write]
    writes = len(pool.writes)
    take(pool, "alan", pair)
    assert ask(api, "graphql", pair.giving, name, *pair.group, token=alan) == FORBIDDEN
    assert len(pool.writes) == writes


@WAYS
@PAIRS
def test_others_take_one_call(
    start: Start, scripted: ScriptedCognito, way: str, pair: Pair
) -> None:
    """What an administrator gives to others takes the call itself, by what was read before."""
    api = start()
    alan = token(api, "alan")
    assert ask(api, way, pair.giving, "carl", *pair.group, token=alan) is None
    for name in ("carl", "ada@example.com", "sub-of-sue"):
        scripted.requests.clear()
        assert ask(api, way, pair.giving, name, *pair.group, token=alan) is None
        assert scripted.operations() == [pair.write]


@WAYS
@pytest.mark.parametrize("name", ["sue", "sue@example.com"])
def test_who_has_not_every_right(start: Start, pool: MemoryPool, way: str, name: str) -> None:
    """Nor does who may enable users, and is known by what was read of the target."""
    api = start()
    sue = token(api, "sue")
    assert ask(api, way, "enableUser", "carl", token=sue) is None
    take(pool, "sue", ENABLE)
    assert ask(api, way, "enableUser", name, token=sue) == FORBIDDEN
    assert not pool.people["sue"].enabled


@WAYS
def test_token_mode(start: Start, pool: MemoryPool, way: str) -> None:
    """Nor where the token's groups are all there is: the user is read again."""
    api = start(authority_max_age="token")
    alan = token(api, "alan")
    assert ask(api, way, "enableUser", "carl", token=alan) is None
    take(pool, "alan", ENABLE)
    assert ask(api, way, "enableUser", "alan", token=alan) == FORBIDDEN
    assert not pool.people["alan"].enabled


@pytest.mark.parametrize(
    ("policy", "settings", "said"),
    [
        (POLICY, {}, None),
        (POLICY, {"authority_max_age": "0"}, FORBIDDEN),
        (WITH_PROTECTED_USER, {}, FORBIDDEN),
    ],
)
def test_alias_of_a_moment_ago(
    start: Start, pool: MemoryPool, policy: str, settings: dict[str, str], said: str | None
) -> None:
    """An alias that was set since the caller was read is not known for theirs without a call.

    It is where each change has the caller read, or its target. This is the bound that
    `docs/permissions.md` has.
    """
    api = start(policy, **settings)
    alan = token(api, "alan")
    assert ask(api, "graphql", "enableUser", "carl", token=alan) is None
    pool.change("alan", preferred_username="new")
    take(pool, "alan", ADD)
    assert ask(api, "graphql", "addUserToGroup", "new", "Admins", token=alan) == said
    assert pool.people["alan"].groups == (frozenset() if said else {"Admins"})


# At the same time


@dataclass
class Gate:
    """Holds up a write on its way through Cognito."""

    is_here: threading.Event
    goes_on: threading.Event

    def let_through(self, pool: MemoryPool, write: str) -> Callable[[dict[str, Any]], Reply]:
        """Return a script that carries a write out once it may go on."""

        def script(parameters: dict[str, Any]) -> Reply:
            self.is_here.set()
            self.goes_on.wait(PATIENCE)
            return reply(pool.call(write, parameters))

        return script


@pytest.fixture
def gate() -> Gate:
    """Closed at first."""
    return Gate(threading.Event(), threading.Event())


@WAYS
@PAIRS
def test_in_flight(  # noqa: PLR0917  # fixtures and parameters
    start: Start, scripted: ScriptedCognito, pool: MemoryPool, gate: Gate, way: str, pair: Pair
) -> None:  # fmt: skip
    """While a user's own change is on its way, no caller takes from them; then it stays taken.

    Without that, it would arrive after their rights were taken, and give them back.
    """
    api = start(authority_max_age="0")
    alan, ada = token(api, "alan"), token(api, "ada")
    scripted.on(pair.write, gate.let_through(pool, pair.write))
    with ThreadPoolExecutor(1) as thread:
        own = thread.submit(ask, api, way, pair.giving, "alan", *pair.group, token=alan)
        assert gate.is_here.wait(PATIENCE)
        assert ask(api, way, pair.taking, "alan", *pair.group, token=ada) == CONFLICT
        # No second one begins, by which he would keep her from it for ever.
        assert ask(api, way, pair.giving, "alan", *pair.group, token=alan) == CONFLICT
        gate.goes_on.set()
        assert own.result(PATIENCE) is None
    assert ask(api, way, pair.taking, "alan", *pair.group, token=ada) is None
    taken = pool.people["alan"]
    assert ask(api, way, pair.giving, "alan", *pair.group, token=alan) == FORBIDDEN
    assert pool.people["alan"] == taken


@WAYS
@PAIRS
def test_while_it_is_taken(  # noqa: PLR0917  # fixtures and parameters
    start: Start, scripted: ScriptedCognito, pool: MemoryPool, gate: Gate, way: str, pair: Pair
) -> None:  # fmt: skip
    """The other way round: while someone's rights are being taken, they give themselves none."""
    api = start(authority_max_age="0")
    alan, ada = token(api, "alan"), token(api, "ada")
    write = {"disableUser": "AdminDisableUser", "removeUserFromGroup": "AdminRemoveUserFromGroup"}
    taking = write[pair.taking]
    scripted.on(taking, gate.let_through(pool, taking))
    with ThreadPoolExecutor(1) as thread:
        taken: Future[str | None] = thread.submit(
            ask, api, way, pair.taking, "alan", *pair.group, token=ada
        )
        assert gate.is_here.wait(PATIENCE)
        assert ask(api, way, pair.giving, "alan", *pair.group, token=alan) == CONFLICT
        gate.goes_on.set()
        assert taken.result(PATIENCE) is None
    assert [operation for operation, _ in pool.writes] == [taking]


@PAIRS
@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (hang_up(), CONFLICT),
        (failure("InternalErrorException", 500), CONFLICT),
        (failure("UserNotFoundException"), None),
        (failure("NotAuthorizedException"), None),
    ],
    ids=["no answer", "server error", "no such user", "not authorized"],
)
def test_how_it_ended(  # noqa: PLR0917  # fixtures and parameters
    start: Start, scripted: ScriptedCognito, pool: MemoryPool, pair: Pair, answer: Reply, said: Any
) -> None:  # fmt: skip
    """Where it is unknown whether the caller's own change was made, it may still be on its way."""
    api = start(authority_max_age="0")
    scripted.on(pair.write, answer)
    own = ask(api, "graphql", pair.giving, "alan", *pair.group, token=token(api, "alan"))
    assert own is not None
    taken = ask(api, "graphql", pair.taking, "alan", *pair.group, token=token(api, "ada"))
    assert taken == said
    assert len(pool.writes) == (said is None)


@WAYS
def test_others_are_not_held(
    start: Start, scripted: ScriptedCognito, pool: MemoryPool, gate: Gate, way: str
) -> None:  # fmt: skip
    """What a caller gives to another does not keep others from taking the caller's rights."""
    api = start(authority_max_age="0")
    alan, ada = token(api, "alan"), token(api, "ada")
    script = gate.let_through(pool, "AdminEnableUser")
    scripted.on("AdminEnableUser", script)
    with ThreadPoolExecutor(1) as thread:
        other = thread.submit(ask, api, way, "enableUser", "carl", token=alan)
        assert gate.is_here.wait(PATIENCE)
        assert ask(api, way, "disableUser", "alan", token=ada) is None
        gate.goes_on.set()
        assert other.result(PATIENCE) is None
    assert not pool.people["alan"].enabled
