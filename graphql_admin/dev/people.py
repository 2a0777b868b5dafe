"""The made-up users of an embedded Cognito.

E-mail addresses are in the domains that RFC 2606 reserves for examples, phone numbers in ranges
that their countries reserve for fiction.
"""

import json
import random
import unicodedata
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, cycle, product


@dataclass(frozen=True)
class Person:
    """A user to create, with past dates."""

    username: str
    attributes: Mapping[str, str]
    status: str = "CONFIRMED"
    enabled: bool = True
    groups: tuple[str, ...] = ()
    days_since_sign_up: int = 400
    days_since_change: int = 30

    @property
    def has_mfa(self) -> bool:
        """Whether they are asked for a code by text message when they sign in."""
        return self.attributes.get("phone_number_verified") == "true"


def _ready(username: str, name: str, *groups: str) -> Person:
    given, family = name.split(" ")
    attributes = {
        "email": f"{username}@example.com",
        "email_verified": "true",
        "given_name": given,
        "family_name": family,
        "name": name,
    }
    return Person(username, attributes, groups=groups)


ADMIN = _ready("ada", "Ada Okafor", "Admins", "Editors")
HELPER = _ready("sam", "Sam Lindqvist", "Support")
ORDINARY_USER = _ready("otto", "Otto Marchetti")
_RICHARD = _ready("richard", "Richard Novák", "Readers")

# Given names, family names (with a slash before the Latin form) and a prefix of phone numbers
# without their last two digits, from ranges reserved for drama by the FCC (555-01xx), Ofcom, ARCEP,
# BNetzA and PTS; "" if the country reserves none.
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
"""Every status in Cognito, with its share of the users in percent."""

_MEMBERS = {"Admins": 0.03, "Editors": 0.15, "Support": 0.08, "Readers": 0.5}
"""The fraction of users in each group; many are in several or in none."""

_SHARED_MAILBOX = "reception@example.org"
"""An address of several users, which Cognito allows: a lookup by it is ambiguous."""


def make_people(users: int) -> Iterator[Person]:
    """Yield the ready users, then others up to `users`; every status occurs early."""
    ready = (ADMIN, HELPER, ORDINARY_USER, _RICHARD)
    yield from ready[:users]
    rng = random.Random(0)  # noqa: S311  # the same users every time, on purpose
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
) -> Person:
    email = f"{account}@example.{rng.choice(('com', 'org', 'net'))}"
    if _chance(rng, 0.02):
        email = _SHARED_MAILBOX
    attributes["email"] = email
    # Cognito resets a password only if it can send a code to a verified address.
    verified = status != "UNCONFIRMED" and (status == "RESET_REQUIRED" or _chance(rng, 0.8))
    attributes["email_verified"] = json.dumps(verified)
    if _chance(rng, 0.4):
        attributes["phone_number"] = f"{phone}{rng.randrange(5, 100):02d}"
        attributes["phone_number_verified"] = json.dumps(_chance(rng, 0.5))
    if _chance(rng, 0.5):
        attributes["custom:department"] = rng.choice(_DEPARTMENTS)
    if status == "EXTERNAL_PROVIDER":
        user_id = str(rng.randrange(10**20, 10**21))
        username = f"Google_{user_id}"
        attributes["identities"] = json.dumps(
            [{"userId": user_id, "providerName": "Google", "primary": "true"}]
        )
    else:
        opaque = str(uuid.UUID(int=rng.getrandbits(128), version=4))
        as_email = 0 if email == _SHARED_MAILBOX else 15
        username = _pick(rng, {account: 75, email: as_email, opaque: 10})
    days_since_sign_up = rng.randrange(2, 1200)
    return Person(
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
