"""Every setting of the server: its environment variable, its default and its check.

This is the only module that reads the environment, except that boto3 reads AWS's own variables
(credentials, `AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER`, …).
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, TypeVar
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    ValidationError,
    ValidationInfo,
    create_model,
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
from graphql_admin.tokens.groups import COGNITO_GROUPS, OTHER_CLAIMS

PREFIX = "GRAPHQL_ADMIN_"

_OF_CLIENTS = frozenset({f"{PREFIX}TOKEN", f"{PREFIX}URL"})
"""Environment variables of the command `users`, which a server passes over."""


class InvalidSettings(Exception):
    """The settings are invalid, so the server does not start.

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


def _leave_some(disabled: frozenset[Action]) -> frozenset[Action]:
    if disabled == frozenset(Action):
        raise ValueError("disables every action")
    return disabled


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


_POOL_ID = re.compile(r"([a-z]{2,}(?:-[a-z]+)+-[0-9])_[0-9a-zA-Z]+")
"""Id of a user pool in AWS, with its region."""

_ANY_POOL_ID = re.compile(r"[\w-]+_[0-9a-zA-Z]+", re.ASCII)
"""Id of a user pool in Cognito's API model, such as an emulator's `local_0kh31a7P`."""

_LONGEST_POOL_ID = 55
"""Characters; Cognito's own bound."""

_LOCAL_REGION = "local"
"""Stands for the region in signatures where the id of an emulator's pool has none."""


def _require_pool_id(text: str, *, dev: bool) -> str:
    form = _ANY_POOL_ID if dev else _POOL_ID
    if len(text) > _LONGEST_POOL_ID or not form.fullmatch(text):
        raise ValueError("must be the id of a user pool, such as eu-west-1_AbCdEf123")
    return text


_HOST_OF_ISSUERS = re.compile(r"(issuer-)?cognito-idp(-fips)?\.[a-z0-9-]+\.amazonaws\.com(\.cn)?")
"""Host of the issuers of user pools in AWS."""


def _require_issuer(url: str, pool_id: str | None, *, dev: bool) -> str:
    parts = urlsplit(url)
    local = dev and parts.scheme == "http" and parts.hostname in _LOOPBACK
    if not local:
        _require_https(url)
    if parts.query or parts.fragment or parts.username is not None or "?" in url or "#" in url:
        raise ValueError(f"{url!r} has more than a host and a path")
    host, path = parts.hostname or "", parts.path.strip("/")
    if pool_id is not None and _HOST_OF_ISSUERS.fullmatch(host) and path != pool_id:
        raise ValueError(f"{url!r} is of another user pool; a server is for one pool")
    return url.rstrip("/")


def _require_https(url: str) -> str:
    if urlsplit(url).scheme != "https" or not urlsplit(url).hostname:
        raise ValueError("must be an https URL")
    return url.rstrip("/")


_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
_HOST = re.compile(r"[A-Za-z0-9.-]+(:\d+)?|\[::1\](:\d+)?")


def _require_root_path(path: str) -> str:
    segments = path.split("/")
    if path and (
        len(path) > _LONGEST_ROOT_PATH
        or not re.fullmatch(r"(/[A-Za-z0-9._~-]+)+", path)
        or not {".", ".."}.isdisjoint(segments)
    ):
        raise ValueError(
            "must be a path such as /admin: one or more segments of letters, digits, and `.`, `_`, "
            "`~`, `-`, each after a slash, with none at the end, and no more than "
            f"{_LONGEST_ROOT_PATH} characters"
        )
    return path


_LONGEST_ROOT_PATH = 200

_WEB_ORIGIN = re.compile(
    r"(?P<origin>(?P<scheme>https?)://(?:[a-z0-9._-]+|\[[0-9a-f:]+\]))"
    r"(?::(?P<port>[1-9][0-9]{0,4}))?"
)
_APP_ORIGIN = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*)://[A-Za-z0-9._~-]+(?::[1-9][0-9]{0,4})?")
"""The origin of an app or a browser extension, such as `capacitor://localhost`. Browsers change the
letter case of hosts only in the schemes that they know."""

