"""Read users page by page, and disable one, with the client that ariadne-codegen makes.

How to run it:

    ariadne-codegen                       # writes the package admin_api
    export GRAPHQL_URL=http://127.0.0.1:8000/graphql TOKEN=eyJ…
    python admin.py list a                # users whose e-mail address starts with "a"
    python admin.py disable richard
"""

import asyncio
import os
import sys
from collections.abc import AsyncIterator

from admin_api import Client, DisableUserInput, StringMatch, UserFilter, UsersUsersNodes
from admin_api.exceptions import GraphQLClientError, GraphQLClientGraphQLMultiError


# docs: pages
async def read_users(client: Client, prefix: str) -> AsyncIterator[UsersUsersNodes]:
    where = UserFilter(email=StringMatch(startsWith=prefix))
    after: str | None = None
    while True:
        page = (await client.users(after=after, where=where)).users
        if page is None:  # comes with an error, which is raised
            return
        for user in page.nodes:
            yield user
        if not page.page_info.has_next_page:
            return
        after = page.page_info.end_cursor


# docs: end


# docs: change
async def disable(client: Client, username: str) -> str | None:
    """Return why the user was not disabled; None if they were."""
    payload = (await client.disable_user(DisableUserInput(username=username))).disable_user
    for error in payload.errors if payload else ():
        return f"{error.code.value} {error.message}"
    return None


# docs: end


async def main(arguments: list[str]) -> str | None:
    """Return why it failed, or None."""
    headers = {"Authorization": f"Bearer {os.environ['TOKEN']}"}
    # docs: errors
    try:
        async with Client(os.environ["GRAPHQL_URL"], headers) as client:
            match arguments:
                case ["list", prefix]:
                    async for user in read_users(client, prefix):
                        print(user.username, user.created_at and f"{user.created_at:%Y-%m-%d}")
                    return None
                case ["disable", username]:
                    return await disable(client, username)
    except GraphQLClientGraphQLMultiError as error:  # at the top level, such as FORBIDDEN
        return "\n".join(f"{(e.extensions or {})['code']} {e.message}" for e in error.errors)
    except GraphQLClientError as error:  # such as HTTP status 401, for a token that has expired
        return str(error)
    # docs: end
    return __doc__


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1:])))
