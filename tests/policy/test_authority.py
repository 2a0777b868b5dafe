"""Which of a token's groups still count, as the pool has it."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import pytest

from graphql_admin.errors import (
    AdminError,
    QueryTooExpensive,
    Throttled,
    TimedOut,
    UpstreamFailed,
)
from graphql_admin.policy.authority import MAX_PAGES, Authority, PoolUser, read_groups
from graphql_admin.policy.decisions import Denied, Reason

TOKEN_GROUPS = frozenset({"Admins", "Support"})


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Pool:
    """A pool with one user; each reading goes on when the test says so."""

    sub: str = "s"
    enabled: bool = True
    groups: list[str] = field(default_factory=lambda: ["Admins", "Support", "Staff"])
    there: bool = True
    fails: list[Exception] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    pause: Callable[[], Awaitable[object]] | None = None
    page_size: int = 60
    aliases: set[str] = field(default_factory=set)

    async def user(self, username: str) -> PoolUser | None:
        self.calls.append(f"user {username}")
        if self.fails:
            raise self.fails.pop(0)
        user = PoolUser("Ann", self.sub, self.enabled, frozenset(self.aliases))
        found = user if self.there else None
        if self.pause:
            await self.pause()
        return found

    async def groups_page(self, username: str, token: str | None) -> tuple[list[str], str | None]:
        self.calls.append(f"groups {username} {token}")
        start = int(token or 0)
        end = start + self.page_size
        return self.groups[start:end], str(end) if end < len(self.groups) else None


class Reader:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def user(self, username: str) -> PoolUser | None:
        return await self._pool.user(username)

    async def groups(self, username: str, token: str | None) -> tuple[Sequence[str], str | None]:
        return await self._pool.groups_page(username, token)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def pool() -> Pool:
    return Pool()


Ask = Callable[..., Awaitable[frozenset[str] | Denied]]


def asking(authority: Authority, pool: Pool) -> Ask:
    async def ask(
        groups: frozenset[str] = TOKEN_GROUPS, *, sub: str = "s", anew: bool = False
    ) -> frozenset[str] | Denied:
        standing = await authority.standing_of(sub, "ann", Reader(pool), anew=anew)
        return standing.count(groups)

    return ask


ONE_READING = ["user ann", "groups Ann None"]


def test_only_takes_away(clock: Clock, pool: Pool) -> None:
    """A group counts if the token and the pool both have it."""
    pool.groups = ["Support", "Owners"]
    ask = asking(Authority(clock=clock), pool)
    assert asyncio.run(ask()) == {"Support"}  # type: ignore[arg-type]
    assert pool.calls == ONE_READING


def test_believed_for_a_while(clock: Clock, pool: Pool) -> None:
    """One reading serves ten seconds from when it started, whatever groups a token has."""
    ask = asking(Authority(clock=clock), pool)

    async def scenario() -> None:
        assert await ask() == TOKEN_GROUPS
        pool.groups = []
        clock.now += 9.999
        assert await ask() == TOKEN_GROUPS
        assert await ask(frozenset({"Staff", "Owners"})) == {"Staff"}
        assert pool.calls == ONE_READING
        clock.now += 0.001
        assert await ask() == frozenset()
        assert pool.calls == ONE_READING * 2

    asyncio.run(scenario())


@pytest.mark.parametrize("knows_groups", [True, False])
@pytest.mark.parametrize("max_age", [0, 10])
@pytest.mark.parametrize("enabled", [True, False])
def test_recalled(
    clock: Clock, pool: Pool, knows_groups: bool, max_age: float, enabled: bool
) -> None:
    """What is recalled without waiting is what one would get by asking, which then reads nothing.

    Where asking would read, nothing is recalled.
    """
    pool.groups, pool.enabled = ["Support", "Owners"], enabled
    authority = Authority(max_age=max_age, clock=clock, knows_groups=knows_groups)
    ask = asking(authority, pool)

    async def scenario() -> int:
        recalled = 0
        for step in [0, 0, 5, 4.999, 0.001, 0, 20, 1]:
            clock.now += step
            for groups in [TOKEN_GROUPS, frozenset({"Owners"}), frozenset[str]()]:
                for sub in ["s", "another"]:
                    calls = len(pool.calls)
                    standing = authority.recall(sub)
                    answer = standing and standing.count(groups)
                    assert len(pool.calls) == calls
                    asked = await ask(groups, sub=sub)
                    assert (answer is None) == (len(pool.calls) > calls)
                    assert answer in {None, asked}
                    recalled += answer is not None
        authority.forget("s")
        assert authority.recall("s") is None
        return recalled

    assert bool(asyncio.run(scenario())) == bool(max_age)


def test_each_time(clock: Clock, pool: Pool) -> None:
    """With an age of 0 every write reads, also of two at once."""
    ask = asking(Authority(max_age=0, clock=clock), pool)
    pool.pause = lambda: asyncio.sleep(0.01)

    async def scenario() -> None:
        assert await asyncio.gather(ask(), ask()) == [TOKEN_GROUPS] * 2
        pool.groups = []
        assert await ask() == frozenset()

    asyncio.run(scenario())
    assert pool.calls.count("user ann") == 3


@pytest.mark.parametrize(
    "change", [{"there": False}, {"enabled": False}, {"sub": "another"}], ids=str
)
@pytest.mark.parametrize("knows_groups", [True, False])
def test_gone(clock: Clock, pool: Pool, change: dict[str, object], knows_groups: bool) -> None:
    """Who is deleted or disabled, or whose name is another's by now, is refused.

    That takes no look at groups; and for a while, no call at all.
    """
    vars(pool).update(change)
    ask = asking(Authority(clock=clock, knows_groups=knows_groups), pool)

    async def scenario() -> None:
        for _ in range(2):
            refused = await ask()
            assert isinstance(refused, Denied)
            assert refused.reason is Reason.FORBIDDEN

    asyncio.run(scenario())
    assert pool.calls == ["user ann"]


def test_groups_of_the_token_alone(clock: Clock, pool: Pool) -> None:
    """Where the pool's groups say nothing, only the user is read."""
    pool.groups = []
    ask = asking(Authority(clock=clock, knows_groups=False), pool)
    assert asyncio.run(ask()) == TOKEN_GROUPS  # type: ignore[arg-type]
    assert pool.calls == ["user ann"]


