"""GraphQL over HTTP, beyond what the community's audits look at."""

import json
import re
import socket
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.testclient import TestClient

from graphql_admin.web.fallbacks import FaultBarrier
from tests.support.api import Api
from tests.support.patience import PATIENCE
from tests.support.scripted import ScriptedCognito, reply

RESPONSE_JSON = "application/graphql-response+json"
JSON = "application/json"
TYPENAME = "{ __typename }"
DISABLE = 'mutation { disableUser(input: {username: "bob"}) { errors { code } } }'


@pytest.fixture
def scripted(shared_scripted: ScriptedCognito) -> ScriptedCognito:
    """A Cognito that expects no call, unless the test says otherwise."""
    return shared_scripted


@pytest.fixture
def api(shared_serve: Callable[..., Api], scripted: ScriptedCognito) -> Api:
    """This server in front of that Cognito."""
    return shared_serve(scripted.url)


def headers(api: Api, **more: str) -> dict[str, str]:
    """Return the headers of an administrator's request."""
    named = {name.replace("_", "-"): value for name, value in more.items()}
    return {"Authorization": f"Bearer {api.token('Admins')}", **named}


def post(api: Api, body: Any, **more: str) -> httpx2.Response:
    """Post a body, as JSON unless it is bytes."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return api.client.post(
        "/graphql", content=content, headers=headers(api, **{"Content_Type": JSON, **more})
    )


def code(response: httpx2.Response) -> str:
    """Return the code of the one error that is the whole answer."""
    body = response.json()
    assert body.keys() == {"errors"}
    (error,) = body["errors"]
    assert error["message"]
    return str(error["extensions"]["code"])


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        (None, JSON),
        ("*/*", JSON),
        ("application/*", JSON),
        (JSON, JSON),
        (RESPONSE_JSON, RESPONSE_JSON),
        (RESPONSE_JSON.upper() + ";charset=utf-8", RESPONSE_JSON),
        (f"{RESPONSE_JSON}, {JSON}", RESPONSE_JSON),
        (f"{JSON}, {RESPONSE_JSON}", JSON),
        (f"{RESPONSE_JSON}, {JSON};q=0.9", RESPONSE_JSON),
        (f"{RESPONSE_JSON};q=0.5, {JSON};q=0.9", JSON),
        (f"*/*, {RESPONSE_JSON}", RESPONSE_JSON),
        (f"{JSON};q=0, */*", RESPONSE_JSON),
        (f"text/html, {JSON};q=0.1", JSON),
        ("text/html, */*;q=0.1", JSON),
        ("text/html", None),
        (f"{JSON};q=0", None),
        (f"{JSON};q=none", None),
        ("*/*;q=0", None),
        ("", None),
    ],
)
def test_negotiation(api: Api, accept: str | None, media_type: str | None) -> None:
    """The answer is of the type that the client likes best, or 406 where there is none."""
    api.client.headers.pop("accept")
    more = {} if accept is None else {"Accept": accept}
    response = post(api, {"query": TYPENAME}, **more)
    assert response.headers["content-type"] == f"{media_type or JSON}; charset=utf-8"
    if media_type:
        assert response.json() == {"data": {"__typename": "Query"}}
    else:
        assert (response.status_code, code(response)) == (406, "NOT_ACCEPTABLE")


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        ({"query": "{"}, "GRAPHQL_PARSE_FAILED"),
        ({"query": "{ nothing }"}, "GRAPHQL_VALIDATION_FAILED"),
        ({"query": "query($n: Int!) { users(first: $n) { nodes { sub } } }"}, "BAD_USER_INPUT"),
        ({"query": "{ a " * 30 + "}" * 30}, "QUERY_TOO_COMPLEX"),
        (
            {"query": "{ users(first: 60) { nodes { groups { nodes { users { nodes { sub }}}}}}}"},
            "QUERY_TOO_EXPENSIVE",
        ),
    ],
)
def test_not_executed(api: Api, request_: dict[str, Any], expected: str) -> None:
    """What cannot be executed is 400, or 200 for a client that knows only application/json."""
    for media_type, status in ((RESPONSE_JSON, 400), (JSON, 200)):
        response = post(api, request_, Accept=media_type)
        assert (response.status_code, code(response)) == (status, expected)


def test_errors_beside_data(serve: Callable[..., Api], scripted: ScriptedCognito) -> None:
    """Where anything was executed, the status is 200, whatever became of it."""
    api = serve(scripted.url)
    for media_type in (RESPONSE_JSON, JSON):
        response = post(api, {"query": "{ users(first: 0) { nodes { sub } } }"}, Accept=media_type)
        assert response.status_code == 200
        assert response.json()["data"] == {"users": None}
        assert response.json()["errors"][0]["path"] == ["users"]


BODIES: dict[str, bytes] = {
    "nothing": b"",
    "a number": b"123",
    "null": b"null",
    "a string": b'"x"',
    "an empty batch": b"[]",
    "a batch": b'[{"query": "{ __typename }"}]',
    "half": b'{"query": "{ __ty',
    "not UTF-8": b'{"query": "\xff\xfe"}',
    "UTF-16": '{"query": "{ __typename }"}'.encode("utf-16"),
    "a byte order mark": b'\xef\xbb\xbf{"query": "{ __typename }"}',
    "half a surrogate pair": b'{"query": "{ __typename }", "variables": {"a": "\\ud800"}}',
    "NaN": b'{"query": "{ __typename }", "variables": {"a": NaN}}',
    "nested without end": b'{"query":' + b"[" * 100_000,
    "nested deeply": b'{"query": "{ __typename }", "variables": '
    + b'{"a":' * 2000
    + b"1"
    + b"}" * 2000
    + b"}",
    "no query": b"{}",
    "an empty query": b'{"query": ""}',
    "not a string as query": b'{"query": {"a": 1}}',
    "variables as a string": b'{"query": "{ __typename }", "variables": "{}"}',
    "variables as a list": b'{"query": "{ __typename }", "variables": []}',
    "extensions as a string": b'{"query": "{ __typename }", "extensions": "{}"}',
    "not a string as operationName": b'{"query": "{ __typename }", "operationName": 1}',
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
def test_body_refused(api: Api, body: bytes) -> None:
    """A body that is no GraphQL request is 400, for every client."""
    for media_type in (RESPONSE_JSON, JSON):
        response = post(api, body, Accept=media_type)
        assert (response.status_code, code(response)) == (400, "BAD_REQUEST")
        assert response.headers["content-type"].startswith(media_type)


def test_body_admitted(api: Api) -> None:
    """Of a repeated name the last counts, and unknown names are ignored."""
    bodies = (
        b'{"query": "{", "query": "{ __typename }"}',
        b'{"query": "{ __typename }", "doc_id": 1, "variables": null, "operationName": ""}',
        b'{"query": "{ __typename }", "variables": {"unknown": [1, {"a": null}]}}',
    )
    for body in bodies:
        assert post(api, body).json() == {"data": {"__typename": "Query"}}


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/graphql",
        "application/json-seq",
        "text/json",
        "application/json; charset=utf-16",
        "application/json; charset=iso-8859-1",
        "application/json; charset=utf-8; charset=utf-16",
        "application/json; charset = utf-16",
        "application/json; charset=utf-7",
    ],
)
def test_content_type_refused(api: Api, content_type: str) -> None:
    """A body of another type is 415: a form or a plain text, which any page may send, too."""
    response = post(api, {"query": DISABLE}, Content_Type=content_type)
    assert (response.status_code, code(response)) == (415, "UNSUPPORTED_MEDIA_TYPE")


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("rest", [{}, {"query": ""}, {"variables": {}, "operationName": "A"}])
@pytest.mark.parametrize("media_type", [JSON, RESPONSE_JSON, "*/*"])
def test_a_hash_in_place_of_the_document_is_answered_as_clients_expect(
    api: Api, method: str, rest: dict[str, Any], media_type: str
) -> None:
    """Apollo's and urql's clients then send the document."""
    body = {"extensions": {"persistedQuery": {"version": 1, "sha256Hash": "0" * 64}}, **rest}
    accept = {"Accept": media_type}
    if method == "GET":
        parameters = {k: v if isinstance(v, str) else json.dumps(v) for k, v in body.items()}
        response = api.client.get("/graphql", params=parameters, headers=headers(api) | accept)
    else:
        response = post(api, body, **accept)
    assert response.status_code == 200
    assert response.json() == {
        "errors": [
            {
                "message": "PersistedQueryNotSupported",
                "extensions": {"code": "PERSISTED_QUERY_NOT_SUPPORTED"},
            }
        ]
    }


def test_a_hash_beside_the_document_is_ignored(api: Api) -> None:
    """With its document, the operation is executed."""
    extensions = {"persistedQuery": {"version": 1, "sha256Hash": "0" * 64}}
    response = post(api, {"query": TYPENAME, "extensions": extensions})
    assert response.json() == {"data": {"__typename": "Query"}}


def test_a_hash_without_a_token_is_refused(api: Api) -> None:
    """Who has no token learns nothing of what the server supports."""
    body = {"extensions": {"persistedQuery": {"version": 1, "sha256Hash": "0" * 64}}}
    assert api.client.post("/graphql", json=body).status_code == 401


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        ("*", JSON),
        ("text/html, image/gif, *; q=.2", JSON),
        ("application/graphql-response+json; charset=utf8", RESPONSE_JSON),
        (f"{JSON}; q = 0.2, {RESPONSE_JSON}; q = 0.9", RESPONSE_JSON),
    ],
)
def test_accept_headers_are_read_however_they_are_written(
    api: Api, accept: str, chosen: str
) -> None:
    """A lone asterisk, and spaces around an equals sign, are what clients send."""
    response = post(api, {"query": TYPENAME}, Accept=accept)
    assert response.status_code == 200
    assert response.headers["content-type"].startswith(f"{chosen};")


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json;charset=UTF-8",
        'Application/JSON; charset="utf-8"',
        "application/json;",
        "application/json; charset=utf8",
        'application/json ;Charset = "UTF8"',
        "application/json; charset='utf-8'",
        "application/json; charset=us-ascii",
        "application/json; charset=",
        "application/json; profile=x; charset=utf8",
    ],
)
def test_content_type_admitted(api: Api, content_type: str) -> None:
    """JSON in UTF-8 is read however its type is written."""
    assert post(api, {"query": TYPENAME}, Content_Type=content_type).status_code == 200


def test_an_empty_content_encoding_is_none(api: Api) -> None:
    """Proxies that take a header's value out may leave its name."""
    assert post(api, {"query": TYPENAME}, Content_Encoding="").status_code == 200


