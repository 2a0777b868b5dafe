"""What overload costs: `python -m bench.overload` measures, and prints a table.

The server runs with its defaults (but for a shorter deadline) in front of a Cognito that takes
every request and never answers, while `/healthz` is asked every 20 ms.
"""

import asyncio
import os
import resource
import statistics
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import aiohttp
from aiohttp import web

from bench.people import ADMIN_GROUP, CLIENT_ID, POOL_ID
from bench.tokens import Issuer

IDLE = 2000
HANGING = 200
FLOOD = 1500
DEADLINE = 8
"""Seconds."""

PROBE_INTERVAL = 0.02
PROBER = f"""
import sys, time, urllib.request
while True:
    began = time.perf_counter()
    urllib.request.urlopen(sys.argv[1]).read()
    print((time.perf_counter() - began) * 1000, flush=True)
    time.sleep({PROBE_INTERVAL})
"""
QUERY = {"query": "{ groups { nodes { name } } }"}


@dataclass
class Probes:
    """How long `/healthz` took, in milliseconds, and how big the server was."""

    milliseconds: list[float] = field(default_factory=list)
    megabytes: list[float] = field(default_factory=list)

    def row(self, situation: str, remark: str = "") -> str:
        """A line of the table."""
        p50 = statistics.median(self.milliseconds)
        p99 = statistics.quantiles(self.milliseconds, n=100)[98]
        return (
            f"| {situation} | {len(self.milliseconds)} | {p50:.1f} | {p99:.1f} "
            f"| {max(self.milliseconds):.1f} | {max(self.megabytes):.0f} | {remark} |"
        )


class Server:
    """This server in a process of its own."""

    def __init__(self, process: asyncio.subprocess.Process, url: str) -> None:
        self.process = process
        self.url = url

    def megabytes(self) -> float:
        """Memory that is resident now."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6

    @asynccontextmanager
    async def probed(self) -> AsyncIterator[Probes]:
        """Probe while the context lasts, from a process that has nothing else to do."""
        probes = Probes()
        prober = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", PROBER, f"{self.url}/healthz"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        lines = cast("asyncio.StreamReader", prober.stdout)
        await lines.readline()

        async def collect() -> None:
            async for line in lines:
                probes.milliseconds.append(float(line))
                probes.megabytes.append(self.megabytes())

        collecting = asyncio.create_task(collect())
        try:
            yield probes
        finally:
            prober.terminate()
            await prober.wait()
            await collecting

    async def ask(self, count: int, token: str) -> tuple[Counter[int], list[float]]:
        """Send requests all at once; return how many ended with which status, and when."""
        seconds: list[float] = []

        async def ask_once(session: aiohttp.ClientSession) -> int:
            async with session.post(f"{self.url}/graphql", json=QUERY) as answer:
                await answer.read()
                seconds.append(time.perf_counter() - began)
                return answer.status

        headers = {"Authorization": f"Bearer {token}"}
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(headers=headers, connector=connector) as session:
            began = time.perf_counter()
            statuses = await asyncio.gather(*(ask_once(session) for _ in range(count)))
        return Counter(statuses), seconds


@asynccontextmanager
async def backend(issuer: Issuer) -> AsyncIterator[str]:
    """Serve the pool's keys, and a Cognito that never answers."""

    async def keys(_: web.Request) -> web.Response:
        return web.json_response(issuer.jwks)

    async def hang(_: web.Request) -> web.Response:
        await asyncio.Event().wait()
        raise AssertionError

    app = web.Application()
    app.router.add_get("/jwks.json", keys)
    app.router.add_post("/", hang)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def running(backend_url: str) -> AsyncIterator[Server]:
    """Run the server in front of the backend."""
    settings = {
        "DEV": "1",
        "USER_POOL_ID": POOL_ID,
        "CLIENT_IDS": CLIENT_ID,
        "ADMIN_GROUPS": ADMIN_GROUP,
        "JWKS_URL": f"{backend_url}/jwks.json",
        "PORT": "0",
        "DEADLINE": str(DEADLINE),
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "graphql_admin", "serve"),
        env={
            **os.environ,
            **{f"GRAPHQL_ADMIN_{name}": value for name, value in settings.items()},
            "AWS_ACCESS_KEY_ID": "bench",
            "AWS_SECRET_ACCESS_KEY": "bench",
            "AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER": backend_url,
        },
        stderr=asyncio.subprocess.PIPE,
    )
    log_stream = cast("asyncio.StreamReader", process.stderr)
    announcement = (await log_stream.readline()).decode()
    log = asyncio.create_task(log_stream.read())
    try:
        yield Server(process, announcement.split()[-1])
    finally:
        process.terminate()
        await process.wait()
        await log


async def measure() -> None:
    """Print the rows of the table."""
    issuer = Issuer()
    token = issuer.access_token("root")
    async with backend(issuer) as url, running(url) as server:
        async with server.probed() as probes:
            await asyncio.sleep(2)
        print(probes.row("nothing else"))

        host, port = server.url.removeprefix("http://").split(":")
        connections = [await asyncio.open_connection(host, int(port)) for _ in range(IDLE)]
        async with server.probed() as probes:
            await asyncio.sleep(2)
        print(probes.row(f"{IDLE} connections that send nothing"))

        async with server.probed() as probes:
            statuses, seconds = await server.ask(HANGING, token)
        remark = f"answered {dict(statuses)} within {max(seconds):.1f} s"
        print(probes.row(f"… and {HANGING} requests, Cognito hangs", remark))

        async with server.probed() as probes:
            statuses, seconds = await server.ask(FLOOD, token)
        refused = sorted(seconds)[: statuses[503]]
        remark = f"{statuses[503]} times 503, the last after {max(refused, default=0):.2f} s"
        print(probes.row(f"… and {FLOOD} requests", remark))

        for _, writer in connections:
            writer.close()
        async with server.probed() as probes:
            await asyncio.sleep(2)
        print(probes.row("afterwards"))
        print("stopping")
    print(f"\nExit code after SIGTERM: {server.process.returncode}")


def main() -> None:
    """Measure and print."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    print("| situation | probes | p50 ms | p99 ms | max ms | MB | remark |")
    print("|---|---|---|---|---|---|---|")
    asyncio.run(measure())


if __name__ == "__main__":
    main()
