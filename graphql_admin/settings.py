"""Every setting of the server: its environment variable, its default and its check.

This is the only module that reads the environment, but for what AWS's own tools read
there (credentials, `AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER` and the like), which boto3 does.
"""

import os
import tomllib
from collections.abc import Mapping
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Annotated
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

PREFIX = "GRAPHQL_ADMIN_"

ANYONE = "*"
"""In place of a group: every signed-in user. In place of an action: all of them."""

Grants = Mapping[str, frozenset[Action]]
"""The actions that each group gives its members; the group `*` is every signed-in user."""


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


class TokenUse(StrEnum):
    """The `token_use` claim of a Cognito token."""

    ACCESS = "access"
    ID = "id"


class Quota(StrEnum):
    """What Cognito has a quota of calls per second for: categories of operations, and two more."""

    USER_CREATION = "UserCreation"
    USER_READ = "UserRead"
    USER_LIST = "UserList"
    USER_UPDATE = "UserUpdate"
    USER_ACCOUNT_RECOVERY = "UserAccountRecovery"
    USER_RESOURCE_READ = "UserResourceRead"
    USER_RESOURCE_UPDATE = "UserResourceUpdate"
    USER_POOL_RESOURCE_READ = "UserPoolResourceRead"
    USER_POOL_RESOURCE_UPDATE = "UserPoolResourceUpdate"
    PER_POOL = "PerPool"
    """One operation of the categories UserPoolResource…, on one pool."""
    PER_USER = "PerUser"
    """Reads of one user, and as many writes."""


DEFAULT_QUOTAS: Mapping[Quota, float] = {
    Quota.USER_CREATION: 50,
    Quota.USER_READ: 120,
    Quota.USER_LIST: 30,
    Quota.USER_UPDATE: 25,
    Quota.USER_ACCOUNT_RECOVERY: 30,
    Quota.USER_RESOURCE_READ: 50,
    Quota.USER_RESOURCE_UPDATE: 25,
    Quota.USER_POOL_RESOURCE_READ: 20,
    Quota.USER_POOL_RESOURCE_UPDATE: 15,
    Quota.PER_POOL: 5,
    Quota.PER_USER: 10,
}
"""Calls per second that AWS grants an account in a region, unless more was asked for."""


def _split_at_commas(value: object) -> object:
    return [item.strip() for item in value.split(",")] if isinstance(value, str) else value


def _refuse_blanks(items: frozenset[str]) -> frozenset[str]:
    if not items or "" in items:
        raise ValueError("must be a comma-separated list without empty items")
    return items


def _find_actions(labels: object) -> object:
    if isinstance(labels, list):
        return frozenset(_find_action(label) for label in labels if label != "")
    return labels


def _find_action(label: object) -> Action:
    try:
        return Action.labelled(str(label))
    except KeyError:
        known = ", ".join(action.label for action in Action)
        raise ValueError(f"{label!r} is not an action; the actions are {known}") from None


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


def _require_https(url: str) -> str:
    if urlsplit(url).scheme != "https" or not urlsplit(url).hostname:
        raise ValueError("must be an https URL")
    return url.rstrip("/")


_Strings = Annotated[frozenset[str], NoDecode, BeforeValidator(_split_at_commas)]
_NonEmptyStrings = Annotated[_Strings, AfterValidator(_refuse_blanks)]
_Actions = Annotated[
    frozenset[Action],
    NoDecode,
    BeforeValidator(_find_actions),
    BeforeValidator(_split_at_commas),
]


_Quotas = Annotated[
    Mapping[Quota, Annotated[float, Field(gt=0, allow_inf_nan=False)]],
    NoDecode,
    BeforeValidator(_read_quotas),
    BeforeValidator(_split_at_commas),
]


