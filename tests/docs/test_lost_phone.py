"""The recipe for a lost phone, carried out on a scripted Cognito."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from tests.support.api import Api
from tests.support.changes import events_in
from tests.support.pages import ROOT, blocks_of
from tests.support.scripted import Reply, ScriptedCognito, failure, reply

PAGE = ROOT / "docs" / "administration.md"
PHONE, PAGE_OF_PHONE = "tkn00000000000000000000phone", "sso00000000000000000000phone"
LAPTOP = "tkn0000000000000000000laptop"


def session(id_: str, device: str, city: str, active: int, origin: str | None) -> dict[str, Any]:
    row = {
        "SessionId": id_,
        "SessionType": "SSO" if id_.startswith("sso") else "TOKEN",
        "DeviceType": device,
        "LastIPAddress": "203.0.113.77",
        "LastLocation": {"City": city, "Country": "Austria"},
        "LastActiveDate": active,
    }
    return row if origin is None else {**row, "OriginSessionId": origin}


@dataclass
class Lena:
    """A user who has lost the phone that her authenticator app was on.

    Attributes:
        sessions: Those that she has.
        mfa: Her factors, the preferred one first.
    """

    sessions: list[dict[str, Any]] = field(
        default_factory=lambda: [
            session(PHONE, "Phone", "Vienna", 1_767_344_400, PAGE_OF_PHONE),
            session(PAGE_OF_PHONE, "Phone", "Vienna", 1_767_258_000, None),
            session(LAPTOP, "Desktop", "Graz", 1_767_340_800, None),
        ]
    )
    mfa: list[str] = field(default_factory=lambda: ["SOFTWARE_TOKEN_MFA", "SMS_MFA"])

    def install(self, backend: ScriptedCognito) -> None:
        """Reply as Cognito would of her."""
        backend.on("AdminGetUser", lambda _: reply(self._user()))
        backend.on("AdminGetUserAuthFactors", lambda _: reply(self._factors()))
        backend.on("AdminListUserSessions", lambda _: reply({"Sessions": self.sessions}))
        backend.on("AdminRevokeUserSession", self._revoke)
        backend.on("AdminDeleteSoftwareToken", self._delete)
        backend.on("AdminSetUserMFAPreference", self._prefer)

    def _factors(self) -> dict[str, Any]:
        mfa = {"UserMFASettingList": self.mfa, "PreferredMfaSetting": self.mfa[0]}
        return {"Username": "lena.schafer", "ConfiguredUserAuthFactors": ["PASSWORD"], **mfa}

    def _user(self) -> dict[str, Any]:
        attributes = {
            "sub": "sub-of-lena",
            "email_verified": "true",
            "phone_number": "+15550100",
            "phone_number_verified": "true",
        }
        return {
            **self._factors(),
            "UserAttributes": [{"Name": n, "Value": value} for n, value in attributes.items()],
            "Enabled": True,
            "UserStatus": "CONFIRMED",
        }

    def _revoke(self, parameters: dict[str, Any]) -> Reply:
        (ended,) = [each for each in self.sessions if each["SessionId"] == parameters["SessionId"]]
        ids = {ended["SessionId"]}
        if parameters["RevokeAssociatedSessions"] == "LINKED":
            ids.add(ended["OriginSessionId"])
        self.sessions = [each for each in self.sessions if each["SessionId"] not in ids]
        return reply({})

    def _delete(self, _: dict[str, Any]) -> Reply:
        self.mfa.remove("SOFTWARE_TOKEN_MFA")
        return reply({})

    def _prefer(self, parameters: dict[str, Any]) -> Reply:
        if "SoftwareTokenMfaSettings" in parameters and "SOFTWARE_TOKEN_MFA" not in self.mfa:
            return failure("InvalidParameterException")
        assert parameters["SMSMfaSettings"] == {"Enabled": True, "PreferredMfa": True}
        return reply({})


def test_lost_phone(serve: Callable[..., Api], scripted: ScriptedCognito, tmp_path: Path) -> None:
    """The phone is signed out with the page that it came by, and asked for no more."""
    lena = Lena()
    lena.install(scripted)
    api = serve(scripted.url, audit_file=tmp_path / "audit.jsonl")
    blocks = [block for block in blocks_of(PAGE) if block.label == "scripted phone"]
    asked = [pair for pair in pairwise(blocks) if pair[0].language == "graphql"]
    assert len(asked) == 2
    for document, shown in asked:
        assert api.send(document.text).response.json() == json.loads(shown.text)
    assert [each["SessionId"] for each in lena.sessions] == [LAPTOP]
    events = (tmp_path / "audit.jsonl").read_text()
    assert [event["action"] for event in events_in(tmp_path / "audit.jsonl")] == [
        "endUserSession",
        "deleteUserTotp",
        "setUserMfa",
    ]
    assert not [each for each in ("203.0.113", "Vienna", "phone", "Phone") if each in events]
