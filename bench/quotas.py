"""How graphql-admin lives with Cognito's quotas, beside the best that they allow.

    python -m bench.quotas

Two things are measured against the stub as it throttles: a page of 60 users with the groups of
each, at AWS's default quotas; and 500 mutations sent at once at a quota of 25 per second, with
somebody reading meanwhile. It exits with 1 if a request failed.
"""

import asyncio
import json
import os
import statistics
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from bench.measure import Cores
from bench.operations import ADD, GET, GROUP, GROUPS
from bench.people import PAGES, page_of
from bench.processes import Pinned
from bench.servers import environment, free_port

_ROOT = Path(__file__).parent.parent
_ROUNDS = 9
_REFILL = 1.5
"""Seconds after which every quota is whole again."""

_LIST_NAMES = "query Names { users(first: 60) { nodes { username } } }"
_MUTATIONS = 500
_UPDATES = 25
"""Calls per second of the quota for mutations."""


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
async def run_subject(*quotas: str, settings: str = "") -> AsyncIterator[Subject]:
    """Run the server on one core, the stub and this program on another.

    Args:
        quotas: What the stub enforces, as its `--quota` has it.
        settings: The quotas that the server is told, where not the defaults.
    """
    cores = Cores.of_this_machine()
    os.sched_setaffinity(0, {cores.load})
    logs = _ROOT / "build" / "bench"
    logs.mkdir(parents=True, exist_ok=True)
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


async def measure_users_with_groups() -> list[str]:
    """Measure the query that made Admin Queries fail; return its failures."""
    print("60 users with their groups")
    async with run_subject(settings="UserResourceRead=1e6,UserList=1e6") as subject:
        await subject.ask(GROUPS.document, {})
        listing = statistics.median([await subject.ask(_LIST_NAMES, {}) for _ in range(9)])
        unlimited = statistics.median([await subject.ask(GROUPS.document, {}) for _ in range(9)])
    print(f"  the names alone {listing:.3f} s; where Cognito has no quotas {unlimited:.3f} s")
    # The list, then 50 calls at once, then 10 more as the quota of 50 per second allows.
    best = listing + (60 - 50) / 50
    ratios = []
    async with run_subject("default") as subject:
        await subject.ask(GROUPS.document, {})
        for _ in range(_ROUNDS):
            await asyncio.sleep(_REFILL)
            throttled = await subject.count_throttled()
            seconds = await subject.ask(GROUPS.document, {})
            throttled = await subject.count_throttled() - throttled
            ratios.append(seconds / best)
            print(
                f"  {seconds:.3f} s, best {best:.3f} s, ratio {ratios[-1]:.3f}, "
                f"calls throttled {throttled}"
            )
    print(
        f"  median ratio {statistics.median(ratios):.3f}, "
        f"requests that failed {len(subject.failures)}"
    )
    return subject.failures


async def measure_mutations() -> list[str]:
    """Measure many mutations at once, and reads meanwhile; return what failed."""
    print(f"{_MUTATIONS} mutations at once, {_UPDATES} calls per second")
    people = [person for page in range(PAGES) for person in page_of(page)][:_MUTATIONS]
    async with run_subject(f"UserUpdate={_UPDATES}") as subject:

        async def read(until: asyncio.Future[Any], pace: float) -> list[float]:
            latencies = []
            for number in range(1_000_000):
                if until.done():
                    break
                variables = {"username": people[number % len(people)].username}
                latencies.append(await subject.ask(GET.document, variables))
                await asyncio.sleep(pace)
            return latencies

        warm_up = asyncio.ensure_future(asyncio.sleep(3))
        before = (await read(warm_up, 0.02))[10:]
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
        meanwhile = await read(mutations, 0.02)
        await mutations
        seconds = time.perf_counter() - started
        throttled = await subject.count_throttled()
    best = (_MUTATIONS - _UPDATES) / _UPDATES
    print(
        f"  {seconds:.2f} s, best {best:.2f} s, ratio {seconds / best:.3f}, "
        f"calls throttled {throttled}, requests that failed {len(subject.failures)}"
    )
    for name, latencies in (("before", before), ("meanwhile", meanwhile)):
        last = sorted(latencies)[int(0.99 * len(latencies))]
        print(
            f"  reads {name}: {len(latencies)}, median {1000 * statistics.median(latencies):.2f} "
            f"ms, p99 {1000 * last:.2f} ms, longest {1000 * max(latencies):.1f} ms"
        )
    return subject.failures


async def main() -> int:
    """Measure both, and return the exit code."""
    failures = [*await measure_users_with_groups(), *await measure_mutations()]
    for failure in failures[:5]:
        print(failure)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
