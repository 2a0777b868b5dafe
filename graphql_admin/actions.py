"""The table of admin actions: the name, the Cognito operations and the effect of each."""

from dataclasses import dataclass
from enum import Enum, unique

from graphql_admin.targets import TargetKind


class Oneself(Enum):
    """Whether a caller may do an action to their own account."""

    TOO = "too"
    """To their own account as to others."""

    NEVER = "never"
    """Not to their own account: with a stolen token it could take over the account of its owner. An
    action that takes rights is never allowed on their own account, whatever its row says."""

    ONLY = "only"
    """Only to their own account, which is also the target if no user is named."""


class Effect(Enum):
    """What an action does to the rights of its target."""

    NONE = "none"
    GIVES = "gives"
    TAKES = "takes"


@dataclass(frozen=True, kw_only=True)
class Row:
    """A row of the table."""

    name: str
    """What policies, `viewer` and the audit log call the action. Where it changes something, also
    the name of its mutation."""

    sentence: str
    """What it does, as a sentence."""

    write: str | None = None
    """The Cognito operation that carries it out, if it changes something."""

    alternatives: tuple[str, ...] = ()
    """Operations of which a change may choose one instead of `write`."""

    target: TargetKind | None = None
    """The kind of object that it changes, if it changes something."""

    reads: tuple[str, ...] = ()
    """The Cognito operations that read what it returns."""

    checks: tuple[str, ...] = ()
    """The Cognito operations that read the target's state before the change, beyond those by which
    every change is decided on (`policy.decisions`)."""

    creates: bool = False
    """Whether it creates its target, which does not exist before."""

    effect: Effect = Effect.NONE
    """What it does to the rights of its target; for a membership, if the group gives rights."""

    on_oneself: Oneself = Oneself.TOO

    sets_attributes: bool = False
    """Whether it sets the attributes of a user that its input names, as far as the caller may set
    them."""

    open_to_signed_in: bool = False
    """Whether a valid token is enough, because the action concerns only the caller."""

    def __post_init__(self) -> None:
        if (self.write is None) != (self.target is None):
            raise ValueError(f"{self.name}: an action has both `write` and `target`, or neither")
        if self.alternatives and self.write is None:
            raise ValueError(f"{self.name}: there are alternatives to no `write`")

    @property
    def lookups(self) -> tuple[str, ...]:
        """The Cognito operations that tell whether the target exists, for a dry run."""
        return {
            None: (),
            TargetKind.USER: ("AdminGetUser",),
            TargetKind.GROUP: ("GetGroup",),
            TargetKind.MEMBERSHIP: ("AdminGetUser", "GetGroup"),
        }[self.target]

    @property
    def is_on_existing_user(self) -> bool:
        """Whether it changes a user who is in the pool already, and may be another's account."""
        is_on_user = self.target in {TargetKind.USER, TargetKind.MEMBERSHIP}
        return is_on_user and not self.creates and self.on_oneself is not Oneself.ONLY