def test_compressed_body_refused(api: Api) -> None:
    """A compressed body is 415: it could be anything once it is unpacked."""
    response = post(api, b"\x1f\x8b", Content_Encoding="gzip")
    assert (response.status_code, code(response)) == (415, "UNSUPPORTED_MEDIA_TYPE")


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "TRACE", "QUERY"])
def test_method_refused(api: Api, method: str) -> None:
    """Another method is 405, and `Allow` says which there are."""
    response = api.client.request(method, "/graphql", headers=headers(api))
    assert (response.status_code, code(response)) == (405, "METHOD_NOT_ALLOWED")
    assert response.headers["allow"] == "GET, HEAD, OPTIONS, POST"


def test_options(api: Api) -> None:
    """OPTIONS lists the methods, without a token."""
    response = api.client.options("/graphql")
    assert (response.status_code, response.content) == (204, b"")
    assert response.headers["allow"] == "GET, HEAD, OPTIONS, POST"


def test_get(api: Api) -> None:
    """GET takes a query with its variables, and an empty parameter is none."""
    parameters = {
        "query": "query A($name: String!) { __type(name: $name) { name } } query B { __typename }",
        "operationName": "A",
        "variables": '{"name": "User"}',
        "extensions": "",
    }
    response = api.client.get("/graphql", params=parameters, headers=headers(api))
    assert response.json() == {"data": {"__type": {"name": "User"}}}


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"query": ""},
        {"query": TYPENAME, "variables": "{"},
        {"query": TYPENAME, "variables": "[]"},
        {"query": TYPENAME, "variables": '"x"'},
        {"query": TYPENAME, "extensions": "1"},
    ],
)
def test_get_refused(api: Api, parameters: dict[str, str]) -> None:
    """Parameters that are no GraphQL request are 400."""
    response = api.client.get("/graphql", params=parameters, headers=headers(api))
    assert (response.status_code, code(response)) == (400, "BAD_REQUEST")


