"""Emulators of Cognito other than the embedded one, whose pools have other ids and issuers."""

from collections.abc import Callable
from typing import Any

from tests.support.api import Api
from tests.support.scripted import ScriptedCognito, reply
from tests.support.started import run
from tests.support.tokens import CLIENT_ID, JwksServer, Pool

POOL_ID = "local_0kh31a7P"
QUERY = "{ groups { nodes { name } } }"


def test_emulator_as_it_is(serve: Callable[..., Api], scripted: ScriptedCognito) -> None:
    """As cognito-local has it: its id, an issuer on loopback, the keys below it, a known key."""
    scripted.on("ListGroups", reply({"Groups": [{"GroupName": "Editors"}]}))
    pool = Pool(kid="CognitoLocal")
    with JwksServer(pool.jwk()) as keys:
        issuer = f"{keys.url.partition('/.well-known')[0]}/{POOL_ID}"
        api = serve(scripted.url, POOL_ID, issuer=issuer, jwks_url=None)
        answer = api.send(QUERY, token=pool.access_token(groups=["Admins"], iss=issuer))
        assert answer.data == {"groups": {"nodes": [{"name": "Editors"}]}}
        (asked,) = scripted.requests
        assert asked.parameters["UserPoolId"] == POOL_ID
        other = f"{issuer}x"
        assert api.send(QUERY, token=pool.access_token(iss=other)).codes == ["UNAUTHENTICATED"]


def test_emulator_without_dev(scripted: ScriptedCognito) -> None:
    """Without `DEV` the command line refuses the id and the issuer, each in words."""
    variables: dict[str, Any] = {
        "GRAPHQL_ADMIN_USER_POOL_ID": POOL_ID,
        "GRAPHQL_ADMIN_CLIENT_IDS": CLIENT_ID,
        "GRAPHQL_ADMIN_ADMIN_GROUPS": "Admins",
        "GRAPHQL_ADMIN_ISSUER": f"http://127.0.0.1:9230/{POOL_ID}",
        "AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER": scripted.url,
    }
    done = run("serve", **variables)
    assert done.returncode == 2
    for name in ("USER_POOL_ID: must be the id", "ISSUER: must be an https URL"):
        assert f"GRAPHQL_ADMIN_{name}" in done.stderr