ACUTE = "\N{COMBINING ACUTE ACCENT}"


def test_names(clock: Clock, pool: Pool) -> None:
    """A caller may be called by all that was read, in any letters; and none of it is shown."""
    pool.aliases = {"Ann@Example.com", "+15550100", "Straße", f"Rene{ACUTE}"}
    authority = Authority(clock=clock)
    standing = asyncio.run(authority.standing_of("s", "ann", Reader(pool)))
    for name in ["ann", "ANN", "Ann", "s", "S", "ann@example.COM", "+15550100", "STRASSE", "RENÉ"]:
        assert standing.may_be_called(name)
    for name in ["", "an", "anne", "ann@example.org", " ann", "rene"]:
        assert not standing.may_be_called(name)
    user = asyncio.run(pool.user("ann"))
    shown = f"{standing} {user} {authority}"
    assert "example" not in shown.lower()
    assert "555" not in shown


def test_many_groups(clock: Clock, pool: Pool) -> None:
    """All pages are read."""
    pool.groups = [f"g{number}" for number in range(99)] + ["Admins"]
    ask = asking(Authority(clock=clock), pool)
    assert asyncio.run(ask()) == {"Admins"}  # type: ignore[arg-type]
    assert pool.calls == [*ONE_READING, "groups Ann 60"]


def test_endless_groups(pool: Pool) -> None:
    """A list that does not end is an error, not a part of it."""
    pool.groups, pool.page_size = ["x"] * (MAX_PAGES + 1), 1
    with pytest.raises(UpstreamFailed):
        asyncio.run(read_groups(Reader(pool), "Ann"))
    assert len(pool.calls) == MAX_PAGES


def test_unreadable(clock: Clock, pool: Pool) -> None:
    """What the pool does not tell is an error, for this time only."""
    ask = asking(Authority(clock=clock), pool)
    pool.fails = [TimedOut(), UpstreamFailed()]

    async def scenario() -> None:
        with pytest.raises(TimedOut):
            await ask()
        with pytest.raises(UpstreamFailed):
            await ask()
        assert await ask() == TOKEN_GROUPS

    asyncio.run(scenario())


def test_single_flight(clock: Clock, pool: Pool) -> None:
    """Writes of one caller share a reading; those of another caller have their own."""
    ask = asking(Authority(clock=clock), pool)
    pool.pause = lambda: asyncio.sleep(0.01)

    async def scenario() -> None:
        answers = await asyncio.gather(*(ask() for _ in range(50)), ask(sub="another"))
        assert answers[:50] == [TOKEN_GROUPS] * 50
        assert isinstance(answers[50], Denied)

    asyncio.run(scenario())
    assert pool.calls.count("user ann") == 2


def test_single_flight_fails(clock: Clock, pool: Pool) -> None:
    """Every request that waits for the reading gets its error."""
    error = UpstreamFailed()
    ask = asking(Authority(clock=clock), pool)

    async def fail() -> None:
        await asyncio.sleep(0.01)
        raise error

    pool.pause = fail

    async def scenario() -> None:
        answers = await asyncio.gather(*(ask() for _ in range(9)), return_exceptions=True)
        assert answers == [error] * 9

    asyncio.run(scenario())
    assert pool.calls == ["user ann"]


@pytest.mark.parametrize("error", [TimedOut, Throttled, QueryTooExpensive])
def test_single_flight_given_up(clock: Clock, pool: Pool, error: type[AdminError]) -> None:
    """Who reads for all may be cancelled, or run out of time or calls: another reads then."""
    ask = asking(Authority(clock=clock), pool)
    pauses: list[Callable[[], Awaitable[object]]] = []

    async def never() -> None:
        await asyncio.Event().wait()

    async def late() -> None:
        await asyncio.sleep(0.01)
        raise error

    pauses += [never, late, lambda: asyncio.sleep(0)]

    async def pause() -> None:
        await pauses.pop(0)()

    pool.pause = pause

    async def scenario() -> None:
        first = asyncio.ensure_future(ask())
        await asyncio.sleep(0)
        others = [asyncio.ensure_future(ask()) for _ in range(4)]
        await asyncio.sleep(0)
        first.cancel()
        others[2].cancel()
        answers = await asyncio.gather(first, *others, return_exceptions=True)
        kinds = [type(answer) for answer in answers]
        cancelled = asyncio.CancelledError
        assert kinds == [cancelled, error, frozenset, cancelled, frozenset]

    asyncio.run(scenario())
    assert pool.calls.count("user ann") == 3