def test_get_of_mutation(api: Api, scripted: ScriptedCognito) -> None:
    """A mutation by GET or HEAD is 405 and does nothing, also where it hides behind a query."""
    hidden = f"query Q {TYPENAME} {DISABLE.replace('mutation', 'mutation M')}"
    for parameters in ({"query": DISABLE}, {"query": hidden, "operationName": "M"}):
        for method in ("GET", "HEAD"):
            response = api.client.request(
                method, "/graphql", params=parameters, headers=headers(api)
            )
            assert response.status_code == 405
            assert response.headers["allow"] == "POST"
    assert scripted.requests == []


def test_long_query_string(serve: Callable[..., Api], scripted: ScriptedCognito) -> None:
    """A query string beyond the limit of bodies is 414."""
    api = serve(scripted.url, max_body=1024)
    parameters = {"query": TYPENAME + " " * 1024}
    response = api.client.get("/graphql", params=parameters, headers=headers(api))
    assert (response.status_code, code(response)) == (414, "URI_TOO_LONG")


@pytest.mark.parametrize("name", [None, "", "Three"])
def test_operation_not_found(api: Api, name: str | None) -> None:
    """Of several operations the request has to name one."""
    query = f"query One {TYPENAME} query Two {TYPENAME}"
    response = post(api, {"query": query, "operationName": name})
    assert (response.status_code, code(response)) == (400, "OPERATION_RESOLUTION_FAILURE")


