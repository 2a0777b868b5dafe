"""The floor: a bare Starlette route for each operation, which makes the same Cognito calls.

It does what every such server must do: read HTTP, look up a cached token, sign the call and send it
with aiohttp, decode the reply, encode the response. It has no GraphQL, no limits, no errors, no
log.
"""

import asyncio
import gc
import hashlib
import hmac
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import jwt
import orjson
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

ENDPOINT = os.environ["AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER"]
REGION = os.environ["AWS_REGION"]
POOL_ID = os.environ["USER_POOL_ID"]
CLIENT_ID = os.environ["CLIENT_ID"]

_ACCESS_KEY = os.environ["AWS_ACCESS_KEY_ID"]
_SECRET_KEY = os.environ["AWS_SECRET_ACCESS_KEY"]
_SERVICE = "cognito-idp"
_HOST = urlsplit(ENDPOINT).netloc
_SIGNED = "content-type;host;x-amz-date;x-amz-target"
_CONTENT_TYPE = "application/x-amz-json-1.1"

_keys = jwt.PyJWKClient(os.environ["JWKS_URL"])
_session: aiohttp.ClientSession


def _hmac(key: bytes, message: str) -> bytes:
    return hmac.digest(key, message.encode(), "sha256")


@lru_cache(maxsize=2)
def _signing_key(day: str) -> bytes:
    key = f"AWS4{_SECRET_KEY}".encode()
    for part in (day, REGION, _SERVICE, "aws4_request"):
        key = _hmac(key, part)
    return key


def _sign(target: str, body: bytes) -> dict[str, str]:
    """The headers of a call signed with Signature Version 4, as AWS's reference lays it out."""
    now = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    day = now[:8]
    canonical = (
        f"POST\n/\n\ncontent-type:{_CONTENT_TYPE}\nhost:{_HOST}\nx-amz-date:{now}\n"
        f"x-amz-target:{target}\n\n{_SIGNED}\n{hashlib.sha256(body).hexdigest()}"
    )
    scope = f"{day}/{REGION}/{_SERVICE}/aws4_request"
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    signature = _hmac(_signing_key(day), f"AWS4-HMAC-SHA256\n{now}\n{scope}\n{digest}").hex()
    return {
        "Content-Type": _CONTENT_TYPE,
        "X-Amz-Date": now,
        "X-Amz-Target": target,
        "Authorization": f"AWS4-HMAC-SHA256 Credential={_ACCESS_KEY}/{scope}, "
        f"SignedHeaders={_SIGNED}, Signature={signature}",
    }


async def call(operation: str, **parameters: object) -> Any:
    """Call Cognito once."""
    body = orjson.dumps({"UserPoolId": POOL_ID, **parameters})
    headers = _sign(f"AWSCognitoIdentityProviderService.{operation}", body)
    async with _session.post(ENDPOINT, data=body, headers=headers) as reply:
        reply.raise_for_status()
        return orjson.loads(await reply.read())


@lru_cache(maxsize=1024)
def verify(authorization: str) -> frozenset[str]:
    """The groups of a caller with a valid token."""
    token = authorization.removeprefix("Bearer ")
    key = _keys.get_signing_key_from_jwt(token)
    claims = jwt.decode(token, key, algorithms=["RS256"], options={"require": ["exp"]})
    if claims["token_use"] != "access" or claims["client_id"] != CLIENT_ID:
        raise jwt.InvalidTokenError("Not an access token of the app")
    return frozenset(claims["cognito:groups"])


def _user(user: Any, attributes: Any) -> dict[str, object]:
    values = {attribute["Name"]: attribute["Value"] for attribute in attributes}
    return {
        "username": user["Username"],
        "sub": values["sub"],
        "email": values["email"],
        "emailVerified": values["email_verified"] == "true",
        "phoneNumber": values["phone_number"],
        "givenName": values["given_name"],
        "status": user["UserStatus"],
        "enabled": user["Enabled"],
        "createdAt": datetime.fromtimestamp(user["UserCreateDate"], UTC),
        "updatedAt": datetime.fromtimestamp(user["UserLastModifiedDate"], UTC),
    }


async def _list_users(after: str | None) -> Any:
    page = {"PaginationToken": after} if after else {}
    return await call("ListUsers", Limit=60, **page)


async def list_users(variables: Any) -> object:
    """One ListUsers."""
    reply = await _list_users(variables["after"])
    return {
        "users": {
            "nodes": [_user(user, user["Attributes"]) for user in reply["Users"]],
            "pageInfo": {"endCursor": reply.get("PaginationToken")},
        }
    }


async def get_user(variables: Any) -> object:
    """One AdminGetUser."""
    reply = await call("AdminGetUser", Username=variables["username"])
    return {"user": _user(reply, reply["UserAttributes"])}


async def add_user_to_group(variables: Any) -> object:
    """One AdminAddUserToGroup."""
    asked = variables["input"]
    await call("AdminAddUserToGroup", Username=asked["username"], GroupName=asked["groupName"])
    return {"addUserToGroup": {"user": {"username": asked["username"]}, "errors": []}}


async def list_users_with_groups(variables: Any) -> object:
    """One ListUsers and sixty AdminListGroupsForUser."""
    users = (await _list_users(variables["after"]))["Users"]
    replies = await asyncio.gather(
        *(call("AdminListGroupsForUser", Username=user["Username"], Limit=10) for user in users)
    )
    groups = [[{"name": group["GroupName"]} for group in reply["Groups"]] for reply in replies]
    nodes = [
        {"username": user["Username"], "groups": {"nodes": names}}
        for user, names in zip(users, groups, strict=True)
    ]
    return {"users": {"nodes": nodes}}


def _route(path: str, answer: Callable[[Any], Awaitable[object]]) -> Route:
    async def endpoint(request: Request) -> Response:
        if "Admins" not in verify(request.headers["authorization"]):
            return Response(status_code=403)
        data = await answer(orjson.loads(await request.body()))
        return Response(orjson.dumps({"data": data}), media_type="application/json")

    return Route(path, endpoint, methods=["POST"])


@asynccontextmanager
async def _lifespan(_: Starlette) -> AsyncIterator[None]:
    global _session
    connector = aiohttp.TCPConnector(limit=128)
    async with aiohttp.ClientSession(connector=connector) as _session:
        gc.freeze()  # or full collections would traverse all imported modules
        yield


app = Starlette(
    routes=[
        _route("/list", list_users),
        _route("/get", get_user),
        _route("/add", add_user_to_group),
        _route("/groups", list_users_with_groups),
    ],
    lifespan=_lifespan,
)

if __name__ == "__main__":
    uvicorn.run(app, port=int(os.environ["PORT"]), access_log=False, log_level="warning")
