"""Settings: what starts the server, what keeps it from starting, and what is said then."""

import re
from pathlib import Path

import pytest

from graphql_admin.actions import Action
from graphql_admin.app import create_app
from graphql_admin.cli import users
from graphql_admin.policy.grants import FOR_ANYONE, Given, Policy
from graphql_admin.settings import InvalidSettings, Settings, load_settings
from graphql_admin.tokens.caller import TokenUse

REQUIRED = {"USER_POOL_ID": "eu-west-1_AbCdEf123", "CLIENT_IDS": "web, cli"}


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment with all required settings except the permissions."""
    set_(monkeypatch, **REQUIRED)
    return monkeypatch


def set_(monkeypatch: pytest.MonkeyPatch, **settings: str) -> None:
    for name, value in settings.items():
        monkeypatch.setenv(f"GRAPHQL_ADMIN_{name}", value)


def problems() -> list[str]:
    with pytest.raises(InvalidSettings) as invalid:
        load_settings()
    return invalid.value.problems


def test_least_settings(environment: pytest.MonkeyPatch) -> None:
    """Pool, clients and administrators are all it takes; the rest is as strict as can be."""
    set_(environment, ADMIN_GROUPS="Admins, Owners")
    settings = load_settings()
    assert settings.region == "eu-west-1"
    assert settings.client_ids == {"web", "cli"}
    assert settings.policy == Policy.of_administrators({"Admins", "Owners"})
    assert (settings.authority_max_age, settings.knows_groups) == (10, True)
    assert settings.token_use == {TokenUse.ACCESS}
    assert (settings.dev, settings.introspection) == (False, "authenticated")


def test_every_problem_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """All problems are reported together, each with the name of its variable."""
    set_(
        monkeypatch,
        USER_POOL_ID="AbCdEf123",
        ADMIN_GROUPS="Admins,",
        DISABLED_ACTIONS="disableUsers",
        TOKEN_USE="refresh",
        JWKS_URL="http://example.com/keys",
        ISSUER="example.com",
        PORT="99999",
        INTROSPECTION="sometimes",
        ADMIN_GROUP="Admins",
    )
    named = [problem.split(":")[0].removeprefix("GRAPHQL_ADMIN_") for problem in problems()]
    assert sorted(named) == [
        "ADMIN_GROUP",
        "ADMIN_GROUPS",
        "CLIENT_IDS",
        "DISABLED_ACTIONS",
        "INTROSPECTION",
        "ISSUER",
        "JWKS_URL",
        "PORT",
        "TOKEN_USE",
        "USER_POOL_ID",
    ]


def test_variables_of_clients(environment: pytest.MonkeyPatch) -> None:
    """A server starts in a shell that has what clients of one read, such as the users commands."""
    set_(environment, ADMIN_GROUPS="Admins")
    environment.setenv(users.TOKEN, "a token")
    environment.setenv(users.URL, "http://127.0.0.1:8000/graphql")
    assert load_settings().admin_groups == {"Admins"}


@pytest.mark.parametrize("groups", [None, "", " ", ",", "Admins,,Owners", "Admins,"])
def test_administrators_unset_or_empty(environment: pytest.MonkeyPatch, groups: str | None) -> None:
    """An empty setting makes neither no user an administrator, nor every user."""
    if groups is not None:
        set_(environment, ADMIN_GROUPS=groups)
    (problem,) = problems()
    assert "GRAPHQL_ADMIN_ADMIN_GROUPS" in problem


def test_administrators_and_policy(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Who may do what is said in one place."""
    path = tmp_path / "policy.toml"
    path.write_text('[groups]\nStaff = ["getUser"]\n')
    set_(environment, ADMIN_GROUPS="Admins", POLICY_FILE=str(path))
    (problem,) = problems()
    assert "exactly one" in problem


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "[groups]"),
        ("[groups]\n", "[groups]"),
        ("[group]\nStaff = ['getUser']\n", "[groups]"),
        ("[groups]\nStaff = ['getUser']\n[more]\n", "[groups]"),
        ("[groups]\nStaff = []\n", "'Staff'"),
        ("[groups]\nStaff = 'getUser'\n", "'Staff'"),
        ("[groups]\n'' = ['getUser']\n", "empty name"),
        ("[groups]\nStaff = ['getUsers']\n", "there is no action 'getUsers'"),
        ("[groups]\nA = ['x']\nB = ['y', 'z']\n", "no action 'x'"),
        ("[groups]\nA = ['x']\nB = ['y', 'z']\n", "no action 'y', 'z'"),
        ("[groups]\nA = ['*', 'x']\n", "no action 'x'"),
        ("[groups]\nA = ['']\n", "'A'"),
        ("[groups]\nA = [['getUser']]\n", "no action ['getUser']"),
        ("[groups]\nStaff = [1]\n", "no action 1"),
        ("[groups\n", "cannot read"),
    ],
)
def test_policy_invalid(
    environment: pytest.MonkeyPatch, tmp_path: Path, text: str, said: str
) -> None:
    """A policy that cannot be meant keeps the server from starting, and says where."""
    path = tmp_path / "policy.toml"
    path.write_text(text)
    set_(environment, POLICY_FILE=str(path))
    assert any(said in problem for problem in problems())