def test_document_without_operation(api: Api) -> None:
    """A document of fragments alone asks for nothing."""
    response = post(api, {"query": "fragment F on Query { __typename }"}, Accept=RESPONSE_JSON)
    assert response.status_code == 400


@pytest.mark.parametrize("path", ["/", "/graphql/", "/graphql/x", "/Graphql", "/.env"])
def test_path_not_found(api: Api, path: str) -> None:
    """Another path is 404 in JSON, with a slash at its end too."""
    response = api.client.post(path, json={}, headers=headers(api), follow_redirects=False)
    assert (response.status_code, code(response)) == (404, "NOT_FOUND")


def test_method_of_another_path(api: Api) -> None:
    """A method that a path does not take is 405 in JSON."""
    response = api.client.post("/healthz")
    assert (response.status_code, code(response)) == (405, "METHOD_NOT_ALLOWED")
    assert response.headers["allow"] == "GET, HEAD"


def test_anonymous_introspection(serve: Callable[..., Api], scripted: ScriptedCognito) -> None:
    """Where introspection is public, a request without a token may read the schema, no more."""
    api = serve(scripted.url, introspection="public")
    for query in (TYPENAME, "{ __schema { queryType { name } } }", "{ _service { sdl } }"):
        assert api.send(query, token="").data
    entity = (
        '{ _entities(representations: [{__typename: "User", username: "bob"}]) { __typename } }'
    )
    refused = (
        "{ viewer { username } }",
        "{ users { nodes { sub } } }",
        '{ node(id: "VXNlcjpib2I=") { id } }',
        entity,
        DISABLE,
        f"{{ __typename {entity[1:]}",
    )
    for query in refused:
        answer = api.send(query, token="")
        assert (answer.response.status_code, answer.codes) == (401, ["UNAUTHENTICATED"])
    assert api.send(TYPENAME, token="a.b.c").response.status_code == 401
    assert scripted.requests == []


