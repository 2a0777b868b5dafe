"""The server as a subgraph of a federated graph: composed, and behind real gateways.

The gateways, the composers and the subgraphs of two other teams are in `tests/node/gateways`.
One of these, orders, knows people by their `sub`; the other, documents, by their username.
"""

import json
import os
import random
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest

from graphql_admin.admin.schema import AdminSchema
from tests.support.api import Api
from tests.support.patience import PATIENCE
from tests.support.scripted import Reply, ScriptedCognito, UserDirectory, reply
from tests.support.started import Program, free_port
from tests.support.tokens import CLIENT_ID, POOL_ID, Pool

NODE_DIRECTORY = Path(__file__).parent.parent / "node" / "gateways"
INSTALLED = bool(shutil.which("node")) and (NODE_DIRECTORY / "node_modules").exists()

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not INSTALLED and os.environ.get("CI") != "true",
        reason="the gateways are not installed: that takes Node, npm and `make gateways`",
    ),
]

SCHEMA_FILE = Path(__file__).parent.parent.parent / "schema.graphql"
COMPOSERS = pytest.mark.parametrize("composer", ["apollo", "hive"])

OTHERS = {
    name: (NODE_DIRECTORY / f"{name}.graphql").read_text() for name in ("orders", "documents")
}
"""The other teams' schemas."""

OWNER_OF_NODE = """
extend schema
  @link(url: "https://specs.apollo.dev/federation/v2.9", import: ["@external", "@key"])

interface Node { id: ID! }
type Query { node(id: ID!): Node }
type Product implements Node { id: ID! }
type User implements Node @key(fields: "username") { username: String! id: ID! @external }
type Group implements Node @key(fields: "name") { name: String! id: ID! @external }
"""


@dataclass(frozen=True)
class Composition:
    """What a composer makes of subgraphs."""

    errors: list[str]
    hints: list[str]
    """What it accepts with a warning."""
    supergraph: str | None = None


def compose(
    composer: str, schemas: Mapping[str, str], urls: Mapping[str, str] | None = None
) -> Composition:
    """Compose the schemas, by name, of subgraphs that are at the URLs."""
    subgraphs = [
        {"name": name, "sdl": sdl, "url": (urls or {}).get(name, "http://subgraph.invalid")}
        for name, sdl in schemas.items()
    ]
    done = subprocess.run(
        ["node", "compose.mjs", composer],
        cwd=NODE_DIRECTORY,
        input=json.dumps(subgraphs),
        check=True,
        capture_output=True,
        text=True,
    )
    return Composition(**json.loads(done.stdout))


@COMPOSERS
@pytest.mark.parametrize("others", [{}, OTHERS], ids=["alone", "with others"])
def test_schema_file_is_composed(composer: str, others: Mapping[str, str]) -> None:
    """Both composers take the file `schema.graphql` as it is, and keep its descriptions."""
    composition = compose(composer, {"admin": SCHEMA_FILE.read_text(encoding="utf-8"), **others})
    assert composition.errors == composition.hints == []
    assert composition.supergraph is not None
    for sentence in (
        "A user of the user pool.",
        "The user's unique id, which is the `sub` claim of their tokens.",
    ):
        assert sentence in composition.supergraph


@pytest.mark.parametrize(("composer", "kept"), [("apollo", False), ("hive", True)])
def test_which_composer_keeps_one_of(composer: str, kept: bool) -> None:
    """Apollo's leaves `@oneOf` out, as the page on federation says."""
    composition = compose(composer, {"admin": SCHEMA_FILE.read_text(encoding="utf-8")})
    assert ("@oneOf" in (composition.supergraph or "")) is kept


@COMPOSERS
def test_auth_directives_are_composed(composer: str) -> None:
    """Both composers hand the auth directives on to routers."""
    composition = compose(composer, {"admin": AdminSchema(auth_directives=True).as_str(), **OTHERS})
    assert composition.errors == composition.hints == []
    assert composition.supergraph is not None
    assert '@policy(policies: [["getUser"]])' in composition.supergraph
    assert re.search(r"viewer: Viewer .*@authenticated", composition.supergraph)


