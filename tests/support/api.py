"""A client of this server that speaks GraphQL over HTTP."""

from dataclasses import dataclass
from typing import Any

import httpx2

from tests.support.directory import Directory
from tests.support.tokens import Pool


@dataclass(frozen=True)
class Reply:
    """The server's answer to one GraphQL request."""

    response: httpx2.Response

    @property
    def data(self) -> Any:
        """`data`, of an answer without errors."""
        body = self.response.json()
        assert "errors" not in body, body["errors"]
        return body["data"]

    @property
    def partial(self) -> Any:
        """`data`, whatever errors stand beside it."""
        return self.response.json().get("data")

    @property
    def errors(self) -> list[dict[str, Any]]:
        """The top-level errors."""
        errors: list[dict[str, Any]] = self.response.json().get("errors", [])
        return errors

    @property
    def codes(self) -> list[str]:
        """The codes of the top-level errors."""
        return [error["extensions"]["code"] for error in self.errors]


class Api:
    """The server, as a caller with a token sees it.

    Args:
        client: Sends HTTP requests to the server.
        signing_key: Signs the tokens of callers.
        pool_id: The user pool that the tokens are of.
        directory: The same, where it keeps users. Who sends a mutation without a token of their
            own is there first.
    """

    def __init__(
        self,
        client: httpx2.Client,
        signing_key: Pool,
        pool_id: str,
        directory: Directory | None = None,
    ) -> None:
        self.client = client
        self._directory = directory
        self.pool_id = pool_id
        self._signing_key = signing_key

    def token(self, *groups: str, username: str = "root", **claims: Any) -> str:
        """Return an access token for a user in these groups."""
        issuer = f"https://cognito-idp.eu-west-1.amazonaws.com/{self.pool_id}"
        return self._signing_key.access_token(username, list(groups), **{"iss": issuer, **claims})

    def token_of_user(self, *groups: str, username: str = "root") -> str:
        """Return an access token for a user who is in the pool, and in these groups there."""
        if self._directory is None:
            return self.token(*groups, username=username)
        sub = self._directory.enroll(username, *groups)
        return self.token(*groups, username=username, sub=sub)

    def send(
        self,
        query: str,
        variables: dict[str, Any] | None = None,
        *,
        token: str | None = None,
        groups: tuple[str, ...] = ("Admins",),
    ) -> Reply:
        """Post a GraphQL request, as an administrator unless told otherwise.

        Args:
            query: The document.
            variables: Its variables.
            token: The token to send; an empty one sends none.
            groups: The groups of the token that is sent where none is given.
        """
        if token is None:
            changes = query.lstrip().startswith("mutation")
            token = self.token_of_user(*groups) if changes else self.token(*groups)
        return Reply(
            self.client.post(
                "/graphql",
                json={"query": query, "variables": variables},
                headers={"Authorization": f"Bearer {token}"} if token else {},
            )
        )