class Settings(BaseSettings):
    """The server's settings. Each has a variable: `GRAPHQL_ADMIN_` + its name in capitals."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid")

    user_pool_id: str = Field(pattern=r"^[a-z]{2,}(-[a-z]+)+-\d_[0-9a-zA-Z]+$", max_length=55)
    """The user pool, such as `eu-west-1_AbCdEf123`."""

    client_ids: _NonEmptyStrings
    """App clients whose tokens are good here."""

    dev: bool = False
    """Admit what only a local emulator needs: http for keys, and keys that are public.
    Set by `graphql-admin dev`; refused at start unless Cognito's endpoint is loopback."""

    admin_groups: _NonEmptyStrings | None = None
    """Groups whose members may do everything. `*` is every signed-in user."""

    policy_file: Path | None = Field(default=None, validate_default=True)
    """TOML file that gives each group its actions, instead of `admin_groups`."""

    disabled_actions: _Actions = frozenset()
    """Actions taken out of the schema altogether."""

    token_use: Annotated[frozenset[TokenUse], NoDecode, BeforeValidator(_split_at_commas)] = (
        frozenset({TokenUse.ACCESS})
    )
    """Kinds of token that are good here."""

    issuer: Annotated[str, AfterValidator(_require_https)] | None = None
    """The `iss` of good tokens, where it is neither of Cognito's two forms for the pool."""

    jwks_url: str | None = None
    """Where the pool's keys are, where that is not below the issuer."""

    introspection: Introspection = Introspection.AUTHENTICATED
    """Who may read the schema from the server."""

    host: str = "127.0.0.1"
    """Address to listen on."""

    port: int = Field(default=8000, ge=0, le=65535)
    """TCP port to listen on."""

    deadline: float = Field(default=15.0, gt=0, le=300)
    """Seconds that one request may take, waiting for Cognito included."""

    quotas: _Quotas = Field(default_factory=dict)
    """Calls per second that AWS grants the account, where not the default; such as
    `UserRead=240,UserList=60`."""

    quota_share: float = Field(default=1.0, gt=0, le=1)
    """Part of each quota that this process may use. The quotas are of the whole account and
    region, so leave some to its other apps, and divide it among the processes of this server."""

    max_tokens: int = Field(default=2000, ge=100)
    """Lexical tokens that a GraphQL document may have."""

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
    def grants(self) -> Grants:
        """What each group may do, from whichever of the two settings says so."""
        if self.policy_file is not None:
            return _read_policy(self.policy_file)
        return {group: frozenset(Action) for group in self.admin_groups or ()}

    @field_validator("policy_file")
    @classmethod
    def _check_policy(cls, path: Path | None, info: ValidationInfo) -> Path | None:
        if "admin_groups" not in info.data:
            return path  # ADMIN_GROUPS was refused already, and says why
        if (path is None) == (info.data["admin_groups"] is None):
            raise ValueError(f"set exactly one of {PREFIX}ADMIN_GROUPS and {PREFIX}POLICY_FILE")
        if path is not None:
            _read_policy(path)
        return path

    @field_validator("jwks_url")
    @classmethod
    def _check_jwks_url(cls, url: str | None, info: ValidationInfo) -> str | None:
        # In dev mode the keys are the emulator's, which speaks http.
        return url if url is None or info.data.get("dev") else _require_https(url)

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
        problems += [_sentence(problem["loc"], problem["msg"]) for problem in error.errors()]
    if problems:
        raise InvalidSettings(problems)
    return settings


def _sentence(location: tuple[int | str, ...], message: str) -> str:
    variable = PREFIX + str(location[0]).upper() if location else PREFIX + "*"
    return f"{variable}: {message.removeprefix('Value error, ')}"


def _read_policy(path: Path) -> Grants:
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ValueError(f"cannot read {str(path)!r}: {error}") from error
    groups = table.pop("groups", None)
    if table or not isinstance(groups, dict) or not groups:
        raise ValueError("must hold one table, [groups], with a list of actions for each group")
    return {group: _read_grant(group, labels) for group, labels in groups.items()}


def _read_grant(group: str, labels: object) -> frozenset[Action]:
    if not group.strip():
        raise ValueError("names a group with an empty name")
    if not isinstance(labels, list) or not labels:
        raise ValueError(f"group {group!r} must have a list of actions, such as ['listUsers']")
    return frozenset(Action) if ANYONE in labels else frozenset(map(_find_action, labels))
