"""How graphql-admin lives with Cognito's quotas, beside the best that they allow.

    python -m bench.quotas

Two things are measured against the stub as it throttles: a page of 60 users with the groups of
each, at AWS's default quotas; and 500 mutations sent at once at a quota of 25 per second, with
one caller reading meanwhile. It exits with 1 if a request failed.
"""

import argparse
import asyncio
import json
import os
import statistics
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import orjson

from bench.measure import Cores
from bench.operations import ADD, GET, GROUP, GROUPS
from bench.people import PAGES, page_of
from bench.processes import Pinned
from bench.servers import environment, free_port

_ROOT = Path(__file__).parent.parent
_REFILL = 1.5
"""Seconds after which every quota is whole again."""

_LIST_NAMES = "query Names { users(first: 60) { nodes { username } } }"
_UPDATES = 25
"""Calls per second of the quota for mutations."""

_READ_EVERY = 0.02
"""Seconds between two reads."""


@dataclass(frozen=True)
class Page:
    """60 users with the groups of each, at AWS's default quotas.

    Args:
        seconds: What it took, in each round.
        best: Seconds that the quota allows at best.
        throttled: Calls to Cognito that were throttled.
        failed: Requests that failed.
    """

    seconds: list[float]
    best: float
    throttled: int
    failed: int


@dataclass(frozen=True)
class Reads:
    """What a caller who read waited.

    Args:
        p50: Seconds.
        p99: Seconds.
    """

    p50: float
    p99: float

    @classmethod
    def of(cls, latencies: Sequence[float]) -> "Reads":
        return cls(statistics.median(latencies), sorted(latencies)[int(0.99 * len(latencies))])


@dataclass(frozen=True)
class Burst:
    """Mutations sent at once.

    Args:
        mutations: How many.
        quota: Calls per second that the stub admits.
        seconds: From the first request to the last reply.
        best: Seconds that the quota allows at best.
        throttled: Calls to Cognito that were throttled.
        failed: Requests that failed, reads among them.
        before: Reads of one user at a time, before the burst.
        meanwhile: The same during the burst.
    """

    mutations: int
    quota: int
    seconds: float
    best: float
    throttled: int
    failed: int
    before: Reads
    meanwhile: Reads


@dataclass(frozen=True)
class Quotas:
    """All figures of a run."""

    page: Page
    burst: Burst

    def to_json(self) -> bytes:
        """All figures, for programs. Seconds throughout."""
        return orjson.dumps(asdict(self), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)

    @classmethod
    def from_json(cls, text: bytes) -> "Quotas":
        """The figures that `to_json` wrote."""
        value = orjson.loads(text)
        burst = value["burst"]
        burst["before"] = Reads(**burst["before"])
        burst["meanwhile"] = Reads(**burst["meanwhile"])
        return cls(page=Page(**value["page"]), burst=Burst(**burst))


@dataclass
class Subject:
    """graphql-admin in front of a stub that throttles."""

    session: aiohttp.ClientSession
    url: str
    stub_url: str
    tokens: Sequence[str]
    failures: list[str] = field(default_factory=list)

    async def ask(self, document: str, variables: Mapping[str, Any], *, seat: int = 0) -> float:
        """Ask for something, and return how many seconds the answer took."""
        headers = {"Authorization": f"Bearer {self.tokens[seat % len(self.tokens)]}"}
        started = time.perf_counter()
        async with self.session.post(
            f"{self.url}/graphql",
            json={"query": document, "variables": variables},
            headers=headers,
        ) as response:
            answer = await response.json()
        seconds = time.perf_counter() - started
        if "errors" in answer:
            self.failures.append(json.dumps(answer["errors"][0]))
        return seconds

    async def count_throttled(self) -> int:
        """Return how many calls the stub has throttled so far."""
        async with self.session.get(f"{self.stub_url}/counts") as response:
            counts = await response.json(content_type=None)
        return sum(counts["throttled"].values())


@asynccontextmanager
async def run_subject(logs: Path, *quotas: str, settings: str = "") -> AsyncIterator[Subject]:
    """Run the server on one core, the stub and this program on another.

    Args:
        logs: Folder for what both log.
        quotas: What the stub enforces, as its `--quota` has it.
        settings: The quotas that the server is told, where not the defaults.
    """
    cores = Cores.of_this_machine()
    os.sched_setaffinity(0, {cores.load})
    stub = Pinned(
        [sys.executable, "-m", "bench.stub", *(f"--quota={quota}" for quota in quotas)],
        core=cores.load,
        log=logs / "quotas-stub.log",
        cwd=_ROOT,
        pipe_output=True,
    )
    stub_url = stub.read_line()
    port = free_port()
    server = Pinned(
        [sys.executable, "-m", "graphql_admin", "serve"],
        core=cores.server,
        log=logs / "quotas-server.log",
        env={
            **environment(stub_url, port),
            "GRAPHQL_ADMIN_DEADLINE": "60",
            "GRAPHQL_ADMIN_QUOTAS": settings,
        },
        cwd=_ROOT,
    )
    try:
        # An idle connection is not used for long, since the server may be about to close it.
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=2)
        async with aiohttp.ClientSession(connector=connector) as session:
            async with session.get(f"{stub_url}/tokens") as response:
                tokens = await response.json(content_type=None)
            subject = Subject(session, f"http://127.0.0.1:{port}", stub_url, tokens)
            await _wait_for(subject)
            yield subject
    finally:
        server.stop()
        stub.stop()
        os.sched_setaffinity(0, {cores.server, cores.load})


