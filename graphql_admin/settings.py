"""Every setting of the server: its environment variable, its default and its check.

This is the only module that reads the environment, but for what AWS's own tools read
there (credentials, `AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER` and the like), which boto3 does.
"""

import os
import re
from collections.abc import Mapping
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from graphql_admin.actions import Action
from graphql_admin.cognito.categories import Quota
from graphql_admin.hosts import ANY, LOOPBACK, AllowedHosts
from graphql_admin.policy.authority import MAX_AGE
from graphql_admin.policy.file import InvalidPolicy, read_policy
from graphql_admin.policy.grants import Policy
from graphql_admin.tokens.caller import TokenUse

PREFIX = "GRAPHQL_ADMIN_"


class InvalidSettings(Exception):
    """The settings do not admit a start.

    Args:
        problems: Every problem found, each a sentence that names the variable.
    """

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class Introspection(StrEnum):
    """Who may read the schema from the server."""

    PUBLIC = "public"
    AUTHENTICATED = "authenticated"
    OFF = "off"


def _split_at_commas(value: object) -> object:
    return [item.strip() for item in value.split(",")] if isinstance(value, str) else value


def _refuse_blanks(items: frozenset[str]) -> frozenset[str]:
    if not items or "" in items:
        raise ValueError("must be a comma-separated list without empty items")
    return items


def _find_actions(labels: object) -> object:
    if not isinstance(labels, list):
        return labels
    named = [label for label in labels if label != ""]
    if unknown := [label for label in named if str(label) not in _ACTIONS]:
        names, known = ", ".join(map(repr, unknown)), ", ".join(_ACTIONS)
        raise ValueError(f"there is no action {names}; the actions are {known}")
    return frozenset(_ACTIONS[label] for label in named)


_ACTIONS = {action.label: action for action in Action}


def _read_quotas(items: object) -> object:
    if not isinstance(items, list):
        return items
    quotas = {}
    for item in filter(None, items):
        name, _, rate = item.partition("=")
        try:
            quotas[Quota(name.strip())] = float(rate)
        except ValueError:
            known = ", ".join(Quota)
            raise ValueError(
                f"{item!r} is not a quota and its calls per second, such as UserRead=240; "
                f"the quotas are {known}"
            ) from None
    return quotas


def _require_pool_id(text: str) -> str:
    # The length is Cognito's own bound.
    if len(text) > 55 or not re.fullmatch(r"[a-z]{2,}(-[a-z]+)+-[0-9]_[0-9a-zA-Z]+", text):
        raise ValueError("must be the id of a user pool, such as eu-west-1_AbCdEf123")
    return text


def _require_https(url: str) -> str:
    if urlsplit(url).scheme != "https" or not urlsplit(url).hostname:
        raise ValueError("must be an https URL")
    return url.rstrip("/")


_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
_HOST = re.compile(r"[A-Za-z0-9.-]+(:\d+)?|\[::1\](:\d+)?")


def _require_origins(origins: frozenset[str]) -> frozenset[str]:
    origins -= {""}
    for origin in origins:
        if not re.fullmatch(r"https?://([a-z0-9.-]+|\[[0-9a-f:]+\])(:\d{1,5})?", origin):
            raise ValueError(
                f"{origin!r} is not an origin as browsers send it, such as https://app.example.com"
            )
    return origins


def _require_hosts(hosts: frozenset[str]) -> frozenset[str]:
    AllowedHosts(hosts)
    return hosts


_Strings = Annotated[frozenset[str], NoDecode, BeforeValidator(_split_at_commas)]
_NonEmptyStrings = Annotated[_Strings, AfterValidator(_refuse_blanks)]
_Actions = Annotated[
    frozenset[Action],
    NoDecode,
    BeforeValidator(_find_actions),
    BeforeValidator(_split_at_commas),
]


def _read_age(value: object) -> object:
    if value == "token":
        return None
    try:
        seconds = float(str(value))
    except ValueError:
        seconds = -1
    if not 0 <= seconds <= _LONGEST_AGE:
        raise ValueError(f"must be seconds from 0 to {_LONGEST_AGE}, or the word `token`")
    return seconds


