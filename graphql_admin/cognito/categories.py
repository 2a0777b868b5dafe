"""The quotas on calls to Cognito, and which operation counts against which."""

from collections.abc import Mapping
from enum import StrEnum


class Quota(StrEnum):
    """A quota of calls per second: one for each category of operations, and two more."""

    USER_CREATION = "UserCreation"
    USER_READ = "UserRead"
    USER_LIST = "UserList"
    USER_UPDATE = "UserUpdate"
    USER_ACCOUNT_RECOVERY = "UserAccountRecovery"
    USER_RESOURCE_READ = "UserResourceRead"
    USER_RESOURCE_UPDATE = "UserResourceUpdate"
    USER_POOL_READ = "UserPoolRead"
    USER_POOL_RESOURCE_READ = "UserPoolResourceRead"
    USER_POOL_RESOURCE_UPDATE = "UserPoolResourceUpdate"
    PER_POOL = "PerPool"
    """One operation of the categories UserPoolResource…, on one pool."""
    PER_USER = "PerUser"
    """Reads of one user, and as many writes."""


DEFAULT_QUOTAS: Mapping[Quota, float] = {
    Quota.USER_CREATION: 50,
    Quota.USER_READ: 120,
    Quota.USER_LIST: 30,
    Quota.USER_UPDATE: 25,
    Quota.USER_ACCOUNT_RECOVERY: 30,
    Quota.USER_RESOURCE_READ: 50,
    Quota.USER_RESOURCE_UPDATE: 25,
    Quota.USER_POOL_READ: 15,
    Quota.USER_POOL_RESOURCE_READ: 20,
    Quota.USER_POOL_RESOURCE_UPDATE: 15,
    Quota.PER_POOL: 5,
    Quota.PER_USER: 10,
}
"""Calls per second that AWS grants an account in a region by default."""

CATEGORIES: Mapping[str, Quota] = {
    operation: category
    for category, operations in {
        Quota.USER_CREATION: ("AdminConfirmSignUp", "AdminCreateUser"),
        Quota.USER_READ: ("AdminGetUser",),
        Quota.USER_LIST: ("ListUsers", "ListUsersInGroup"),
        Quota.USER_UPDATE: (
            "AdminAddUserToGroup",
            "AdminDeleteUser",
            "AdminDeleteUserAttributes",
            "AdminDisableProviderForUser",  # believed: the guide has it as a write on one user
            "AdminDisableUser",
            "AdminEnableUser",
            "AdminLinkProviderForUser",  # believed: as above
            "AdminRemoveUserFromGroup",
            "AdminUpdateUserAttributes",
            "AdminUserGlobalSignOut",
        ),
        Quota.USER_ACCOUNT_RECOVERY: ("AdminResetUserPassword", "AdminSetUserPassword"),
        Quota.USER_RESOURCE_READ: (
            "AdminGetDevice",
            "AdminListDevices",
            "AdminListGroupsForUser",
            "AdminListUserAuthEvents",
            # The guide does not have these yet: believed, from what they do.
            "AdminGetUserAuthFactors",
            "AdminListUserSessions",
        ),
        Quota.USER_RESOURCE_UPDATE: (
            "AdminDeleteSoftwareToken",
            "AdminForgetDevice",
            "AdminSetUserMFAPreference",
            "AdminUpdateAuthEventFeedback",  # believed: as what is done to a user's other resources
            "AdminUpdateDeviceStatus",
            "AdminRevokeUserSession",  # believed, as above
        ),
        Quota.USER_POOL_READ: ("DescribeUserPool",),
        Quota.USER_POOL_RESOURCE_READ: ("GetGroup", "ListGroups"),
        Quota.USER_POOL_RESOURCE_UPDATE: ("CreateGroup", "DeleteGroup", "UpdateGroup"),
    }.items()
    for operation in operations
}
"""The category of each operation on users, groups and the pool, from Cognito's developer guide."""

OTHER = 15.0
"""Calls per second of operations that are in no category above: Cognito's smallest quota."""

PER_POOL_CATEGORIES = frozenset({Quota.USER_POOL_RESOURCE_READ, Quota.USER_POOL_RESOURCE_UPDATE})
"""Categories in which each operation also has the quota `PER_POOL`."""
