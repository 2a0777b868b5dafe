"""Stock Strawberry: its own ASGI view, boto3 in threads, the token verified on every request.

It is what its documentation leads to, in production posture: no GraphiQL, no access log, enough
pooled connections. It serves the part of graphql-admin's schema that the bench asks for.
"""

import asyncio
import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import datetime
from typing import Any

import boto3
import jwt
import strawberry
import uvicorn
from botocore.config import Config
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.websockets import WebSocket
from strawberry.asgi import GraphQL

POOL_ID = os.environ["USER_POOL_ID"]
CLIENT_ID = os.environ["CLIENT_ID"]

_keys = jwt.PyJWKClient(os.environ["JWKS_URL"])
_cognito = boto3.client("cognito-idp", config=Config(max_pool_connections=64))


async def call(operation: str, **parameters: object) -> Any:
    """Call Cognito once, in a thread."""
    return await asyncio.to_thread(getattr(_cognito, operation), UserPoolId=POOL_ID, **parameters)


@strawberry.type
class Group:
    name: str


@strawberry.type
class GroupConnection:
    nodes: list[Group]


@strawberry.type
class User:
    username: str
    sub: str | None
    email: str | None
    email_verified: bool | None
    phone_number: str | None
    given_name: str | None
    status: str | None
    enabled: bool | None
    created_at: datetime | None
    updated_at: datetime | None

    @strawberry.field
    def id(self) -> strawberry.ID:
        return strawberry.ID(urlsafe_b64encode(f"User:{self.username}".encode()).decode())

    @strawberry.field
    async def groups(self, first: int = 25) -> GroupConnection:
        reply = await call("admin_list_groups_for_user", Username=self.username, Limit=first)
        return GroupConnection(nodes=[Group(name=group["GroupName"]) for group in reply["Groups"]])

    @classmethod
    def from_cognito(cls, user: Any, attributes: Any) -> "User":
        values = {attribute["Name"]: attribute["Value"] for attribute in attributes}
        return cls(
            username=user["Username"],
            sub=values.get("sub"),
            email=values.get("email"),
            email_verified=values.get("email_verified") == "true",
            phone_number=values.get("phone_number"),
            given_name=values.get("given_name"),
            status=user["UserStatus"],
            enabled=user["Enabled"],
            created_at=user["UserCreateDate"],
            updated_at=user["UserLastModifiedDate"],
        )


@strawberry.type
class UserEdge:
    cursor: str
    node: User


@strawberry.type
class PageInfo:
    has_next_page: bool
    end_cursor: str | None


@strawberry.type
class UserConnection:
    nodes: list[User]
    skip: strawberry.Private[int]
    token: strawberry.Private[str | None]
    next_token: strawberry.Private[str | None]

    @strawberry.field
    def edges(self) -> list[UserEdge]:
        return [
            UserEdge(node=node, cursor=to_cursor(self.skip + row, self.token))
            for row, node in enumerate(self.nodes, 1)
        ]

    @strawberry.field
    def page_info(self) -> PageInfo:
        return PageInfo(
            has_next_page=self.next_token is not None,
            end_cursor=to_cursor(0, self.next_token) if self.next_token else None,
        )


def to_cursor(skip: int, token: str | None) -> str:
    """A cursor is the token of a page and the number of rows to skip in it."""
    return urlsafe_b64encode(f"{skip}:{token or ''}".encode()).decode()


def from_cursor(cursor: str | None) -> tuple[int, str | None]:
    """Read what `to_cursor` made."""
    if cursor is None:
        return 0, None
    skip, token = urlsafe_b64decode(cursor).decode().split(":", 1)
    return int(skip), token or None


@strawberry.input
class UserBy:
    username: str


@strawberry.input
class AddUserToGroupInput:
    username: str
    group_name: str


@strawberry.type
class ActionError:
    code: str


@strawberry.type
class ChangedUser:
    username: str


@strawberry.type
class AddUserToGroupPayload:
    user: ChangedUser | None
    errors: list[ActionError]


@strawberry.type
class Query:
    @strawberry.field
    async def user(self, by: UserBy) -> User | None:
        reply = await call("admin_get_user", Username=by.username)
        return User.from_cognito(reply, reply["UserAttributes"])

    @strawberry.field
    async def users(self, first: int = 25, after: str | None = None) -> UserConnection | None:
        skip, token = from_cursor(after)
        page = {"PaginationToken": token} if token else {}
        reply = await call("list_users", Limit=first, **page)
        return UserConnection(
            nodes=[User.from_cognito(user, user["Attributes"]) for user in reply["Users"][skip:]],
            skip=skip,
            token=token,
            next_token=reply.get("PaginationToken"),
        )


@strawberry.type
class Mutation:
    @strawberry.mutation
    async def add_user_to_group(self, input: AddUserToGroupInput) -> AddUserToGroupPayload | None:
        await call("admin_add_user_to_group", Username=input.username, GroupName=input.group_name)
        return AddUserToGroupPayload(user=ChangedUser(username=input.username), errors=[])


def verify(authorization: str) -> None:
    """Accept an administrator with a valid token.

    Raises:
        HTTPException: 401 or 403, for any other caller.
    """
    token = authorization.removeprefix("Bearer ")
    try:
        key = _keys.get_signing_key_from_jwt(token)
        claims = jwt.decode(token, key, algorithms=["RS256"], options={"require": ["exp"]})
    except jwt.PyJWTError as error:
        raise HTTPException(401) from error
    if claims.get("token_use") != "access" or claims.get("client_id") != CLIENT_ID:
        raise HTTPException(401)
    if "Admins" not in claims.get("cognito:groups", ()):
        raise HTTPException(403)


class AdminView(GraphQL[None, None]):
    """Strawberry's view, for administrators."""

    async def get_context(
        self,
        request: Request | WebSocket,
        response: Response | WebSocket,  # noqa: ARG002  # Strawberry passes it by name
    ) -> None:
        verify(request.headers.get("authorization", ""))


schema = strawberry.Schema(Query, Mutation)
app = Starlette(routes=[Route("/graphql", AdminView(schema, graphql_ide=None))])

if __name__ == "__main__":
    uvicorn.run(app, port=int(os.environ["PORT"]), access_log=False, log_level="warning")
