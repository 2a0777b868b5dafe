"""What is said of a document that is not good, and what is not."""

import json
from collections.abc import Callable
from itertools import product
from typing import Any

import pytest

from tests.support.api import Api
from tests.support.scripted import ScriptedCognito

SECRETS = ("bob@example.com", "hunter2", "Pa$$w0rd")

LITERALS = {
    "another type": "{{ users(first: {0}) {{ nodes {{ sub }} }} }}",
    "no object": "{{ user(by: {0}) {{ sub }} }}",
    "in an object": "{{ user(by: {{username: [{0}]}}) {{ sub }} }}",
    "an object for a string": "{{ user(by: {{username: {{a: {0}}}}}) {{ sub }} }}",
    "with an unknown field": "{{ user(by: {{usrname: {0}}}) {{ sub }} }}",
    "with a second key": "{{ user(by: {{username: {0}, email: {0}, phne: {0}}}) {{ sub }} }}",
    "no boolean": "{{ __typename @include(if: {0}) }}",
    "an unknown argument": "{{ users(frist: {0}) {{ nodes {{ sub }} }} }}",
    "an unknown directive": "{{ __typename @delay(by: {0}) }}",
    "an unknown field's": "{{ usrs(first: {0}) {{ nodes {{ sub }} }} }}",
    "a variable's default": "query($n: Int = {0}) {{ users(first: $n) {{ nodes {{ sub }} }} }}",
    "an enum": "{{ users(filter: {{status: {0}}}) {{ nodes {{ sub }} }} }}",
    "conflicting": '{{ user(by: {{sub: {0}}}) {{ sub }} user(by: {{sub: "x"}}) {{ sub }} }}',
    "a mutation's input": "mutation {{ disableUser(input: {{usrname: {0}}}) {{ username }} }}",
    "an id": "{{ node(id: [{0}, 1.5]) {{ id }} }}",
    "misplaced": "{{ {0} }}",
    "after a name": "{{ users {0} }}",
    "in place of an operation": "{0} {{ __typename }}",
    "in place of a name": "query {0} {{ __typename }}",
    "in place of a colon": "{{ users(first {0}) }}",
    "unclosed": "{{ user(by: {{username: {0}",
}  # fmt: skip


@pytest.fixture
def scripted(shared_scripted: ScriptedCognito) -> ScriptedCognito:
    """A Cognito that expects no call, unless the test says otherwise."""
    return shared_scripted


@pytest.fixture
def api(shared_serve: Callable[..., Api], scripted: ScriptedCognito) -> Api:
    """This server in front of that Cognito."""
    return shared_serve(scripted.url)


@pytest.mark.parametrize("template", LITERALS.values(), ids=LITERALS.keys())
def test_no_literal_is_repeated(api: Api, template: str) -> None:
    """Whatever is wrong with a document, its error repeats no value that stands in it."""
    written = ['"{0}"', '"""{0}"""', '"{0}', "{0}", '["{0}"]', '{{a: "{0}"}}', '"\\x{0}"', "'{0}'"]
    for form, secret in product(written, SECRETS):
        if form == "{0}" and secret.isalnum() and "(" not in template:
            continue  # a name where a name belongs, such as a field's, is no value
        answer = api.send(template.format(form.format(secret)))
        assert answer.codes
        assert set(answer.codes) <= {"GRAPHQL_PARSE_FAILED", "GRAPHQL_VALIDATION_FAILED"}
        assert all(error["locations"] for error in answer.errors)
        assert secret not in answer.response.text