def test_policy_problems_each_with_its_line(
    environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Every bad line of a policy is said at once, each with the file and its number."""
    path = tmp_path / "policy.toml"
    path.write_text(
        """[groups]
Staff = ["getUser",
  "deleteEverything"]
"*" = []
[grant]
Staff = ["Beta"]
[protected]
users = ["ada"]
"""
    )
    set_(environment, POLICY_FILE=str(path), PORT="many")
    begins = f"GRAPHQL_ADMIN_POLICY_FILE: {path}: line "
    found = problems()
    assert [p.removeprefix(begins)[:2] for p in found if p.startswith(begins)] == [
        "3:",
        "4:",
        "5:",
        "8:",
    ]
    assert len(found) == 5


def test_policy_for_every_signed_in_user(environment: pytest.MonkeyPatch) -> None:
    """`*` gives every signed-in user what it always gave, whatever actions there are by now."""
    set_(environment, ADMIN_GROUPS="*,Admins")
    groups = load_settings().policy.groups
    assert groups["*"].actions == FOR_ANYONE
    assert groups["Admins"].actions == frozenset(Action)


@pytest.mark.parametrize(
    ("said", "age"), [("0", 0), ("2.5", 2.5), ("3600", 3600), ("token", None), (" 5 ", 5)]
)
def test_authority(environment: pytest.MonkeyPatch, said: str, age: float | None) -> None:
    """How long the pool's word on a caller counts is a number of seconds, or the token decides."""
    set_(environment, ADMIN_GROUPS="Admins", AUTHORITY_MAX_AGE=said)
    settings = load_settings()
    assert settings.authority_max_age == age
    assert settings.knows_groups is (age is not None)


@pytest.mark.parametrize("said", ["", "-1", "nan", "inf", "3601", "Token", "never"])
def test_authority_invalid(environment: pytest.MonkeyPatch, said: str) -> None:
    """What is neither is refused, and says what it must be."""
    set_(environment, ADMIN_GROUPS="Admins", AUTHORITY_MAX_AGE=said)
    (problem,) = problems()
    assert problem.startswith("GRAPHQL_ADMIN_AUTHORITY_MAX_AGE: must be seconds from 0 to 3600")


def test_policy_missing(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A policy that is not there keeps the server from starting."""
    set_(environment, POLICY_FILE=str(tmp_path / "policy.toml"))
    (problem,) = problems()
    assert "cannot read" in problem


def test_policy(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A policy gives each group its actions; `*` is all of them."""
    path = tmp_path / "policy.toml"
    path.write_text('[groups]\nStaff = ["getUser", "listUsers"]\nOwners = ["*"]\n')
    set_(environment, POLICY_FILE=str(path))
    assert load_settings().policy == Policy(
        {
            "Staff": Given(frozenset({Action.GET_USER, Action.LIST_USERS})),
            "Owners": Given(frozenset(Action), is_everything=True),
        }
    )


def test_nothing_left(environment: pytest.MonkeyPatch) -> None:
    """A server that can do nothing at all does not start."""
    everything = ",".join(action.label for action in Action)
    set_(environment, ADMIN_GROUPS="Admins", DISABLED_ACTIONS=everything)
    (problem,) = problems()
    assert "GRAPHQL_ADMIN_DISABLED_ACTIONS" in problem


@pytest.mark.parametrize(
    "origins",
    [
        "*",
        "null",
        "app.example.com",
        "https://app.example.com/",
        "https://app.example.com/path",
        "https://*.example.com",
        "https://App.example.com",
        "https://me@app.example.com",
        "https://",
        "https://app.example.com,*",
    ],
)
def test_origins_invalid(environment: pytest.MonkeyPatch, origins: str) -> None:
    """What browsers never send as an origin is refused, and every origin at once is, too."""
    set_(environment, ADMIN_GROUPS="Admins", CORS_ORIGINS=origins)
    (problem,) = problems()
    assert problem.startswith("GRAPHQL_ADMIN_CORS_ORIGINS: ")


def test_origins(environment: pytest.MonkeyPatch) -> None:
    """Origins are a list, and an empty one is none."""
    set_(environment, ADMIN_GROUPS="Admins")
    set_(environment, CORS_ORIGINS="https://a.example, http://localhost:3000, http://[::1]:8080")
    assert load_settings().cors_origins == {
        "https://a.example",
        "http://localhost:3000",
        "http://[::1]:8080",
    }
    set_(environment, CORS_ORIGINS="")
    assert load_settings().cors_origins == frozenset()


@pytest.mark.parametrize(
    "origin",
    [
        "capacitor://localhost",
        "ionic://localhost",
        "tauri://localhost",
        "app://.",
        "chrome-extension://cjpalhdlnbpafiamejdnhcphjbkeiagm",
        "moz-extension://3f2b0c1e-6f0e-4f0e-9a39-1e8c1b6c8d11",
        "safari-web-extension://B1A3D2C4-7A36-4D6E-8C64-2D3B6A1E7F55",
        "com.example.app://callback:8080",
        "http://my_app.local:3000",
        "http://localhost:443",
        "https://x.example:80",
    ],
)
def test_origins_of_custom_schemes_and_other_ports(
    environment: pytest.MonkeyPatch, origin: str
) -> None:
    """Apps and browser extensions have origins of their own schemes."""
    set_(environment, ADMIN_GROUPS="Admins", CORS_ORIGINS=origin)
    assert load_settings().cors_origins == {origin}


@pytest.mark.parametrize(
    ("origin", "sent"),
    [
        ("https://x.example:443", "https://x.example"),
        ("http://localhost:80", "http://localhost"),
        ("http://[::1]:80", "http://[::1]"),
    ],
)
def test_origins_with_a_default_port_are_refused_in_words(
    environment: pytest.MonkeyPatch, origin: str, sent: str
) -> None:
    """No browser ever sends a default port, so such an origin would never match."""
    set_(environment, ADMIN_GROUPS="Admins", CORS_ORIGINS=f"https://a.example,{origin}")
    (problem,) = problems()
    assert problem.endswith(f"browsers leave out: write '{sent}'")


@pytest.mark.parametrize(
    "origin",
    [
        "file://",
        "file://localhost",
        "ftp://app.example.com",
        "ws://app.example.com",
        "data://x",
        "blob:https://app.example.com",
        "https://app.example.com:0443",
        "https://app.example.com:0",
        "https://app.example.com:",
        "https://app.example.com:123456",
        "https://bücher.example",
        "Capacitor://localhost",
        "capacitor://localhost/",
        "capacitor:localhost",
        "capacitor://",
        "chrome-extension://*",
        "javascript:alert(1)",
    ],
)
def test_origins_that_no_browser_sends(environment: pytest.MonkeyPatch, origin: str) -> None:
    """Pages of some schemes have the origin `null`, which any site may have."""
    set_(environment, ADMIN_GROUPS="Admins", CORS_ORIGINS=origin)
    (problem,) = problems()
    assert problem.startswith("GRAPHQL_ADMIN_CORS_ORIGINS: ")


@pytest.mark.parametrize(
    "endpoint", [None, "https://cognito-idp.eu-west-1.amazonaws.com", "http://192.0.2.1:5000"]
)
def test_dev_away_from_this_machine(environment: pytest.MonkeyPatch, endpoint: str | None) -> None:
    """Dev mode, which admits keys that are public, is for a Cognito on this machine."""
    set_(environment, ADMIN_GROUPS="Admins", DEV="1")
    if endpoint:
        environment.setenv("AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER", endpoint)
    with pytest.raises(InvalidSettings, match="GRAPHQL_ADMIN_DEV"):
        create_app(load_settings())


@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:5000", "http://localhost:5000"])
def test_dev_on_this_machine(environment: pytest.MonkeyPatch, endpoint: str) -> None:
    """Dev mode starts with a Cognito on this machine, and admits http for its keys."""
    set_(environment, ADMIN_GROUPS="Admins", DEV="1", JWKS_URL=f"{endpoint}/keys")
    environment.setenv("AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER", endpoint)
    assert create_app(load_settings())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GRAPHQL_ADMIN_CLIENT_IDS", '"client1"'),
        ("GRAPHQL_ADMIN_CLIENT_IDS", "'client1', 'client2'"),
        ("GRAPHQL_ADMIN_CLIENT_IDS", 'client1,"client2"'),
        ("GRAPHQL_ADMIN_CLIENT_IDS", '"client1,client2"'),
        ("GRAPHQL_ADMIN_ADMIN_GROUPS", '"Admins"'),
        ("GRAPHQL_ADMIN_USER_POOL_ID", '"eu-west-1_AbCdEf123"'),
        ("GRAPHQL_ADMIN_ISSUER", "'https://issuer.example'"),
        ("GRAPHQL_ADMIN_PORT", '"8000"'),
        ("GRAPHQL_ADMIN_AUDIT_FILE", '"/var/log/audit.jsonl"'),
        ("GRAPHQL_ADMIN_HOST", '"0.0.0.0"'),
        ("GRAPHQL_ADMIN_ALLOWED_HOSTS", "'admin.example.com'"),
        ("GRAPHQL_ADMIN_INTROSPECTION", "'off'"),
        ("GRAPHQL_ADMIN_EXPLORER_CLIENT_ID", "'client1'"),
        ("AWS_ACCESS_KEY_ID", '"AKIAEXAMPLE"'),
        ("AWS_SECRET_ACCESS_KEY", "'secret'"),
        ("AWS_PROFILE", '"production"'),
    ],
)
def test_quoted_values_are_refused_and_not_repeated(
    environment: pytest.MonkeyPatch, name: str, value: str
) -> None:
    """An env-file that keeps quotes makes them a part of the value, which then is nobody's."""
    set_(environment, ADMIN_GROUPS="Admins")
    environment.setenv(name, value)
    (problem,) = problems()
    assert problem.startswith(f"{name}: has quotes at its ends")
    assert value.strip("'\"") not in problem


