"""Cognito's quotas: observed without waste, fair, and no call waits that cannot be sent in time."""

import asyncio
import random
import time
from collections import Counter, deque
from collections.abc import Callable
from typing import Any

import pytest
from structlog.testing import capture_logs

from graphql_admin.actions import Action
from graphql_admin.cognito import quotas as quota
from graphql_admin.cognito.categories import CATEGORIES, DEFAULT_QUOTAS, OTHER, Quota
from graphql_admin.cognito.operations import is_read
from graphql_admin.cognito.quotas import MAX_NAMES, Bucket, Quotas
from graphql_admin.errors import Throttled
from graphql_admin.settings import InvalidSettings, load_settings
from tests.support.api import Api
from tests.support.loops import START, now, play
from tests.support.scripted import Reply, ScriptedCognito, UserDirectory, failure, reply, user_of

READ = "AdminGetUser"
WRITE = "AdminDisableUser"
GROUPS = "AdminListGroupsForUser"


class BucketThrottle:
    """A Cognito that throttles by a token bucket with one second's worth."""

    def __init__(self, rate: float) -> None:
        self.rate, self.tokens, self.updated = rate, rate, 0.0
        self.refused = 0

    def admits(self, at: float) -> bool:
        self.tokens = min(self.rate, self.tokens + (at - self.updated) * self.rate)
        self.updated = at
        if self.tokens < 1 - 1e-4:  # rounding
            self.refused += 1
            return False
        self.tokens -= 1
        return True


class WindowThrottle:
    """A Cognito that counts the calls of each second."""

    def __init__(self, rate: float, phase: float) -> None:
        self.rate, self.phase = rate, phase
        self.seconds: Counter[int] = Counter()
        self.refused = 0

    def admits(self, at: float) -> bool:
        second = int(at + self.phase)
        if self.seconds[second] >= self.rate:
            self.refused += 1
            return False
        self.seconds[second] += 1
        return True


Throttle = BucketThrottle | WindowThrottle


async def ask(
    quotas: Quotas,
    operation: str,
    user: str | None = None,
    *,
    caller: str = "ann",
    within: float = 1e6,
    throttle: Throttle | None = None,
    delays: Callable[[], float] = lambda: 0.0,
) -> float:
    """Make one call as `UserPool` does, and return when it was carried out."""
    deadline = asyncio.get_running_loop().time() + within
    again = False
    while True:
        with await quotas.acquire(
            operation, user, reads=is_read(operation), caller=caller, deadline=deadline, again=again
        ) as permit:
            await asyncio.sleep(delays())  # on the way there
            done = now()
            again = throttle is not None and not throttle.admits(done)
            await asyncio.sleep(delays())  # on the way back
            if not again:
                return done
            permit.throttled()


# Keeping the quotas


def test_best_time() -> None:
    """After a pause a second's worth goes out at once, and the rest as the quota allows."""

    async def act() -> None:
        quotas = Quotas()
        times = await asyncio.gather(*(ask(quotas, GROUPS, f"user{n}") for n in range(60)))
        assert times[:50] == [0.0] * 50
        assert times[50:] == pytest.approx([n / 50 for n in range(1, 11)], abs=1e-4)

    play(act)


@pytest.mark.parametrize("seed", range(5))
def test_never_too_many_for_a_bucket(seed: int) -> None:
    """However long calls are on their way, a throttle that is a bucket has nothing to refuse."""
    chance = random.Random(seed)
    throttle = BucketThrottle(25)

    async def act() -> None:
        quotas = Quotas()
        calls = []
        for number in range(300):
            if chance.random() < 0.02:
                await asyncio.sleep(chance.uniform(0, 3))
            calls.append(
                asyncio.create_task(
                    ask(
                        quotas,
                        WRITE,
                        f"user{number}",
                        throttle=throttle,
                        delays=lambda: chance.choice([0, 0.1, 1]) * chance.random(),
                    )
                )
            )
        await asyncio.gather(*calls)

    play(act)
    assert throttle.refused == 0