_NO_ORIGINS = frozenset({"about", "blob", "data", "file", "ftp", "http", "https", "ws", "wss"})
"""Schemes that browsers know. Pages with any but http and https have the origin `null`."""

_DEFAULT_PORTS = {"http": "80", "https": "443"}


def _require_origins(origins: frozenset[str]) -> frozenset[str]:
    origins -= {""}
    for origin in origins:
        web, app = _WEB_ORIGIN.fullmatch(origin), _APP_ORIGIN.fullmatch(origin)
        if web is not None and web["port"] == _DEFAULT_PORTS[web["scheme"]]:
            raise ValueError(
                f"{origin!r} has the default port, which browsers leave out: write "
                f"{web['origin']!r}"
            )
        if web is None and (app is None or app["scheme"] in _NO_ORIGINS):
            raise ValueError(
                f"{origin!r} is not an origin as browsers send it, such as https://app.example.com"
            )
    return origins


def _require_hosts(hosts: frozenset[str]) -> frozenset[str]:
    AllowedHosts(hosts)
    return hosts


def _require_claim(name: str) -> str:
    if not re.fullmatch(r"[!-~]{1,200}", name):
        raise ValueError("must be the name of a claim, such as custom:groups, without spaces")
    if name in OTHER_CLAIMS:
        raise ValueError(f"`{name}` is a claim of Cognito that has no groups")
    return name