def test_idle_connections_outlive_those_of_balancers(environment: pytest.MonkeyPatch) -> None:
    """Balancers keep theirs for 60 seconds, and send no request over one that is being closed.

    So do the files for proxies: nginx says for how long it keeps connections to the server, haproxy
    how often it closes half of those that are not needed.
    """
    set_(environment, ADMIN_GROUPS="Admins")
    keep_alive = load_settings().keep_alive
    assert keep_alive > 60
    deploy = Path(__file__).parent.parent / "deploy"
    (nginx,) = re.findall(r"keepalive_timeout (\d+)s;", (deploy / "nginx.conf").read_text())
    (haproxy,) = re.findall(r"pool-purge-delay (\d+)s", (deploy / "haproxy.cfg").read_text())
    assert int(nginx) < keep_alive
    assert 2 * int(haproxy) < keep_alive
    set_(environment, KEEP_ALIVE="120.5")
    assert load_settings().keep_alive == 120.5


def test_docs_have_every_setting() -> None:
    """The page on settings has a row for every setting."""
    page = (Path(__file__).parent.parent / "docs" / "settings.md").read_text(encoding="utf-8")
    for name in Settings.model_fields:
        assert page.count(f"| `{name.upper()}` |") == 1, name


@pytest.mark.parametrize("said", ["/admin", "/v1/users-api", "/a.b_c~d", "/prod", "/..a", "/1"])
def test_root_path(environment: pytest.MonkeyPatch, said: str) -> None:
    """A prefix of paths is one or more segments, each after a slash; without one there is none."""
    set_(environment, ADMIN_GROUPS="Admins")
    assert load_settings().root_path == ""
    set_(environment, ROOT_PATH=said)
    assert load_settings().root_path == said