@COMPOSERS
def test_node_of_another_subgraph(composer: str) -> None:
    """Another subgraph can own `node` and find people for it, if it is switched off here."""
    without = AdminSchema(node_field=False).as_str()
    composition = compose(composer, {"admin": without, "objects": OWNER_OF_NODE, **OTHERS})
    assert composition.errors == composition.hints == []
    composition = compose(composer, {"admin": AdminSchema().as_str(), "objects": OWNER_OF_NODE})
    assert any("Query.node" in error for error in composition.errors)


@dataclass
class Server:
    """This server, as a process that can be stopped and started again at the same place."""

    environment: Mapping[str, str]
    port: str = field(default_factory=free_port)
    _running: ExitStack = field(default_factory=ExitStack)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/graphql"

    def start(self) -> None:
        program = Program(
            sys.executable,
            "-m",
            "graphql_admin",
            "serve",
            directory=Path(__file__).parent.parent.parent,
            environment={**self.environment, "GRAPHQL_ADMIN_PORT": self.port},
        )
        self._running.enter_context(program).wait_for("Listening on ")

    def stop(self) -> None:
        self._running.close()


@pytest.fixture(scope="module")
def backend() -> Iterator[ScriptedCognito]:
    """A Cognito that has the thirty people of whom the other teams know."""
    directory = UserDirectory(30, random.Random(1))

    def list_users(parameters: dict[str, Any]) -> Reply:
        sought = parameters.get("Filter", "")
        return reply(
            {
                "Users": [
                    user
                    for user in directory.users
                    if not sought or user["Attributes"][0]["Value"] in sought
                ][: parameters["Limit"]]
            }
        )

    with ScriptedCognito() as backend:
        directory.install(backend)
        backend.on("ListUsers", list_users)
        backend.on("AdminListGroupsForUser", reply({"Groups": []}))
        backend.on("AdminDisableUser", reply({}))
        yield backend


@pytest.fixture(autouse=True)
def _forget(request: pytest.FixtureRequest) -> None:
    """Let each test count its own requests."""
    if "backend" in request.fixturenames:
        request.getfixturevalue("backend").requests.clear()


@pytest.fixture(scope="module")
def server(backend: ScriptedCognito, jwks_url: str) -> Iterator[Server]:
    """This server in front of that Cognito, open to the group Admins."""
    server = Server(
        {
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER": backend.url,
            "GRAPHQL_ADMIN_USER_POOL_ID": POOL_ID,
            "GRAPHQL_ADMIN_CLIENT_IDS": CLIENT_ID,
            "GRAPHQL_ADMIN_ADMIN_GROUPS": "Admins",
            "GRAPHQL_ADMIN_DEV": "true",
            "GRAPHQL_ADMIN_JWKS_URL": jwks_url,
        }
    )
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def other_urls() -> Iterator[dict[str, str]]:
    """Where the other teams' subgraphs are."""
    with Program("node", "subgraphs.mjs", directory=NODE_DIRECTORY) as program:
        yield {name: program.wait_for(rf"{name} at (\S+)")[1] for name in OTHERS}


def hive(supergraph: Path) -> tuple[Program, str]:
    """Start Hive Gateway, and return it with the URL where it will be."""
    port = free_port()  # told to find one itself, it does not say which
    command = ("node_modules/.bin/hive-gateway", "supergraph", supergraph, "-c", "hive.config.mjs")
    return (
        Program("node", *command, "-h", "127.0.0.1", "-p", port, directory=NODE_DIRECTORY),
        f"http://127.0.0.1:{port}",
    )


def apollo(supergraph: Path) -> tuple[Program, str]:
    """Start Apollo's gateway, and return it with the URL where it will be."""
    port = free_port()
    environment = {
        "PORT": port,
        "NODE_ENV": "production",  # or else its errors hold stack traces
        "APOLLO_TELEMETRY_DISABLED": "true",  # which would look for the host's cloud
    }
    command = ("node", "apollo.mjs", supergraph)
    return (
        Program(*command, directory=NODE_DIRECTORY, environment=environment),
        f"http://127.0.0.1:{port}",
    )