_LONGEST_AGE = 3600
_Age = Annotated[float | None, BeforeValidator(_read_age)]

_Quotas = Annotated[
    Mapping[Quota, Annotated[float, Field(gt=0, allow_inf_nan=False)]],
    NoDecode,
    BeforeValidator(_read_quotas),
    BeforeValidator(_split_at_commas),
]


class Settings(BaseSettings):
    """The server's settings. Each has a variable: `GRAPHQL_ADMIN_` + its name in capitals."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid")

    user_pool_id: Annotated[str, AfterValidator(_require_pool_id)]
    """The user pool, such as `eu-west-1_AbCdEf123`. Its id names the region."""

    client_ids: _NonEmptyStrings
    """App clients whose tokens are accepted."""

    dev: bool = False
    """Admit what only a local emulator needs: http for keys, and keys that are public.
    Set by `graphql-admin dev`; refused at start unless Cognito's endpoint is loopback."""

    admin_groups: _NonEmptyStrings | None = None
    """Groups whose members may do everything. `*` is every signed-in user. Set either this or
    `policy_file`."""

    policy_file: Path | None = Field(default=None, validate_default=True)
    """TOML file that says who may do what. Set either this or `admin_groups`."""

    authority_max_age: _Age = MAX_AGE
    """Seconds for which the pool's answer on a caller (enabled, in which groups) is trusted before
    a change. `0` asks each time. `token` takes the groups from the token alone, for pools whose
    Pre-token-generation trigger writes them."""

    disabled_actions: _Actions = frozenset()
    """Actions that are removed from the schema."""

    token_use: Annotated[frozenset[TokenUse], NoDecode, BeforeValidator(_split_at_commas)] = (
        frozenset({TokenUse.ACCESS})
    )
    """Kinds of token that are accepted."""

    issuer: Annotated[str, AfterValidator(_require_https)] | None = None
    """The `iss` of accepted tokens, where it is neither of Cognito's two forms for the pool."""

    jwks_url: str | None = None
    """URL of the pool's keys, where that is not below the issuer."""

    introspection: Introspection = Introspection.AUTHENTICATED
    """Who may read the schema from the server."""

    node_field: bool = True
    """Whether there is a field `node`, of which a federated graph may have only one."""

    auth_directives: bool = False
    """Whether the schema carries `@authenticated` and `@policy`, with the names of actions,
    for routers that refuse requests by them. Apollo's gateway in JavaScript knows no such
    directives, and does not start with them."""

    host: str = "127.0.0.1"
    """Address to listen on; the image sets `0.0.0.0`."""

    port: int = Field(default=8000, ge=0, le=65535)
    """TCP port to listen on."""

    metrics_port: int | None = Field(default=None, ge=0, le=65535)
    """TCP port for Prometheus' `/metrics`, at the same address; without one there are none."""

    max_concurrency: int = Field(default=1000, ge=1)
    """Requests in flight that call Cognito. A caller may have as many as are free, so one alone may
    have half. More are rejected as `OVERLOADED`."""

    max_connections: int = Field(default=4096, ge=1)
    """Connections of clients at once, as far as the limit on file descriptors allows. For one
    more, the longest idle is closed, or the new one where none is idle."""

    keep_alive: float = Field(default=75.0, gt=0, le=3600)
    """Seconds that a connection may stay idle between requests: longer than a load balancer keeps
    its own, or that sends a request into a connection that is just being closed."""

    max_pending: int = Field(default=64 * 1024 * 1024, ge=1024 * 1024)
    """Bytes that may be in memory of incomplete requests, and of responses that clients do not
    read, over all connections. Beyond that, the largest of the caller who has most is ended."""

    deadline: float = Field(default=15.0, gt=0, le=300)
    """Seconds that one request may take, waiting for Cognito included."""

    quotas: _Quotas = Field(default_factory=dict)
    """Calls to Cognito per second that AWS grants the account, where it raised a quota; such as
    `UserRead=240,UserList=60`."""

    quota_share: float = Field(default=1.0, gt=0, le=1)
    """Part of each quota that this process may use. The quotas are of the whole account and
    region, so leave some to its other apps, and divide it among the processes of this server."""
    audit_file: Path | None = None
    """File on a disk of this machine, or pipe, that audit events are appended to; a rotated one is
    opened anew. By default they go to standard output, all other log lines to standard error."""
    allowed_hosts: Annotated[_NonEmptyStrings, AfterValidator(_require_hosts)] | None = None
    """Hosts that the server answers for, as requests name them in `Host`: names, `*.example.com`,
    addresses, networks, or `*` for any. By default any, and with `dev` this machine's."""
    cors_origins: Annotated[_Strings, AfterValidator(_require_origins)] = frozenset()
    """Origins whose pages may call this server, such as `https://app.example.com`."""

    amplify: bool = False
    """Whether to serve the REST routes of Amplify's Admin Queries too."""

    amplify_path: str = Field(default="/AdminQueries", pattern=r"^(/[\w.~-]+)+$")
    """What the paths of those routes begin with."""

    max_body: int = Field(default=262_144, ge=1024)
    """Bytes that a request's body, or its query string, may have."""

    get_queries: bool = True
    """Whether queries are accepted by GET, too."""

    max_document: int = Field(default=65_536, ge=1024)
    """Characters that a GraphQL document may have."""

    max_tokens: int = Field(default=2000, ge=100)
    """Lexical tokens that a GraphQL document may have, without comments."""

    max_depth: int = Field(default=20, ge=1)
    """Fields that may stand one below another."""

    max_aliases: int = Field(default=100, ge=0)
    """Fields that a document may ask for under another name, or again."""

    max_directives: int = Field(default=50, ge=0)
    """Directives that may stand in a document."""

    max_root_fields: int = Field(default=20, ge=1)
    """Fields that an operation may begin with."""

    max_spreads: int = Field(default=200, ge=0)
    """Fragments that a document may spread, each counted as often as it is executed."""

    max_values: int = Field(default=5000, ge=100)
    """Values that the variables may have, those in lists and objects included."""

    max_representations: int = Field(default=1000, ge=1)
    """Objects that a request may ask `_entities` for, whether alike or not."""

    max_calls: int = Field(default=150, ge=1)
    """Calls to Cognito that one request may take."""

    explorer: bool = False
    """Serve the explorer, a page to try queries in. `graphql-admin dev` turns it on."""

    explorer_login_url: str | None = None
    """The pool's hosted sign-in page, such as `https://example.auth.eu-west-1.amazoncognito.com`,
    through which people sign in to the explorer. Without it they paste a token."""

    explorer_client_id: str | None = Field(default=None, validate_default=True)
    """The app client that the explorer signs in as: one of `client_ids`, without a secret, with
    the authorization code grant, the scope `openid`, and the explorer's own address as its
    callback and its sign-out URL."""

    @property
    def region(self) -> str:
        """The AWS region of the user pool, which its id begins with."""
        return self.user_pool_id.split("_")[0]

    @property
    def partition(self) -> str:
        """The AWS partition of the region, as ARNs name it."""
        if self.region.startswith("cn-"):
            return "aws-cn"
        return "aws-us-gov" if self.region.startswith("us-gov-") else "aws"

    @cached_property
    def hosts(self) -> AllowedHosts:
        """The hosts that the server answers for."""
        # With `dev`, tokens are good that anybody can sign: a page of the internet too.
        return AllowedHosts(self.allowed_hosts or (LOOPBACK if self.dev else ANY))

    @cached_property
    def policy(self) -> Policy:
        """Who may do what, from whichever of the two settings says so."""
        if self.policy_file is not None:
            return _read_policy(self.policy_file)
        return Policy.of_administrators(self.admin_groups or ())

    @property
    def knows_groups(self) -> bool:
        """Whether the pool's groups are those that give rights, and not the token's alone."""
        return self.authority_max_age is not None

    @field_validator("policy_file")
    @classmethod
    def _check_policy(cls, path: Path | None, info: ValidationInfo) -> Path | None:
        if path is not None:
            _read_policy(path)
        # Not there is what was refused already, and says why.
        if "admin_groups" in info.data and (path is None) == (info.data["admin_groups"] is None):
            raise ValueError(f"set exactly one of {PREFIX}ADMIN_GROUPS and {PREFIX}POLICY_FILE")
        return path

    @field_validator("jwks_url")
    @classmethod
    def _check_jwks_url(cls, url: str | None, info: ValidationInfo) -> str | None:
        # In dev mode the keys are the emulator's, which speaks http.
        return url if url is None or info.data.get("dev") else _require_https(url)

    @field_validator("explorer_login_url")
    @classmethod
    def _check_login_url(cls, url: str | None, info: ValidationInfo) -> str | None:
        if url is None:
            return None
        parts = urlsplit(url)
        local = info.data.get("dev") and parts.hostname in _LOOPBACK
        # An origin and nothing else: it becomes a source in the Content-Security-Policy.
        is_origin = f"{parts.scheme}://{parts.netloc}" == url.rstrip("/")
        if not is_origin or not _HOST.fullmatch(parts.netloc):
            raise ValueError("must be an origin, such as https://auth.example.com")
        return url.rstrip("/") if local and parts.scheme == "http" else _require_https(url)

    @field_validator("explorer_client_id")
    @classmethod
    def _check_explorer_client(cls, client: str | None, info: ValidationInfo) -> str | None:
        if "explorer_login_url" not in info.data or "client_ids" not in info.data:
            return client  # what it depends on was refused already
        if (client is None) != (info.data["explorer_login_url"] is None):
            raise ValueError(f"set it and {PREFIX}EXPLORER_LOGIN_URL, or neither")
        if client is not None and client not in info.data["client_ids"]:
            raise ValueError(f"must be one of {PREFIX}CLIENT_IDS")
        return client

    @field_validator("disabled_actions")
    @classmethod
    def _check_disabled(cls, actions: frozenset[Action]) -> frozenset[Action]:
        if actions == frozenset(Action):
            raise ValueError("leaves no action at all")
        return actions