@pytest.mark.parametrize("phase", [0, 0.02, 0.5, 0.98])
def test_throttle_that_counts_by_seconds(phase: float) -> None:
    """A throttle that counts by whole seconds refuses a few calls, all of which succeed later."""
    throttle = WindowThrottle(25, phase)
    ends: list[float] = []

    async def act() -> None:
        quotas = Quotas()
        ends.extend(
            await asyncio.gather(
                *(ask(quotas, WRITE, f"user{n}", throttle=throttle) for n in range(500))
            )
        )

    play(act)
    assert throttle.refused < 30
    assert max(ends) < 21  # 19 to 20 at best


@pytest.mark.parametrize("phase", [0, 0.02, 0.5, 0.98])
def test_half_the_quota(phase: float) -> None:
    """With half the quota as the share, a throttle that counts by seconds refuses nothing."""
    throttle = WindowThrottle(25, phase)

    async def act() -> None:
        quotas = Quotas(share=0.5)
        for pause in (0, 1.5, 0.7):
            await asyncio.sleep(pause)
            await asyncio.gather(
                *(ask(quotas, WRITE, f"user{n}", throttle=throttle) for n in range(40))
            )

    play(act)
    assert throttle.refused == 0


async def throttle_at_once(quotas: Quotas, operation: str, *users: str | None) -> list[Any]:
    """Let Cognito throttle a call about each of the users; return the quotas that paused."""
    deadline = asyncio.get_running_loop().time() + 100
    permits = [
        await quotas.acquire(
            operation, user, reads=is_read(operation), caller=f"caller{n}", deadline=deadline
        )
        for n, user in enumerate(users)
    ]
    with capture_logs() as logs:
        for permit in permits:
            with permit:
                permit.throttled()
    assert {(line["event"], line["pause"]) for line in logs} == {("Cognito throttles calls", 0.5)}
    return [line["quota"] for line in logs]


def test_pause_for_one_user() -> None:
    """When Cognito throttles calls about one user, those about others go on."""

    async def act() -> None:
        quotas = Quotas(pause=0.5)
        assert await throttle_at_once(quotas, WRITE, "ann", "ann", "ann") == ["one user"]
        assert await ask(quotas, WRITE, "bob") == 0
        assert await ask(quotas, READ, "ann") == 0
        assert await ask(quotas, WRITE, "ann") == pytest.approx(0.5, abs=1e-4)

    play(act)


def test_one_pause_for_all() -> None:
    """When calls about different users are throttled, all of that category pause, once."""

    async def act() -> None:
        quotas = Quotas(pause=0.5)
        paused = await throttle_at_once(quotas, WRITE, "u0", "u1", "u2")
        assert paused == ["one user", "one user", "UserUpdate", "one user"]
        assert await ask(quotas, READ, "bob") == 0
        assert await ask(quotas, WRITE, "bob") == pytest.approx(0.5, abs=1e-4)

    play(act)


def test_throttled_at_different_times() -> None:
    """Two users who are throttled more than a second apart are no sign of the category's quota."""

    async def act() -> None:
        quotas = Quotas(pause=0.5)
        assert await throttle_at_once(quotas, WRITE, "ann") == ["one user"]
        await asyncio.sleep(1.1)
        assert await throttle_at_once(quotas, WRITE, "bob") == ["one user"]

    play(act)


def test_pause_of_one_operation() -> None:
    """An operation with a quota of its own pauses alone; two of a category, and all of it does."""

    async def act() -> None:
        quotas = Quotas(pause=0.5)
        assert await throttle_at_once(quotas, "GetGroup", None) == ["GetGroup on one pool"]
        assert await ask(quotas, "ListGroups") == 0
        paused = await throttle_at_once(quotas, "ListGroups", None)
        assert paused == ["ListGroups on one pool", "UserPoolResourceRead"]

    play(act)


def test_throttled_again_and_again_for_one_user() -> None:
    """However often calls about one user are throttled, others go out as if there were none."""

    async def act() -> None:
        quotas = Quotas()

        class Refusing:
            def admits(self, at: float) -> bool:
                return at > 5

        hot = asyncio.create_task(ask(quotas, WRITE, "ann", throttle=Refusing()))  # type: ignore[arg-type]
        for number in range(20):
            assert await ask(quotas, WRITE, f"user{number}", caller="bob") == now()
            await asyncio.sleep(0.2)
        assert await hot > 5

    play(act)