@pytest.fixture(scope="module", params=[hive, apollo], ids=["hive", "apollo"])
def gateway(
    request: pytest.FixtureRequest,
    server: Server,
    other_urls: dict[str, str],
    signing_key: Pool,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Api]:
    """A gateway in front of this server and the other teams' subgraphs."""
    start = request.param
    composition = compose(
        start.__name__,
        {"admin": SCHEMA_FILE.read_text(encoding="utf-8"), **OTHERS},
        {"admin": server.url, **other_urls},
    )
    assert composition.supergraph is not None, composition.errors
    supergraph = tmp_path_factory.mktemp("gateway") / "supergraph.graphql"
    supergraph.write_text(composition.supergraph)
    program, url = start(supergraph)
    with program, httpx2.Client(base_url=url, trust_env=False, timeout=PATIENCE) as client:
        program.wait_for("(?i)listening on")
        yield Api(client, signing_key, POOL_ID)


def test_query_starts_with_sub(gateway: Api) -> None:
    """What another subgraph knows by `sub` becomes whole people."""
    orders = gateway.send("{ orders { id buyer { sub username email } } }").data["orders"]
    assert orders == [
        {
            "id": str(number),
            "buyer": {
                "sub": f"00000000-0000-4000-8000-{number:012}",
                "username": f"user{number:04}",
                "email": f"user{number:04}@example.com",
            },
        }
        for number in range(3)
    ]


def test_query_starts_with_username(gateway: Api) -> None:
    """What another subgraph knows by username becomes whole people."""
    documents = gateway.send("{ documents(first: 1) { owner { username email status } } }")
    assert documents.data["documents"] == [
        {
            "owner": {
                "username": "user0000",
                "email": "user0000@example.com",
                "status": "CONFIRMED",
            }
        }
    ]


def test_query_starts_here(gateway: Api) -> None:
    """People who are listed here have what the other subgraphs know of them."""
    users = gateway.send(
        """{
            users(first: 2) { nodes { username orders { id } documents { id } } }
            viewer { username }
        }"""
    ).data
    assert users == {
        "users": {
            "nodes": [
                {
                    "username": f"user{number:04}",
                    "orders": [{"id": str(number)}, {"id": str(number + 30)}],
                    "documents": [{"id": str(number)}, {"id": str(number + 30)}],
                }
                for number in range(2)
            ]
        },
        "viewer": {"username": "root"},
    }


def test_field_requires_email(gateway: Api) -> None:
    """Another subgraph computes a field from an attribute that it has from here."""
    answer = gateway.send(
        """{
            orders(first: 1) { buyer { mailbox } }
            documents(first: 1) { owner { mailbox } }
            user(by: {username: "user0000"}) { mailbox }
        }"""
    )
    mailbox = {"mailbox": "mailto:user0000@example.com"}
    assert answer.data == {
        "orders": [{"buyer": mailbox}],
        "documents": [{"owner": mailbox}],
        "user": mailbox,
    }


def test_field_requires_what_the_caller_may_not_read(gateway: Api) -> None:
    """Such a field is null, where its resolver does not trust what it is handed."""
    query = (
        "{ orders(first: 1) { id buyer { mailbox } } documents(first: 1) { owner { mailbox } } }"
    )
    answer = gateway.send(query, groups=("Readers",))
    assert answer.partial == {
        "orders": [{"id": "0", "buyer": {"mailbox": None}}],
        "documents": [{"owner": {"mailbox": None}}],
    }
    assert set(answer.codes) <= {"FORBIDDEN"}


def test_mutation(gateway: Api, backend: ScriptedCognito) -> None:
    """A mutation is carried out once, and its payload goes on into the other subgraphs."""
    answer = gateway.send(
        """mutation {
            disableUser(input: {username: "user0001"}) {
                errors { code }
                user { username email orders { id } }
            }
        }"""
    )
    assert answer.data["disableUser"] == {
        "errors": [],
        "user": {
            "username": "user0001",
            "email": "user0001@example.com",
            "orders": [{"id": "1"}, {"id": "31"}],
        },
    }
    assert backend.operations() == ["AdminGetUser", "AdminDisableUser", "AdminGetUser"]
    assert {request.parameters["Username"] for request in backend.requests} == {"user0001"}


