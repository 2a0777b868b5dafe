"""Read users page by page, and add one to a group, with gql.

How to run it:

    export GRAPHQL_URL=http://127.0.0.1:8000/graphql TOKEN=eyJ…
    python admin.py list a                # users whose e-mail address starts with "a"
    python admin.py add richard Editors
"""

import os
import sys
from collections.abc import Iterator
from typing import Any, TypedDict, cast

from gql import Client, GraphQLRequest
from gql.transport.exceptions import TransportQueryError
from gql.transport.httpx import HTTPXTransport

USERS = """
query Users($after: String, $where: UserFilter) {
  users(first: 60, after: $after, filter: $where) {
    nodes { username email enabled }
    pageInfo { hasNextPage endCursor }
  }
}
"""

ADD = """
mutation Add($input: AddUserToGroupInput!) {
  addUserToGroup(input: $input) {
    errors { code message field }
  }
}
"""


class User(TypedDict):
    username: str
    email: str | None
    enabled: bool


class ActionError(TypedDict):
    code: str
    message: str
    field: str | None


# docs: client
def connect(url: str, token: str) -> Client:
    headers = {"Authorization": f"Bearer {token}"}
    return Client(transport=HTTPXTransport(url=url, headers=headers, timeout=20))


def execute(client: Client, document: str, **variables: object) -> dict[str, Any]:
    request = GraphQLRequest(document, variable_values=variables)
    return client.execute(request)


# docs: end


# docs: pages
def read_users(client: Client, prefix: str) -> Iterator[User]:
    variables: dict[str, object] = {"where": {"email": {"startsWith": prefix}}}
    while True:
        page = execute(client, USERS, **variables)["users"]
        yield from page["nodes"]
        if not page["pageInfo"]["hasNextPage"]:
            return
        variables["after"] = page["pageInfo"]["endCursor"]


# docs: end


# docs: change
def add_to_group(client: Client, username: str, group: str) -> list[ActionError]:
    """Return why the user was not added; nothing if they were."""
    data = execute(client, ADD, input={"username": username, "groupName": group})
    return cast("list[ActionError]", data["addUserToGroup"]["errors"])


# docs: end


def main(arguments: list[str]) -> str | None:
    """Return why it failed, or None."""
    client = connect(os.environ["GRAPHQL_URL"], os.environ["TOKEN"])
    # docs: errors
    try:
        match arguments:
            case ["list", prefix]:
                for user in read_users(client, prefix):
                    print(user["username"], user["email"])
                return None
            case ["add", username, group]:
                for problem in add_to_group(client, username, group):
                    return f"{problem['code']} {problem['message']}"
                return None
    except TransportQueryError as error:  # at the top level, such as FORBIDDEN
        return "\n".join(f"{e['extensions']['code']} {e['message']}" for e in error.errors or ())
    # docs: end
    return __doc__


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
