"""`userPool`: what the pool takes, and nothing of how it is run."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.api import Api
from tests.support.directory import Directory
from tests.support.scripted import ScriptedCognito, failure, reply

EVERYTHING = """{ userPool {
    attributes {
        name type required mutable developerOnly minLength maxLength minValue maxValue
    }
    usernameAttributes aliasAttributes usernameCaseSensitive mfa plan pendingUntilVerified
    estimatedUsers
    passwordPolicy {
        minimumLength requireUppercase requireLowercase requireNumbers requireSymbols historySize
        temporaryPasswordDays
    }
} }"""


def test_pool(serve: Callable[..., Api], moto_url: str, cognito: Any) -> None:
    """What the pool was made with."""
    pool_id = cognito.create_user_pool(
        PoolName="people",
        AliasAttributes=["email", "preferred_username"],
        UsernameConfiguration={"CaseSensitive": False},
        MfaConfiguration="OFF",
        Policies={
            "PasswordPolicy": {
                "MinimumLength": 12,
                "RequireUppercase": True,
                "RequireLowercase": True,
                "RequireNumbers": False,
                "RequireSymbols": False,
                "TemporaryPasswordValidityDays": 3,
            }
        },
        Schema=[
            {
                "Name": "plan",
                "AttributeDataType": "String",
                "Mutable": True,
                "StringAttributeConstraints": {"MinLength": "1", "MaxLength": "20"},
            },
            {
                "Name": "seats",
                "AttributeDataType": "Number",
                "Mutable": False,
                "NumberAttributeConstraints": {"MinValue": "1", "MaxValue": "99"},
            },
        ],
    )["UserPool"]["Id"]
    Directory(cognito, pool_id).add_group("Admins")
    pool = serve(moto_url, pool_id).send(EVERYTHING).data["userPool"]
    attributes = {each["name"]: each for each in pool["attributes"]}
    assert attributes["custom:plan"] == {
        "name": "custom:plan",
        "type": "STRING",
        "required": False,
        "mutable": True,
        "developerOnly": False,
        "minLength": 1,
        "maxLength": 20,
        "minValue": None,
        "maxValue": None,
    }
    assert (attributes["custom:seats"]["type"], attributes["custom:seats"]["mutable"]) == (
        "NUMBER",
        False,
    )
    assert attributes["custom:seats"]["maxValue"] == "99"
    assert pool["aliasAttributes"] == ["email", "preferred_username"]
    assert pool["usernameAttributes"] == []
    assert pool["usernameCaseSensitive"] is False
    assert pool["mfa"] == "OFF"
    assert pool["passwordPolicy"] == {
        "minimumLength": 12,
        "requireUppercase": True,
        "requireLowercase": True,
        "requireNumbers": False,
        "requireSymbols": False,
        "historySize": None,
        "temporaryPasswordDays": 3,
    }


def test_standard_attributes(api: Api) -> None:
    """A pool that was made without any word on attributes has those of OpenID Connect."""
    pool = api.send("{ userPool { attributes { name type mutable } } }").data["userPool"]
    attributes = {each["name"]: each for each in pool["attributes"]}
    assert attributes["sub"] == {"name": "sub", "type": "STRING", "mutable": False}
    assert attributes["email_verified"]["type"] == "BOOLEAN"
    assert attributes["updated_at"]["type"] == "NUMBER"


ARN = "arn:aws:iam::123456789012:role/secret-role"
WHOLE: dict[str, Any] = {
    "Id": "eu-west-1_AbCdEf123",
    "Name": "secret-name",
    "Arn": ARN,
    "Policies": {
        "PasswordPolicy": {
            "MinimumLength": 8,
            "PasswordHistorySize": 5,
            "TemporaryPasswordValidityDays": 0,
        },
        "SignInPolicy": {"AllowedFirstAuthFactors": ["PASSWORD"]},
    },
    "DeletionProtection": "ACTIVE",
    "LambdaConfig": {"PreSignUp": "arn:aws:lambda:eu-west-1:123456789012:function:secret-lambda"},
    "SchemaAttributes": [
        {"Name": "sub", "AttributeDataType": "String", "Required": True, "Mutable": False},
        {"Name": "dev:custom:old", "AttributeDataType": "String", "DeveloperOnlyAttribute": True},
        {"Name": "custom:new", "AttributeDataType": "SomethingNew", "Mutable": True},
    ],
    "UsernameAttributes": ["email"],
    "SmsVerificationMessage": "secret-template {####}",
    "EmailVerificationSubject": "secret-subject",
    "UserAttributeUpdateSettings": {"AttributesRequireVerificationBeforeUpdate": ["email"]},
    "MfaConfiguration": "OPTIONAL",
    "EstimatedNumberOfUsers": 1234,
    "EmailConfiguration": {"SourceArn": ARN, "From": "secret-from"},
    "SmsConfiguration": {"SnsCallerArn": ARN, "ExternalId": "secret-external"},
    "UserPoolTags": {"secret-tag": "secret-value"},
    "Domain": "secret-domain",
    "AdminCreateUserConfig": {"InviteMessageTemplate": {"EmailMessage": "secret-invitation"}},
    "UserPoolTier": "PLUS",
}


def test_nothing_of_how_it_is_run(serve: Callable[..., Api], scripted: ScriptedCognito) -> None:
    """No ARN, trigger, role, template or tag is in the answer, or in the schema."""
    scripted.on("DescribeUserPool", reply({"UserPool": WHOLE}))
    api = serve(scripted.url)
    answer = api.send(EVERYTHING)
    pool = answer.data["userPool"]
    assert (pool["plan"], pool["mfa"], pool["estimatedUsers"]) == ("PLUS", "OPTIONAL", 1234)
    assert pool["pendingUntilVerified"] == pool["usernameAttributes"] == ["email"]
    assert pool["usernameCaseSensitive"] is True
    assert [each["type"] for each in pool["attributes"]] == ["STRING", "STRING", "UNKNOWN"]
    assert [each["developerOnly"] for each in pool["attributes"]] == [False, True, False]
    policy = pool["passwordPolicy"]
    assert (policy["historySize"], policy["temporaryPasswordDays"]) == (5, 7)  # 0 is the default
    assert "secret" not in answer.response.text
    assert "arn:" not in answer.response.text
    type_ = '{ __type(name: "UserPool") { fields { name } } }'
    names = json.dumps(api.send(type_).data).lower()
    assert not [each for each in ("arn", "lambda", "role", "tag", "template") if each in names]
    assert scripted.operations() == ["DescribeUserPool"]


@pytest.mark.parametrize(
    "described",
    [
        {},
        {"SchemaAttributes": None, "Policies": [], "UsernameConfiguration": "x"},
        {"SchemaAttributes": [None, {}, {"Name": 7}, "x"], "AliasAttributes": {"email": 1}},
        {"EstimatedNumberOfUsers": -1, "MfaConfiguration": "SOMETIMES", "UserPoolTier": 3},
        {"EstimatedNumberOfUsers": 2**31, "Policies": {"PasswordPolicy": "x"}},
    ],
)
def test_what_is_not_told(
    serve: Callable[..., Api], scripted: ScriptedCognito, described: dict[str, Any]
) -> None:
    """What Cognito, or what imitates it, leaves out or says otherwise is null or empty."""
    scripted.on("DescribeUserPool", reply({"UserPool": described}))
    pool = serve(scripted.url).send(EVERYTHING).data["userPool"]
    assert pool == {
        "attributes": [],
        "usernameAttributes": [],
        "aliasAttributes": [],
        "usernameCaseSensitive": True,
        "mfa": None,
        "plan": None,
        "pendingUntilVerified": [],
        "estimatedUsers": None,
        "passwordPolicy": None,
    }


@pytest.mark.parametrize(
    "value", ["", "-1", "1.5", "²", "\N{ARABIC-INDIC DIGIT THREE}", "9" * 20, None, [], {}, True]
)
def test_constraints_that_are_no_numbers(
    serve: Callable[..., Api], scripted: ScriptedCognito, value: Any
) -> None:
    """Constraints of Cognito are strings; one that is not an integer of GraphQL is null."""
    row = {
        "Name": "custom:x",
        "StringAttributeConstraints": {"MinLength": value, "MaxLength": "2048"},
    }
    scripted.on("DescribeUserPool", reply({"UserPool": {"SchemaAttributes": [row]}}))
    answer = serve(scripted.url).send("{ userPool { attributes { minLength maxLength } } }")
    assert answer.data["userPool"]["attributes"] == [{"minLength": None, "maxLength": 2048}]


def test_flags_that_are_no_booleans(serve: Callable[..., Api], scripted: ScriptedCognito) -> None:
    """They are as if Cognito had left them out."""
    flags = dict.fromkeys(("Required", "Mutable", "DeveloperOnlyAttribute"), "no")
    row = {"Name": "custom:x", **flags}
    scripted.on("DescribeUserPool", reply({"UserPool": {"SchemaAttributes": [row]}}))
    answer = serve(scripted.url).send(
        "{ userPool { attributes { required mutable developerOnly } } }"
    )
    (shown,) = answer.data["userPool"]["attributes"]
    assert shown == {"required": False, "mutable": True, "developerOnly": False}


@pytest.mark.parametrize(
    "answer",
    [
        failure("InternalErrorException", 500),
        failure("AccessDeniedException"),
        failure("ResourceNotFoundException"),
        reply({}),
        reply({"UserPool": "x"}),
    ],
    ids=["failed", "denied", "missing", "nothing", "nonsense"],
)
def test_pool_that_cannot_be_read(
    serve: Callable[..., Api], scripted: ScriptedCognito, answer: Any
) -> None:
    """That is an error, and nothing of what Cognito said."""
    scripted.on("DescribeUserPool", answer)
    said = serve(scripted.url).send(EVERYTHING)
    assert said.codes == ["UPSTREAM_ERROR"]
    assert said.partial == {"userPool": None}