def test_refused_caller(gateway: Api, backend: ScriptedCognito) -> None:
    """Who may not read people gets FORBIDDEN in their places, and all the rest."""
    answer = gateway.send(
        """{
            orders(first: 2) { id buyer { sub email } }
            documents(first: 1) { owner { username email groups { nodes { name } } } }
            viewer { username }
        }""",
        groups=("Readers",),
    )
    assert set(answer.codes) == {"FORBIDDEN"}
    assert answer.partial == {
        "orders": [
            {
                "id": str(number),
                "buyer": {"sub": f"00000000-0000-4000-8000-{number:012}", "email": None},
            }
            for number in range(2)
        ],
        "documents": [{"owner": {"username": "user0000", "email": None, "groups": None}}],
        "viewer": {"username": "root"},
    }
    assert backend.requests == []


def test_refused_mutation(gateway: Api, backend: ScriptedCognito) -> None:
    """Who may not act gets FORBIDDEN through the gateway too, and nothing is done."""
    answer = gateway.send(
        'mutation { disableUser(input: {username: "user0001"}) { user { username } } }',
        groups=("Readers",),
    )
    assert answer.codes == ["FORBIDDEN"]
    assert answer.partial == {"disableUser": None}
    assert backend.requests == []


@pytest.mark.parametrize("token", ["", "nonsense"], ids=["no token", "an invalid token"])
def test_caller_without_a_valid_token(gateway: Api, backend: ScriptedCognito, token: str) -> None:
    """Without a valid token there is UNAUTHENTICATED, and the public data of other subgraphs."""
    query = "{ orders(first: 1) { id buyer { email } } }"
    answer = gateway.send(query, token=token)
    assert set(answer.codes) == {"UNAUTHENTICATED"}
    assert answer.partial == {"orders": [{"id": "0", "buyer": {"email": None}}]}
    assert backend.requests == []


def test_reference_to_a_deleted_user(gateway: Api) -> None:
    """A deleted user is a separate error, and the other users are complete."""
    answer = gateway.send("{ abandonedOrder { id buyer { email } } orders { buyer { email } } }")
    assert set(answer.codes) == {"USER_NOT_FOUND"}
    assert answer.partial["abandonedOrder"] == {"id": "abandoned", "buyer": {"email": None}}
    emails = [order["buyer"]["email"] for order in answer.partial["orders"]]
    assert emails == [f"user{number:04}@example.com" for number in range(3)]


def test_cost(gateway: Api, backend: ScriptedCognito) -> None:
    """Sixty references to thirty people cost thirty calls, and none for what is known of them."""
    orders = gateway.send("{ orders(first: 60) { buyer { email } } }").data["orders"]
    assert [order["buyer"]["email"] for order in orders[:30]] == [
        order["buyer"]["email"] for order in orders[30:]
    ]
    assert backend.operations() == ["ListUsers"] * 30
    backend.requests.clear()
    documents = gateway.send("{ documents(first: 60) { owner { email } } }").data["documents"]
    assert [document["owner"] for document in documents] == [order["buyer"] for order in orders]
    assert backend.operations() == ["AdminGetUser"] * 30
    backend.requests.clear()
    keys = "{ orders(first: 60) { buyer { sub } } documents(first: 60) { owner { username } } }"
    assert len(gateway.send(keys).data["documents"]) == 60
    assert backend.requests == []


def test_server_down(gateway: Api, server: Server) -> None:
    """While this server is down its fields are errors and null, and the others' are whole."""
    query = "{ orders(first: 1) { id buyer { sub email } } viewer { username } }"
    server.stop()
    try:
        answer = gateway.send(query)
    finally:
        server.start()
    assert set(answer.codes) == {"INTERNAL_SERVER_ERROR"}
    buyer = {"sub": "00000000-0000-4000-8000-000000000000", "email": None}
    assert answer.partial == {"orders": [{"id": "0", "buyer": buyer}], "viewer": None}
    buyer["email"] = "user0000@example.com"
    assert gateway.send(query).data == {
        "orders": [{"id": "0", "buyer": buyer}],
        "viewer": {"username": "root"},
    }