@pytest.mark.parametrize("age", [9.999, 10.0])
@pytest.mark.parametrize("is_older_when_asked", [True, False])
def test_single_flight_that_takes_long(
    clock: Clock, pool: Pool, age: float, is_older_when_asked: bool
) -> None:
    """A reading is not waited for, and its answer not believed, beyond the age of a cached one."""
    ask = asking(Authority(clock=clock), pool)
    goes_on = asyncio.Event()
    pauses: list[Callable[[], Awaitable[object]]] = [goes_on.wait]

    async def pause() -> None:
        if pauses:
            await pauses.pop()()

    pool.pause = pause

    async def scenario() -> None:
        older = asyncio.ensure_future(ask())
        await asyncio.sleep(0)
        pool.enabled = False
        if is_older_when_asked:
            clock.now += age
        newer = asyncio.ensure_future(ask())
        await asyncio.sleep(0)
        if not is_older_when_asked:
            clock.now += age
        goes_on.set()
        assert await older == TOKEN_GROUPS
        answer = await newer
        assert isinstance(answer, Denied) if age == 10 else answer == TOKEN_GROUPS

    asyncio.run(scenario())
    assert pool.calls.count("user ann") == (2 if age == 10 else 1)


def test_anew(clock: Clock, pool: Pool) -> None:
    """With `anew`, neither what was read nor what is being read is used."""
    ask = asking(Authority(clock=clock), pool)
    pool.pause = lambda: asyncio.sleep(0.01)

    async def scenario() -> None:
        older = asyncio.ensure_future(ask())
        await asyncio.sleep(0)
        pool.enabled = False
        newer = asyncio.ensure_future(ask(anew=True))
        assert await older == TOKEN_GROUPS
        assert isinstance(await newer, Denied)
        # The later reading is what is kept, though it is not the last that started to be asked for.
        calls = len(pool.calls)
        assert isinstance(await ask(), Denied)
        assert len(pool.calls) == calls

    asyncio.run(scenario())


def test_forget(clock: Clock, pool: Pool) -> None:
    """After a change of a user nothing is believed that was read, or started to be, before."""
    authority = Authority(clock=clock)
    ask = asking(authority, pool)
    pool.pause = lambda: asyncio.sleep(0.01)

    async def scenario() -> None:
        older = asyncio.ensure_future(ask())
        await asyncio.sleep(0)
        pool.groups, pool.enabled = [], False
        authority.forget("s")
        authority.forget("who was never read")
        assert isinstance(await ask(), Denied)
        await older
        assert isinstance(await ask(), Denied)
        pool.enabled = True
        authority.forget("s")
        assert await ask() == frozenset()

    asyncio.run(scenario())


def test_late_reading(clock: Clock, pool: Pool) -> None:
    """A reading that ends after a later one, or after a change, is not kept."""
    authority = Authority(clock=clock)
    ask = asking(authority, pool)
    gate = asyncio.Event()
    pauses: list[Callable[[], Awaitable[object]]] = [gate.wait, lambda: asyncio.sleep(0)]

    async def pause() -> None:
        await (pauses.pop(0) if pauses else gate.wait)()

    pool.pause = pause

    async def scenario() -> None:
        older = asyncio.ensure_future(ask())
        await asyncio.sleep(0)
        pool.enabled = False
        assert isinstance(await ask(anew=True), Denied)
        gate.set()
        assert await older == TOKEN_GROUPS
        assert isinstance(await ask(), Denied)
        assert pool.calls.count("user ann") == 2

        gate.clear()
        pool.enabled = True
        authority.forget("s")
        older = asyncio.ensure_future(ask())
        await asyncio.sleep(0)
        pool.enabled = False
        authority.forget("s")
        gate.set()
        assert await older == TOKEN_GROUPS
        assert isinstance(await ask(), Denied)

    asyncio.run(scenario())


def test_memory(clock: Clock, pool: Pool) -> None:
    """So many callers are remembered; the oldest goes first."""
    authority = Authority(clock=clock, max_kept=3)

    async def reads(sub: str, *, anew: bool = False) -> bool:
        before = len(pool.calls)
        pool.sub = sub
        await asking(authority, pool)(sub=sub, anew=anew)
        return len(pool.calls) > before

    async def scenario() -> None:
        for sub in ["a", "b", "c"]:
            assert await reads(sub)
        assert await reads("b", anew=True)  # which makes it the newest
        assert not await reads("a")
        assert await reads("d")
        assert [await reads(sub) for sub in "cbd"] == [False] * 3
        assert await reads("a")

    asyncio.run(scenario())
