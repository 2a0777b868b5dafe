"""A user pool as a plain boto3 client sees it: to arrange a test, and to check what came."""

from dataclasses import dataclass
from typing import Any, Self

from mypy_boto3_cognito_idp import CognitoIdentityProviderClient

from tests.support.leaks import PASSWORD


@dataclass(frozen=True)
class Directory:
    """One user pool."""

    cognito: CognitoIdentityProviderClient
    pool_id: str

    @classmethod
    def create(cls, cognito: CognitoIdentityProviderClient) -> Self:
        """Make an empty pool."""
        pool = cognito.create_user_pool(PoolName="people")
        return cls(cognito, pool["UserPool"]["Id"])

    def add_user(self, username: str, *groups: str, **attributes: str) -> str:
        """Make a user, in groups that exist, and return the user's `sub`."""
        reply = self.cognito.admin_create_user(
            UserPoolId=self.pool_id,
            Username=username,
            UserAttributes=[
                {"Name": name.replace("custom_", "custom:"), "Value": value}
                for name, value in attributes.items()
            ],
            MessageAction="SUPPRESS",
        )
        for group in groups:
            self.cognito.admin_add_user_to_group(
                UserPoolId=self.pool_id, Username=username, GroupName=group
            )
        return next(a["Value"] for a in reply["User"]["Attributes"] if a["Name"] == "sub")

    def sign_up(self, username: str, **attributes: str) -> None:
        """Make a user who signed up and is not confirmed yet."""
        client = self.cognito.create_user_pool_client(UserPoolId=self.pool_id, ClientName="app")
        self.cognito.sign_up(
            ClientId=client["UserPoolClient"]["ClientId"],
            Username=username,
            Password=PASSWORD,
            UserAttributes=[{"Name": name, "Value": v} for name, v in attributes.items()],
        )

    def add_group(self, name: str, **members: Any) -> None:
        """Make a group."""
        self.cognito.create_group(UserPoolId=self.pool_id, GroupName=name, **members)

    def user(self, username: str) -> dict[str, Any]:
        """Return a user in the format of Cognito."""
        reply = self.cognito.admin_get_user(UserPoolId=self.pool_id, Username=username)
        return dict(reply)

    def enroll(self, username: str, *groups: str) -> str:
        """Create the user if need be, add them to these groups, and return the `sub`."""
        known = self.cognito.list_groups(UserPoolId=self.pool_id)["Groups"]
        for name in set(groups) - {group["GroupName"] for group in known}:
            self.add_group(name)
        try:
            attributes = self.user(username)["UserAttributes"]
        except self.cognito.exceptions.UserNotFoundException:
            return self.add_user(username, *groups)
        for group in groups:
            self.cognito.admin_add_user_to_group(
                UserPoolId=self.pool_id, Username=username, GroupName=group
            )
        return next(str(each["Value"]) for each in attributes if each["Name"] == "sub")

    def groups_of(self, username: str) -> set[str]:
        """Return the names of a user's groups."""
        reply = self.cognito.admin_list_groups_for_user(UserPoolId=self.pool_id, Username=username)
        return {group["GroupName"] for group in reply["Groups"]}

    def attributes_of(self, username: str) -> dict[str, str]:
        """Return a user's attributes by name."""
        attributes = self.user(username)["UserAttributes"]
        return {each["Name"]: each["Value"] for each in attributes}
