"""The mutation that sets and deletes the attributes of a user."""

from collections.abc import Mapping

import strawberry

from graphql_admin.actions import Action
from graphql_admin.admin.features import Feature
from graphql_admin.admin.mutations import mutation
from graphql_admin.admin.user_attributes import (
    AttributesInput,
    Given,
    check_aliases,
    check_schema,
)
from graphql_admin.cognito.operations import Timestamp, is_at
from graphql_admin.errors import BadUserInput, Stale
from graphql_admin.policy.sight import BROUGHT
from graphql_admin.targets import Reads


@strawberry.input
class UserUpdateInput(AttributesInput):
    if_updated_at: Timestamp | None = strawberry.field(
        default=None,
        description="Update the user only if their `updatedAt` is this date and time; otherwise "
        "the error is `STALE`. A concurrent change that is made after this check can still be "
        "overwritten.",
    )

    def parameters(self) -> Mapping[str, object]:
        given = self.given()
        if not given:
            raise BadUserInput("Give at least one attribute to set or delete.")
        _check_verified(given)
        if self.operation() is not None:
            return {"UserAttributeNames": list(given)}
        # An empty value deletes; botocore's model, AdminUpdateUserAttributesRequest.
        return {
            "UserAttributes": [
                {"Name": name, "Value": each.value or ""} for name, each in given.items()
            ]
        }

    def operation(self) -> str | None:
        deletes = all(each.value is None for each in self.given().values())
        return "AdminDeleteUserAttributes" if deletes else None

    async def prepare(self, reads: Reads) -> Mapping[str, object]:
        given, described = self.given(), await reads.pool()
        if described is not None:
            check_schema(described, given, creates=False)
        if self.if_updated_at is not None:
            user = await reads.user()
            if not is_at(self.if_updated_at, user.get("UserLastModifiedDate")):
                raise Stale(
                    "The user has changed since you read them. Read them again.",
                    field="ifUpdatedAt",
                )
        if described is not None:
            await check_aliases(reads, described, given, creates=False)
        return {}


def _check_verified(given: Mapping[str, Given]) -> None:
    """Check that an address is set with whether it is verified, and verified only with the address.

    Left out, it would be as the pool has it: unverified, as a rule, so that the user could sign in
    with neither the old address nor the new one. And what is verified must be what was checked:
    another change may set another address at the same time.
    """
    for name, verified in BROUGHT.items():
        address, claimed = given.get(name), given.get(verified)
        if address is None:
            if claimed is not None and claimed.value == "true":
                raise BadUserInput("Give the address that is verified, too.", field=claimed.field)
            continue
        if address.value is not None and (claimed is None or claimed.value is None):
            field = "emailVerified" if name == "email" else "phoneNumberVerified"
            raise BadUserInput(f"A new address requires `{field}`.", field=field)
        if address.value is None and claimed is not None and claimed.value is not None:
            raise BadUserInput("An address that is deleted has no such value.", field=claimed.field)


@strawberry.type
class UserUpdates:
    update_user = mutation(
        Action.UPDATE_USER,
        "Set and delete attributes of a user, in one call to Cognito. Null or an empty string "
        "deletes an attribute; one that is left out is unchanged. `email` requires "
        "`emailVerified`, and an address is verified only together with its value; so it is with "
        "`phoneNumber`. The server's policy "
        "may limit which attributes a caller can set. Callers cannot set their own e-mail address, "
        "phone number or preferred username here.",
        input=UserUpdateInput,
    )


FEATURE = Feature(mutation=UserUpdates)
