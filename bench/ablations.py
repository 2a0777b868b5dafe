"""The fast paths of the server, and the ordinary code that would replace each.

A row of the table is a name and a function that patches the ordinary code in. With it, `python -m
bench --ablate` measures what every fast path saves.
"""

import gc
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from starlette.datastructures import Headers
from starlette.requests import Request

from bench.seams import Seams
from graphql_admin.engine.fields import definition_of
from graphql_admin.policy.sight import ALL, Sight

Apply = Callable[[Seams], None]


@dataclass(frozen=True)
class Ablation:
    """A fast path that can be removed.

    Args:
        name: For the command line.
        title: A description.
        instead: What replaces it.
        apply: Removes it.
    """

    name: str
    title: str
    instead: str
    apply: Apply


ABLATIONS: dict[str, Ablation] = {}
"""The table, by name."""


def ablation(name: str, title: str, instead: str) -> Callable[[Apply], Apply]:
    """Decorator that adds a function to the table; see `Ablation`."""

    def add(apply: Apply) -> Apply:
        ABLATIONS[name] = Ablation(name, title, instead, apply)
        return apply

    return add


def _uncached(function: Any) -> Any:
    return function.__wrapped__


# GraphQL


@ablation("plans", "compiled plans", "graphql-core executes every operation")
def _plans(seams: Seams) -> None:
    seams.replace("engine.plans:compile_operation", lambda _: lambda *_: None)


@ablation("columns", "objects completed column by column", "one object after the other")
def _columns(seams: Seams) -> None:
    def make(compile_objects: Any) -> Any:
        def compile_rows(*args: Any) -> Any:
            complete = compile_objects(*args)
            return lambda objects, pending: [complete([each], pending)[0] for each in objects]

        return compile_rows

    seams.replace("engine.completion:compile_objects", make)


@ablation("single", "a way of its own for a single object", "a column of one")
def _single(seams: Seams) -> None:
    def make(column: Any) -> Any:
        def as_column(of_many: Any, _: Any) -> Any:
            return column(of_many, lambda object_, pending: of_many([object_], pending)[0])

        return as_column

    seams.replace("engine.completion:Column", make)


@ablation("held", "what objects hold read without a call for each", "a call for each value")
def _held(seams: Seams) -> None:
    def make(reader_of: Any) -> Any:
        def read_each(field: Any) -> Any:
            reader = reader_of(field)
            if reader is None:
                return None
            read = definition_of(field).base_resolver
            of_one = reader.of_one if read is None else read.wrapped_func
            return reader._replace(of_many=lambda objects: list(map(of_one, objects)))

        return read_each

    seams.replace("engine.fields:reader_of", make)


@ablation("displays", "dictionary displays compiled with `eval`", "`dict(zip(…))`")
def _displays(seams: Seams) -> None:
    def make(_: Any) -> Any:
        def dicts(_: int) -> Any:
            def of_keys(*keys: str) -> Callable[[Iterable[Iterable[Any]]], list[dict[str, Any]]]:
                return lambda rows: [dict(zip(keys, row, strict=True)) for row in rows]

            return of_keys

        return dicts

    seams.replace("engine.completion:_dicts", make)


@ablation("documents", "the cache of documents", "parsed, validated and planned each time")
def _documents(seams: Seams) -> None:
    def load(self: Any, text: str, *, keep: bool = True) -> Any:  # noqa: ARG001  # it keeps nothing
        return self._load(text)

    seams.replace("engine.documents:Documents.load", lambda _: load)


@ablation("cursors", "one head for all cursors of a page", "each cursor made whole")
def _cursors(seams: Seams) -> None:
    def make(encode_run: Any) -> Any:
        def encode_each(self: Any, token: str | None, limit: int, skips: range) -> Sequence[str]:
            cursors: list[str] = []
            for skip in skips:
                self._starts.clear()
                cursors += encode_run(self, token, limit, range(skip, skip + 1))
            return cursors

        return encode_each

    seams.replace("admin.cursors:CursorCodec.encode_run", make)
    seams.replace("admin.cursors:_tail", _uncached)


# Callers and their rights


@ablation("tokens", "the cache of verified tokens", "each verified each time")
def _tokens(seams: Seams) -> None:
    seams.replace("tokens.verifier:_RememberedCallers.find", lambda _: lambda *_: None)


@ablation("recall", "a look for the token before anything else", "a timer and a pattern first")
def _recall(seams: Seams) -> None:
    seams.replace("tokens.verifier:TokenVerifier.recall", lambda _: lambda *_: None)


@ablation("policy", "the cache of what groups give", "the union made each time")
def _policy(seams: Seams) -> None:
    def make(original: Any) -> Any:
        def init(self: Any, *arguments: Any, **named: Any) -> None:
            original(self, *arguments, **named)
            self.of_user, self.of_machine = self._of_user, self._of_machine

        return init

    seams.replace("policy.grants:Grants.__init__", make)


