"""An embedded Cognito for development: a user pool on moto's server, its people and their tokens.

Everything here is made up. E-mail addresses are in the domains that RFC 2606 keeps for examples,
phone numbers in ranges that their countries keep for fiction.
"""

import json
import logging
import os
import random
import tempfile
import unicodedata
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from itertools import chain, cycle, product
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Self

import boto3
from botocore.config import Config

from graphql_admin.actions import Action
from graphql_admin.hosts import LOOPBACK, AllowedHosts
from graphql_admin.policy.grants import ALL
from graphql_admin.settings import PREFIX

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from mypy_boto3_cognito_idp.type_defs import AttributeTypeTypeDef

REGION = "eu-west-1"

_CREDENTIALS = {"AWS_ACCESS_KEY_ID": "development", "AWS_SECRET_ACCESS_KEY": "development"}

_MOTO_ACCOUNT = "123456789012"

_PASSWORD = "Development-0nly!"  # noqa: S105  # of people who exist only while this runs

_SUPPORT = (
    Action.LIST_USERS,
    Action.GET_USER,
    Action.LIST_GROUPS,
    Action.LIST_GROUPS_FOR_USER,
    Action.DISABLE_USER,
    Action.ENABLE_USER,
    Action.CONFIRM_USER_SIGN_UP,
    Action.ADD_USER_TO_GROUP,
    Action.REMOVE_USER_FROM_GROUP,
)

_POLICY: Mapping[str, Mapping[str, list[str]]] = {
    "groups": {
        "Admins": [ALL],
        "Support": [action.label for action in _SUPPORT],
    },
    "grants": {"Support": ["Editors", "Readers"]},
}
"""The tables of a policy file. Helpers have the rights of helpers, and not those of admins: the
server lets them neither disable an admin nor become one."""


class MissingExtra(Exception):
    """What only development needs is not installed."""

    def __init__(self) -> None:
        super().__init__(
            "The embedded Cognito is not installed. Install it with: "
            "pip install 'graphql-admin[dev]'"
        )


@dataclass(frozen=True)
class ReadyPerson:
    """A person whose access token is at hand, to try the server as."""

    role: str
    username: str
    groups: tuple[str, ...]
    token: str = field(repr=False)
    may: str
    """What the policy lets them do, as the end of a sentence that begins with "may"."""


@dataclass(frozen=True)
class _Person:
    username: str
    attributes: Mapping[str, str]
    status: str = "CONFIRMED"
    enabled: bool = True
    groups: tuple[str, ...] = ()
    days_since_sign_up: int = 400
    days_since_change: int = 30