@pytest.mark.parametrize(
    ("query", "variables"),
    [
        ("query($v: Int!) { users(first: $v) { nodes { sub } } }", '"{0}"'),
        ("query($v: UserBy!) { user(by: $v) { sub } }", '"{0}"'),
        ("query($v: UserBy!) { user(by: $v) { sub } }", '{"username": ["{0}"]}'),
        ("query($v: UserBy!) { user(by: $v) { sub } }", '{"usrname": "{0}"}'),
        ("query($v: UserBy!) { user(by: $v) { sub } }", '{"username": "{0}", "email": "{0}"}'),
        ("query($v: UserFilter) { users(filter: $v) { nodes { sub } } }", '{"status": "{0}"}'),
        ("query($v: Boolean!) { __typename @skip(if: $v) }", '"{0}"'),
        ("query($v: ID!) { node(id: $v) { id } }", '"{0}"'),
        ("query($v: ID!) { node(id: $v) { id } }", '["{0}"]'),
        ("query($v: String) { users(after: $v) { nodes { sub } } }", '"{0}"'),
        ("query($v: String) { users(after: $v) { nodes { sub } } }", '{"{0}": 1}'),
        (
            "query($v: String!) { users(filter: {email: {equals: $v}}) { nodes { sub } } }",
            '["{0}"]',
        ),
        ("mutation($v: DisableUserInput!) { disableUser(input: $v) { username } }", '"{0}"'),
        ("query($v: [_Any!]!) { _entities(representations: $v) { __typename } }", '["{0}"]'),
        (
            "query($v: [_Any!]!) { _entities(representations: $v) { __typename } }",
            '[{"__typename": "{0}", "{0}": "{0}"}]',
        ),
        ("query($v: Nothing) { __typename }", '"{0}"'),
    ],
)
def test_no_variable_is_repeated(api: Api, query: str, variables: str) -> None:
    """Whatever is wrong with a variable, its error repeats neither it nor a part of it."""
    for secret in SECRETS:
        answer = api.send(query, {"v": json.loads(variables.replace("{0}", secret))})
        assert answer.codes
        assert "INTERNAL" not in answer.codes
        assert secret not in answer.response.text


@pytest.mark.parametrize(
    "query",
    [
        "{ usr { sub } }",
        "{ users(frst: 1) { nodes { sub } } }",
        '{ user(by: {usernam: "x"}) { sub } }',
        "fragment F on Usr { sub } { __typename }",
        "{ users(filter: {status: {equals: CONFIRMD}}) { nodes { sub } } }",
        "{ __typename @skp(if: true) }",
        "query($v: UsrBy) { user(by: $v) { sub } }",
        "query($v: String) { users(first: $w) { nodes { sub } } }",
    ],
)
def test_no_suggestion(api: Api, query: str) -> None:
    """No error tells what the schema has that is spelt alike."""
    answer = api.send(query, {"v": {"usernam": "x"}})
    assert answer.codes
    assert "did you mean" not in answer.response.text.lower()


@pytest.mark.parametrize(
    ("query", "message", "line", "column"),
    [
        ("{\n  users(", "Syntax Error: Expected Name, found <EOF>.", 2, 9),
        ("{\n  !\n}", "Syntax Error: Expected Name, found '!'.", 2, 3),
        ('{ "x" }', "Syntax Error: Expected Name, found String.", 1, 3),
        ("{ a(b c) }", "Syntax Error: Expected ':', found Name.", 1, 7),
        ('"x"', "Syntax Error: Unexpected <EOF>.", 1, 4),
        ("{ a(b: 1.x) }", "The document is not valid GraphQL.", 1, 10),
        (
            '{ users(first: "x") { nodes { sub } } }',
            "This is not a value of the type 'Int!'.",
            1,
            16,
        ),
    ],
)
def test_message_and_place(api: Api, query: str, message: str, line: int, column: int) -> None:
    """An error still says what was expected, and where."""
    (error,) = api.send(query).errors
    assert error["message"] == message
    assert error["locations"] == [{"line": line, "column": column}]


def test_argument_that_a_variable_spoils(api: Api) -> None:
    """A null in a variable that has a default elsewhere is the client's fault, where it is used."""
    query = "query($n: Int = 5) { users(first: $n) { nodes { sub } } }"
    (error,) = api.send(query, {"n": None}).errors
    assert error == {
        "message": "`first` must not be null.",
        "path": ["users"],
        "locations": [{"line": 1, "column": 35}],
        "extensions": {"code": "BAD_USER_INPUT", "field": "first"},
    }


def test_field_of_an_argument_that_a_variable_spoils(api: Api) -> None:
    """So is a null in a field of an input, which is named with the argument."""
    query = 'mutation($u: String = "a") { disableUser(input: {username: $u}) { errors { code } } }'
    (error,) = api.send(query, {"u": None}).errors
    assert error["message"] == "`input.username` must not be null."
    assert error["extensions"] == {"code": "BAD_USER_INPUT", "field": "input.username"}
    assert error["path"] == ["disableUser"]


FILTER = "query($f: UserFilter) { users(filter: $f) { nodes { sub } } }"
INPUT = "mutation($i: CreateUserInput!) { createUser(input: $i) { errors { code } } }"
ONE = "must set exactly one field of `%s`, and not to null"


