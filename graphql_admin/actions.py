"""The table of admin actions: what each is called, needs of Cognito, and does."""

from enum import Enum


class Action(Enum):
    """Something a caller may be allowed to do, and the unit in which rights are given.

    The names are those of Amplify's Admin Queries, so that its users find their way.
    A row is: the action's name (also its name in policies), the Cognito operations that
    carry it out (the IAM policy is made from these), and a sentence for people.

    Adding an action starts with adding its row here.
    """

    LIST_USERS = ("listUsers", ("ListUsers",), "List and search users.")
    GET_USER = ("getUser", ("AdminGetUser", "ListUsers"), "Read one user.")
    LIST_GROUPS = ("listGroups", ("ListGroups",), "List groups.")
    GET_GROUP = ("getGroup", ("GetGroup",), "Read one group.")
    LIST_GROUPS_FOR_USER = (
        "listGroupsForUser",
        ("AdminListGroupsForUser",),
        "List the groups that a user is in.",
    )
    LIST_USERS_IN_GROUP = (
        "listUsersInGroup",
        ("ListUsersInGroup",),
        "List the users that are in a group.",
    )
    ADD_USER_TO_GROUP = ("addUserToGroup", ("AdminAddUserToGroup",), "Add a user to a group.")
    REMOVE_USER_FROM_GROUP = (
        "removeUserFromGroup",
        ("AdminRemoveUserFromGroup",),
        "Remove a user from a group.",
    )
    CONFIRM_USER_SIGN_UP = (
        "confirmUserSignUp",
        ("AdminConfirmSignUp",),
        "Confirm the registration of a user who signed up.",
    )
    DISABLE_USER = ("disableUser", ("AdminDisableUser",), "Disable a user.")
    ENABLE_USER = ("enableUser", ("AdminEnableUser",), "Enable a user.")
    SIGN_USER_OUT = (
        "signUserOut",
        ("AdminUserGlobalSignOut",),
        "Sign oneself out of all devices.",
        True,
    )
    VIEWER = ("viewer", (), "See who one is and what one may do.", True)

    def __init__(
        self,
        label: str,
        operations: tuple[str, ...],
        sentence: str,
        open_to_signed_in: bool = False,
    ) -> None:
        self.label = label
        self.operations = operations
        self.sentence = sentence
        self.open_to_signed_in = open_to_signed_in
        """Whether a valid token is enough, because the action concerns only the caller."""

    @classmethod
    def labelled(cls, label: str) -> "Action":
        """Return the action with the name `label`.

        Raises:
            KeyError: No action has that name.
        """
        return _BY_LABEL[label]


_BY_LABEL = {action.label: action for action in Action}