@pytest.mark.parametrize("introspection", ["authenticated", "off"])
def test_no_token(serve: Callable[..., Api], scripted: ScriptedCognito, introspection: str) -> None:
    """Otherwise a request without a token is 401, whatever it asks."""
    api = serve(scripted.url, introspection=introspection)
    for query in (TYPENAME, "{ __schema { queryType { name } } }", "{", ""):
        answer = api.send(query, token="")
        assert (answer.response.status_code, answer.codes) == (401, ["UNAUTHENTICATED"])
        assert answer.response.headers["www-authenticate"].startswith("Bearer")


def test_introspection_off(serve: Callable[..., Api], scripted: ScriptedCognito) -> None:
    """Where introspection is off, not even an administrator may read the schema."""
    api = serve(scripted.url, introspection="off")
    for query in ("{ __schema { queryType { name } } }", '{ __type(name: "User") { name } }'):
        assert set(api.send(query).codes) == {"GRAPHQL_VALIDATION_FAILED"}
    assert api.send("{ _service { sdl } }").codes == ["GRAPHQL_VALIDATION_FAILED"]
    assert api.send(TYPENAME).data == {"__typename": "Query"}


def test_promised_body_too_large(listen: Callable[..., Api], scripted: ScriptedCognito) -> None:
    """A body that says that it is too large is 413 before any of it is sent."""
    api = listen(scripted.url)
    with connect(api) as connection:
        connection.sendall(head(api, "Content-Length: 10000000"))
        status, body = receive(connection)
    assert status == 413
    assert body["errors"][0]["extensions"]["code"] == "PAYLOAD_TOO_LARGE"


def test_body_too_large(listen: Callable[..., Api], scripted: ScriptedCognito) -> None:
    """A body that does not say how large it is is 413 once it is larger than the limit."""
    api = listen(scripted.url, max_body=1024)
    chunk = b"400\r\n" + b" " * 1024 + b"\r\n"
    with connect(api) as connection:
        connection.sendall(head(api, "Transfer-Encoding: chunked") + chunk + chunk)
        status, body = receive(connection)  # the body has not ended yet
    assert status == 413
    assert body["errors"][0]["extensions"]["code"] == "PAYLOAD_TOO_LARGE"


def test_ten_megabytes(listen: Callable[..., Api], scripted: ScriptedCognito) -> None:
    """A body of 10 MB is 413, and the server goes on to serve."""
    api = listen(scripted.url)

    def body() -> Iterator[bytes]:
        for _ in range(160):
            yield b" " * 65_536

    for content in (b" " * 10_485_760, body()):
        response = api.client.post(
            "/graphql", content=content, headers=headers(api, Content_Type=JSON)
        )
        assert (response.status_code, code(response)) == (413, "PAYLOAD_TOO_LARGE")
    assert api.send(TYPENAME).data == {"__typename": "Query"}


def test_slow_body(listen: Callable[..., Api], scripted: ScriptedCognito) -> None:
    """A body that does not arrive within the deadline is 408, and the connection is closed."""
    api = listen(scripted.url, deadline=0.3)
    with connect(api) as connection:
        connection.sendall(head(api, "Content-Length: 1000") + b'{"query"')
        status, body = receive(connection)
    assert status == 408
    assert body["errors"][0]["extensions"]["code"] == "REQUEST_TIMEOUT"


def test_slow_body_behind_another_request(
    listen: Callable[..., Api], scripted: ScriptedCognito
) -> None:
    """That one request has arrived says nothing of the next one on its connection."""
    api = listen(scripted.url, deadline=0.3)
    with connect(api) as connection:
        whole = b"GET /healthz HTTP/1.1\r\nHost: test\r\n\r\n"
        connection.sendall(whole + head(api, "Content-Length: 1000") + b'{"query"')
        answers = b"".join(iter(partial(connection.recv, 65_536), b""))
    assert re.findall(rb"HTTP/1\.1 (\d+)", answers) == [b"200", b"408"]


