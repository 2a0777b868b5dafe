"""Searches for documents that take most CPU within the limits: `python -m bench.hostile`.

Each family of documents is generated from a few numbers. For every family the search starts with
random numbers, and keeps those changes that take more CPU. The CPU is measured in this process,
from the body of the request to that of the response, with a Cognito that rejects every call. The
same seed tries the same documents, as far as the measurements agree.
"""

import argparse
import asyncio
import gc
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from tempfile import NamedTemporaryFile
from typing import Any, NoReturn, Self, TypeAlias, cast

import orjson
from graphql import get_introspection_query

from graphql_admin.admin.attempts import Attempts
from graphql_admin.admin.authorization import Authorization
from graphql_admin.admin.described_pool import DescribedPool
from graphql_admin.admin.guards import takes_call
from graphql_admin.admin.prices import Prices
from graphql_admin.admin.schema import AdminSchema
from graphql_admin.audit.log import AuditLog
from graphql_admin.cognito.access import PoolReader, PoolWriter
from graphql_admin.engine.documents import Documents
from graphql_admin.engine.limits import MAX_NAME, MAX_OPERATIONS, Limits
from graphql_admin.errors import UpstreamFailed
from graphql_admin.policy.authority import Authority
from graphql_admin.policy.decisions import Decisions
from graphql_admin.policy.grants import Grants, Policy
from graphql_admin.policy.reservations import LocalReservations
from graphql_admin.settings import Settings
from graphql_admin.tokens.caller import Caller, TokenUse
from graphql_admin.tokens.verifier import TokenVerifier
from graphql_admin.web.executor import Executor
from graphql_admin.web.graphql import GraphQLEndpoint
from graphql_admin.web.in_flight import InFlight

BOUND = 100
"""Milliseconds of CPU that no request may take before Cognito is called."""

ROOMS: Mapping[str, int] = {
    "tokens": Settings.model_fields["max_tokens"].default,
    "length": Settings.model_fields["max_document"].default,
    "body": Settings.model_fields["max_body"].default,
    "spreads": Settings.model_fields["max_spreads"].default,
    "aliases": Settings.model_fields["max_aliases"].default,
    "directives": Settings.model_fields["max_directives"].default,
    "roots": Settings.model_fields["max_root_fields"].default,
    "depth": Settings.model_fields["max_depth"].default,
    "values": Settings.model_fields["max_values"].default,
    "references": Settings.model_fields["max_representations"].default,
    "operations": MAX_OPERATIONS,
    "name": MAX_NAME,
}
"""The default limits, which are the upper bounds of the numbers of a family."""


@dataclass(frozen=True)
class Request:
    """A GraphQL request."""

    query: str
    variables: dict[str, Any] = field(default_factory=dict)


Family: TypeAlias = Callable[..., Request]

FAMILIES: dict[str, tuple[Family, Sequence[str]]] = {}
"""A generator of documents, and the limits of its numbers."""


def family(*rooms: str) -> Callable[[Family], Family]:
    """Register a family.

    Args:
        rooms: Names in `ROOMS`, one for each number that the family takes.
    """

    def register(function: Family) -> Family:
        FAMILIES[function.__name__] = function, rooms
        return function

    return register


def many(count: int, text: str) -> str:
    """Return a string repeated, with `#` in it as the number of the repetition."""
    return " ".join(text.replace("#", str(number)) for number in range(count))