class EmbeddedCognito:
    """A user pool on a free port of the loopback address, for as long as the context lasts.

    Raises:
        MissingExtra: On entry, where the `dev` extra is not installed.
    """

    endpoint_url: str
    pool_id: str
    client_id: str
    jwks_url: str
    policy_file: Path
    """TOML for `GRAPHQL_ADMIN_POLICY_FILE`: all to Admins, a few actions to Support, and these not
    on admins."""

    people: tuple[ReadyPerson, ...] = ()
    """An admin, a supporter and an ordinary user, once people are seeded."""

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self.endpoint_url = stack.enter_context(_moto_server())
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
        """The variables with which a server works on this pool, and on nothing else."""
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
        """Sign a person in and return a fresh access token, good for one hour.

        Args:
            username: A seeded person who is confirmed and enabled.

        Raises:
            ValueError: They are in a state in which nobody can sign in.
        """
        reply = self._cognito.admin_initiate_auth(
            UserPoolId=self.pool_id,
            ClientId=self.client_id,
            AuthFlow="ADMIN_USER_PASSWORD_AUTH",
            AuthParameters={"USERNAME": username, "PASSWORD": _PASSWORD},
        )
        if "AuthenticationResult" not in reply:
            raise ValueError(f"{username} cannot sign in: {reply['ChallengeName']}")
        return reply["AuthenticationResult"]["AccessToken"]

    def ready_people(self) -> Sequence[ReadyPerson]:
        """Return the ready people with fresh tokens.

        Whoever was disabled meanwhile keeps the token that they had, as in Cognito.
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
        """Fill the pool with people; always the same ones, but for their `sub`.

        Args:
            users: How many, the ready people included.
            progress: Called after each person with the number done and `users`.
        """
        for done, person in enumerate(_people(users), start=1):
            self._create(person)
            progress(done, users)
        self.people = tuple(
            ReadyPerson(role, person.username, person.groups, self.token(person.username), may)
            for role, person, may in (
                ("admin", _ADMIN, "do everything"),
                (
                    "supporter",
                    _SUPPORTER,
                    "use "
                    + ", ".join(_POLICY["groups"]["Support"])
                    + ", on people who may do no more themselves; and add people to no group but "
                    + " and ".join(_POLICY["grants"]["Support"]),
                ),
                ("ordinary user", _ORDINARY_USER, "ask who they are and sign themselves out"),
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

    def _create(self, person: _Person) -> None:
        cognito, pool_id, username = self._cognito, self.pool_id, person.username
        attributes: list[AttributeTypeTypeDef] = [
            {"Name": name, "Value": value} for name, value in person.attributes.items()
        ]
        if person.status == "UNCONFIRMED":
            cognito.sign_up(
                ClientId=self.client_id,
                Username=username,
                Password=_PASSWORD,
                UserAttributes=attributes,
            )
        else:
            cognito.admin_create_user(
                UserPoolId=pool_id,
                Username=username,
                UserAttributes=attributes,
                TemporaryPassword=_PASSWORD,
                MessageAction="SUPPRESS",
            )
        if person.status in {"CONFIRMED", "RESET_REQUIRED"}:
            cognito.admin_set_user_password(
                UserPoolId=pool_id, Username=username, Password=_PASSWORD, Permanent=True
            )
        if person.status == "RESET_REQUIRED":
            cognito.admin_reset_user_password(UserPoolId=pool_id, Username=username)
        if not person.enabled:
            cognito.admin_disable_user(UserPoolId=pool_id, Username=username)
        for group in person.groups:
            cognito.admin_add_user_to_group(UserPoolId=pool_id, Username=username, GroupName=group)
        self._amend(person)

    def _amend(self, person: _Person) -> None:
        """Set in moto what no call to Cognito can: a past, and states that only AWS sets."""
        from moto.backends import get_backend  # noqa: PLC0415  # only with the `dev` extra

        pool = get_backend("cognito-idp")[_MOTO_ACCOUNT][REGION].user_pools[self.pool_id]
        user = pool.users[person.username]
        user.create_date -= timedelta(days=person.days_since_sign_up)
        user.last_modified_date -= timedelta(days=person.days_since_change)
        if user.status != person.status:
            user.status = person.status


@contextmanager
def isolated_environment() -> Iterator[None]:
    """Hide the variables that would lead this process to a real pool, and undo it afterwards.

    These are this server's own, AWS's and those of proxies; variables set inside the context go
    as well.
    """
    before = dict(os.environ)
    for name in before:
        if name.startswith((PREFIX, "AWS_")) or name.upper().endswith("_PROXY"):
            del os.environ[name]
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextmanager
def _moto_server() -> Iterator[str]:
    try:
        from moto.moto_server.werkzeug_app import (  # noqa: PLC0415  # only with the `dev` extra
            DomainDispatcherApplication,
            MotoRequestHandler,
            create_backend_app,
        )
        from werkzeug.serving import make_server  # noqa: PLC0415
    except ImportError as error:
        raise MissingExtra from error
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # or it logs every request
    server = make_server(
        "127.0.0.1",
        0,
        _LocalOnly(DomainDispatcherApplication(create_backend_app)),
        threaded=True,
        request_handler=MotoRequestHandler,
    )
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        server.shutdown()
        thread.join()


class _LocalOnly:
    """WSGI middleware that answers programs and pages of this machine, and no page of another.

    moto lets pages of every origin read what it answers, and asks nobody for a token.

    Args:
        app: What answers them.
    """

    def __init__(self, app: "WSGIApplication") -> None:
        self._app = app
        self._hosts = AllowedHosts(LOOPBACK)

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        """Answer one HTTP request; see PEP 3333."""
        if not self._hosts.admits(environ.get("HTTP_HOST", "")):
            status = "421 Misdirected Request"
        elif not self._is_local(environ):
            status = "403 Forbidden"
        else:
            return self._app(environ, start_response)
        start_response(status, [("Content-Type", "text/plain"), ("Cache-Control", "no-store")])
        return [b"This server answers its own machine alone.\n"]

    def _is_local(self, environ: "WSGIEnvironment") -> bool:
        origin = environ.get("HTTP_ORIGIN")
        if origin is not None:
            return self._hosts.admits_origin(origin)
        # A page may ask without saying where it is from, if it is not to read the answer.
        return environ.get("HTTP_SEC_FETCH_SITE") != "cross-site"


@contextmanager
def _policy_file() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="graphql-admin-") as directory:
        path = Path(directory) / "policy.toml"
        lines = chain.from_iterable(
            (f"[{name}]", *(f"{key} = {json.dumps(names)}" for key, names in table.items()), "")
            for name, table in _POLICY.items()
        )
        path.write_text("\n".join(lines), encoding="utf-8")
        yield path


def _ready(username: str, name: str, *groups: str) -> _Person:
    given, family = name.split(" ")
    attributes = {
        "email": f"{username}@example.com",
        "email_verified": "true",
        "given_name": given,
        "family_name": family,
        "name": name,
    }
    return _Person(username, attributes, groups=groups)


_ADMIN = _ready("ada", "Ada Okafor", "Admins", "Editors")
_SUPPORTER = _ready("sam", "Sam Lindqvist", "Support")
_ORDINARY_USER = _ready("otto", "Otto Marchetti")
_RICHARD = _ready("richard", "Richard Novák", "Readers")

# Given names, family names (a slash parts a name from its Latin form) and the stem of phone
# numbers that take two more digits, from ranges kept for drama by the FCC (555-01xx), Ofcom,
# ARCEP, BNetzA and PTS; "" where the country keeps none.
_CULTURES = (
    ("James Olivia Noah Amelia Imani Grace", "Walker Hughes Bennett Clarke Reid", "+4477009001"),
    ("Marcus Emily Tyler Hannah DeShawn Ruth", "Johnson Begay Miller Carter Lee", "+120255501"),
    ("Lucía Mateo Camila Javier Inés Andrés", "García Muñoz Quispe Fernández Rojas", "+130555501"),
    ("Chloé Hugo Aminata Léa Étienne Moussa", "Lefèvre Diallo Moreau Traoré Petit", "+336399801"),
    ("Jürgen Lena Mehmet Käthe Jonas Elif", "Müller Yıldız Schäfer Weiß Krüger", "+4930231251"),  # noqa: RUF001
    ("Søren Astrid Björn Freja Åse Mikael", "Lindqvist Øster Nyström Dahl Åberg", "+467017406"),
    ("Zofia Marek Jiří Božena Łukasz Eva", "Kowalska Dvořák Wójcik Černý Nowak", ""),
    ("Ngozi Kwame Folasade Tendai Zanele Obi", "Okafor Mensah Adeyemi Dlamini Moyo", ""),
    ("Priya Arjun Lakshmi Imran Meera Vikram", "Sharma Iyer Patel Khan Banerjee", ""),
    ("佳怡/Jiayi 伟/Wei 秀英/Xiuying 浩/Hao", "王/Wang 李/Li 陈/Chen 赵/Zhao", ""),
    ("陽菜/Hina 蓮/Ren 結衣/Yui 健太/Kenta", "佐藤/Sato 鈴木/Suzuki 高橋/Takahashi", ""),
    ("عمر/Omar ليلى/Layla يوسف/Yousef سارة/Sara", "حداد/Haddad نجار/Najjar خوري/Khoury", ""),
)


_FIRST_IDEOGRAPH = "\u4e00"

_NOT_COMPOSED = str.maketrans({"ø": "o", "ß": "ss", "ł": "l", "ı": "i"})  # noqa: RUF001

_DEPARTMENTS = ("Finance", "Logistics", "Research", "Sales", "Legal", "R&D", "Kundendienst")

_STATUSES = {
    "CONFIRMED": 70,
    "UNCONFIRMED": 8,
    "FORCE_CHANGE_PASSWORD": 8,
    "EXTERNAL_PROVIDER": 6,
    "RESET_REQUIRED": 4,
    "ARCHIVED": 1,
    "COMPROMISED": 1,
    "UNKNOWN": 2,
}
"""Every status that Cognito knows, with its share of the people in percent."""

_MEMBERS = {"Admins": 0.03, "Editors": 0.15, "Support": 0.08, "Readers": 0.5}
"""The share of the people who are in a group; many are in several or in none."""

_SHARED_MAILBOX = "reception@example.org"
"""Of several people, as Cognito allows: looked up by it, nobody is the one who was meant."""


def _people(users: int) -> Iterator[_Person]:
    """Yield the ready people, then others until there are `users`; every status comes early."""
    ready = (_ADMIN, _SUPPORTER, _ORDINARY_USER, _RICHARD)
    yield from ready[:users]
    rng = random.Random(0)  # noqa: S311  # the same people every time, on purpose
    names = [
        (given, family, phone)
        for givens, families, phone in _CULTURES
        for given, family in product(givens.split(), families.split())
    ]
    rng.shuffle(names)
    statuses = chain(_STATUSES, iter(lambda: _pick(rng, _STATUSES), None))
    namesakes: Counter[str] = Counter()
    for (full_given, full_family, phone), status, _ in zip(
        cycle(names), statuses, range(users - len(ready)), strict=False
    ):
        given, _, latin_given = full_given.partition("/")
        family, _, latin_family = full_family.partition("/")
        account = _ascii(f"{latin_given or given}.{latin_family or family}")
        namesakes[account] += 1
        if namesakes[account] > 1:
            account += str(namesakes[account])
        family_first = given >= _FIRST_IDEOGRAPH
        attributes = {
            "given_name": given,
            "family_name": family,
            "name": f"{family}{given}" if family_first else f"{given} {family}",
        }
        yield _person(rng, account, attributes, phone or "+130555501", status)


def _person(
    rng: random.Random, account: str, attributes: dict[str, str], phone: str, status: str
) -> _Person:
    email = f"{account}@example.{rng.choice(('com', 'org', 'net'))}"
    if _chance(rng, 0.02):
        email = _SHARED_MAILBOX
    attributes["email"] = email
    # Cognito resets a password only where it can send a code to an address that is verified.
    verified = status != "UNCONFIRMED" and (status == "RESET_REQUIRED" or _chance(rng, 0.8))
    attributes["email_verified"] = json.dumps(verified)
    if _chance(rng, 0.4):
        attributes["phone_number"] = f"{phone}{rng.randrange(5, 100):02d}"
        attributes["phone_number_verified"] = json.dumps(_chance(rng, 0.5))
    if _chance(rng, 0.5):
        attributes["custom:department"] = rng.choice(_DEPARTMENTS)
    if status == "EXTERNAL_PROVIDER":
        username = f"Google_{rng.randrange(10**20, 10**21)}"
    else:
        opaque = str(uuid.UUID(int=rng.getrandbits(128), version=4))
        as_email = 0 if email == _SHARED_MAILBOX else 15
        username = _pick(rng, {account: 75, email: as_email, opaque: 10})
    days_since_sign_up = rng.randrange(2, 1200)
    return _Person(
        username,
        attributes,
        status,
        enabled=_chance(rng, 0.92),
        groups=tuple(group for group, share in _MEMBERS.items() if _chance(rng, share)),
        days_since_sign_up=days_since_sign_up,
        days_since_change=rng.randrange(days_since_sign_up),
    )


def _chance(rng: random.Random, share: float) -> bool:
    return rng.random() < share


def _pick(rng: random.Random, weights: Mapping[str, int]) -> str:
    return rng.choices(list(weights), list(weights.values()))[0]


def _ascii(name: str) -> str:
    plain = unicodedata.normalize("NFKD", name.lower().translate(_NOT_COMPOSED))
    return plain.encode("ascii", "ignore").decode()
