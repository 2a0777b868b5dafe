"""Which page of the documentation says more about a problem at start-up."""

import re
from collections.abc import Collection

from graphql_admin.settings import PREFIX

SETTINGS = "docs/settings.md"
PERMISSIONS = "docs/permissions.md"
OPERATIONS = "docs/operations.md"

_PAGES = {
    "ADMIN_GROUPS": PERMISSIONS,
    "AUDIT_FILE": OPERATIONS,
    "EXPLORER_CLIENT_ID": OPERATIONS,
    "EXPLORER_LOGIN_URL": OPERATIONS,
    "POLICY_FILE": PERMISSIONS,
}
"""Where a page says more about a setting than that of all settings."""


def pages_on(problems: Collection[str]) -> list[str]:
    """Return the pages on problems with settings, each of which begins with its variable."""
    variables = [re.match(rf"{PREFIX}(\w+):", problem) for problem in problems]
    pages = {_PAGES.get(variable[1], SETTINGS) for variable in variables if variable}
    return sorted(pages | {SETTINGS}, key=lambda page: (page != SETTINGS, page))