@pytest.mark.parametrize("framing", ["Content-Length", "Transfer-Encoding"])
def test_body_in_pieces(
    listen: Callable[..., Api], scripted: ScriptedCognito, framing: str
) -> None:
    """A body that comes piece by piece is read to its end."""
    api = listen(scripted.url)
    text = json.dumps({"query": TYPENAME}).encode()
    pieces = [text[:5], text[5:], *[b" " * 20_000] * 5]
    with connect(api) as connection:
        if framing == "Content-Length":
            connection.sendall(head(api, f"Content-Length: {sum(map(len, pieces))}"))
        else:
            connection.sendall(head(api, "Transfer-Encoding: chunked"))
            pieces = [b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces]
            pieces.append(b"0\r\n\r\n")
        for piece in pieces:
            connection.sendall(piece)
            time.sleep(0.02)  # so that two do not arrive as one
        assert receive(connection) == (200, {"data": {"__typename": "Query"}})


def connect(api: Api) -> socket.socket:
    """Open a connection to a server that listens."""
    url = urlsplit(str(api.client.base_url))
    return socket.create_connection((url.hostname, url.port), timeout=PATIENCE)


def head(api: Api, *lines: str) -> bytes:
    """Return the head of a POST that closes its connection."""
    fields = [f"{name}: {value}" for name, value in headers(api, Content_Type=JSON).items()]
    all_lines = ["POST /graphql HTTP/1.1", "Host: test", "Connection: close", *fields, *lines]
    return "\r\n".join([*all_lines, "", ""]).encode()


def receive(connection: socket.socket) -> tuple[int, dict[str, Any]]:
    """Return the status and the body of an answer, after which the connection ends."""
    answer = b""
    while part := connection.recv(65_536):
        answer += part
    top, _, body = answer.partition(b"\r\n\r\n")
    return int(top.split()[1]), json.loads(body)


def test_fault(capsys: pytest.CaptureFixture[str]) -> None:
    """A fault anywhere is 500 in JSON, and its message reaches neither the client nor the log."""

    async def fail(_: Request) -> Response:
        raise RuntimeError("bob@example.com")

    app = Starlette(routes=[Route("/", fail)], middleware=[Middleware(FaultBarrier)])
    with TestClient(app) as client:
        response = client.get("/")
    assert (response.status_code, code(response)) == (500, "INTERNAL")
    logged = "".join(capsys.readouterr())
    assert "RuntimeError" in logged
    assert "bob@example.com" not in response.text + logged


def test_head(listen: Callable[..., Api], scripted: ScriptedCognito) -> None:
    """HEAD is GET without the body."""
    api = listen(scripted.url)
    parameters = {"query": TYPENAME}
    response = api.client.head("/graphql", params=parameters, headers=headers(api))
    assert (response.status_code, response.content) == (200, b"")
    assert response.headers["content-type"].startswith(JSON)


def test_cost_is_told(serve: Callable[..., Api], scripted: ScriptedCognito) -> None:
    """The answer says what the query cost where the request asks for it, and only there."""
    api = serve(scripted.url)
    users = [{"Username": name, "Attributes": []} for name in ("ann", "bob")]
    scripted.on("ListUsers", reply({"Users": users}))
    scripted.on("AdminListGroupsForUser", reply({"Groups": []}))
    query = "{ users(first: 10) { nodes { groups { nodes { name } } } } }"
    body = post(api, {"query": query, "extensions": {"cost": True}}).json()
    assert body["extensions"] == {"cost": {"estimated": 11, "calls": 3}}
    assert "extensions" not in post(api, {"query": query}).json()