@pytest.mark.parametrize(
    "said",
    [
        "/",
        "admin",
        "/admin/",
        "//admin",
        "/a//b",
        "/.",
        "/..",
        "/a/../b",
        "/a/./b",
        "/a%2fb",
        "/a%20b",
        "/a b",
        " /admin",
        "/admin\n",
        "/a?b",
        "/a#b",
        "/a\\b",
        "/{name}",
        "/ä",
        "/a;b",
        "https://example.com/admin",
        "/" + 300 * "a",
    ],
)
def test_root_path_invalid(environment: pytest.MonkeyPatch, said: str) -> None:
    """What could be read as another path, or is none, is refused in words."""
    set_(environment, ADMIN_GROUPS="Admins", ROOT_PATH=said)
    (problem,) = problems()
    assert problem.startswith("GRAPHQL_ADMIN_ROOT_PATH: must be a path such as /admin")


OTHER_REGION = "https://cognito-idp.us-east-1.amazonaws.com/eu-west-1_AbCdEf123"


@pytest.mark.parametrize(
    ("said", "issuers"),
    [
        ("https://auth.example.com/pool/", {"https://auth.example.com/pool"}),
        (f"https://auth.example.com, {OTHER_REGION}", {"https://auth.example.com", OTHER_REGION}),
    ],
)
def test_issuers(environment: pytest.MonkeyPatch, said: str, issuers: set[str]) -> None:
    """The issuer of tokens may be another than Cognito's, or several of one pool."""
    set_(environment, ADMIN_GROUPS="Admins", ISSUER=said)
    assert load_settings().issuer == issuers


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("", "without empty items"),
        (f"{OTHER_REGION},", "without empty items"),
        ("http://auth.example.com", "https"),
        ("http://127.0.0.1:9230/eu-west-1_AbCdEf123", "https"),
        ("https://", "https"),
        ("https://auth.example.com/?a=b", "more than a host and a path"),
        ("https://auth.example.com/#", "more than a host and a path"),
        ("https://me@auth.example.com/", "more than a host and a path"),
        ("https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_Other", "another user pool"),
        ("https://issuer-cognito-idp.eu-west-1.amazonaws.com/eu-west-1_Other", "another user pool"),
        (f"{OTHER_REGION},https://cognito-idp.eu-west-1.amazonaws.com/x", "another user pool"),
    ],
)
def test_issuers_invalid(environment: pytest.MonkeyPatch, said: str, why: str) -> None:
    """An issuer is an https URL, and not that of another pool: a server is for one."""
    set_(environment, ADMIN_GROUPS="Admins", ISSUER=said)
    (problem,) = problems()
    assert problem.startswith("GRAPHQL_ADMIN_ISSUER: ")
    assert why in problem


