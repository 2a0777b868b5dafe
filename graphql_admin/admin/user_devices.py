"""The devices of a user: the list, and the mutations of one."""

import re
from collections.abc import Mapping

import strawberry

from graphql_admin.actions import Action
from graphql_admin.admin.context import Info
from graphql_admin.admin.features import Feature
from graphql_admin.admin.guards import guarded
from graphql_admin.admin.mutations import UserInput, mutation
from graphql_admin.admin.pagination import (
    DEFAULT_FIRST,
    After,
    Connection,
    First,
    Listing,
    Row,
    paginate,
)
from graphql_admin.admin.personal import Personal
from graphql_admin.admin.pool_schema import read_list, read_text, read_time
from graphql_admin.admin.users.types import User, key_of
from graphql_admin.cognito.operations import Timestamp
from graphql_admin.errors import BadUserInput

MAX_DEVICE_KEY = 55
"""Characters; botocore's model of cognito-idp, DeviceKeyType."""

_KEY = re.compile(r"[\w-]+_[0-9a-f-]+", re.ASCII)
"""botocore's model of cognito-idp, DeviceKeyType."""

_INTERNAL = "dev:"
"""How the names of attributes start that are Cognito's own, such as an ARN with the AWS account."""

_REMEMBERED: Mapping[str | None, bool] = {"remembered": True, "not_remembered": False}


@strawberry.type(description="An attribute of a device.")
class UserDeviceAttribute(Personal):
    name: str = strawberry.field(description="The name, such as `device_name`.")
    value: str = strawberry.field(description="The value.")


@strawberry.type(
    description="A device that Cognito tracks for a user. A field is null where Cognito does not "
    "say."
)
class UserDevice(Personal):
    key: str = strawberry.field(description="The device's key.")
    name: str | None = strawberry.field(
        description="The name that the app or browser gave the device."
    )
    status: str | None = strawberry.field(
        description="Cognito's name of the device's status, such as `valid`."
    )
    remembered: bool | None = strawberry.field(
        description="Whether the device is remembered. The user can sign in on a remembered device "
        "without MFA."
    )
    created_at: Timestamp | None = strawberry.field(description="When the device was added.")
    updated_at: Timestamp | None = strawberry.field(description="When the device last changed.")
    last_sign_in_at: Timestamp | None = strawberry.field(
        description="When the user last signed in on the device."
    )
    last_ip_address: str | None = strawberry.field(
        description="The IP address from which the device was last used."
    )
    attributes: list[UserDeviceAttribute] = strawberry.field(
        description="The attributes of the device, without those that Cognito has for itself "
        "(`dev:…`)."
    )


def _read(row: Row) -> UserDevice:
    pairs = [
        (each.get("Name"), each.get("Value"))
        for each in read_list(row.get("DeviceAttributes"), dict)
    ]
    values = {
        name: value for name, value in pairs if isinstance(name, str) and isinstance(value, str)
    }
    return UserDevice(
        key=row["DeviceKey"],
        name=read_text(values.get("device_name")),
        status=read_text(values.get("device_status")),
        remembered=_REMEMBERED.get(values.get("dev:device_remembered_status")),
        created_at=read_time(row.get("DeviceCreateDate")),
        updated_at=read_time(row.get("DeviceLastModifiedDate")),
        last_sign_in_at=read_time(row.get("DeviceLastAuthenticatedDate")),
        last_ip_address=read_text(values.get("last_ip_used")),
        attributes=[
            UserDeviceAttribute(name=name, value=value)
            for name, value in values.items()
            if not name.startswith(_INTERNAL)
        ],
    )


@guarded(
    Action.LIST_USER_DEVICES,
    name="devices",
    description="The user's devices, if the pool remembers devices; otherwise the error is "
    "`NOT_ENABLED`.",
)
async def devices_of_user(
    user: strawberry.Parent[User], info: Info, first: First = DEFAULT_FIRST, after: After = None
) -> Connection[UserDevice] | None:
    key = await key_of(user, info.context, Action.LIST_USER_DEVICES)
    listing = Listing(
        Action.LIST_USER_DEVICES,
        "AdminListDevices",
        rows="Devices",
        key="DeviceKey",
        token="PaginationToken",
        parameters={"Username": key},
    )
    return await paginate(info.context, listing, _read, first=first, after=after)


@strawberry.input
class DeviceInput(UserInput):
    device_key: str = strawberry.field(description="The device's `key`.")

    def parameters(self) -> Mapping[str, object]:
        if len(self.device_key) > MAX_DEVICE_KEY or not _KEY.fullmatch(self.device_key):
            raise BadUserInput("This is not the key of a device.", field="deviceKey")
        return {"DeviceKey": self.device_key}


@strawberry.input
class RememberedInput(DeviceInput):
    remembered: bool = strawberry.field(description="Whether the device is remembered.")

    def parameters(self) -> Mapping[str, object]:
        status = "remembered" if self.remembered else "not_remembered"
        return {**super().parameters(), "DeviceRememberedStatus": status}


@strawberry.type
class DeviceChanges:
    forget_user_device = mutation(
        Action.FORGET_USER_DEVICE,
        "Forget a device of a user: signing in on it requires MFA again, if the user has it. The "
        "sessions on the device are not ended.",
        input=DeviceInput,
    )
    set_user_device_remembered = mutation(
        Action.SET_USER_DEVICE_REMEMBERED,
        "Set whether a device of a user is remembered. The user can sign in on a remembered device "
        "without MFA.",
        input=RememberedInput,
    )


FEATURE = Feature(mutation=DeviceChanges, extends={User: (devices_of_user,)})