async def _wait_for(subject: Subject) -> None:
    for _ in range(300):
        try:
            async with subject.session.get(f"{subject.url}/healthz"):
                return
        except aiohttp.ClientConnectionError:
            await asyncio.sleep(0.1)
    raise TimeoutError("the server did not start")


async def measure_users_with_groups(logs: Path, rounds: int) -> Page:
    """Measure the query that made Admin Queries fail."""
    print("60 users with their groups")
    async with run_subject(logs, settings="UserResourceRead=1e6,UserList=1e6") as subject:
        await subject.ask(GROUPS.document, {})
        listing = statistics.median([await subject.ask(_LIST_NAMES, {}) for _ in range(9)])
        unlimited = statistics.median([await subject.ask(GROUPS.document, {}) for _ in range(9)])
    failures = subject.failures
    print(f"  the names alone {listing:.3f} s; where Cognito has no quotas {unlimited:.3f} s")
    # The list, then 50 calls at once, then 10 more as the quota of 50 per second allows.
    best = listing + (60 - 50) / 50
    times = []
    async with run_subject(logs, "default") as subject:
        await subject.ask(GROUPS.document, {})
        already_throttled = await subject.count_throttled()
        for _ in range(rounds):
            await asyncio.sleep(_REFILL)
            times.append(await subject.ask(GROUPS.document, {}))
            print(f"  {times[-1]:.3f} s, best {best:.3f} s, ratio {times[-1] / best:.3f}")
        throttled = await subject.count_throttled() - already_throttled
    failures += subject.failures
    print(
        f"  median ratio {statistics.median(times) / best:.3f}, calls throttled {throttled}, "
        f"requests that failed {len(failures)}"
    )
    _show(failures)
    return Page(times, best, throttled, len(failures))


async def measure_mutations(logs: Path, count: int, calm: float) -> Burst:
    """Measure many mutations at once, and reads meanwhile.

    Args:
        logs: Folder for what is logged.
        count: How many.
        calm: Seconds of reading before them.
    """
    print(f"{count} mutations at once, {_UPDATES} calls per second")
    people = [person for page in range(PAGES) for person in page_of(page)][:count]
    async with run_subject(logs, f"UserUpdate={_UPDATES}") as subject:

        async def read(until: asyncio.Future[Any]) -> list[float]:
            latencies = []
            for number in range(1_000_000):
                if until.done():
                    break
                variables = {"username": people[number % len(people)].username}
                latencies.append(await subject.ask(GET.document, variables))
                await asyncio.sleep(_READ_EVERY)
            return latencies

        before = Reads.of((await read(asyncio.ensure_future(asyncio.sleep(calm))))[10:])
        started = time.perf_counter()
        mutations = asyncio.gather(
            *(
                subject.ask(
                    ADD.document,
                    {"input": {"username": person.username, "groupName": GROUP}},
                    seat=number,
                )
                for number, person in enumerate(people)
            )
        )
        meanwhile = Reads.of(await read(mutations))
        await mutations
        seconds = time.perf_counter() - started
        throttled = await subject.count_throttled()
    best = (count - _UPDATES) / _UPDATES
    print(
        f"  {seconds:.2f} s, best {best:.2f} s, ratio {seconds / best:.3f}, calls throttled "
        f"{throttled}, requests that failed {len(subject.failures)}"
    )
    _show(subject.failures)
    for name, reads in (("before", before), ("meanwhile", meanwhile)):
        print(f"  reads {name}: p50 {1e3 * reads.p50:.2f} ms, p99 {1e3 * reads.p99:.2f} ms")
    return Burst(
        mutations=count,
        quota=_UPDATES,
        seconds=seconds,
        best=best,
        throttled=throttled,
        failed=len(subject.failures),
        before=before,
        meanwhile=meanwhile,
    )


def _show(failures: Sequence[str]) -> None:
    for failure in failures[:5]:
        print(f"  {failure}")


def main() -> int:
    """Measure both, and write `quotas.json`.

    Returns:
        0, or 1 where a request failed.
    """
    parser = argparse.ArgumentParser(
        prog="python -m bench.quotas",
        description="Measure how graphql-admin lives with Cognito's quotas.",
    )
    parser.add_argument("--quick", action="store_true", help="few of each: does it run?")
    parser.add_argument(
        "--out", type=Path, default=Path("build/bench"), help="folder (default build/bench)"
    )
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    quotas = Quotas(
        page=asyncio.run(measure_users_with_groups(options.out, rounds=1 if options.quick else 9)),
        burst=asyncio.run(
            measure_mutations(
                options.out,
                count=50 if options.quick else 500,
                calm=1 if options.quick else 3,
            )
        ),
    )
    (options.out / "quotas.json").write_bytes(quotas.to_json())
    return 1 if quotas.page.failed or quotas.burst.failed else 0


if __name__ == "__main__":
    sys.exit(main())