def test_one_url_of_keys_for_several_issuers(environment: pytest.MonkeyPatch) -> None:
    """Keys of one issuer never count for another, so several cannot share a URL of keys."""
    issuers = f"https://auth.example.com,{OTHER_REGION}"
    set_(environment, ADMIN_GROUPS="Admins", ISSUER=issuers, JWKS_URL="https://x.example/keys")
    (problem,) = problems()
    assert problem.startswith("GRAPHQL_ADMIN_JWKS_URL: each of several")


@pytest.mark.parametrize(
    "said", ["local_0kh31a7P", "us-east-1_abc", "my_pool_1", "-_a", "local_" + 49 * "a"]
)
def test_emulators(environment: pytest.MonkeyPatch, said: str) -> None:
    """With `DEV`, ids of emulators' pools and issuers on loopback are taken, and no others are."""
    issuer = f"http://127.0.0.1:9230/{said},http://localhost:9230/{said},http://[::1]:1/{said}"
    set_(environment, ADMIN_GROUPS="Admins", USER_POOL_ID=said, ISSUER=issuer, DEV="1")
    settings = load_settings()
    assert settings.region == ("us-east-1" if said == "us-east-1_abc" else "local")
    assert len(settings.issuer or ()) == 3
    set_(environment, DEV="0")
    named = [problem.split(":")[0].removeprefix("GRAPHQL_ADMIN_") for problem in problems()]
    assert named == (["ISSUER"] if said == "us-east-1_abc" else ["USER_POOL_ID", "ISSUER"])