@pytest.mark.parametrize(
    ("query", "value", "field", "rule"),
    [
        (FILTER, {}, "f", ONE % "UserFilter"),
        (FILTER, {"email": None}, "f", ONE % "UserFilter"),
        (FILTER, {"enabled": True, "status": "CONFIRMED"}, "f", ONE % "UserFilter"),
        (FILTER, {"email": {}}, "f.email", ONE % "StringMatch"),
        (FILTER, {"email": {"equals": None}}, "f.email", ONE % "StringMatch"),
        (FILTER, {"email": {"equals": 1}}, "f.email.equals", "must be a `String`"),
        (FILTER, {"email": "x"}, "f.email", "must be a `StringMatch`"),
        (FILTER, {"eMail": {"equals": "x"}}, "f", "has an unknown field, `eMail`"),
        (FILTER, {"e mail": {"equals": "x"}}, "f", "has an unknown field"),
        (FILTER, {"email": {"contains": "x"}}, "f.email", "has an unknown field, `contains`"),
        (FILTER, {"status": "confirmed"}, "f.status", "must be a `UserStatus`"),
        (FILTER, {"enabled": "true"}, "f.enabled", "must be a `Boolean`"),
        (INPUT, {}, "i.username", "is required"),
        (INPUT, {"username": None}, "i.username", "must not be null"),
        (INPUT, {"username": "x", "attributes": {"value": "b"}},
         "i.attributes.name", "is required"),
        (INPUT, {"username": "x", "attributes": [{"name": "a", "value": "b"}, 1]},
         "i.attributes.1", "must be a `UserAttributeInput`"),
        (INPUT, {"username": "x", "attributes": [{"name": "a", "value": "b"}, None]},
         "i.attributes.1", "must not be null"),
    ],
)  # fmt: skip
def test_a_variable_that_is_refused_is_named_with_its_part_and_the_rule(
    api: Api, query: str, value: Any, field: str, rule: str
) -> None:
    """The client learns which part of which variable is wrong, by what rule, and where it is."""
    name = field[0]
    (error,) = api.send(query, {name: value}).errors
    assert error["extensions"] == {"code": "BAD_USER_INPUT", "field": field}
    assert error["locations"] == [{"line": 1, "column": query.index("$") + 1}]
    assert error["message"] == f"Variable `${name}` is not valid: `{field}` {rule}."


def test_every_variable_that_is_refused_is_named(api: Api) -> None:
    """Each has an error of its own, those without a value too."""
    query = (
        "query($a: Int!, $b: UserBy!, $c: Int!) { users(first: $a) { nodes { sub } }"
        " user(by: $b) { id } groups(first: $c) { nodes { id } } }"
    )
    errors = api.send(query, {"a": "1", "c": 1}).errors
    assert [error["message"] for error in errors] == [
        "Variable `$a` must be a `Int!`.",
        "Variable `$b` must be a `UserBy!`.",
    ]
    assert [error["extensions"]["field"] for error in errors] == ["a", "b"]


@pytest.mark.parametrize("count", [0, 1, 2])
def test_a_literal_that_is_refused_is_named_with_the_rule(api: Api, count: int) -> None:
    """In the document, too, the type, the rule and the place are said."""
    members = ", ".join(['email: {equals: "a"}', "enabled: true"][:count])
    if count == 1:
        members = "email: null"
    (error,) = api.send(f"{{ users(filter: {{{members}}}) {{ nodes {{ sub }} }} }}").errors
    assert "'UserFilter': exactly one field must be set" in error["message"]
    assert error["locations"] == [{"line": 1, "column": 17}]


def test_endless_number(api: Api) -> None:
    """A number of more digits than Python reads is not valid, and no fault of the server."""
    query = "{ users(first: %s) { nodes { sub } } }"
    assert api.send(query % ("9" * 5000)).codes == ["GRAPHQL_VALIDATION_FAILED"]


def test_which_variable(api: Api) -> None:
    """A variable that does not fit is named, with the type that it must be of."""
    query = "query($by: UserBy!) { user(by: $by) { sub } }"
    for variables in ({}, {"by": None}, {"by": 1}):
        (error,) = api.send(query, variables).errors
        assert error["message"] == "Variable `$by` must be a `UserBy!`."


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("{ viewer {" + " ".join(f"a{i}" for i in range(900)) + "} }", 11),
        ("{ viewer {" + " ".join(f"a{i}" for i in range(10)) + "} }", 10),
        ("{ __typename" + " @aa" * 10 + "}", 1),
        ("{ __typename" + "".join(f" @a{i}" for i in range(40)) + "}", 1),
        ("{ user(by: {" + " ".join(f"a{i}: 1" for i in range(600)) + "}) { sub } }", 2),
        ("query(" + " ".join(f"$a{i}: Int" for i in range(300)) + ") { __typename }", 11),
    ],
    ids=range(6),
)
def test_few_errors(api: Api, query: str, count: int) -> None:
    """Validation stops at ten errors, and says so; the answer is small."""
    answer = api.send(query)
    assert len(answer.errors) == count
    assert set(answer.codes) == {"GRAPHQL_VALIDATION_FAILED"}
    assert answer.errors[-1]["message"].startswith("Too many") is (count > 10)
    assert len(answer.response.content) < 3000


