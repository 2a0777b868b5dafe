"""The recipes for a stolen laptop and a wrong identity, carried out on a scripted Cognito."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.support.api import Api
from tests.support.pages import ROOT, blocks_of, is_like
from tests.support.scripted import ScriptedCognito, failure, reply, user_of

PAGE = ROOT / "docs" / "administration.md"
AT = 1_700_000_000
KEY = "eu-west-1_6f1c0000-0000-4000-8000-000000000000"
LENA = "lena.schafer"


@dataclass
class Story:
    """lena, whose laptop was stolen, as a pool with everything enabled has her."""

    devices: list[dict[str, Any]] = field(
        default_factory=lambda: [
            {
                "DeviceKey": KEY,
                "DeviceLastAuthenticatedDate": AT,
                "DeviceAttributes": [
                    {"Name": "device_name", "Value": "Laptop"},
                    {"Name": "last_ip_used", "Value": "203.0.113.7"},
                    {"Name": "dev:device_remembered_status", "Value": "remembered"},
                ],
            }
        ]
    )
    event: dict[str, Any] = field(
        default_factory=lambda: {
            "EventId": "0b3f-1",
            "EventType": "SignIn",
            "CreationDate": AT,
            "EventResponse": "Pass",
            "EventRisk": {"RiskLevel": "High"},
            "EventContextData": {
                "IpAddress": "203.0.113.7",
                "DeviceName": "Firefox",
                "City": "Lyon",
                "Country": "France",
            },
        }
    )
    identities: list[str] = field(default_factory=lambda: ["117"])

    def install(self, backend: ScriptedCognito) -> None:
        """Reply from this story."""
        backend.on("DescribeUserPool", reply({"UserPool": {}}))
        backend.on("AdminGetUser", lambda _: reply(self._user()))
        backend.on("AdminListDevices", lambda _: reply({"Devices": self.devices}))
        backend.on("AdminListUserAuthEvents", lambda _: reply({"AuthEvents": [self.event]}))
        backend.on("AdminUserGlobalSignOut", reply({}))
        backend.on("AdminForgetDevice", self._forget)
        backend.on("AdminUpdateAuthEventFeedback", self._rate)
        backend.on("AdminLinkProviderForUser", self._link)
        backend.on("AdminDisableProviderForUser", self._unlink)

    def _user(self) -> dict[str, Any]:
        rows = [
            {
                "userId": each,
                "providerName": "Google",
                "primary": "false",
                "dateCreated": f"{AT}000",
            }
            for each in self.identities
        ]
        row = user_of(LENA)
        row["UserAttributes"].append({"Name": "identities", "Value": json.dumps(rows)})
        return row

    def _forget(self, parameters: dict[str, Any]) -> Any:
        before = len(self.devices)
        key = parameters["DeviceKey"]
        self.devices = [each for each in self.devices if each["DeviceKey"] != key]
        is_done = parameters["Username"] == LENA and len(self.devices) < before
        return reply({}) if is_done else failure("ResourceNotFoundException")

    def _rate(self, parameters: dict[str, Any]) -> Any:
        if (parameters["Username"], parameters["EventId"]) != (LENA, "0b3f-1"):
            return failure("InvalidParameterException")
        feedback = {"FeedbackValue": parameters["FeedbackValue"], "Provider": "Admin"}
        self.event["EventFeedback"] = feedback
        return reply({})

    def _link(self, parameters: dict[str, Any]) -> Any:
        if parameters["DestinationUser"]["ProviderAttributeValue"] != LENA:
            return failure("UserNotFoundException")
        self.identities.append(parameters["SourceUser"]["ProviderAttributeValue"])
        return reply({})

    def _unlink(self, parameters: dict[str, Any]) -> Any:
        self.identities.remove(parameters["User"]["ProviderAttributeValue"])
        return reply({})


def test_page(serve: Callable[..., Api], scripted: ScriptedCognito) -> None:
    """Each block is answered as the page says, one after another."""
    story = Story()
    story.install(scripted)
    api = serve(scripted.url)
    blocks = [block for block in blocks_of(PAGE) if block.label == "scripted laptop"]
    documents = [block.text for block in blocks if block.language == "graphql"]
    answers = [json.loads(block.text) for block in blocks if block.language == "json"]
    assert len(blocks) == 2 * len(documents) >= 10
    for document, answer in zip(documents, answers, strict=True):
        body = api.send(document).response.json()
        assert is_like(body, answer), body
    assert (story.devices, story.identities) == ([], ["118"])
    assert story.event["EventFeedback"]["FeedbackValue"] == "Invalid"


@pytest.mark.parametrize("field_", ["devices { nodes { key } }", "authEvents { nodes { id } }"])
def test_pool_without_them(
    serve: Callable[..., Api], scripted: ScriptedCognito, field_: str
) -> None:
    """The recipes' lists are null, with `NOT_ENABLED`, as the page says."""
    Story().install(scripted)
    scripted.on("AdminListDevices", failure("InvalidUserPoolConfigurationException"))
    scripted.on("AdminListUserAuthEvents", failure("UserPoolAddOnNotEnabledException"))
    answer = serve(scripted.url).send(f'{{ user(by: {{username: "{LENA}"}}) {{ {field_} }} }}')
    assert answer.codes == ["NOT_ENABLED"]
    assert answer.partial == {"user": {field_.split(maxsplit=1)[0]: None}}
