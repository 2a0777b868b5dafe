"""The mutations that link identities at other providers to a user, and unlink them.

Cognito may report an error and have made the change, so the user's `identities` are read again.
"""

from collections.abc import Callable, Mapping
from typing import Any
from unicodedata import category

import strawberry

from graphql_admin.actions import Action
from graphql_admin.admin.features import Feature
from graphql_admin.admin.mutations import UserInput, mutation
from graphql_admin.admin.users.filters import read_attributes
from graphql_admin.admin.users.identities import ATTRIBUTE, UserIdentity, read_identities
from graphql_admin.admin.values import check_attribute_value
from graphql_admin.errors import (
    ActionFailed,
    AdminError,
    BadUserInput,
    IdentityNotFound,
    IdentityTaken,
    UpstreamFailed,
    UserNotFound,
    WrongState,
)
from graphql_admin.targets import Reads

SPARE = 3.0
"""Seconds that are kept to read the identities again, should Cognito report an error."""

MAX_PROVIDER = 32
"""Characters; botocore's model of cognito-idp, ProviderNameType."""

_LOCAL = "Cognito"
"""The provider of the pool's own users. Unlinking from it would disable a user's password."""

_SUBJECT = "Cognito_Subject"
"""The attribute that is the person's id at the provider; botocore's model,
AdminDisableProviderForUserRequest."""


@strawberry.input
class IdentityInput(UserInput):
    provider: str = strawberry.field(
        description="Name of the identity provider in the pool, such as `Google`; not `Cognito`."
    )

    @property
    def spare(self) -> float:
        return SPARE

    def leaves_open(self, error: Exception) -> bool:
        # https://github.com/boto/boto3/issues/4163
        return isinstance(error, ActionFailed | BadUserInput)

    def parameters(self) -> Mapping[str, object]:
        name = self.provider
        if not 1 <= len(name) <= MAX_PROVIDER or any(category(c)[0] == "C" for c in name):
            raise BadUserInput(
                f"`provider` must be 1 to {MAX_PROVIDER} characters without control characters.",
                field="provider",
            )
        if name.strip().casefold() == _LOCAL.casefold():
            raise BadUserInput(
                f"`{_LOCAL}` stands for the pool's own users, and is no other provider.",
                field="provider",
            )
        return {}

    async def _look_whether(
        self, is_made: Callable[[list[UserIdentity]], bool], error: Exception, reads: Reads
    ) -> Mapping[str, Any]:
        """Return if the identities are as the change makes them.

        Raises:
            AdminError: `error`, if they are not; or that it is not known whether they are.
        """
        try:
            identities = _identities_of(
                await reads.read("AdminGetUser", Username=reads.target.user)
            )
        except UserNotFound:
            raise error from None
        except AdminError as unread:
            # Cognito's error may say that nothing was changed, which is not known.
            raise (UpstreamFailed() if self.leaves_open(error) else error) from unread
        if not is_made(identities):
            raise error
        return {}


@strawberry.input
class LinkInput(IdentityInput):
    attribute: str = strawberry.field(
        default=_SUBJECT,
        description="The provider's attribute by which the identity is recognized: "
        f"`{_SUBJECT}` is the person's id there. Of a SAML provider it can be another one, such as "
        "an e-mail address.",
    )
    value: str = strawberry.field(description="The value of that attribute.")

    def parameters(self) -> Mapping[str, object]:
        super().parameters()
        return {
            "SourceUser": {
                "ProviderName": self.provider,
                "ProviderAttributeName": _check_text(self.attribute, "attribute"),
                "ProviderAttributeValue": _check_text(self.value, "value"),
            }
        }

    async def prepare(self, reads: Reads) -> Mapping[str, object]:
        user = await reads.user()
        if user.get("UserStatus") == "EXTERNAL_PROVIDER":
            raise WrongState(
                "This user was created by another identity provider. Link the identity to a user "
                "of the pool itself."
            )
        named = (self.provider, self.value)
        if self.attribute == _SUBJECT and named in map(_name, _identities_of(user)):
            raise IdentityTaken("The user has this identity already.")
        # The user whom the decision was on: this operation takes no `Username`.
        return {
            "DestinationUser": {
                "ProviderName": _LOCAL,
                "ProviderAttributeValue": reads.target.user,
            }
        }

    async def look_again(self, error: Exception, reads: Reads) -> Mapping[str, Any]:
        before = set(map(_name, _identities_of(await reads.user())))

        def is_added(identities: list[UserIdentity]) -> bool:
            added = set(map(_name, identities)) - before
            if (self.provider, self.value) in added:
                return True
            if self.attribute != _SUBJECT and self.provider in {name for name, _ in added}:
                # The identity may have another id than the value of the attribute. Or this one is
                # of a concurrent change.
                raise UpstreamFailed from error
            return False

        return await self._look_whether(is_added, error, reads)


@strawberry.input
class UnlinkInput(IdentityInput):
    user_id: str = strawberry.field(
        description="The person's id at the provider, as in the user's `identities`."
    )

    def parameters(self) -> Mapping[str, object]:
        super().parameters()
        return {
            "User": {
                "ProviderName": self.provider,
                "ProviderAttributeName": _SUBJECT,
                "ProviderAttributeValue": _check_text(self.user_id, "userId"),
            }
        }

    async def prepare(self, reads: Reads) -> Mapping[str, object]:
        # The operation names the identity alone, which may be that of another user.
        identities = _identities_of(await reads.user())
        mine = next((each for each in identities if self._is(each)), None)
        if mine is None:
            raise IdentityNotFound
        if mine.primary:
            raise WrongState(
                "The user was created by this identity, which is not linked to them. Disable or "
                "delete the user instead."
            )
        return {}

    async def look_again(self, error: Exception, reads: Reads) -> Mapping[str, Any]:
        def is_gone(identities: list[UserIdentity]) -> bool:
            return not any(map(self._is, identities))

        return await self._look_whether(is_gone, error, reads)

    def _is(self, identity: UserIdentity) -> bool:
        return _name(identity) == (self.provider, self.user_id)


def _name(identity: UserIdentity) -> tuple[str | None, str | None]:
    return identity.provider, identity.user_id


def _identities_of(user: Mapping[str, Any]) -> list[UserIdentity]:
    """Return a user's identities.

    Raises:
        UpstreamFailed: They cannot be read.
    """
    identities = read_identities(read_attributes(user).get(ATTRIBUTE))
    if identities is None or not user.get("UserAttributes"):  # every user has a `sub` there
        raise UpstreamFailed
    return identities


def _check_text(text: str, field: str) -> str:
    if not text:
        raise BadUserInput("The value must not be empty.", field=field)
    return check_attribute_value(text, field)


@strawberry.type
class IdentityChanges:
    link_user_identity = mutation(
        Action.LINK_USER_IDENTITY,
        "Let an identity at another provider sign in as a user, with all of the user's rights. The "
        "identity must have no user of its own in the pool yet. A user can have five. If Cognito "
        "reports an error, the server reads the user's `identities` and goes by those.",
        input=LinkInput,
    )
    unlink_user_identity = mutation(
        Action.UNLINK_USER_IDENTITY,
        "No longer let an identity at another provider sign in as a user. At its next sign-in it "
        "gets a user of its own. Sessions are not ended. If Cognito reports an error, the server "
        "reads the user's `identities` and goes by those.",
        input=UnlinkInput,
    )


FEATURE = Feature(mutation=IdentityChanges)
