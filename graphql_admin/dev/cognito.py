"""An embedded Cognito for development: moto's server with made-up users, and their tokens."""

import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Self

import boto3
from botocore.config import Config

from graphql_admin.actions import Action
from graphql_admin.dev.moto_server import moto_server
from graphql_admin.dev.people import ADMIN, HELPER, ORDINARY_USER, Person, make_people
from graphql_admin.policy.grants import ALL
from graphql_admin.settings import PREFIX

if TYPE_CHECKING:
    from mypy_boto3_cognito_idp.type_defs import AttributeTypeTypeDef

REGION = "eu-west-1"

_CREDENTIALS = {"AWS_ACCESS_KEY_ID": "development", "AWS_SECRET_ACCESS_KEY": "development"}

_MOTO_ACCOUNT = "123456789012"

PASSWORD = "Development-0nly!"  # noqa: S105  # of users that exist only while this runs

_SUPPORT = (
    Action.LIST_USERS,
    Action.GET_USER,
    Action.LIST_GROUPS,
    Action.LIST_GROUPS_FOR_USER,
    Action.GET_USER_AUTH_FACTORS,
    Action.LIST_USER_SESSIONS,
    Action.DISABLE_USER,
    Action.ENABLE_USER,
    Action.CONFIRM_USER_SIGN_UP,
    Action.ADD_USER_TO_GROUP,
    Action.REMOVE_USER_FROM_GROUP,
    Action.UPDATE_USER,
    Action.END_USER_SESSIONS,
    Action.END_USER_SESSION,
    Action.RESET_USER_PASSWORD,
    Action.RESEND_INVITATION,
    Action.SET_USER_MFA,
    Action.DELETE_USER_TOTP,
)

POLICY: Mapping[str, Mapping[str, list[str]]] = {
    "groups": {
        "Admins": [ALL],
        "Support": [action.label for action in _SUPPORT],
    },
    "grants": {"Support": ["Editors", "Readers"]},
    "writes": {"Support": ["name", "given_name", "family_name", "custom:department"]},
}
"""The tables of a policy file. Support has fewer rights than Admins, so the server lets its members
neither disable an admin nor become one."""


@dataclass(frozen=True)
class ReadyPerson:
    """A user with an access token, to try the server with."""

    role: str
    username: str
    groups: tuple[str, ...]
    token: str = field(repr=False)
    may: str
    """Their rights, as the end of a sentence that starts with "may"."""