def test_spellings_of_one_user() -> None:
    """Calls about a user by another name count as those by the `Username`, once it is known."""

    async def act() -> None:
        quotas = Quotas()
        quotas.learn("ann@example.com", "ann")
        quotas.learn("0000-sub-of-ann", "ann")
        names = ["ann", "ann@example.com", "0000-sub-of-ann"] * 4
        times = await asyncio.gather(*(ask(quotas, READ, name) for name in names))
        assert times == pytest.approx([0] * 10 + [0.1, 0.2], abs=1e-4)
        # The address may become another's, and a name a user's own.
        quotas.learn("ann@example.com", "bob")
        assert await ask(quotas, READ, "ann@example.com") == now()
        quotas.learn("0000-sub-of-ann", "0000-sub-of-ann")
        assert await ask(quotas, READ, "0000-sub-of-ann") == now()

    play(act)


def test_names_are_bounded() -> None:
    """Only so many names are known; those that are used stay."""

    async def act() -> None:
        quotas = Quotas({Quota.PER_USER: 1, Quota.USER_READ: 1e6})
        quotas.learn("used", "ann")
        quotas.learn("forgotten", "bob")
        for number in range(MAX_NAMES - 1):
            quotas.learn(f"alias{number}", f"user{number}")
            if number == 0:
                await ask(quotas, READ, "used")
        assert len(quotas._usernames) == MAX_NAMES  # noqa: SLF001  # there is no other sign of it
        assert await ask(quotas, READ, "ann") == pytest.approx(1, abs=1e-4)
        await ask(quotas, READ, "bob")
        assert await ask(quotas, READ, "forgotten") == now()

    play(act)


def test_longer_and_longer_pauses() -> None:
    """While Cognito goes on throttling, pauses double up to a second; then all is forgotten."""

    async def act() -> None:
        quotas = Quotas(pause=0.3)
        pauses = []
        for rest in (0, 0, 0, 0, 5):
            await asyncio.sleep(rest)
            deadline = asyncio.get_running_loop().time() + 100
            with (
                await quotas.acquire(
                    WRITE, None, reads=False, caller="ann", deadline=deadline
                ) as permit,
                capture_logs() as logs,
            ):
                permit.throttled()
            pauses.append(logs[0]["pause"])
        assert pauses == [0.3, 0.6, 1.0, 1.0, 0.3]

    play(act)


async def hold(quotas: Quotas, user: str, caller: str, seconds: float) -> float:
    """Make a call that Cognito takes long to answer, and return when it went out."""
    deadline = asyncio.get_running_loop().time() + 1e6
    with await quotas.acquire(WRITE, user, reads=False, caller=caller, deadline=deadline):
        sent = now()
        await asyncio.sleep(seconds)
    return sent


def test_slow_answers() -> None:
    """No more calls are in flight than are sent in a second, however slow Cognito is."""

    async def act() -> None:
        quotas = Quotas()
        sent = await asyncio.gather(*(hold(quotas, f"u{n}", f"caller{n}", 3) for n in range(100)))
        assert all(sum(at <= other < at + 3 for other in sent) <= 25 for at in sent)
        assert sent[24] == 0
        assert max(sent) < 13

    play(act)


def test_slow_calls_of_one_caller() -> None:
    """Slow calls of one caller leave room for another's, which need not wait for their end."""

    async def act() -> None:
        quotas = Quotas()
        slow = [asyncio.create_task(hold(quotas, f"u{n}", "ann", 5)) for n in range(60)]
        await asyncio.sleep(0.5)
        assert await ask(quotas, WRITE, "other", caller="bob") == 0.5
        sent = await asyncio.gather(*slow)
        assert Counter(sent)[0.0] == 13
        assert max(sent) < 25

    play(act)


def test_limits_beside_the_categories() -> None:
    """One operation on groups has 5 calls per second, one user 10 reads and 10 writes."""

    async def act() -> None:
        quotas = Quotas()
        groups = await asyncio.gather(*(ask(quotas, "GetGroup") for _ in range(6)))
        assert groups == pytest.approx([0, 0, 0, 0, 0, 0.2], abs=1e-4)
        for operation in (READ, WRITE):
            started = now()
            calls = await asyncio.gather(*(ask(quotas, operation, "ann") for _ in range(11)))
            assert calls == pytest.approx([started] * 10 + [started + 0.1], abs=1e-4)
        started = now()
        assert await ask(quotas, READ, "bob") == started
        assert await ask(quotas, "DescribeUserPoolDomain") == started

    play(act)