def test_few_places(api: Api) -> None:
    """An error that is in many places names some of them."""
    (error,) = api.send("{ users(" + "first: 1 " * 500 + ") { nodes { sub } } }").errors
    assert len(error["locations"]) == 10


def test_few_errors_of_variables(api: Api) -> None:
    """So do variables, of which each is named once."""
    names = [f"v{number}" for number in range(19)]
    given = " ".join(f"${name}: UserBy!" for name in names)
    fields = " ".join(f"{name}: user(by: ${name}) {{ sub }}" for name in names)
    wrong = {f"k{number}": number for number in range(100)}
    answer = api.send(f"query({given}) {{ {fields} }}", dict.fromkeys(names, wrong))
    assert answer.codes == ["BAD_USER_INPUT"] * 10
    assert (
        answer.errors[0]["message"]
        == "Variable `$v0` is not valid: `v0` has an unknown field, `k0`."
    )


def test_places_after_many_lines(api: Api) -> None:
    """Errors are where they are, of whatever kind and however many lines there are before."""
    lines = "\r\n\n\r" * 10_000
    query = f'{lines}{{\n viewer {{ zzz }}\n users(first: "x") {{ nodes {{ sub }} }} }}'
    errors = api.send(query).errors
    assert [error["locations"] for error in errors] == [
        [{"line": 30_002, "column": 11}],
        [{"line": 30_003, "column": 15}],
    ]
    (error,) = api.send(f"{lines}{{ ! }}").errors
    assert error["locations"] == [{"line": 30_001, "column": 3}]
    (error,) = api.send(f"{lines}{{\n  users(first: 0) {{ nodes {{ sub }} }} }}").errors
    assert error["locations"] == [{"line": 30_002, "column": 3}]
    (error,) = api.send(
        f"{lines}query\n  ($v: Int!) {{ users(first: $v) {{ nodes {{ sub }} }} }}"
    ).errors
    assert error["locations"] == [{"line": 30_002, "column": 4}]


@pytest.mark.parametrize(
    "query",
    [
        "{ user(by: {username: $x}) { sub } }",
        "{ ...F } fragment F on Query { user(by: {username: $x}) { sub } }",
        "fragment F on Query { user(by: {username: $x}) { sub } } { ...F }",
    ],
)
def test_undefined_variable_in_an_input(api: Api, query: str) -> None:
    """A variable that is not defined is the client's fault, wherever it is used."""
    assert "GRAPHQL_VALIDATION_FAILED" in api.send(query).codes
    assert "INTERNAL" not in api.send(query).codes


@pytest.mark.parametrize(
    "query",
    [
        '{ user(by: {username: "a", sub: "b"}) { sub } }',
        "{ user(by: {}) { sub } }",
        "{ user(by: {username: null}) { sub } }",
        "query($x: String) { user(by: {username: $x}) { sub } }",
        "query($x: String!) { user(by: {username: $x, sub: $x}) { sub } }",
        "{ users(filter: {email: {equals: $x}}) { nodes { sub } } }",
    ],
)
def test_one_of(api: Api, query: str) -> None:
    """An input of which one field may be set has exactly one, and no null."""
    assert set(api.send(query, {"x": "a"}).codes) == {"GRAPHQL_VALIDATION_FAILED"}


def test_fragment_before_its_operation(api: Api) -> None:
    """In which order definitions stand is the client's business."""
    query = (
        "fragment F on Query { user(by: {username: $x}) { sub } } query A($x: String!) { ...F }"
        " query Other($x: String) { ...F }"
    )
    (error,) = api.send(query, {"x": "a"}).errors
    assert error["message"] == "Variable '$x' must not be nullable here."
    good = "fragment F on Query { user(by: {username: $x}) { sub } } query($x: String!) { ...F }"
    answer = api.send(good, {"x": "a"}, groups=())
    assert answer.codes == ["FORBIDDEN"]