_Strings = Annotated[frozenset[str], NoDecode, BeforeValidator(_split_at_commas)]
_NonEmptyStrings = Annotated[_Strings, AfterValidator(_refuse_blanks)]
_DisabledActions = Annotated[
    frozenset[Action],
    NoDecode,
    AfterValidator(_leave_some),
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

    # First, since it decides what others may be.
    dev: bool = False
    """Accept what only a local emulator has: http for issuers and keys, keys that are public, and
    any id of a pool. Set by `graphql-admin dev`; the server does not start with it unless Cognito's
    endpoint is loopback."""

    user_pool_id: str
    """Id of the user pool, such as `eu-west-1_AbCdEf123`. It contains the region."""

    client_ids: _NonEmptyStrings
    """App clients whose tokens are accepted."""

    admin_groups: _NonEmptyStrings | None = None
    """Groups whose members may do everything. `*` is every signed-in user. Set either this or
    `policy_file`."""

    policy_file: Path | None = Field(default=None, validate_default=True)
    """TOML file with the permissions. Set either this or `admin_groups`."""

    groups_claim: Annotated[str, AfterValidator(_require_claim)] = COGNITO_GROUPS
    """The claim of users' tokens that has their groups, such as `custom:groups` of ID tokens or one
    that a pre token generation trigger writes. Any but the default implies
    `AUTHORITY_MAX_AGE=token`, and who can write its source decides who has which rights."""

    authority_max_age: _Age = Field(default=MAX_AGE, validate_default=False)
    """Seconds for which the pool's answer on a caller (enabled, in which groups) is cached for
    changes. `0` asks the pool each time. `token` takes the groups from the token alone, for pools
    whose pre token generation trigger writes them."""

    disabled_actions: _DisabledActions = frozenset()
    """Actions to remove from the schema."""

    token_use: Annotated[frozenset[TokenUse], NoDecode, BeforeValidator(_split_at_commas)] = (
        frozenset({TokenUse.ACCESS})
    )
    """Kinds of token that are accepted."""

    issuer: _NonEmptyStrings | None = None
    """The accepted values of `iss` in tokens, if they are not Cognito's two forms for the pool: of
    an emulator, or of a pool that is replicated to other regions. Each has its own keys, below it,
    and a token is verified with those of the issuer that it names."""

    jwks_url: str | None = None
    """URL of the pool's keys, if they are not below the issuer. Not for several issuers."""

    introspection: Introspection = Introspection.AUTHENTICATED
    """Who may read the schema from the server."""

    node_field: bool = True
    """Whether the schema has the fields `node` and `nodes`; a federated graph may have only one of
    each."""

    auth_directives: bool = False
    """Whether the schema has `@authenticated` and `@policy` directives with the names of actions,
    for routers that enforce them. Apollo's gateway in JavaScript does not support these directives,
    and does not start with them."""

    host: str = "127.0.0.1"
    """Address to listen on; the image sets `0.0.0.0`."""

    port: int = Field(default=8000, ge=0, le=65535)
    """TCP port to listen on."""

    root_path: Annotated[str, AfterValidator(_require_root_path)] = ""
    """Prefix of the paths of all routes, such as `/admin`, for a proxy or an API stage that does
    not cut it off. `/healthz` and `/readyz` are served without it, too."""

    metrics_port: int | None = Field(default=None, ge=0, le=65535)
    """TCP port for Prometheus' `/metrics`, at the same address; by default, metrics are not
    served."""

    max_concurrency: int = Field(default=1000, ge=1)
    """Requests in flight that call Cognito. Each caller may have as many as are left free, so a
    single caller may have half. Further requests are rejected as `OVERLOADED`."""

    max_connections: int = Field(default=4096, ge=1)
    """Connections of clients, as far as the limit on file descriptors allows. For one more, the one
    that has been idle longest is closed. If none is idle, the address with most connections loses
    its oldest that executes no request, or the new one is closed."""

    keep_alive: float = Field(default=75.0, gt=0, le=3600)
    """Seconds that a connection may be idle between requests. It must be longer than the idle
    timeout of a load balancer in front, which otherwise sends requests over connections that are
    being closed."""

    max_pending: int = Field(default=64 * 1024 * 1024, ge=1024 * 1024)
    """Bytes in memory of incomplete requests, and of responses that clients do not read, over all
    connections. Beyond that, the largest one of the client that has most is closed: of the address
    that has most, and behind one address of the caller that has most."""

    deadline: float = Field(default=15.0, gt=0, le=300)
    """Seconds that a request may take, waiting for Cognito included."""

    quotas: _Quotas = Field(default_factory=dict)
    """Quotas of calls to Cognito per second that AWS has raised for the account, such as
    `UserRead=240,UserList=60`."""

    quota_share: float = Field(default=1.0, gt=0, le=1)
    """Fraction of each quota that this process may use. The quotas apply to the whole account and
    region, so leave some to other apps, and divide the rest among the processes of this server."""
    audit_file: Path | None = None
    """File on a disk of this machine, or pipe, to append audit events to; it is reopened after
    rotation. By default they go to standard output, and all other log lines to standard error."""
    allowed_hosts: Annotated[_NonEmptyStrings, AfterValidator(_require_hosts)] | None = None
    """Allowed values of the `Host` header: names, `*.example.com`, addresses, networks, or `*` for
    any. By default any, and with `dev` those of this machine."""
    cors_origins: Annotated[_Strings, AfterValidator(_require_origins)] = frozenset()
    """Origins whose pages may call this server, such as `https://app.example.com`,
    `capacitor://localhost` or `chrome-extension://…`."""

    amplify: bool = False
    """Whether to serve the REST routes of Amplify's Admin Queries, too."""

    amplify_path: str = Field(default="/AdminQueries", pattern=r"^(/[\w.~-]+)+$")
    """Prefix of the paths of those routes."""

    max_body: int = Field(default=262_144, ge=1024)
    """Bytes of the body, or the query string, of a request."""

    get_queries: bool = True
    """Whether queries are accepted with GET, too."""

    max_document: int = Field(default=65_536, ge=1024)
    """Characters of a GraphQL document."""

    max_tokens: int = Field(default=2000, ge=100)
    """Lexical tokens of a GraphQL document, without comments."""

    max_depth: int = Field(default=20, ge=1)
    """Levels of nested fields."""

    max_aliases: int = Field(default=100, ge=0)
    """Fields of a document that have an alias, or are selected repeatedly."""

    max_directives: int = Field(default=50, ge=0)
    """Directives of a document."""

    max_root_fields: int = Field(default=20, ge=1)
    """Root fields of an operation."""

    max_spreads: int = Field(default=200, ge=0)
    """Fragment spreads of a document, each counted as often as it is executed."""

    max_values: int = Field(default=5000, ge=100)
    """Values of the variables, those in lists and objects included."""

    max_representations: int = Field(default=1000, ge=1)
    """Representations for `_entities` in a request, equal ones included."""

    max_calls: int = Field(default=150, ge=1)
    """Calls to Cognito of one request."""

    explorer: bool = False
    """Whether to serve the explorer, a page to try queries in. `graphql-admin dev` turns it on."""

    explorer_login_url: str | None = None
    """URL of the pool's hosted sign-in page, such as
    `https://example.auth.eu-west-1.amazoncognito.com`, where users sign in to the explorer. Without
    it, they paste a token."""

    explorer_client_id: str | None = Field(default=None, validate_default=True)
    """The app client of the explorer: one of `client_ids`, without a secret, with the authorization
    code grant, the scope `openid`, and the explorer's own URL as callback and sign-out URL."""

    @property
    def region(self) -> str:
        """The AWS region of the user pool, the first part of its id."""
        in_aws = _POOL_ID.fullmatch(self.user_pool_id)
        return in_aws[1] if in_aws else _LOCAL_REGION

    @property
    def partition(self) -> str:
        """The AWS partition of the region, as in ARNs."""
        if self.region.startswith("cn-"):
            return "aws-cn"
        return "aws-us-gov" if self.region.startswith("us-gov-") else "aws"

    @cached_property
    def hosts(self) -> AllowedHosts:
        """The allowed hosts."""
        # With `dev`, tokens are accepted that anyone can sign, so any web page could use this
        # server.
        return AllowedHosts(self.allowed_hosts or (LOOPBACK if self.dev else ANY))

    @cached_property
    def policy(self) -> Policy:
        """The permissions, from whichever of the two settings is set."""
        if self.policy_file is not None:
            return _read_policy(self.policy_file)
        return Policy.of_administrators(self.admin_groups or ())

    @property
    def knows_groups(self) -> bool:
        """Whether rights come from the groups of the pool, and not of the token alone."""
        return self.authority_max_age is not None and self.groups_claim == COGNITO_GROUPS

    @property
    def groups_attribute(self) -> str | None:
        """The attribute of users from which tokens may have their groups.

        None if they are the pool's. Not every claim is of an attribute.
        """
        return None if self.groups_claim == COGNITO_GROUPS else self.groups_claim

    @field_validator("user_pool_id")
    @classmethod
    def _check_pool_id(cls, text: str, info: ValidationInfo) -> str:
        return _require_pool_id(text, dev=info.data.get("dev", False))

    @field_validator("issuer")
    @classmethod
    def _check_issuers(
        cls, urls: frozenset[str] | None, info: ValidationInfo
    ) -> frozenset[str] | None:
        if urls is None:
            return None
        pool_id, dev = info.data.get("user_pool_id"), info.data.get("dev", False)
        return frozenset(_require_issuer(url, pool_id, dev=dev) for url in sorted(urls))

    @field_validator("policy_file")
    @classmethod
    def _check_policy(cls, path: Path | None, info: ValidationInfo) -> Path | None:
        if path is not None:
            _read_policy(path)
        # A missing value has been rejected already, with an error of its own.
        if "admin_groups" in info.data and (path is None) == (info.data["admin_groups"] is None):
            raise ValueError(f"set exactly one of {PREFIX}ADMIN_GROUPS and {PREFIX}POLICY_FILE")
        return path

    @field_validator("authority_max_age")
    @classmethod
    def _check_authority(cls, age: float | None, info: ValidationInfo) -> float | None:
        if age is not None and info.data.get("groups_claim", COGNITO_GROUPS) != COGNITO_GROUPS:
            raise ValueError(
                f"must be `token`, or unset, with {PREFIX}GROUPS_CLAIM: the pool does not have the "
                "groups of another claim"
            )
        return age

    @field_validator("jwks_url")
    @classmethod
    def _check_jwks_url(cls, url: str | None, info: ValidationInfo) -> str | None:
        if url is not None and len(info.data.get("issuer") or ()) > 1:
            raise ValueError(f"each of several {PREFIX}ISSUER has its own keys: leave it unset")
        # In dev mode the keys are those of the emulator, which is served over http.
        return url if url is None or info.data.get("dev") else _require_https(url)

    @field_validator("explorer_login_url")
    @classmethod
    def _check_login_url(cls, url: str | None, info: ValidationInfo) -> str | None:
        if url is None:
            return None
        parts = urlsplit(url)
        local = info.data.get("dev") and parts.hostname in _LOOPBACK
        # Only an origin, because it becomes a source in the Content-Security-Policy.
        is_origin = f"{parts.scheme}://{parts.netloc}" == url.rstrip("/")
        if not is_origin or not _HOST.fullmatch(parts.netloc):
            raise ValueError("must be an origin, such as https://auth.example.com")
        return url.rstrip("/") if local and parts.scheme == "http" else _require_https(url)

    @field_validator("explorer_client_id")
    @classmethod
    def _check_explorer_client(cls, client: str | None, info: ValidationInfo) -> str | None:
        if "explorer_login_url" not in info.data or "client_ids" not in info.data:
            return client  # a setting that it depends on has been rejected already
        if (client is None) != (info.data["explorer_login_url"] is None):
            raise ValueError(f"set it and {PREFIX}EXPLORER_LOGIN_URL, or neither")
        if client is not None and client not in info.data["client_ids"]:
            raise ValueError(f"must be one of {PREFIX}CLIENT_IDS")
        return client


def load_settings(**overrides: object) -> Settings:
    """Read the settings from the environment.

    Args:
        overrides: Settings by name, which override the environment.

    Raises:
        InvalidSettings: With all problems, not only the first.
    """
    return _load(Settings, overrides)


@dataclass(frozen=True)
class SchemaSettings:
    """The settings that change the schema; see those of `Settings`."""

    disabled_actions: frozenset[Action]
    node_field: bool
    auth_directives: bool


def load_schema_settings() -> SchemaSettings:
    """Read the settings that change the schema; the server's others may be missing.

    Raises:
        InvalidSettings: With all problems, not only the first.
    """
    names = [field.name for field in fields(SchemaSettings)]
    own: dict[str, Any] = {
        name: (Settings.model_fields[name].annotation, Settings.model_fields[name])
        for name in names
    }
    model = create_model("SchemaSettings", __base__=_SettingsOfPart, **own)
    loaded = _load(model, {})
    return SchemaSettings(**{name: getattr(loaded, name) for name in names})


class _SettingsOfPart(BaseSettings):
    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore")


_Loaded = TypeVar("_Loaded", bound=BaseSettings)


def _load(model: type[_Loaded], overrides: Mapping[str, object]) -> _Loaded:
    problems = [
        f"{name}: there is no such setting"
        for name in sorted(os.environ)
        if name.startswith(PREFIX)
        and name[len(PREFIX) :].lower() not in Settings.model_fields
        and name not in _OF_CLIENTS
    ]
    quoted = [
        name
        for name, value in sorted(os.environ.items())
        if name.startswith((PREFIX, "AWS_")) and _is_quoted(value)
    ]
    problems += [
        f"{name}: has quotes at its ends, which would be part of the value; write it without them"
        for name in quoted
    ]
    try:
        settings = model(**overrides)  # type: ignore[arg-type]  # pydantic checks them
    except ValidationError as error:
        for problem in error.errors():
            if problem["loc"] and PREFIX + str(problem["loc"][0]).upper() in quoted:
                continue
            said = _WORDS.get(problem["type"], problem["msg"])
            problems += _sentences(problem["loc"], said, problem.get("ctx", {}))
    if problems:
        raise InvalidSettings(problems)
    return settings


def _is_quoted(value: str) -> bool:
    """Tell whether a value, or an item of a list, begins or ends with a quote.

    Shells take quotes off; Docker's `--env-file` and systemd's units, among others, may keep them.
    """
    items = map(str.strip, value.split(","))
    return any(item.startswith(("'", '"')) or item.endswith(("'", '"')) for item in items)


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
    """A file that a setting names is invalid.

    Args:
        path: The file.
        problems: All problems found in it.
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