@pytest.mark.parametrize(
    "said",
    ["local", "local_", "_abc", "lo cal_a", "local_a-b", "lö_a", "a/_b", "local_" + 50 * "a"],
)
def test_no_id_of_an_emulator(environment: pytest.MonkeyPatch, said: str) -> None:
    """What Cognito's API model does not allow is not an id with `DEV` either."""
    set_(environment, ADMIN_GROUPS="Admins", USER_POOL_ID=said, DEV="1")
    (problem,) = problems()
    assert problem.startswith("GRAPHQL_ADMIN_USER_POOL_ID: must be the id of a user pool")


def test_dev_issuer_elsewhere(environment: pytest.MonkeyPatch) -> None:
    """With `DEV` too, http is for this machine alone."""
    set_(environment, ADMIN_GROUPS="Admins", ISSUER="http://cognito.example/x", DEV="1")
    (problem,) = problems()
    assert problem.startswith("GRAPHQL_ADMIN_ISSUER: ")


@pytest.mark.parametrize("claim", ["custom:groups", "https://example.com/groups", "roles"])
def test_groups_claim(environment: pytest.MonkeyPatch, claim: str) -> None:
    """Groups of another claim are not the pool's, so the pool is not asked for them."""
    set_(environment, ADMIN_GROUPS="Admins", GROUPS_CLAIM=claim)
    assert not load_settings().knows_groups
    assert load_settings().groups_attribute == claim
    set_(environment, AUTHORITY_MAX_AGE="token")
    assert not load_settings().knows_groups


@pytest.mark.parametrize("age", ["0", "10", "60"])
def test_groups_claim_and_authority(environment: pytest.MonkeyPatch, age: str) -> None:
    """To ask the pool for groups that are in another claim is refused in words."""
    set_(environment, ADMIN_GROUPS="Admins", GROUPS_CLAIM="custom:groups", AUTHORITY_MAX_AGE=age)
    (problem,) = problems()
    assert problem.startswith("GRAPHQL_ADMIN_AUTHORITY_MAX_AGE: must be `token`, or unset, with")
    set_(environment, GROUPS_CLAIM="cognito:groups")
    assert load_settings().knows_groups
    assert load_settings().groups_attribute is None


@pytest.mark.parametrize(
    "claim",
    [
        "",
        " ",
        "a b",
        "a\n",
        "ä",
        "x" * 201,
        "sub",
        "scope",
        "nonce",
        "username",
        "client_id",
        "aud",
    ],
)
def test_groups_claim_invalid(environment: pytest.MonkeyPatch, claim: str) -> None:
    """What is no claim, or one that means something else, is refused."""
    set_(environment, ADMIN_GROUPS="Admins", GROUPS_CLAIM=claim)
    (problem,) = problems()
    assert problem.startswith("GRAPHQL_ADMIN_GROUPS_CLAIM: ")