def padded(length: int, filling: str, query: str) -> str:
    """Return a query behind some filling, of about `length` characters together."""
    return filling * (max(0, length - len(query)) // len(filling)) + query


@family("length", "tokens")
def blanks(length: int, tokens: int) -> Request:
    """Newlines before errors."""
    return Request(padded(length, "\n", f"{{viewer{{{many(tokens - 6, 'a#')}}}}}"))


@family("length", "tokens")
def comments(length: int, comments: int) -> Request:
    """Comments of some length."""
    line = "#" + "x" * max(0, length // (comments + 1) - 2) + "\n"
    return Request(line * comments + "{viewer{sub}}")


@family("length", "tokens")
def strings(length: int, tokens: int) -> Request:
    """A long literal of escapes, next to a list."""
    escapes = "\\n" * ((length - 2 * tokens) // 2)
    return Request(f'{{node(id:["{escapes}" {many(tokens - 20, "1")}]){{id}}}}')


@family("length", "tokens")
def block_strings(length: int, tokens: int) -> Request:
    """A long literal of lines, next to a list."""
    lines = "\n" * (length - 2 * tokens)
    return Request(f'{{node(id:["""a{lines}b""" {many(tokens - 20, "1")}]){{id}}}}')


@family("length", "tokens")
def many_strings(length: int, tokens: int) -> Request:
    """Many literals of some length."""
    each = "\\u00e4" * (max(0, length - 50) // tokens // 6)
    return Request(f"{{node(id:[{many(tokens - 20, chr(34) + each + chr(34))}]){{id}}}}")


@family("name", "tokens")
def names(name: int, tokens: int) -> Request:
    """Unknown fields of long names."""
    return Request(f"{{viewer{{{many(tokens - 6, 'a' * (name - 5) + '_#')}}}}}")


@family("tokens")
def lists(tokens: int) -> Request:
    """A list literal where there may be none."""
    return Request(f"{{users(first:[{many(tokens - 20, '1')}]){{nodes{{sub}}}}}}")


@family("tokens", "tokens")
def nested_literals(depth: int, items: int) -> Request:
    """Lists in objects in lists."""
    depth = min(depth, 60)
    value = "[{a:" * depth + f"[{many(min(items, 1900 - 7 * depth), '1')}]" + "}]" * depth
    return Request(f"{{_entities(representations:{value}){{__typename}}}}")


@family("tokens")
def objects(tokens: int) -> Request:
    """An input object of unknown fields."""
    return Request(f"{{user(by:{{{many(tokens // 3 - 10, 'a#:1')}}}){{sub}}}}")


@family("tokens", "roots")
def wrong_objects(tokens: int, roots: int) -> Request:
    """Input objects with all keys wrong, under several root fields."""
    fields = many(max(1, tokens // 3 // roots - 8), "a#:1")
    return Request("{" + many(roots, f"a#:user(by:{{{fields}}}){{sub}}") + "}")


@family("tokens")
def arguments(tokens: int) -> Request:
    """One argument again and again."""
    return Request(f"{{users({many(tokens // 3 - 10, 'first:1')}){{nodes{{sub}}}}}}")


@family("tokens", "directives")
def unknown_arguments(tokens: int, directives: int) -> Request:
    """Unknown arguments of directives."""
    each = f"@skip({many(max(1, tokens // 3 // directives - 3), 'a#:1')})"
    return Request(f"{{__typename {many(directives, each)}}}")


@family("tokens", "operations")
def variables(tokens: int, operations: int) -> Request:
    """Unused variables, in several operations."""
    each = many(max(1, tokens // 4 // operations - 2), "$a#:UserFilter")
    return Request(many(operations, f"query Q#({each}){{viewer{{sub}}}}".replace("$a#", "$a")))


@family("operations", "directives", "aliases")
def shared_variables(operations: int, used: int, fields: int) -> Request:
    """Variables that many operations use through one fragment."""
    used = min(used, 600 // operations)
    given = " ".join(f"$a{number}:Boolean!" for number in range(used))
    each = " ".join(
        f"b{number}:sub" + (f"@skip(if:$a{number})" if number < used else "")
        for number in range(fields)
    )
    queries = " ".join(
        f"query Q{number}({given}){{viewer{{...F}}}}" for number in range(operations)
    )
    return Request(f"{queries} fragment F on Viewer{{{each}}}")


@family("operations", "tokens")
def shared_lists(operations: int, tokens: int) -> Request:
    """A fragment with many usages of a variable, in many operations."""
    used = max(1, (tokens - 20 * operations) // 2)
    queries = many(operations, "query Q#($a:_Any!){...F}")
    return Request(
        f"{queries} fragment F on Query"
        f"{{_entities(representations:[{many(used, '$a')}]){{__typename}}}}"
    )


@family("spreads", "operations")
def flat_spreads(spreads: int, operations: int) -> Request:
    """Fragments side by side, each compared with every other."""
    each = max(1, spreads // operations)
    queries = " ".join(f"query Q{n}{{{many(each, '...F#')}}}" for n in range(operations))
    return Request(queries + many(each, "fragment F# on Query{viewer{sub}}"))


@family("spreads", "aliases")
def fragments_of_aliases(spreads: int, aliases: int) -> Request:
    """Fragments side by side with fields below that differ."""
    each = max(1, aliases // spreads)
    fragments = " ".join(
        f"fragment F{n} on Query{{viewer{{{' '.join(f'a{n}_{m}:sub' for m in range(each))}}}}}"
        for n in range(spreads)
    )
    return Request("{" + many(spreads, "...F#") + "}" + fragments)


@family("spreads", "depth")
def chained_fragments(spreads: int, width: int) -> Request:
    """Fragments of which each spreads some that follow."""
    count = max(2, spreads // width)
    fragments = " ".join(
        f"fragment F{n} on Query{{"
        + " ".join(f"...F{m}" for m in range(n + 1, min(count, n + 1 + width)))
        + " __typename}"
        for n in range(count)
    )
    return Request("{__typename}" + fragments)


@family("spreads")
def circular_fragments(spreads: int) -> Request:
    """Fragments that spread each other."""
    count = max(2, int(spreads**0.5))
    each = many(count, "...F#")
    return Request("{...F0}" + " ".join(f"fragment F{n} on Query{{{each}}}" for n in range(count)))


@family("aliases", "depth")
def repetitions(fields: int, depth: int) -> Request:
    """Fields again and again, with selections that have to be compared."""
    depth = min(depth, 8)
    inner = "nodes{groups{nodes{users{nodes{sub}}}}}"
    return Request("{users{" + many(max(1, fields // depth), inner) + "}}")


@family("aliases", "tokens")
def unused_fragments(fields: int, definitions: int) -> Request:
    """Fragments of repeated fields that no operation spreads."""
    fields = max(2, min(fields, 1900 // definitions - 6))
    return Request(
        "{__typename}" + many(definitions, f"fragment F# on Viewer{{{many(fields, 'sub')}}}")
    )


@family("tokens")
def inline_fragments(tokens: int) -> Request:
    """Inline fragments within each other."""
    depth = min(180, tokens // 3)
    return Request("{" + "...{" * depth + "__typename" + "}" * depth + "}")


@family("tokens")
def wide_inline_fragments(tokens: int) -> Request:
    """Inline fragments side by side."""
    return Request("{viewer{" + many(tokens // 7 - 4, "...on Viewer{a#:sub}") + "}}")


@family("aliases", "roots")
def arguments_to_compare(fields: int, roots: int) -> Request:
    """The same field with the same long argument, again and again."""
    filters = "filter:{email:{startsWith:$a}}"
    count = max(1, min(fields, roots))
    return Request(
        "query($a:String!){" + many(count, f"users({filters}){{nodes{{sub}}}}") + "}", {"a": "a"}
    )


@family("depth", "spreads")
def branches(depth: int, spreads: int) -> Request:
    """A query that branches at every level."""
    levels = max(1, min(depth // 3, spreads // 2))
    fragments = "".join(
        f"fragment F{n} on User{{groups{{nodes{{users{{nodes{{...F{n + 1}}}}}}}"
        f" edges{{node{{users{{nodes{{...F{n + 1}}}}}}}}}}}}}"
        for n in range(levels)
    )
    return Request(f"{{users{{nodes{{...F0}}}}}}{fragments}fragment F{levels} on User{{sub}}")


@family("aliases", "depth")
def introspection(fields: int, depth: int) -> Request:
    """The schema, with types of types."""
    of_type = "ofType{kind name description " * min(depth, 12) + "}" * min(depth, 12)
    each = f"type{{kind name description {of_type}}}"
    named = many(max(0, fields - 50), "description")
    return Request(
        f"{{__schema{{types{{kind name description {named} fields(includeDeprecated:true){{"
        f"name description args{{name description defaultValue {each}}} {each}}}"
        f" inputFields{{name {each}}} enumValues{{name description}} possibleTypes{{name}}}}}}}}"
    )


@family("aliases")
def whole_introspection(_: int) -> Request:
    """What GraphiQL asks for."""
    return Request(
        get_introspection_query(
            descriptions=True,
            specified_by_url=True,
            directive_is_repeatable=True,
            schema_description=True,
            input_value_deprecation=True,
        )
    )


@family("references", "roots", "aliases")
def references(count: int, roots: int, fields: int) -> Request:
    """One object again and again."""
    each = max(1, count // roots)
    selected = many(max(1, fields // roots), "a#:username")
    entities = f"a#:_entities(representations:$r){{...on User{{{selected}}}}}"
    query = " ".join(entities.replace("a#:_", f"e{n}:_") for n in range(roots))
    reference = {"__typename": "User", "username": "a"}
    return Request(f"query($r:[_Any!]!){{{query}}}".replace("a#", "a"), {"r": [reference] * each})


@family("references", "values")
def bad_references(count: int, values: int) -> Request:
    """Invalid references."""
    items = [{"__typename": "Nothing", "k": values}] * count
    return Request("query($r:[_Any!]!){_entities(representations:$r){__typename}}", {"r": items})


@family("values")
def given_variables(values: int) -> Request:
    """Variables of an input object with unknown fields."""
    return Request(
        "query($b:UserBy!){user(by:$b){sub}}",
        {"b": {f"k{number}": number for number in range(values - 2)}},
    )


@family("directives", "aliases")
def conditions(variables: int, fields: int) -> Request:
    """Fields on conditions."""
    given = many(variables, "$a#:Boolean!")
    each = " ".join(
        f"b{n}:sub" + (f"@skip(if:$a{n})" if n < variables else "")
        for n in range(max(fields, variables))
    )
    values = {f"a{n}": bool(n % 2) for n in range(variables)}
    return Request(f"query({given}){{viewer{{{each}}}}}", values)


class Server:
    """The endpoint in this process, under default settings, for a caller who may do everything."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._events = NamedTemporaryFile()  # noqa: SIM115  # removed with this server
        schema = AdminSchema()
        documents = Documents(
            schema.graphql_schema,
            takes_call,
            introspection=True,
            max_tokens=ROOMS["tokens"],
            max_calls=Settings.model_fields["max_calls"].default,
            limits=Limits(
                depth=ROOMS["depth"],
                aliases=ROOMS["aliases"],
                directives=ROOMS["directives"],
                root_fields=ROOMS["roots"],
            ),
        )
        grants = Grants(Policy.of_administrators({"Admins"}))
        decisions = Decisions(grants)
        reader = PoolReader("eu-west-1_AbCdEf123", _refuse_call)
        executor = Executor(
            schema,
            cast("TokenVerifier", _Verifier()),
            grants,
            decisions,
            Prices(decisions, standing=2, each_time=False),
            reader=reader,
            gate=Attempts(
                PoolWriter(_refuse_call),
                AuditLog(Path(self._events.name)),
                Authorization(
                    grants,
                    decisions,
                    Authority(clock=self._loop.time),
                    LocalReservations(self._loop.time),
                    reader,
                    self._loop.time,
                ),
                DescribedPool(reader),
            ),
            max_calls=Settings.model_fields["max_calls"].default,
            in_flight=InFlight(Settings.model_fields["max_concurrency"].default),
        )
        self._endpoint = GraphQLEndpoint(
            executor=executor,
            documents=documents,
            deadline=60,
            max_body=ROOMS["body"],
            anonymous=False,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.close()

    def answer(self, request: Request) -> tuple[int, bytes]:
        """Return the status and the body of the answer."""
        return self._loop.run_until_complete(self._answer(request))

    async def _answer(self, request: Request) -> tuple[int, bytes]:
        content = orjson.dumps({"query": request.query, "variables": request.variables})
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": content, "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        headers = [
            (b"authorization", b"Bearer x"),
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(content)),
        ]
        scope = {"type": "http", "method": "POST", "path": "/graphql", "headers": headers}
        await self._endpoint(scope, cast("Any", receive), send)
        return sent[0]["status"], sent[1]["body"]


class _Verifier:
    """Knows every user."""

    def recall(self, _: str) -> Caller:
        groups = frozenset({"Admins"})
        return Caller(
            username="mallory", sub="m", groups=groups, token_use=TokenUse.ACCESS, expires_at=2**40
        )


async def _refuse_call(*_: object, **__: object) -> NoReturn:
    raise UpstreamFailed


@dataclass(frozen=True)
class Finding:
    """The worst document of a family."""

    family: str
    numbers: tuple[int, ...]
    milliseconds: float
    request: Request
    outcome: str


class Search:
    """Searches for documents that take long.

    Args:
        server: Answers them.
        seed: The seed of the random numbers.
    """

    def __init__(self, server: Server, seed: int) -> None:
        self._random = Random(seed)  # noqa: S311  # nothing depends on its being secret
        self._server = server
        self._tries = 0

    def worst_of(self, name: str, steps: int) -> Finding:
        """Return the worst document of a family after some steps."""
        _, rooms = FAMILIES[name]
        largest = [ROOMS[room] for room in rooms]
        best = self._measure(name, tuple(largest))
        for step in range(steps):
            if step % 2:
                numbers = tuple(self._random.randint(1, most) for most in largest)
            else:
                numbers = tuple(
                    min(most, max(1, int(number * self._random.uniform(0.7, 1.3))))
                    for number, most in zip(best.numbers, largest, strict=True)
                )
            best = max(best, self._measure(name, numbers), key=lambda each: each.milliseconds)
        return best

    def _measure(self, name: str, numbers: tuple[int, ...]) -> Finding:
        request = FAMILIES[name][0](*numbers)
        milliseconds = []
        body = b""
        for _ in range(2):
            # Another document each time, or it would be found in the cache.
            self._tries += 1
            another = Request(f"{request.query}#{self._tries}", request.variables)
            gc.collect()
            started = time.process_time()
            _, body = self._server.answer(another)
            milliseconds.append((time.process_time() - started) * 1000)
        errors = orjson.loads(body).get("errors")
        outcome = errors[0]["extensions"]["code"] if errors else "data"
        return Finding(name, numbers, min(milliseconds), request, outcome)


def main() -> int:
    """Search every family, print the worst of each, and return 1 if one exceeds the bound."""
    parser = argparse.ArgumentParser(prog="python -m bench.hostile", description=__doc__)
    parser.add_argument("--steps", type=int, default=40, help="documents to try of each family")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--show", action="store_true", help="print the worst document, too")
    arguments = parser.parse_args()
    with Server() as server:
        search = Search(server, arguments.seed)
        findings = [search.worst_of(name, arguments.steps) for name in FAMILIES]
    findings.sort(key=lambda each: -each.milliseconds)
    print("| family | numbers | ms of CPU | answer |")
    print("| --- | --- | ---: | --- |")
    for each in findings:
        numbers = ", ".join(map(str, each.numbers))
        print(f"| {each.family} | {numbers} | {each.milliseconds:.1f} | {each.outcome} |")
    if arguments.show:
        print(findings[0].request.query)
    return int(findings[0].milliseconds > BOUND)


if __name__ == "__main__":
    sys.exit(main())
