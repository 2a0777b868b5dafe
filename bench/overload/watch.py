"""Watches a server that is attacked, from a separate process that does nothing else.

    python -m bench.overload.watch PORT TOKEN INTERVAL < BODY

It asks `/healthz` every 20 ms, and as another caller posts BODY every INTERVAL seconds, each time
on a new connection, as a client that has just arrived. It begins when the first line of BODY is in,
and at the end of its input prints the result as one line of JSON.

Latencies are those of requests made at the same intervals whatever the server does: a server that
stands still for ten seconds does so to five hundred probes, not to the one that waits.
"""

import http.client
import json
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

PROBE_INTERVAL = 0.02
"""Seconds between two probes of `/healthz`."""

PATIENCE = 10.0
"""Seconds after which a request counts as failed."""


class Watcher:
    """A request that is sent repeatedly.

    Args:
        interval: Seconds between the end of a request and the next one.
        ask: Makes the request on a connection, and returns its outcome in one word.
    """

    def __init__(
        self, port: int, interval: float, ask: Callable[[http.client.HTTPConnection], str]
    ) -> None:
        self._port = port
        self._interval = interval
        self._ask = ask
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.latencies: list[float] = []
        self.outcomes: Counter[str] = Counter()

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def end(self) -> dict[str, Any]:
        """End, and return all outcomes."""
        self._ending.set()
        self._thread.join()
        return {"latencies": self.latencies, "outcomes": self.outcomes}

    def _run(self) -> None:
        while not self._ending.is_set():
            started = time.perf_counter()
            connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=PATIENCE)
            try:
                outcome = self._ask(connection)
            except (OSError, http.client.HTTPException) as error:
                outcome = type(error).__name__
            finally:
                connection.close()
            latency = time.perf_counter() - started
            self.outcomes[outcome] += 1
            # A client that had asked while this request waited would have waited for the rest of
            # it.
            while latency > 0:
                self.latencies.append(latency)
                latency -= self._interval
            self._ending.wait(self._interval)


def _probe(connection: http.client.HTTPConnection) -> str:
    connection.request("GET", "/healthz")
    reply = connection.getresponse()
    reply.read()
    return "answered" if reply.status == 200 else str(reply.status)


def _call(connection: http.client.HTTPConnection, token: str, body: str) -> str:
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    connection.request("POST", "/graphql", body, headers)
    reply = connection.getresponse()
    answer = json.loads(reply.read())
    if errors := answer.get("errors"):
        return str(errors[0]["extensions"]["code"])
    return "answered"


def main() -> None:
    """Watch until the end of standard input."""
    port, token, interval = int(sys.argv[1]), sys.argv[2], float(sys.argv[3])
    body = sys.stdin.readline()
    watchers = {
        "healthz": Watcher(port, PROBE_INTERVAL, _probe),
        "caller": Watcher(
            port, interval, lambda connection: _call(connection, token, body.rstrip())
        ),
    }
    for watcher in watchers.values():
        watcher.start()
    sys.stdin.read()
    print(json.dumps({name: watcher.end() for name, watcher in watchers.items()}), flush=True)


if __name__ == "__main__":
    main()