class EmbeddedCognito:
    """A user pool on a free port of the loopback address, within the context.

    Raises:
        MissingExtra: On entry, if the `dev` extra is not installed.
    """

    endpoint_url: str
    pool_id: str
    client_id: str
    jwks_url: str
    policy_file: Path
    """TOML for `GRAPHQL_ADMIN_POLICY_FILE`: every action for Admins; a few for Support, but not on
    admins."""

    people: tuple[ReadyPerson, ...] = ()
    """An admin, a member of Support and an ordinary user, after `seed`."""

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self.endpoint_url = stack.enter_context(moto_server())
            self._cognito = boto3.client(
                "cognito-idp",
                region_name=REGION,
                endpoint_url=self.endpoint_url,
                aws_access_key_id=_CREDENTIALS["AWS_ACCESS_KEY_ID"],
                aws_secret_access_key=_CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
                config=Config(proxies={}),
            )
            stack.callback(self._cognito.close)
            self._create_pool()
            stack.callback(self._cognito.delete_user_pool, UserPoolId=self.pool_id)
            self.policy_file = stack.enter_context(_policy_file())
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def environment(self) -> Mapping[str, str]:
        """The environment variables of a server for this pool, and for nothing else."""
        return {
            **_CREDENTIALS,
            "AWS_REGION": REGION,
            "AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER": self.endpoint_url,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            f"{PREFIX}DEV": "1",
            f"{PREFIX}AMPLIFY": "1",
            f"{PREFIX}EXPLORER": "1",
            f"{PREFIX}USER_POOL_ID": self.pool_id,
            f"{PREFIX}CLIENT_IDS": self.client_id,
            f"{PREFIX}JWKS_URL": self.jwks_url,
            f"{PREFIX}POLICY_FILE": str(self.policy_file),
        }

    def token(self, username: str) -> str:
        """Sign in a user and return a new access token, valid for one hour.

        Args:
            username: A seeded user who is confirmed and enabled.

        Raises:
            ValueError: The status of the user does not allow signing in.
        """
        reply = self._cognito.admin_initiate_auth(
            UserPoolId=self.pool_id,
            ClientId=self.client_id,
            AuthFlow="ADMIN_USER_PASSWORD_AUTH",
            AuthParameters={"USERNAME": username, "PASSWORD": PASSWORD},
        )
        if "AuthenticationResult" not in reply:
            raise ValueError(f"{username} cannot sign in: {reply['ChallengeName']}")
        return reply["AuthenticationResult"]["AccessToken"]

    def ready_people(self) -> Sequence[ReadyPerson]:
        """Return the ready users with new tokens.

        A user who was disabled since keeps their last token, as in Cognito.
        """
        return [self._renewed(person) for person in self.people]

    def _renewed(self, person: ReadyPerson) -> ReadyPerson:
        try:
            return replace(person, token=self.token(person.username))
        except self._cognito.exceptions.NotAuthorizedException:
            return person

    def seed(
        self, users: int = 250, progress: Callable[[int, int], None] = lambda _done, _users: None
    ) -> None:
        """Create users in the pool; always the same ones, apart from their `sub`.

        Args:
            users: The number of users, the ready ones included.
            progress: Called after each user with the number done and `users`.
        """
        for done, person in enumerate(make_people(users), start=1):
            self._create(person)
            progress(done, users)
        self.people = tuple(
            ReadyPerson(role, person.username, person.groups, self.token(person.username), may)
            for role, person, may in (
                ("admin", ADMIN, "do everything"),
                (
                    "helper",
                    HELPER,
                    "use "
                    + ", ".join(POLICY["groups"]["Support"])
                    + ", on people who may do no more themselves; and add people to no group but "
                    + " and ".join(POLICY["grants"]["Support"])
                    + ", and set no attributes but "
                    + ", ".join(POLICY["writes"]["Support"]),
                ),
                ("ordinary user", ORDINARY_USER, "ask who they are and sign themselves out"),
            )
        )

    def _create_pool(self) -> None:
        pool = self._cognito.create_user_pool(PoolName="development")["UserPool"]
        self.pool_id = pool["Id"]
        self.jwks_url = f"{self.endpoint_url}/{self.pool_id}/.well-known/jwks.json"
        self._cognito.add_custom_attributes(
            UserPoolId=self.pool_id,
            CustomAttributes=[{"Name": "department", "AttributeDataType": "String"}],
        )
        client = self._cognito.create_user_pool_client(
            UserPoolId=self.pool_id,
            ClientName="development",
            ExplicitAuthFlows=["ALLOW_ADMIN_USER_PASSWORD_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"],
        )["UserPoolClient"]
        self.client_id = client["ClientId"]
        create_group = partial(self._cognito.create_group, UserPoolId=self.pool_id)
        create_group(GroupName="Admins", Precedence=0, Description="May do everything.")
        create_group(GroupName="Editors", Precedence=20)
        create_group(GroupName="Support", Precedence=10, Description="Helps people to sign in.")
        create_group(GroupName="Readers")
        create_group(GroupName="Alumni", Description="Nobody is in it yet.")

    def _create(self, person: Person) -> None:
        cognito, pool_id, username = self._cognito, self.pool_id, person.username
        attributes: list[AttributeTypeTypeDef] = [
            {"Name": name, "Value": value} for name, value in person.attributes.items()
        ]
        if person.status == "UNCONFIRMED":
            cognito.sign_up(
                ClientId=self.client_id,
                Username=username,
                Password=PASSWORD,
                UserAttributes=attributes,
            )
        else:
            cognito.admin_create_user(
                UserPoolId=pool_id,
                Username=username,
                UserAttributes=attributes,
                TemporaryPassword=PASSWORD,
                MessageAction="SUPPRESS",
            )
        if person.status in {"CONFIRMED", "RESET_REQUIRED"}:
            cognito.admin_set_user_password(
                UserPoolId=pool_id, Username=username, Password=PASSWORD, Permanent=True
            )
        if person.status == "RESET_REQUIRED":
            cognito.admin_reset_user_password(UserPoolId=pool_id, Username=username)
        if person.has_mfa:
            cognito.admin_set_user_mfa_preference(
                UserPoolId=pool_id,
                Username=username,
                SMSMfaSettings={"Enabled": True, "PreferredMfa": True},
            )
        if not person.enabled:
            cognito.admin_disable_user(UserPoolId=pool_id, Username=username)
        for group in person.groups:
            cognito.admin_add_user_to_group(UserPoolId=pool_id, Username=username, GroupName=group)
        self._amend(person)

    def _amend(self, person: Person) -> None:
        """Set in moto what no call to Cognito can: past dates, and statuses only AWS sets."""
        from moto.backends import get_backend  # noqa: PLC0415  # only with the `dev` extra

        pool = get_backend("cognito-idp")[_MOTO_ACCOUNT][REGION].user_pools[self.pool_id]
        user = pool.users[person.username]
        user.create_date -= timedelta(days=person.days_since_sign_up)
        user.last_modified_date -= timedelta(days=person.days_since_change)
        if user.status != person.status:
            user.status = person.status


@contextmanager
def isolated_environment() -> Iterator[frozenset[str]]:
    """Hide the environment variables that would lead to a real pool, within the context.

    These are those of this server, of AWS and for proxies. Variables set within the context are
    removed as well.

    Yields:
        The names of the hidden variables.
    """
    before = dict(os.environ)
    hidden = frozenset(
        name
        for name in before
        if name.startswith((PREFIX, "AWS_")) or name.upper().endswith("_PROXY")
    )
    for name in hidden:
        del os.environ[name]
    try:
        yield hidden
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextmanager
def _policy_file() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="graphql-admin-") as directory:
        path = Path(directory) / "policy.toml"
        lines = chain.from_iterable(
            (f"[{name}]", *(f"{key} = {json.dumps(names)}" for key, names in table.items()), "")
            for name, table in POLICY.items()
        )
        path.write_text("\n".join(lines), encoding="utf-8")
        yield path