def test_no_get(serve: Callable[..., Api], scripted: ScriptedCognito) -> None:
    """Queries by GET can be turned off, and nothing else with them."""
    api = serve(scripted.url, get_queries=False)
    for method in ("GET", "HEAD"):
        response = api.client.request(
            method, "/graphql", params={"query": TYPENAME}, headers=headers(api)
        )
        assert response.status_code == 405
        assert response.headers["allow"] == "OPTIONS, POST"
    assert code(api.client.get("/graphql", headers=headers(api))) == "METHOD_NOT_ALLOWED"
    assert api.client.options("/graphql").headers["allow"] == "OPTIONS, POST"
    assert post(api, {"query": TYPENAME}).json() == {"data": {"__typename": "Query"}}


def test_many_errors(api: Api) -> None:
    """A response has a hundred errors, and one that says how many more there are."""
    query = "query($r: [_Any!]!) { _entities(representations: $r) { __typename } }"
    for count, told in ((100, 100), (101, 101), (150, 101)):
        answer = api.send(query, {"r": [{"__typename": "User"}] * count})
        assert len(answer.errors) == told
        assert answer.codes[:100] == ["BAD_USER_INPUT"] * 100
        last = answer.errors[-1]
        if count > 100:
            assert last == {
                "message": f"Errors left out: {count - 100}.",
                "extensions": {"code": "TOO_MANY_ERRORS"},
            }


@pytest.mark.parametrize("accept", ["text/html, " * 100, RESPONSE_JSON + ";a=" + "b" * 40_000])
def test_long_accept(api: Api, accept: str) -> None:
    """An `Accept` header that is too long to look at is disregarded."""
    response = post(api, {"query": TYPENAME}, Accept=accept)
    assert response.status_code == 200
    assert response.headers["content-type"].startswith(JSON)


def test_long_content_type(api: Api) -> None:
    """A `Content-Type` that is too long to look at is none."""
    response = post(api, {"query": TYPENAME}, Content_Type=JSON + ";a=" + "b" * 40_000)
    assert response.status_code == 415


def test_what_is_remembered(api: Api) -> None:
    """The same headers are answered the same way, whatever was sent before."""
    body = {"query": TYPENAME}
    for _ in range(3):
        for accept, media_type in ((RESPONSE_JSON, RESPONSE_JSON), ("*/*", JSON)):
            refused = api.client.post("/graphql", json=body, headers={"Accept": accept})
            assert refused.status_code == 401
            assert refused.headers["content-type"].startswith(media_type)
            answer = post(api, body, Accept=accept)
            assert answer.headers["content-type"].startswith(media_type)
        assert post(api, body, Accept="text/html").status_code == 406


COP = {
    "alias overloading": "query cop {" + "".join(f" a{i}: __typename" for i in range(101)) + "}",
    "directive overloading": "query cop { __typename @aa@aa@aa@aa@aa@aa@aa@aa@aa@aa }",
    "field duplication": "query cop {" + " __typename" * 500 + "}",
    "field suggestions": "query cop { __schema { directive } }",
    "circular introspection": "query cop { __schema { types { fields { type { fields { type {"
    " fields { type { fields { type { name } } } } } } } } } }",
    "unhandled errors": "qwerty cop { abc }",
    "introspection": "query cop { __schema { types { name fields { name } } } }",
}  # fmt: skip
"""Requests of graphql-cop, which reports servers that answer them with data, ten errors, a
suggestion or an exception."""


@pytest.mark.parametrize("query", COP.values(), ids=COP.keys())
def test_graphql_cop(serve: Callable[..., Api], scripted: ScriptedCognito, query: str) -> None:
    """Under production settings graphql-cop finds nothing in the answers, with a token."""
    api = serve(scripted.url, introspection="off", get_queries=False)
    response = post(api, {"query": query, "operationName": "cop"})
    body = response.json()
    assert body.keys() == {"errors"}
    assert len(body["errors"]) == 1 or query.startswith("query cop { __schema")
    assert len(body["errors"]) < 10
    assert "did you mean" not in response.text.lower()
    assert body["errors"][0]["extensions"].keys() == {"code"}