def test_many_users(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is kept about one user is dropped some time after that user was called about."""
    monkeypatch.setattr(quota, "MAX_USER_BUCKETS", 100)

    async def act() -> None:
        quotas = Quotas(dict.fromkeys(Quota, 1e6))
        for number in range(300):
            await asyncio.sleep(0.01)
            await ask(quotas, READ, f"user{number}")
        assert len(quotas._of_user) <= 100  # noqa: SLF001  # there is no other sign of it

    play(act)


def test_many_users_who_are_not_called_about(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of calls that are refused or cancelled nothing is kept, however many users they name."""
    monkeypatch.setattr(quota, "MAX_USER_BUCKETS", 100)

    async def act() -> None:
        quotas = Quotas({Quota.USER_READ: 1})
        await ask(quotas, READ, "first")
        for number in range(300):
            with pytest.raises(Throttled):
                await ask(quotas, READ, f"refused{number}", within=0.1)
            assert quotas.take(READ, f"asked{number}", reads=True, caller="ann") is None
        assert len(quotas._of_user) <= 100  # noqa: SLF001  # there is no other sign of it
        waiting = [asyncio.create_task(ask(quotas, READ, f"waits{n}")) for n in range(300)]
        await asyncio.sleep(0)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        for number in range(1000):
            assert quotas.take(READ, f"asked{number}", reads=True, caller="ann") is None
        assert len(quotas._of_user) <= 100  # noqa: SLF001  # as above

    play(act)


# Waiting


def test_callers_take_turns() -> None:
    """One caller's many calls do not keep another's few waiting behind them all."""

    async def act() -> None:
        quotas = Quotas({Quota.USER_UPDATE: 1})
        order: list[str] = []

        async def call(caller: str, user: str) -> None:
            await ask(quotas, WRITE, user, caller=caller)
            order.append(user)

        calls = [("ann", f"a{n}") for n in range(5)] + [("bob", "b0"), ("bob", "b1"), ("eve", "e0")]
        await asyncio.gather(*(call(*item) for item in calls))
        assert order == ["a0", "a1", "b0", "e0", "a2", "b1", "a3", "a4"]

    play(act)


def test_refused_at_once() -> None:
    """A call whose turn would come too late is refused at once, with the time to come again."""

    async def act() -> None:
        quotas = Quotas({Quota.USER_UPDATE: 1})
        await ask(quotas, WRITE, "u")
        waiting = [asyncio.create_task(ask(quotas, WRITE, f"u{n}", within=100)) for n in range(10)]
        await asyncio.sleep(0.5)
        with pytest.raises(Throttled) as caught:
            await ask(quotas, WRITE, "late", within=10)
        assert now() == pytest.approx(0.5)
        assert caught.value.retry_after == pytest.approx(10.5, abs=1e-3)
        assert await ask(quotas, WRITE, "patient", within=100) == pytest.approx(11, abs=1e-3)
        await asyncio.gather(*waiting)

    play(act)


def test_overtaken() -> None:
    """A call that others overtook for too long is refused while there is time left to say so."""

    async def act() -> None:
        quotas = Quotas({Quota.USER_UPDATE: 1})
        await ask(quotas, WRITE, "u")
        calls = [asyncio.create_task(ask(quotas, WRITE, f"a{n}", within=5)) for n in range(4)]
        await asyncio.sleep(0)
        calls += [
            asyncio.create_task(ask(quotas, WRITE, f"by-{caller}", caller=caller, within=100))
            for caller in ("bob", "eve", "joe")
        ]
        *ends, _, _, _ = await asyncio.gather(*calls, return_exceptions=True)
        assert ends[0] == pytest.approx(1, abs=1e-3)
        assert [type(end) for end in ends[1:]] == [Throttled] * 3

    play(act)


def test_cancelled_while_waiting() -> None:
    """A call that is cancelled while it waits gives its turn to the next."""

    async def act() -> None:
        quotas = Quotas({Quota.USER_UPDATE: 1})
        await ask(quotas, WRITE, "u")
        first = asyncio.create_task(ask(quotas, WRITE, "first"))
        second = asyncio.create_task(ask(quotas, WRITE, "second", caller="bob"))
        await asyncio.sleep(0.5)
        first.cancel()
        assert await second == pytest.approx(1, abs=1e-3)

    play(act)


def test_cancelled_when_its_turn_had_come() -> None:
    """A call that is cancelled just when its turn has come gives its token back."""

    async def act() -> None:
        bucket = Bucket(1, "a quota")
        loop = asyncio.get_running_loop()
        assert bucket.take("ann", loop.time())
        bucket.answered("ann", loop.time())
        first, second = (
            asyncio.create_task(bucket.wait("ann", loop.time() + 100, again=False))
            for _ in range(2)
        )
        await asyncio.sleep(0)
        loop.call_at(START + 1 - 1e-6, first.cancel)  # when the timer of the bucket goes off
        await second
        assert first.cancelled()
        assert now() == pytest.approx(1, abs=1e-3)

    play(act)


def test_refused_for_one_of_two_limits() -> None:
    """A call that is refused for one limit has used nothing of the others."""

    async def act() -> None:
        quotas = Quotas({Quota.USER_UPDATE: 0.01})
        await ask(quotas, WRITE, "u")
        for _ in range(30):
            with pytest.raises(Throttled):
                await ask(quotas, WRITE, "ann", within=10)
        calls = (ask(quotas, "AdminConfirmSignUp", "ann") for _ in range(10))
        assert await asyncio.gather(*calls) == [0] * 10

    play(act)


def test_slow_calls_before_fast_ones() -> None:
    """Cognito counts a call when it gets there: after a slow burst, a fast one waits for it."""

    async def act() -> None:
        quotas, cognito = Quotas({Quota.USER_UPDATE: 25}), BucketThrottle(25)

        async def call(latency: float) -> None:
            deadline = asyncio.get_running_loop().time() + 60
            permit = await quotas.acquire(WRITE, None, reads=False, caller="ann", deadline=deadline)
            with permit:
                await asyncio.sleep(latency)
                cognito.admits(now())

        for latency in (0.3, 0.001):
            await asyncio.gather(*(call(latency) for _ in range(25)))
        assert cognito.refused == 0

    play(act)


def test_throttled_call_goes_first() -> None:
    """A call that Cognito throttled goes before those of its caller that wait."""

    async def act() -> None:
        quotas = Quotas({Quota.USER_UPDATE: 1}, pause=0.5)
        refusals = deque([False])
        order: list[str] = []

        class Once:
            def admits(self, _: float) -> bool:
                return refusals.popleft() if refusals else True

        async def call(user: str) -> None:
            await ask(quotas, WRITE, user, throttle=Once())  # type: ignore[arg-type]
            order.append(user)

        await asyncio.gather(*(call(f"u{n}") for n in range(4)))
        assert order == ["u0", "u1", "u2", "u3"]

    play(act)


# The tables and settings


def test_every_operation_has_a_category() -> None:
    """What changes something is in a category, and what is in none has the smallest quota."""
    assert {operation for action in Action for operation in action.writes} <= CATEGORIES.keys()
    assert min(DEFAULT_QUOTAS[category] for category in set(CATEGORIES.values())) >= OTHER
    assert set(CATEGORIES.values()) == set(Quota) - {Quota.PER_POOL, Quota.PER_USER}
    assert DEFAULT_QUOTAS.keys() == set(Quota)


def settings(**given: Any) -> Any:
    return load_settings(
        user_pool_id="eu-west-1_AbCdEf123", client_ids="client", admin_groups="Admins", **given
    )


def test_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Quotas that AWS has raised, and this server's share of them, can be set."""
    monkeypatch.setenv("GRAPHQL_ADMIN_QUOTAS", "UserRead=240, UserList=60.5")
    monkeypatch.setenv("GRAPHQL_ADMIN_QUOTA_SHARE", "0.25")
    found = settings()
    assert found.quotas == {Quota.USER_READ: 240, Quota.USER_LIST: 60.5}
    assert found.quota_share == 0.25


@pytest.mark.parametrize(
    "quotas",
    ["UserRead", "UserRead=many", "UserReads=5", "UserRead=0", "UserRead=-1", "=5", "UserRead=nan"],
)
def test_bad_quotas(quotas: str) -> None:
    """A quota that is none is said at the start."""
    with pytest.raises(InvalidSettings, match="GRAPHQL_ADMIN_QUOTAS"):
        settings(quotas=quotas)


def test_no_quotas_set() -> None:
    """An empty setting leaves the defaults."""
    assert settings(quotas="").quotas == {}


@pytest.mark.parametrize("share", [0, 1.5, -1])
def test_bad_share(share: float) -> None:
    """A share of nothing, or of more than there is, is said at the start."""
    with pytest.raises(InvalidSettings, match="GRAPHQL_ADMIN_QUOTA_SHARE"):
        settings(quota_share=share)


# Over HTTP

ENABLE = 'mutation { enableUser(input: {username: "%s"}) { errors { code } } }'


def test_client_is_told_when_to_come_again(
    serve: Callable[..., Api], scripted: ScriptedCognito
) -> None:
    """A change that the quota does not allow in time is THROTTLED, with the seconds to wait."""
    scripted.on("AdminEnableUser", reply({}))
    api = serve(scripted.url, quotas="UserUpdate=0.01")
    assert api.send(ENABLE % "ann").data["enableUser"]["errors"] == []
    answer = api.send(ENABLE % "bob")
    assert answer.partial == {"enableUser": None}
    (error,) = answer.errors
    assert error["extensions"]["code"] == "THROTTLED"
    assert 90 < error["extensions"]["retryAfter"] <= 101
    assert scripted.operations() == ["AdminEnableUser"]


def test_users_with_groups(serve: Callable[..., Api], scripted: ScriptedCognito) -> None:
    """60 users with their groups are no error at the default quotas, which Cognito enforces."""
    directory = UserDirectory(60, random.Random(1))
    throttle = BucketThrottle(50)
    asked: list[str] = []

    def groups_of(parameters: dict[str, Any]) -> Reply:
        if not throttle.admits(time.monotonic()):
            return failure("TooManyRequestsException")
        asked.append(parameters["Username"])
        return reply({"Groups": [{"GroupName": "Support"}]})

    directory.install(scripted)
    scripted.on(GROUPS, groups_of)
    api = serve(scripted.url, quotas="")
    answer = api.send("{ users(first: 60) { nodes { username groups { nodes { name } } } } }")
    nodes = answer.data["users"]["nodes"]
    assert [node["username"] for node in nodes] == directory.usernames
    assert all(node["groups"]["nodes"] == [{"name": "Support"}] for node in nodes)
    assert sorted(asked) == directory.usernames


def test_user_is_fetched_once(serve: Callable[..., Api], scripted: ScriptedCognito) -> None:
    """However often a query asks for a user or a group, Cognito is asked once."""
    scripted.on(READ, reply({"Username": "bob"}))
    scripted.on(GROUPS, reply({"Groups": [{"GroupName": "Staff"}]}))
    scripted.on("ListUsersInGroup", reply({"Users": [{"Username": "bob"}]}))
    api = serve(scripted.url)
    answer = api.send(
        """query {
            a: user(by: {username: "bob"}) {
                groups(first: 1) { nodes { users(first: 1) { nodes {
                    groups(first: 1) { nodes { name } }
                } } } }
            }
            b: user(by: {username: "bob"}) { username }
        }"""
    )
    assert answer.errors == []
    assert Counter(scripted.operations()) == {READ: 1, GROUPS: 1, "ListUsersInGroup": 1}


def test_user_is_fetched_again_after_a_change(
    serve: Callable[..., Api], scripted: ScriptedCognito
) -> None:
    """Each change is followed by what it made of the user, not by what was read before it."""
    enabled = True

    def change(to: bool) -> Callable[[dict[str, Any]], Reply]:
        def carry_out(_: dict[str, Any]) -> Reply:
            nonlocal enabled
            enabled = to
            return reply({})

        return carry_out

    scripted.on(READ, lambda _: reply(user_of("bob", enabled=enabled)))
    scripted.on(GROUPS, reply({"Groups": []}))
    scripted.on("AdminDisableUser", change(False))
    scripted.on("AdminEnableUser", change(True))
    api = serve(scripted.url)
    data = api.send(
        """mutation {
            off: disableUser(input: {username: "bob"}) { user { enabled } }
            on: enableUser(input: {username: "bob"}) { user { enabled } }
        }"""
    ).data
    assert data == {"off": {"user": {"enabled": False}}, "on": {"user": {"enabled": True}}}
