"""Every limit, and what it protects: the rows of `docs/limits.md`.

A value is never written here. `{serving.MAX_HEAD:bytes}` is the constant `MAX_HEAD` of a module in
the room `serving`, `{cognito.UserPool.connections}` the default of a parameter, and
`{settings.max_pending:bytes}` a setting with its default. A constant called `MAX_…` that has no
row, and is not in `NOT_LIMITS`, fails `make check`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from docs.values import GraphQLCore, Room, SettingsRoom, definitions_of
from graphql_admin.settings import Settings

ROOMS = ("admin", "audit", "cognito", "engine", "policy", "serving", "telemetry", "tokens", "web")


@dataclass(frozen=True, slots=True)
class Limit:
    """A row. Each text may hold values in braces."""

    what: str
    value: str
    beyond: str
    protects: str

    @property
    def texts(self) -> tuple[str, str, str, str]:
        """The cells of the row, as they are written here."""
        return (self.what, self.value, self.beyond, self.protects)


LISTS = (
    Limit(
        "Items of a page",
        "1 to {admin.MAX_FIRST}, {admin.DEFAULT_FIRST} by default",
        "`BAD_USER_INPUT`",
        "Cognito's own bound of a page",
    ),
    Limit(
        "Calls to fill up one page where Cognito's pages are short, beyond those that its items "
        "need",
        "{admin.SPARE_CALLS}",
        "a short page with an `endCursor`",
        "Cognito's quotas",
    ),
    Limit(
        "Name of a user or group",
        "{admin.MAX_LENGTH} characters",
        "`BAD_USER_INPUT`; in a payload `INVALID_VALUE`",
        "Cognito's own bound",
    ),
    Limit(
        "Password",
        "{admin.MAX_PASSWORD} characters",
        "`INVALID_VALUE` in the payload",
        "Cognito's own bound",
    ),
    Limit(
        "Description of a group",
        "{admin.MAX_DESCRIPTION} characters",
        "`INVALID_VALUE` in the payload",
        "Cognito's own bound",
    ),
    Limit(
        "Attributes in the list of an input; name and value of each",
        "{admin.MAX_ATTRIBUTES}; {admin.MAX_ATTRIBUTE_NAME} characters; "
        "{admin.MAX_ATTRIBUTE_VALUE} bytes",
        "`INVALID_VALUE` in the payload",
        "Cognito's own bounds",
    ),
    Limit(
        "Key of a device, id of a sign-in event, name of an identity provider",
        "{admin.MAX_DEVICE_KEY}, {admin.MAX_EVENT_ID} and {admin.MAX_PROVIDER} characters",
        "`INVALID_VALUE` in the payload",
        "Cognito's own bounds",
    ),
    Limit(
        "Value of a filter",
        "{admin.MAX_FILTER_LENGTH} characters",
        "`BAD_USER_INPUT`",
        "Cognito's own bound",
    ),
)

CONNECTIONS = (
    Limit(
        "Headers of a request, request line included",
        "{serving.MAX_HEAD:bytes}, {serving.MAX_FIELDS} header fields",
        "431 or 414, closed",
        "memory",
    ),
    Limit(
        "Time for the headers, from their first byte, or for the first ones from the connection on",
        "{serving.HEAD_TIME:s}",
        "408, closed; without a byte, closed",
        "connections",
    ),
    Limit("Idle between requests", "{settings.keep_alive:s}", "closed", "connections"),
    Limit(
        "Digits of `Content-Length`",
        "{serving.MAX_LENGTH_DIGITS}",
        "413, closed",
        "time",
    ),
    Limit(
        "Body of a request, or its query string",
        "{settings.max_body:bytes}",
        "`PAYLOAD_TOO_LARGE` or `URI_TOO_LONG`",
        "memory",
    ),
    Limit(
        "Lines between the chunks of a body",
        "{serving.MAX_LINE:bytes} each; {serving.MAX_FRAMING:bytes} together, and a byte for "
        "every eight of content",
        "400, closed",
        "time",
    ),
    Limit(
        "Rest of a body that is not read",
        "{serving.MAX_DISCARD:bytes}, {serving.HEAD_TIME:s}",
        "closed",
        "time",
    ),
    Limit(
        "Time to take a response, or as much of it as gives the same time again",
        "{serving.WRITE_TIME:s}; {serving.MIN_TAKEN:bytes}",
        "reset",
        "memory",
    ),
    Limit(
        "Bytes of incomplete requests and of responses that clients do not take, over all "
        "connections",
        "{settings.max_pending:bytes}",
        "of the address that has most, and there of the caller that has most, the largest ends: "
        "503, or a reset",
        "memory",
    ),
    Limit(
        "Connections, where one is idle",
        "{settings.max_connections}, and three quarters of the file descriptors; at least "
        "{serving.RESERVE} descriptors are kept",
        "the longest idle is closed, of the address that has most connections if it has an idle "
        "one",
        "file descriptors",
    ),
    Limit(
        "Connections, where none is idle",
        "the same",
        "the oldest is closed, of the address that has most connections, but none whose request is "
        "being executed; or the new one, if its address has as many",
        "file descriptors",
    ),
    Limit(
        "Time that a request may take",
        "{settings.deadline:s}",
        "`TIMEOUT`, or `REQUEST_TIMEOUT` while it arrives",
        "slots, and clients from waiting",
    ),
    Limit(
        "Body that the application has not asked for yet",
        "{serving.HIGH_WATER:bytes}",
        "no more is read",
        "memory",
    ),
    Limit(
        "Requests sent before the response",
        "what one read brings",
        "no more is read",
        "memory",
    ),
    Limit(
        "Connections to the port of the metrics; time of each for its client to send or read "
        "something",
        "{telemetry.MAX_SCRAPES}, {telemetry.SCRAPE_TIME:s}",
        "the oldest is closed; closed",
        "File descriptors and threads. One request is answered on each.",
    ),
    Limit(
        "Read from a connection in one turn of the event loop",
        "{serving.SMALL_READ:bytes}; from {serving.READS_PER_TURN} of those that sent more, "
        "{serving.LARGE_READ:bytes}",
        "wait for a later turn, addresses taking turns, and in one its callers",
        "latency, of probes and of all callers",
    ),
    Limit(
        "Connections whose next headers are looked at in one turn",
        "{serving.HEADS_PER_TURN}",
        "wait for a later turn, addresses taking turns",
        "latency",
    ),
    Limit(
        "Requests started in one turn",
        "{serving.BEGUN_PER_TURN}, and only one once the turn has taken {serving.TURN_TIME:s}",
        "wait for a later turn, addresses taking turns, and in one its callers",
        "Latency. What a request does until it first waits for something, such as validation, is "
        "not interrupted.",
    ),
    Limit(
        "Requests for `/healthz` and `/readyz` started in one turn, beside the others and before "
        "them",
        "{serving.PROBES_PER_TURN}",
        "wait for a later turn, addresses taking turns, and in one its callers",
        "latency",
    ),
)

CALLERS = (
    Limit(
        "Requests in flight that call Cognito, shared between callers",
        "{settings.max_concurrency}",
        "`OVERLOADED`",
        "Memory, and all callers from one with many requests. A request takes its slot once it "
        "has arrived, before its first call, and gives it back before the response is sent.",
    ),
    Limit(
        "Estimated size of the documents and variables of those requests, shared between callers",
        "{web.MAX_BYTES:bytes}",
        "`OVERLOADED`",
        "Memory. A request takes more of it than its body has bytes; a document that several have "
        "counts once.",
    ),
    Limit(
        "Bytes of Cognito's replies that those requests use, shared between callers, each as often "
        "as a response may repeat it",
        "{web.MAX_REPLY_BYTES:bytes}",
        "`OVERLOADED`",
        "memory",
    ),
    Limit(
        "Requests that take no call to Cognito",
        "no limit",
        "–",
        "`viewer` and errors, for example, wait for nothing: each is answered at once, before the "
        "next starts.",
    ),
    Limit(
        "Connections to Cognito, shared between callers",
        "{cognito.UserPool.connections}",
        "calls wait",
        "File descriptors, and all callers from one whose calls are slow.",
    ),
    Limit(
        "Each quota of Cognito, in calls per second; of the calls in flight, at most as many as "
        "one second admits",
        "`QUOTAS` × {settings.quota_share}",
        "calls wait",
        "The account's quotas, and all callers from one whose calls are slow.",
    ),
    Limit(
        "Pause after Cognito throttled a call: for calls about that user, or for the whole "
        "category where calls about two users are throttled within a second",
        "{cognito.FIRST_PAUSE:s} to {cognito.LONGEST_PAUSE:s}",
        "calls wait",
        "All callers from one user who is called about too often.",
    ),
    Limit(
        "Attempts of one call, retries included, except of those that Cognito throttled; time for "
        "each",
        "{cognito.ATTEMPTS}, {cognito.UserPool.attempt_timeout:s}",
        "`UPSTREAM_ERROR` or `TIMEOUT`",
        "Cognito, and the deadline",
    ),
    Limit(
        "Reply from Cognito",
        "{cognito.MAX_REPLY_BYTES:bytes}, and {cognito.MAX_FRAMING_BYTES:bytes} of headers "
        "and framing",
        "`UPSTREAM_ERROR`",
        "memory",
    ),
    Limit(
        "Length of a token",
        "{tokens.MAX_TOKEN_LENGTH:bytes}",
        "`UNAUTHENTICATED`",
        "memory and time",
    ),
    Limit(
        "Lifetime of a token, which Cognito never exceeds",
        "{tokens.MAX_LIFETIME:s}",
        "`UNAUTHENTICATED`",
        "users, from forged tokens",
    ),
    Limit(
        "Requests that wait for the pool's first keys",
        "{tokens.MAX_WAITING}",
        "`UPSTREAM_ERROR`, 503",
        "Memory, and the server from forged tokens while the keys' endpoint hangs.",
    ),
    Limit(
        "Pages of one user's groups that a decision reads",
        "{policy.MAX_PAGES}",
        "the write is refused",
        "Cognito's quotas",
    ),
    Limit(
        "Changes of one caller's own rights at once, and refused tries to take those of a user who "
        "changes their own, for {policy.KEPT_FOR_ANOTHER_TRY:s} each",
        "{policy.MAX_PER_CALLER}",
        "`CONFLICT`",
        "memory",
    ),
    Limit(
        "Time from a decision on a change until nothing keeps it from being sent",
        "{admin.MAX_WAIT:s}",
        "it is decided on again",
        "Users, from changes that their callers may no longer make.",
    ),
    Limit(
        "Audit events that wait in memory for the sink to work again",
        "{audit.MAX_WAITING:bytes}",
        "`AUDIT_UNAVAILABLE`",
        "memory",
    ),
    Limit(
        "Space on the disk of `AUDIT_FILE` without which no change is made",
        "{audit.MIN_ROOM:bytes}",
        "`AUDIT_UNAVAILABLE`",
        "events, from being cut off",
    ),
    Limit(
        "Part of the time left to a request in which a call may wait for its turn",
        "{cognito.WAITING_SHARE:%}",
        "`THROTTLED` at once",
        "Requests, from a wait that cannot end well.",
    ),
    Limit(
        "Quotas of single users that are remembered",
        "{cognito.MAX_USER_BUCKETS}, and those of users who are called about",
        "idle ones are dropped",
        "memory",
    ),
    Limit(
        "Names known to be another spelling of a `Username`, so that calls by each count as about "
        "one user",
        "{cognito.MAX_NAMES}",
        "the least recently used is dropped",
        "memory",
    ),
    Limit(
        "Verified callers that are remembered",
        "{tokens.MAX_REMEMBERED_SIZE:bytes}",
        "the least recently used is dropped",
        "memory",
    ),
    Limit(
        "Fetches of the pool's keys",
        "one in {tokens.FETCH_INTERVAL:s}, and one every {tokens.MAX_KEY_AGE:s}; "
        "{tokens.MAX_KEYS_SIZE:bytes}",
        "the keys that are known stay",
        "that endpoint",
    ),
    Limit(
        "Callers whose authority is remembered",
        "{policy.MAX_KEPT}, {policy.MAX_AGE:s} each",
        "the oldest is dropped",
        "memory",
    ),
    Limit(
        "Symbolic links that the path of `AUDIT_FILE` may lead through",
        "{audit.MAX_LINKS}",
        "the server does not start",
        "the start, from a circle",
    ),
    Limit(
        "Name of a user or group in an audit event; of an operation in the log",
        "{audit.MAX_NAME_LENGTH} characters; {web.MAX_NAME_LENGTH} characters",
        "cut off",
        "disks",
    ),
)

REQUESTS = (
    Limit(
        "Characters of a document", "{settings.max_document}", "`QUERY_TOO_COMPLEX`", "the lexer"
    ),
    Limit(
        "Lexical tokens of a document",
        "{settings.max_tokens}; {web.MAX_TOKENS} for the documents behind Admin Queries' routes",
        "`QUERY_TOO_COMPLEX`",
        "the parser",
    ),
    Limit("Depth of fields", "{settings.max_depth}", "`QUERY_TOO_COMPLEX`", "execution"),
    Limit(
        "Fields with an alias, or repeated",
        "{settings.max_aliases}",
        "`QUERY_TOO_COMPLEX`",
        "validation and the response's size",
    ),
    Limit("Directives", "{settings.max_directives}", "`QUERY_TOO_COMPLEX`", "validation"),
    Limit("Root fields", "{settings.max_root_fields}", "`QUERY_TOO_COMPLEX`", "Cognito's quotas"),
    Limit(
        "Fragments spread, each as often as it is executed",
        "{settings.max_spreads}",
        "`QUERY_TOO_COMPLEX`",
        "validation",
    ),
    Limit(
        "Values in the variables, those in lists and objects included",
        "{settings.max_values}",
        "`QUERY_TOO_COMPLEX`",
        "the time to coerce them",
    ),
    Limit(
        "Objects that `_entities` is asked for",
        "{settings.max_representations}",
        "`QUERY_TOO_EXPENSIVE`",
        "the response's size",
    ),
    Limit(
        "Calls to Cognito",
        "{settings.max_calls}",
        "`QUERY_TOO_EXPENSIVE`",
        "Cognito's quotas",
    ),
    Limit(
        "Bytes of Cognito's replies that one request uses, each as often as the response may "
        "repeat it: once, for each alias twice more, and again for each {engine.REPEATED_NAME} "
        "characters of it",
        "{admin.MAX_READ:bytes}",
        "`RESPONSE_TOO_LARGE`",
        "memory, and the time to write the response out",
    ),
    Limit(
        "Operations in a document",
        "{engine.MAX_OPERATIONS}",
        "`QUERY_TOO_COMPLEX`",
        "Validation, which looks at what they share once for each.",
    ),
    Limit(
        "Characters of a name",
        "{engine.MAX_NAME}",
        "`QUERY_TOO_COMPLEX`",
        "Errors and responses, which repeat names.",
    ),
    Limit(
        "Errors of validation, and one that says that it stopped; errors of variables",
        "{engine.MAX_ERRORS} of each",
        "validation stops",
        "The time to make them. Unknown directives are one error together.",
    ),
    Limit(
        "Errors of an execution",
        "{web.MAX_ERRORS}",
        "one more, `TOO_MANY_ERRORS`, says how many are left out",
        "the response's size",
    ),
    Limit(
        "`locations` of an error",
        "{engine.MAX_PLACES}",
        "left out",
        "the response's size",
    ),
    Limit(
        "Comparisons of fields that have one name in the response; visits of shared fragments",
        "{graphql.comparisons}; {graphql.fragments}",
        "`QUERY_TOO_COMPLEX`",
        "validation",
    ),
    Limit(
        "Introspection fields (`__schema`, `__type`, `_service` and all below) with an alias",
        "none, except {engine.MAX_ALIASED_TYPES} `__type`",
        "`GRAPHQL_VALIDATION_FAILED`",
        "the time to write the schema out",
    ),
    Limit(
        "Characters of `Accept`; of all that are cached",
        "{web.MAX_ACCEPT}; {web.NEGOTIATED_BYTES:bytes}",
        "the header is ignored",
        "time and memory",
    ),
    Limit(
        "Characters of `Content-Type`",
        "{web.MAX_CONTENT_TYPE}",
        "`UNSUPPORTED_MEDIA_TYPE`",
        "time",
    ),
    Limit(
        "Pages of users that one request waits for at a time",
        "{admin.PAGES_AT_ONCE}",
        "wait",
        "Memory: how large a page is, is known only when it is here.",
    ),
    Limit(
        "Cache of documents; of plans. Least recently used first; nothing of requests without a "
        "valid token",
        "{engine.CACHE_BYTES:bytes}; {engine.PLAN_BYTES:bytes}",
        "an entry above an eighth of it is not kept",
        "memory",
    ),
)

SECTIONS: Mapping[str, Sequence[Limit]] = {
    "limits of lists": LISTS,
    "limits of connections": CONNECTIONS,
    "limits between callers": CALLERS,
    "limits within a request": REQUESTS,
}

NOT_LIMITS = {
    ("admin", "MAX_ERRORS"): "the engine's, for variables",
    ("admin", "MAX_LIMIT"): "the same as MAX_FIRST",
    ("engine", "MAX_INT"): "the range of GraphQL's Int",
}
"""Constants that are called `MAX_…` and need no row, with the reason."""


def table_of(limits: Sequence[Limit]) -> list[list[str]]:
    """Return the rows of a table, with the values in them."""
    return [[_fill(text, set()) for text in limit.texts] for limit in limits]


def undocumented() -> Iterator[str]:
    """Yield constants called `MAX_…`, and settings, that are limits and have no row."""
    used: set[tuple[str, str]] = set(NOT_LIMITS)
    texts = [text for limits in SECTIONS.values() for limit in limits for text in limit.texts]
    for text in texts:
        _fill(text, used)
    for room in ROOMS:
        names = {
            name
            for module in definitions_of(room)
            for name, value in module.items()
            if name.startswith("MAX_") and isinstance(value, int | float)
        }
        yield from (f"{room}.{name}" for name in sorted(names) if (room, name) not in used)
    for name in Settings.model_fields:
        if name.startswith("max_") and not any(f"{{settings.{name}" in text for text in texts):
            yield f"settings.{name}"


def _fill(text: str, used: set[tuple[str, str]]) -> str:
    rooms = {room: Room(room, used) for room in ROOMS}
    return text.format(**rooms, settings=SettingsRoom(), graphql=GraphQLCore())