def load_settings(**overrides: object) -> Settings:
    """Read the settings from the environment.

    Args:
        overrides: Settings by name, which win over the environment.

    Raises:
        InvalidSettings: With all that is wrong, not only the first problem.
    """
    problems = [
        f"{name}: there is no such setting"
        for name in sorted(os.environ)
        if name.startswith(PREFIX) and name[len(PREFIX) :].lower() not in Settings.model_fields
    ]
    try:
        settings = Settings(**overrides)  # type: ignore[arg-type]  # pydantic checks them
    except ValidationError as error:
        for problem in error.errors():
            said = _WORDS.get(problem["type"], problem["msg"])
            problems += _sentences(problem["loc"], said, problem.get("ctx", {}))
    if problems:
        raise InvalidSettings(problems)
    return settings


_WORDS = {
    "missing": "is required",
    "int_parsing": "must be a whole number",
    "float_parsing": "must be a number",
    "bool_parsing": "must be true or false",
}
"""What is said in place of Pydantic's messages, by their types."""

_VALUE_ERROR = "Value error, "
"""What Pydantic puts before the message of a validator's ValueError."""


def _sentences(
    location: tuple[int | str, ...], message: str, details: Mapping[str, Any]
) -> list[str]:
    variable = PREFIX + str(location[0]).upper() if location else PREFIX + "*"
    match details.get("error"):
        case _InvalidFile() as invalid:
            said = [f"{invalid.path}: {problem}" for problem in invalid.problems]
        case _:
            said = [re.sub("^(Input|String) should ", "must ", message.removeprefix(_VALUE_ERROR))]
    return [f"{variable}: {each}" for each in said]


class _InvalidFile(ValueError):
    """A file that a setting names cannot be meant.

    Args:
        path: The file.
        problems: All that is wrong with it.
    """

    def __init__(self, path: Path, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.path = path
        self.problems = problems


def _read_policy(path: Path) -> Policy:
    try:
        return read_policy(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"cannot read {str(path)!r}: {error}") from error
    except InvalidPolicy as invalid:
        raise _InvalidFile(path, invalid.problems) from invalid
