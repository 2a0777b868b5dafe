"""The servers that are measured: how each is started and in which dialect it is asked."""

import socket
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bench.operations import AdminQueries, Dialect, Floor, GraphQL
from bench.people import ADMIN_GROUP, CLIENT_ID, POOL_ID, REGION
from graphql_admin.cognito.categories import Quota

ROOT = Path(__file__).parent.parent
"""The checkout that the bench belongs to."""

PEERS = Path(__file__).with_name("peers")

OURS = "graphql-admin"
FLOOR = "floor"
APOLLO = "apollo"
EXPRESS = "express"


@dataclass(frozen=True)
class Server:
    """A server that can be measured.

    Args:
        name: For the command line.
        title: For people.
        command: What starts it. It listens on loopback at `PORT`.
        dialect: How it is asked.
        root: The folder that it runs in, so that `python -m` finds that folder's code first.
        variables: Of its environment, besides those of every server.
    """

    name: str
    title: str
    command: tuple[str, ...]
    dialect: Dialect = field(default_factory=GraphQL)
    root: Path = ROOT
    variables: Mapping[str, str] = field(default_factory=dict, hash=False)

    @property
    def is_peer(self) -> bool:
        """Whether one could use it instead of graphql-admin."""
        return self.name not in {OURS, FLOOR}

    @property
    def is_node(self) -> bool:
        return self.command[0] == "node"


def _node(script: str) -> tuple[str, ...]:
    return ("node", str(PEERS / script))


SERVE = (sys.executable, "-m", "graphql_admin", "serve")


def launched(ablations: str) -> tuple[str, ...]:
    """What starts this server without some of its fast paths, whose names commas separate."""
    return (sys.executable, "-m", "bench.ablated", ablations, "serve")


SERVERS = (
    Server(OURS, "graphql-admin", SERVE),
    Server("mercurius", "Mercurius with JIT", _node("mercurius.js")),
    Server("yoga", "GraphQL Yoga", _node("yoga.js")),
    Server(APOLLO, "Apollo Server", _node("apollo.js")),
    Server(EXPRESS, "Express (Admin Queries)", _node("express.js"), AdminQueries()),
    Server("strawberry", "stock Strawberry", (sys.executable, "-m", "bench.strawberry_stock")),
    Server(FLOOR, "floor", (sys.executable, "-m", "bench.floor"), Floor()),
)

_QUOTAS = (
    Quota.USER_READ,
    Quota.USER_LIST,
    Quota.USER_UPDATE,
    Quota.USER_RESOURCE_READ,
    Quota.USER_POOL_RESOURCE_READ,
    Quota.PER_POOL,
    Quota.PER_USER,
)
"""Those of the operations that are measured. Older code, to which `bench.compare` compares, rejects
the names of quotas that were added later."""


def environment(stub: str, port: int) -> Mapping[str, str]:
    """The variables that every server is started with.

    Args:
        stub: URL of the stub of Cognito.
        port: Where the server is to listen.
    """
    jwks_url = f"{stub}/{POOL_ID}/.well-known/jwks.json"
    return {
        "PORT": str(port),
        "USER_POOL_ID": POOL_ID,
        "CLIENT_ID": CLIENT_ID,
        "JWKS_URL": jwks_url,
        "NODE_ENV": "production",
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "bench",
        "AWS_SECRET_ACCESS_KEY": "bench",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER": stub,
        "GRAPHQL_ADMIN_USER_POOL_ID": POOL_ID,
        "GRAPHQL_ADMIN_CLIENT_IDS": CLIENT_ID,
        "GRAPHQL_ADMIN_ADMIN_GROUPS": ADMIN_GROUP,
        "GRAPHQL_ADMIN_PORT": str(port),
        "GRAPHQL_ADMIN_JWKS_URL": jwks_url,
        "GRAPHQL_ADMIN_DEV": "1",
        "GRAPHQL_ADMIN_ALLOWED_HOSTS": "*",
        # Kept account of as always, and never reached: the peers have none.
        "GRAPHQL_ADMIN_QUOTAS": ",".join(f"{quota}=1e6" for quota in _QUOTAS),
    }


def free_port() -> int:
    """A free port of loopback."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def install_peers() -> None:
    """Install the Node peers as their lock file says, unless they are already."""
    lock = PEERS / "package-lock.json"
    installed = PEERS / "node_modules" / ".package-lock.json"
    if not installed.exists() or installed.stat().st_mtime < lock.stat().st_mtime:
        subprocess.run(["npm", "ci", "--no-audit", "--no-fund"], cwd=PEERS, check=True)