@ablation(
    "sight",
    "users shown as they were read to who sees everything",
    "attributes picked for each caller, and one masked",
)
def _sight(seams: Seams) -> None:
    # One that no operation asks for: the answers stay as they are.
    sight = Sight(frozenset({ALL}), frozenset({"locale"}))

    def make(original: Any) -> Any:
        return lambda *given: replace(original(*given), sight=sight)

    seams.replace("policy.grants:Grants._rights", make)


# Cognito


@ablation("wire", "the transport for small calls", "aiohttp")
def _wire(seams: Seams) -> None:
    from graphql_admin.cognito.transport import AiohttpTransport  # noqa: PLC0415  # found when it runs

    seams.replace("cognito.wire:WireTransport", lambda _: AiohttpTransport)


class _BotocoreSigner:
    """Signs as botocore does; see `graphql_admin.cognito.signing.Signer`."""

    def __init__(
        self,
        access_key: str,
        secret_key: str,
        token: str | None,
        *,
        service: str,
        region: str,
        url: str,
    ) -> None:
        self._auth = SigV4Auth(Credentials(access_key, secret_key, token), service, region)
        self._url = url

    def sign(self, headers: Mapping[str, str], body: bytes) -> dict[str, str]:
        request = AWSRequest("POST", self._url, headers=dict(headers), data=body)
        self._auth.add_auth(request)
        return {**request.headers, "Host": urlsplit(self._url).netloc}


@ablation("signer", "signatures for one service", "botocore's")
def _signer(seams: Seams) -> None:
    seams.replace("cognito.signing:Signer", lambda _: _BotocoreSigner)


@ablation("signing-key", "the day's signing key, kept", "derived for each call")
def _signing_key(seams: Seams) -> None:
    def make(key_of: Any) -> Any:
        def derive(self: Any, day: str) -> Any:
            self._day = ""
            return key_of(self, day)

        return derive

    seams.replace("cognito.signing:Signer._key_of", make)


# HTTP


@ablation("shortcut", "the endpoint found before the router", "Starlette's router")
def _shortcut(seams: Seams) -> None:
    async def route(self: Any, scope: Any, receive: Any, send: Any) -> None:
        await self._app(scope, receive, send)

    seams.replace("web.graphql:Shortcut.__call__", lambda _: route)


@ablation("incoming", "headers and body read as they are in the scope", "Starlette's `Request`")
def _incoming(seams: Seams) -> None:
    def make(incoming: Any) -> Any:
        class Ordinary(incoming):  # type: ignore[misc]  # found when it runs
            def header(self, name: bytes) -> str | None:
                return Headers(scope=self.scope).get(name.decode())

            def headers(self, name: bytes) -> tuple[str, ...]:
                return tuple(Headers(scope=self.scope).getlist(name.decode()))

            async def _receive_body(self, _: int) -> bytearray:
                return bytearray(await Request(self.scope, self._receive).body())

        return Ordinary

    seams.replace("web.incoming:Incoming", make)


@ablation("header-caches", "the cache of `Accept` as read", "read each time")
def _header_caches(seams: Seams) -> None:
    seams.replace("web.graphql:GraphQLEndpoint._remember", lambda _: lambda *_: None)


@ablation("whole-bodies", "a body that is here read without a timer", "a timer for each")
def _whole_bodies(seams: Seams) -> None:
    def make(run: Any) -> Any:
        def run_without(self: Any, exchange: Any) -> Any:
            exchange.scope["extensions"] = {}
            return run(self, exchange)

        return run_without

    seams.replace("serving.protocol:Protocol._run", make)


@ablation("turnstile", "three requests started in a turn of the loop", "all at once")
def _turnstile(seams: Seams) -> None:
    def make(create: Any) -> Any:
        def create_all(self: Any) -> None:
            self._left = sys.maxsize
            create(self)

        return create_all

    seams.replace("serving.turns:Starts._create_tasks", make)


@ablation("gathering", "head and body of a response sent together", "one after the other")
def _gathering(seams: Seams) -> None:
    def make(_: Any) -> Any:
        def write(self: Any, pieces: Sequence[bytes], *, at_once: bool) -> None:  # noqa: ARG001
            for piece in pieces:
                self._transport.write(piece)

        return write

    seams.replace("serving.outgoing:Outgoing.write", make)


# The process, its log and its metrics


@ablation("freeze", "the collector kept from what start-up made", "Python's defaults")
def _freeze(seams: Seams) -> None:
    seams.replace(
        "serving.server:gc",
        lambda _: SimpleNamespace(
            collect=gc.collect, freeze=lambda: None, set_threshold=lambda *_: None
        ),
    )


@ablation("clock", "the second of a timestamp kept", "formatted for each line")
def _clock(seams: Seams) -> None:
    seams.replace("telemetry.clock:_stamp", _uncached)


@ablation("signing-clock", "the second of a signature kept", "formatted for each call")
def _signing_clock(seams: Seams) -> None:
    seams.replace("cognito.signing:_stamp", _uncached)


@ablation("metrics", "the labels of metrics kept", "looked up for each count")
def _metrics(seams: Seams) -> None:
    for labelled in ("_labelled_requests", "_labelled_seconds", "_labelled_calls"):
        seams.replace(f"telemetry.metrics:{labelled}", _uncached)
