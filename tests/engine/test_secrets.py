"""Values of secret fields are kept nowhere: no document that has one written into it, no plan."""

import asyncio
from typing import Any

import pytest

from graphql_admin.admin.context import Context
from graphql_admin.admin.guards import takes_call
from graphql_admin.admin.schema import AdminSchema
from graphql_admin.engine.documents import Documents, may_have_secret
from graphql_admin.engine.fallbacks import Fallback
from graphql_admin.engine.fields import secret_fields
from graphql_admin.engine.limits import Limits
from tests.support.leaks import PASSWORD

SCHEMA = AdminSchema()
SECRETS = {name for names in secret_fields(SCHEMA.graphql_schema).values() for name in names}


def documents() -> Documents:
    return Documents(
        SCHEMA.graphql_schema,
        takes_call,
        introspection=True,
        max_tokens=1000,
        max_calls=100,
        limits=Limits(depth=10, aliases=10, directives=10, root_fields=10),
    )


CALL = "{ setUserPassword(input: %s) { errors { code } } }"
WITH = [
    "mutation " + CALL % f'{{username: "bob", password: "{PASSWORD}"}}',
    "mutation " + CALL % f'{{username: "bob", password: """{PASSWORD}"""}}',
    f'mutation ($p: String! = "{PASSWORD}") ' + CALL % '{username: "bob", password: $p}',
    f'mutation ($i: SetUserPasswordInput! = {{username: "b", password: "{PASSWORD}"}}) '
    + CALL % "$i",
    'mutation { b: enableUser(input: {username: "b"}) { errors { code } } ...A } '
    "fragment A on Mutation " + CALL % f'{{username: "bob", password: "{PASSWORD}"}}',
]
WITHOUT = [
    "mutation ($p: String!) " + CALL % '{username: "bob", password: $p}',
    "mutation ($i: SetUserPasswordInput!) " + CALL % "$i",
    'mutation { enableUser(input: {username: "password"}) { errors { code } } }',
    'mutation ($n: String! = "bob") { enableUser(input: {username: $n}) { errors { code } } }',
    '{ users(filter: {email: {equals: "password: x"}}) { nodes { username } } }',
]


def test_secret_fields() -> None:
    """The schema's passwords are marked as such: whatever has the word in its name."""
    named = {
        (type_.name, name)
        for type_ in SCHEMA.graphql_schema.type_map.values()
        if type_.name.endswith("Input")
        for name in type_.fields
        if "password" in name.lower()
    }
    marked = secret_fields(SCHEMA.graphql_schema)
    assert named == {(type_, name) for type_, names in marked.items() for name in names}
    assert named


@pytest.mark.parametrize("text", WITH)
def test_document_with_a_secret_is_not_kept(text: str) -> None:
    """It is parsed again each time."""
    loaded = documents()
    document = loaded.load(text)
    assert document.has_secret
    assert loaded.load(text) is not document


@pytest.mark.parametrize("text", WITHOUT)
def test_any_other_document_is_kept(text: str) -> None:
    """What has its values in variables is read once."""
    loaded = documents()
    document = loaded.load(text)
    assert not document.has_secret
    assert loaded.load(text) is document


@pytest.mark.parametrize("text", WITH)
def test_no_plan_of_a_secret_is_kept(text: str) -> None:
    """Such an operation takes the ordinary path, and nothing is compiled of it."""
    schema = AdminSchema()
    document = documents().load(text)
    (operation,) = document.operations.values()

    async def run() -> Fallback | None:
        context: Any = object.__new__(Context)
        ran = await schema.runner.run_uncounted(document, operation, {}, context)
        return ran.fallback

    assert asyncio.run(run()) is Fallback.SECRET
    assert document.compiled == {}
    assert len(schema.runner.plans) == 0


def test_names_of_secrets() -> None:
    """A field of another name is none."""
    document = documents().load(WITH[0])
    assert may_have_secret(document.ast, SECRETS)
    assert not may_have_secret(document.ast, {"username2"})
