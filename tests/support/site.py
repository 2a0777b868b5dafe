"""The server on an embedded Cognito, as `graphql-admin dev` starts it, for programs to call."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import boto3

from graphql_admin.dev.cognito import REGION, EmbeddedCognito, isolated_environment
from tests.support.directory import Directory
from tests.support.started import started


@dataclass(frozen=True)
class Site:
    """A server and its pool.

    Attributes:
        origin: Where the server is.
        cognito: The embedded Cognito.
        people: Its pool, as a plain boto3 client sees it.
    """

    origin: str
    cognito: EmbeddedCognito
    people: Directory


@contextmanager
def site(*, users: int = 160, **settings: str) -> Iterator[Site]:
    """Start a server.

    Args:
        users: How many there are in its pool.
        settings: More settings, without the prefix of their variables.
    """
    with isolated_environment(), EmbeddedCognito() as cognito:
        cognito.seed(users)
        client = boto3.client(
            "cognito-idp",
            region_name=REGION,
            endpoint_url=cognito.endpoint_url,
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )
        variables = {
            **cognito.environment,
            **{f"GRAPHQL_ADMIN_{name}": value for name, value in settings.items()},
            "GRAPHQL_ADMIN_PORT": "0",
        }
        with started("serve", **variables) as server:
            origin = server.wait_for(r"Listening on (\S+)\n")[1]
            yield Site(origin, cognito, Directory(client, cognito.pool_id))