@unique
class Action(Enum):
    """An action that a caller may be allowed to do: the unit of rights.

    The names are those of Amplify's Admin Queries, which its users know.
    """

    LIST_USERS = Row(
        name="listUsers",
        sentence="List and search users.",
        reads=("ListUsers",),
    )
    GET_USER = Row(
        name="getUser",
        sentence="Read one user.",
        reads=("AdminGetUser", "ListUsers"),
    )
    LIST_GROUPS = Row(
        name="listGroups",
        sentence="List groups.",
        reads=("ListGroups",),
    )
    GET_GROUP = Row(
        name="getGroup",
        sentence="Read one group.",
        reads=("GetGroup",),
    )
    LIST_GROUPS_FOR_USER = Row(
        name="listGroupsForUser",
        sentence="List the groups that a user is in.",
        reads=("AdminListGroupsForUser", "AdminGetUser"),  # for `allowedActions`, both
    )
    LIST_USERS_IN_GROUP = Row(
        name="listUsersInGroup",
        sentence="List the users that are in a group.",
        reads=("ListUsersInGroup",),
    )
    GET_USER_POOL = Row(
        name="getUserPool",
        sentence="Read the user pool's attributes and password policy.",
        reads=("DescribeUserPool",),
    )
    GET_USER_AUTH_FACTORS = Row(
        name="getUserAuthFactors",
        sentence="Read which factors a user can sign in with.",
        reads=("AdminGetUserAuthFactors", "AdminGetUser"),  # the latter for the username
    )
    LIST_USER_SESSIONS = Row(
        name="listUserSessions",
        sentence="List a user's sessions, with their IP addresses and places.",
        reads=("AdminListUserSessions", "AdminGetUser"),  # the latter for the username
    )
    ADD_USER_TO_GROUP = Row(
        name="addUserToGroup",
        sentence="Add a user to a group.",
        write="AdminAddUserToGroup",
        target=TargetKind.MEMBERSHIP,
        effect=Effect.GIVES,
        on_oneself=Oneself.TOO,
    )
    REMOVE_USER_FROM_GROUP = Row(
        name="removeUserFromGroup",
        sentence="Remove a user from a group.",
        write="AdminRemoveUserFromGroup",
        target=TargetKind.MEMBERSHIP,
        effect=Effect.TAKES,
        on_oneself=Oneself.TOO,
    )
    CONFIRM_USER_SIGN_UP = Row(
        name="confirmUserSignUp",
        sentence="Confirm the registration of a user who signed up.",
        write="AdminConfirmSignUp",
        target=TargetKind.USER,
        effect=Effect.NONE,
        on_oneself=Oneself.TOO,
    )
    DISABLE_USER = Row(
        name="disableUser",
        sentence="Disable a user.",
        write="AdminDisableUser",
        target=TargetKind.USER,
        effect=Effect.TAKES,
        on_oneself=Oneself.NEVER,
    )
    ENABLE_USER = Row(
        name="enableUser",
        sentence="Enable a user.",
        write="AdminEnableUser",
        target=TargetKind.USER,
        effect=Effect.GIVES,
        on_oneself=Oneself.TOO,
    )
    CREATE_USER = Row(
        name="createUser",
        sentence="Create a user.",
        write="AdminCreateUser",
        target=TargetKind.USER,
        checks=("DescribeUserPool", "ListUsers", "AdminGetUser"),
        creates=True,
        effect=Effect.NONE,
        on_oneself=Oneself.TOO,
        sets_attributes=True,
    )
    UPDATE_USER = Row(
        name="updateUser",
        sentence="Set and delete a user's attributes.",
        write="AdminUpdateUserAttributes",
        alternatives=("AdminDeleteUserAttributes",),
        target=TargetKind.USER,
        checks=("DescribeUserPool", "ListUsers", "AdminGetUser"),
        effect=Effect.NONE,
        on_oneself=Oneself.TOO,
        sets_attributes=True,
    )
    DELETE_USER = Row(
        name="deleteUser",
        sentence="Delete a user.",
        write="AdminDeleteUser",
        target=TargetKind.USER,
        effect=Effect.TAKES,
        on_oneself=Oneself.NEVER,
    )
    END_USER_SESSIONS = Row(
        name="endUserSessions",
        sentence="Sign a user out of all devices.",
        write="AdminUserGlobalSignOut",
        target=TargetKind.USER,
        effect=Effect.NONE,
        on_oneself=Oneself.TOO,
    )
    END_USER_SESSION = Row(
        name="endUserSession",
        sentence="End one of a user's sessions.",
        write="AdminRevokeUserSession",
        target=TargetKind.USER,
        checks=("AdminGetUser",),
        effect=Effect.NONE,
        on_oneself=Oneself.TOO,
    )
    SET_USER_PASSWORD = Row(
        name="setUserPassword",
        sentence="Set a user's password.",
        write="AdminSetUserPassword",
        target=TargetKind.USER,
        checks=("AdminGetUser",),
        effect=Effect.NONE,
        on_oneself=Oneself.NEVER,
    )
    RESET_USER_PASSWORD = Row(
        name="resetUserPassword",
        sentence="Reset a user's password and send them a code to set a new one.",
        write="AdminResetUserPassword",
        target=TargetKind.USER,
        effect=Effect.NONE,
        on_oneself=Oneself.NEVER,
    )
    RESEND_INVITATION = Row(
        name="resendInvitation",
        sentence="Send a user's invitation again.",
        write="AdminCreateUser",
        target=TargetKind.USER,
        checks=("DescribeUserPool", "AdminGetUser"),
        effect=Effect.NONE,
        on_oneself=Oneself.TOO,
    )
    LIST_USER_DEVICES = Row(
        name="listUserDevices",
        sentence="List a user's remembered devices.",
        reads=("AdminListDevices", "AdminGetUser"),  # the latter for the username
    )
    FORGET_USER_DEVICE = Row(
        name="forgetUserDevice",
        sentence="Forget a user's device.",
        write="AdminForgetDevice",
        target=TargetKind.USER,
        effect=Effect.NONE,
        on_oneself=Oneself.TOO,
    )
    SET_USER_DEVICE_REMEMBERED = Row(
        name="setUserDeviceRemembered",
        sentence="Set whether a user's device is remembered.",
        write="AdminUpdateDeviceStatus",
        target=TargetKind.USER,
        effect=Effect.NONE,
        on_oneself=Oneself.NEVER,  # a remembered device signs in without MFA
    )
    LIST_USER_AUTH_EVENTS = Row(
        name="listUserAuthEvents",
        sentence="List a user's sign-in events.",
        reads=("AdminListUserAuthEvents", "AdminGetUser"),  # the latter for the username
    )
    RATE_USER_AUTH_EVENT = Row(
        name="rateUserAuthEvent",
        sentence="Say whether a sign-in event was the user.",
        write="AdminUpdateAuthEventFeedback",
        target=TargetKind.USER,
        effect=Effect.NONE,
        on_oneself=Oneself.NEVER,  # a thief would call the own sign-ins those of the user
    )
    LINK_USER_IDENTITY = Row(
        name="linkUserIdentity",
        sentence="Let an identity at another provider sign in as a user.",
        write="AdminLinkProviderForUser",
        target=TargetKind.USER,
        checks=("AdminGetUser",),
        effect=Effect.NONE,
        on_oneself=Oneself.NEVER,
    )
    UNLINK_USER_IDENTITY = Row(
        name="unlinkUserIdentity",
        sentence="No longer let an identity at another provider sign in as a user.",
        write="AdminDisableProviderForUser",
        target=TargetKind.USER,
        checks=("AdminGetUser",),
        effect=Effect.NONE,
        on_oneself=Oneself.NEVER,
    )
    SET_USER_MFA = Row(
        name="setUserMfa",
        sentence="Set which factors of MFA a user is asked for.",
        write="AdminSetUserMFAPreference",
        target=TargetKind.USER,
        effect=Effect.NONE,
        on_oneself=Oneself.NEVER,
    )
    DELETE_USER_TOTP = Row(
        name="deleteUserTotp",
        sentence="Delete a user's authenticator app, so that they can set up another.",
        write="AdminDeleteSoftwareToken",
        target=TargetKind.USER,
        effect=Effect.NONE,
        on_oneself=Oneself.NEVER,
    )
    CREATE_GROUP = Row(
        name="createGroup",
        sentence="Create a group.",
        write="CreateGroup",
        target=TargetKind.GROUP,
        creates=True,
        effect=Effect.NONE,
    )
    UPDATE_GROUP = Row(
        name="updateGroup",
        sentence="Change a group's description and precedence.",
        write="UpdateGroup",
        target=TargetKind.GROUP,
        checks=("GetGroup",),
        effect=Effect.NONE,
    )
    DELETE_GROUP = Row(
        name="deleteGroup",
        sentence="Delete a group.",
        write="DeleteGroup",
        target=TargetKind.GROUP,
        checks=("ListUsersInGroup",),
        effect=Effect.TAKES,
    )
    SIGN_USER_OUT = Row(
        name="signUserOut",
        sentence="Sign the caller out of all devices.",
        write="AdminUserGlobalSignOut",
        target=TargetKind.USER,
        effect=Effect.NONE,
        on_oneself=Oneself.ONLY,
        open_to_signed_in=True,
    )
    VIEWER = Row(
        name="viewer",
        sentence="Read the caller's identity and rights.",
        open_to_signed_in=True,
    )

    __hash__ = object.__hash__  # an Enum's own is a function in Python, called for each lookup

    def __init__(self, row: Row) -> None:
        self.row = row
        self.label = row.name
        self.sentence = row.sentence
        self.write = row.write
        self.target = row.target
        self.is_for_oneself = row.on_oneself is Oneself.ONLY
        self.open_to_signed_in = row.open_to_signed_in
        self.writes = () if row.write is None else (row.write, *row.alternatives)
        """The Cognito operations of which it uses one to change something."""
        self.operations = (*self.writes, *row.reads, *row.checks)
        """Every Cognito operation that the action may call; the IAM policy lists them."""

    @classmethod
    def labelled(cls, label: str) -> "Action":
        """Return the action named `label`.

        Raises:
            KeyError: No action has that name.
        """
        return _BY_LABEL[label]


_BY_LABEL = {action.label: action for action in Action}
