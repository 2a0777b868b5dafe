import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from botocore import xform_name
from moto.cognitoidp.responses import CognitoIdpResponse
from playwright.sync_api import Browser

from graphql_admin.actions import Action
from graphql_admin.app import create_app
from graphql_admin.settings import load_settings
from tests.support.browser import Visit, chromium
from tests.support.directory import Directory
from tests.support.leaks import PASSWORD
from tests.support.people import Person
from tests.support.sign_in_page import SignInPage
from tests.support.started import listening, until
from tests.support.tokens import CLIENT_ID, Pool

pytestmark = pytest.mark.slow

AXE = (
    Path(__file__).parent.parent.parent
    / "graphql_admin/web/explorer/vendor/node_modules/axe-core/axe.min.js"
)

SUPPORT = ["listUsers", "listGroupsForUser", "disableUser"]
"""What members of Support may do; to get one user is not among it."""

CLERKS = ["listGroups", "listUsersInGroup", "addUserToGroup"]
"""What members of Clerks may do; to get one group or to list users is not among it."""

REFUSED = "query { users { nodes { username } } }"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The browser; of the module, since what drives it occupies the thread's event loop."""
    with chromium() as browser:
        yield browser


class Site:
    """A server with the explorer, in front of a pool with a few people."""

    def __init__(self, origin: str, directory: Directory, signing_key: Pool) -> None:
        self.origin = origin
        self.directory = directory
        self._signing_key = signing_key

    def token(self, username: str, *groups: str, **claims: Any) -> str:
        """Return an access token of a user of the pool, who is in these groups there too."""
        claims = {"sub": self.directory.enroll(username, *groups), **claims}
        issuer = f"https://cognito-idp.eu-west-1.amazonaws.com/{self.directory.pool_id}"
        return self._signing_key.access_token(username, list(groups), iss=issuer, **claims)


@pytest.fixture
def start(  # noqa: PLR0917  # pytest passes fixtures by name
    monkeypatch: pytest.MonkeyPatch,
    moto_url: str,
    jwks_url: str,
    signing_key: Pool,
    directory: Directory,
    tmp_path: Path,
) -> Iterator[Callable[..., Site]]:
    """Start a site: `start(**settings)`."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER", moto_url)
    for group in ("Admins", "Support", "Clerks", "Readers", "Alumni"):
        directory.add_group(group)
    directory.add_user("alice", "Admins", email="alice@example.com")
    directory.add_user("aaron", "Admins", email="aaron@example.com")  # the first in every list
    directory.add_user("sam", "Support", email="sam@example.com")
    directory.add_user("cleo", "Clerks", email="cleo@example.com")
    directory.add_user("otto", email="otto@example.com")
    directory.add_user("rita", "Readers", email="rita@example.com")
    directory.sign_up("una", email="una@example.com")
    directory.add_user("carl", email="carl@example.com", email_verified="true")
    pool_id = directory.pool_id
    directory.cognito.admin_set_user_password(
        UserPoolId=pool_id, Username="carl", Password=PASSWORD, Permanent=True
    )
    directory.add_user("dora", email="dora@example.com")
    directory.cognito.admin_disable_user(UserPoolId=pool_id, Username="dora")
    policy = tmp_path / "policy.toml"
    policy.write_text(
        "[groups]\nAdmins = ['*']\n"
        f"Support = {json.dumps(SUPPORT)}\nClerks = {json.dumps(CLERKS)}\n"
    )
    with ExitStack() as stack:

        def serve(**settings: Any) -> Site:
            def people() -> list[Person]:
                return [
                    Person("admin", "alice", started.token("alice", "Admins")),
                    Person("helper", "sam", started.token("sam", "Support"), "help people"),
                    Person("clerk", "cleo", started.token("cleo", "Clerks"), "keep groups"),
                    Person("ordinary user", "otto", started.token("otto"), "do little"),
                ]

            read = load_settings(
                user_pool_id=directory.pool_id,
                client_ids=CLIENT_ID,
                policy_file=policy,
                jwks_url=jwks_url,
                dev=True,
                explorer=True,
                **settings,
            )
            app = create_app(read, people)
            origin = stack.enter_context(listening(app))
            started = Site(origin + read.root_path, directory, signing_key)
            return started

        yield serve


@pytest.fixture
def site(start: Callable[..., Site]) -> Site:
    """A site with ready people."""
    return start()


@pytest.fixture
def visits(browser: Browser) -> Iterator[Callable[..., Visit]]:
    """Visit a site, `visits(origin, **options of the browser's context)`; each is checked."""
    opened = []
    with ExitStack() as stack:

        def visit(origin: str, **options: Any) -> Visit:
            context = stack.enter_context(browser.new_context(**options))
            opened.append(Visit(context.new_page(), origin))
            return opened[-1]

        yield visit
        for one in opened:
            one.check()


@pytest.fixture
def visit(visits: Callable[..., Visit], site: Site) -> Visit:
    """A visit of the site, with the explorer open; it must end without a complaint."""
    visit = visits(site.origin)
    visit.open()
    return visit


def test_it_loads_without_any_other_host_and_without_a_complaint(visit: Visit) -> None:
    """The page is there; no user is signed in, no example is offered, no request is sent."""
    assert visit.page.get_by_role("heading", name="graphql-admin explorer").is_visible()
    assert not visit.page.get_by_role("button", name="Sign out").is_visible()
    assert visit.examples() == []
    assert not [request for request in visit.requests if request.url.endswith("/graphql")]


def test_a_browser_at_the_endpoint_lands_here(visits: Callable[..., Visit], site: Site) -> None:
    """The endpoint's address, opened by a person, is the explorer."""
    visit = visits(site.origin)
    visit.open("/graphql")
    assert visit.page.url == site.origin + "/explorer"


def test_nothing_is_sent_without_a_sign_in(visit: Visit) -> None:
    """A run without a token says so in words instead of asking the server."""
    visit.type(REFUSED)
    assert "not signed in" in visit.run()
    assert not [request for request in visit.requests if request.url.endswith("/graphql")]


def test_picking_a_person_shows_who_one_is(visit: Visit) -> None:
    """Name, groups, and when the token ends, in words."""
    visit.pick("admin")
    you = visit.page.get_by_role("region", name="You")
    assert you.locator("#username").inner_text() == "alice"
    assert you.get_by_role("listitem").all_inner_texts() == ["Admins"]
    assert you.locator("#ends").inner_text() == "Token ends in 60 minutes"


def test_every_allowed_action_has_an_example(visit: Visit) -> None:
    """A caller who may do everything is offered every example, and those of `batch` and `nodes`."""
    visit.pick("admin")
    assert sorted(visit.examples()) == sorted(
        ["batch", "nodes", *(action.label for action in Action)]
    )


LACKING = {
    action.label
    for action in Action
    for operation in (*action.writes, *action.row.reads)
    if not hasattr(CognitoIdpResponse, xform_name(operation))
} - {"getUserAuthFactors"}
"""Actions that moto does not have; the example of the last takes no call of its own."""
TO_BE_EDITED = {
    *("forgetUserDevice", "setUserDeviceRemembered", "rateUserAuthEvent"),
    *("linkUserIdentity", "unlinkUserIdentity"),
}
"""Changes of what the page does not know; their examples name none."""


@pytest.mark.parametrize("role", ["admin", "helper", "clerk", "ordinary user"])
def test_no_example_is_refused(visit: Visit, role: str) -> None:
    """Each example runs as it is offered: about things that exist, by a way that is allowed."""
    visit.pick(role)
    for action in visit.examples():
        visit.choose(action)
        result = json.loads(visit.run())
        if action in TO_BE_EDITED:
            (error,) = result["data"][action]["errors"]
            assert error["code"] == "INVALID_VALUE", (action, result)
            continue
        if action in LACKING:
            codes = [each["extensions"]["code"] for each in result["errors"]]
            assert codes == ["UPSTREAM_ERROR"], (action, result)
            continue
        assert "errors" not in result, (action, result)
        assert None not in result["data"].values(), (action, result)
        if action == "nodes":
            assert len(result["data"]["nodes"]) == 3
            assert None not in result["data"]["nodes"]
        elif action == "batch" or Action.labelled(action).write:
            assert result["data"][action]["errors"] == [], (action, result)


def test_one_is_offered_only_what_one_may_do(visit: Visit) -> None:
    """What would be refused has no example."""
    visit.pick("helper")
    assert visit.examples() == [
        "viewer",
        "listUsers",
        "listGroupsForUser",
        "disableUser",
        "signUserOut",
        "batch",
    ]
    visit.pick("ordinary user")
    assert visit.examples() == ["viewer", "signUserOut"]


def test_a_query_shows_its_result(visit: Visit) -> None:
    """The users of the pool are there after two clicks."""
    visit.pick("admin")
    visit.choose("listUsers")
    nodes = json.loads(visit.run())["data"]["users"]["nodes"]
    assert {"alice", "sam", "otto"} <= {node["username"] for node in nodes}


def test_a_mutation_changes_the_pool(visit: Visit, site: Site) -> None:
    """The example disables a user who is neither the caller nor a ready person."""
    visit.pick("admin")
    visit.choose("disableUser")
    username = json.loads(visit.run())["data"]["disableUser"]["user"]["username"]
    assert username not in {"alice", "sam", "cleo", "otto"}
    assert site.directory.user(username)["Enabled"] is False


def test_the_examples_of_changes_are_about_what_can_be_changed(visit: Visit) -> None:
    """A user is added to a group they are not in, removed from theirs, confirmed if unconfirmed."""
    visit.pick("admin")
    chosen = {}
    for action in ("addUserToGroup", "removeUserFromGroup", "confirmUserSignUp"):
        visit.choose(action)
        chosen[action] = json.loads(visit.text_in(".graphiql-editor-tool"))["input"]
    assert chosen["removeUserFromGroup"] == {"username": "rita", "groupName": "Readers"}
    assert chosen["addUserToGroup"] != chosen["removeUserFromGroup"]
    assert chosen["addUserToGroup"]["groupName"] != "Admins"
    assert chosen["confirmUserSignUp"] == {"username": "una"}


def stored(visit: Visit) -> str:
    """Return all that the page keeps in the browser."""
    everything = "[...Object.values(sessionStorage), ...Object.values(localStorage)].join()"
    return str(visit.page.evaluate(everything))


def test_a_password_is_kept_nowhere(visit: Visit) -> None:
    """What sets one is neither stored nor in the history, and all else still is."""
    visit.pick("admin")
    visit.choose("setUserPassword")
    made = json.loads(visit.text_in(".graphiql-editor-tool"))["input"]["password"]
    assert json.loads(visit.run())["data"]["setUserPassword"]["errors"] == []
    visit.choose("viewer")
    until(lambda: '"operationName":"Viewer"' in stored(visit))  # which names it in the history
    visit.run()
    until(lambda: "query Viewer" in stored(visit))
    assert made not in stored(visit)
    visit.page.get_by_role("button", name="Show History").click()
    history = visit.page.get_by_role("region", name="History")
    until(lambda: "Viewer" in history.inner_text())
    assert "SetUserPassword" not in history.inner_text()


def test_no_two_examples_have_one_password(visit: Visit) -> None:
    """A password that is suggested is a new one each time."""
    made = set()
    for role in ("admin", "helper", "admin"):
        visit.pick(role)
        if role == "admin":
            visit.choose("setUserPassword")
            made.add(json.loads(visit.text_in(".graphiql-editor-tool"))["input"]["password"])
    assert len(made) == 2


def test_a_password_in_the_text_is_warned_of(visit: Visit) -> None:
    """Where it is written into the operation itself, the page says how it should be."""
    visit.pick("admin")
    visit.type(
        'mutation { setUserPassword(input: {username: "rita", password: "Sample-pass-1"}) '
        "{ errors { code } } }"
    )
    visit.run()
    assert "Put it into a variable" in visit.notice()
    assert "Sample-pass-1" not in stored(visit)


def test_a_refusal_shows_its_code(visit: Visit) -> None:
    """What one may not do can still be typed, and is refused."""
    visit.pick("ordinary user")
    visit.type(REFUSED)
    assert json.loads(visit.run())["errors"][0]["extensions"]["code"] == "FORBIDDEN"


def test_an_example_leaves_typed_text_alone(visit: Visit) -> None:
    """It opens in a tab of its own; examples that were not edited are replaced."""
    visit.pick("admin")
    visit.choose("listUsers")
    visit.choose("listGroups")
    tabs = visit.page.get_by_role("tab")
    assert tabs.count() == 1
    visit.type("query Mine { viewer { username } }")
    visit.choose("getUser")
    assert tabs.count() == 2
    tabs.first.click()
    until(lambda: "Mine" in visit.text_in(".graphiql-query-editor"))


def test_the_documentation_says_which_action_is_required(visit: Visit) -> None:
    """The schema's descriptions can be read next to the editor."""
    visit.pick("admin")
    visit.page.get_by_role("button", name="Show Documentation Explorer").click()
    docs = visit.page.locator(".graphiql-doc-explorer")
    docs.get_by_role("link", name="Query", exact=True).click()
    docs.get_by_role("link", name="users", exact=True).click()
    docs.get_by_text("listUsers").wait_for()


def test_a_token_that_has_ended_is_not_taken(visit: Visit, site: Site) -> None:
    """A paste of one says when it ended, and does not reach the server."""
    visit.paste(site.token("alice", "Admins", exp=int(time.time()) - 200))
    assert visit.notice().startswith("Token ended 3 minutes ago.")
    assert not [request for request in visit.requests if request.url.endswith("/graphql")]


def test_a_token_that_ends_meanwhile_says_so(visit: Visit, site: Site) -> None:
    """The bar says it in words, and what is run after that is not sent."""
    visit.paste(site.token("alice", "Admins", exp=int(time.time()) + 4))
    visit.page.locator("#examples button").first.wait_for()
    assert visit.notice() == "Your token has ended. Sign in again to go on."
    assert visit.page.locator("#ends").inner_text().startswith("Token ended")
    sent = len(visit.requests)
    visit.choose("listUsers")
    assert "Not sent. Token ended" in visit.run()
    assert len(visit.requests) == sent


@pytest.mark.parametrize("text", ["hello", "a.b.c", "Bearer eyJ.eyJ.sig"])
def test_what_is_no_token_is_not_taken(visit: Visit, text: str) -> None:
    """Words that are not a token at all are told so."""
    visit.paste(text)
    assert "not a token" in visit.notice()


def test_a_token_that_the_server_does_not_accept_is_not_kept(visit: Visit, site: Site) -> None:
    """Only the server decides whether a token is valid."""
    visit.paste(site.token("alice", "Admins", client_id="another"))
    assert "does not accept this token" in visit.notice()
    assert not visit.page.get_by_role("button", name="Sign out").is_visible()
    assert visit.page.evaluate("Object.keys(sessionStorage).join().includes('token')") is False
    # The browser itself reports the 401; nothing else may be there.
    assert [problem for problem in visit.problems if "401" not in problem] == []
    visit.problems.clear()


def test_a_pasted_token_may_have_bearer_before_it(visit: Visit, site: Site) -> None:
    """People copy whole headers."""
    visit.paste(f"  Bearer {site.token('sam', 'Support')}\n")
    visit.page.locator("#username", has_text="sam").wait_for()
    assert visit.page.get_by_label("Token", exact=True).input_value() == ""


def test_a_token_lives_in_the_tab_alone(visit: Visit, site: Site) -> None:
    """It survives a reload, and is in no address, no cookie and no lasting storage."""
    token = site.token("sam", "Support")
    visit.paste(token)
    visit.choose("listUsers")
    visit.run()
    visit.page.reload()
    visit.page.locator("#username", has_text="sam").wait_for()
    assert visit.page.evaluate("localStorage.length") == 0
    assert visit.page.context.cookies() == []
    assert not [request.url for request in visit.requests if token[:20] in request.url]


def test_signing_out_forgets_everything(visit: Visit) -> None:
    """Who one was, and all that one typed and was shown, is gone."""
    visit.pick("admin")
    visit.choose("listUsers")
    visit.run()
    visit.page.get_by_role("button", name="Sign out").click()
    until(lambda: visit.text_in(".graphiql-query-editor").startswith("# Users and groups"))
    assert visit.result() == ""
    assert visit.examples() == []
    visit.page.wait_for_timeout(700)  # GraphiQL writes what it remembers half a second late
    assert visit.page.evaluate("/alice|ListUsers/.test(JSON.stringify(sessionStorage))") is False
    visit.page.reload()
    visit.page.locator(".graphiql-query-editor .CodeMirror").wait_for()
    assert not visit.page.get_by_role("button", name="Sign out").is_visible()


@pytest.fixture
def sign_in_page(signing_key: Pool, directory: Directory) -> Iterator[SignInPage]:
    """A hosted sign-in page for the site's pool."""
    issuer = f"https://cognito-idp.eu-west-1.amazonaws.com/{directory.pool_id}"
    with SignInPage(lambda: signing_key.access_token("alice", ["Admins"], iss=issuer)) as page:
        yield page


@pytest.fixture
def hosted(
    start: Callable[..., Site], sign_in_page: SignInPage, visits: Callable[..., Visit]
) -> Visit:
    """A visit of a site whose people sign in through the hosted page."""
    site = start(explorer_login_url=sign_in_page.url, explorer_client_id=CLIENT_ID)
    visit = visits(site.origin)
    visit.open()
    return visit


def test_one_signs_in_and_out_through_the_hosted_page(
    hosted: Visit, sign_in_page: SignInPage
) -> None:
    """Code and state come back, PKCE holds, the address is clean, and sign-out ends both sides."""
    hosted.page.get_by_role("button", name="Sign in", exact=True).click()
    hosted.page.get_by_role("link", name="Sign in as alice").click()
    hosted.page.locator("#username", has_text="alice").wait_for()
    assert hosted.page.url == hosted.origin + "/explorer"
    assert sign_in_page.paths() == ["/oauth2/authorize", "/oauth2/token"]
    _, _, asked = sign_in_page.requests[0]
    assert asked["redirect_uri"] == hosted.origin + "/explorer"
    assert asked["scope"] == "openid"
    assert "client_secret" not in sign_in_page.requests[1][2]

    hosted.page.get_by_role("button", name="Sign out").click()
    hosted.page.get_by_role("button", name="Sign in", exact=True).wait_for()
    until(lambda: sign_in_page.paths()[2:] == ["/logout"])
    assert hosted.page.url == hosted.origin + "/explorer"


def test_a_sign_in_that_was_not_started_here_is_refused(
    hosted: Visit, sign_in_page: SignInPage
) -> None:
    """A code with the state of another sign-in is not redeemed, and leaves the address."""
    hosted.open("/explorer?code=stolen&state=guessed")
    assert "not started in this tab" in hosted.notice()
    assert hosted.page.url == hosted.origin + "/explorer"
    assert sign_in_page.requests == []


def test_a_code_that_came_with_another_state_is_not_redeemed(
    hosted: Visit, sign_in_page: SignInPage
) -> None:
    """No attacker can complete a sign-in that was started here with their own."""
    hosted.page.get_by_role("button", name="Sign in", exact=True).click()
    hosted.page.get_by_role("link", name="Sign in as alice").wait_for()
    hosted.open("/explorer?code=theirs&state=guessed")
    assert "not started in this tab" in hosted.notice()
    assert sign_in_page.paths() == ["/oauth2/authorize"]


def test_a_sign_in_that_was_declined_says_so(hosted: Visit, sign_in_page: SignInPage) -> None:
    """An error that comes back is told in our own words, not in those of the address."""
    hosted.page.get_by_role("button", name="Sign in", exact=True).click()
    hosted.page.get_by_role("link", name="Sign in as alice").wait_for()
    state = sign_in_page.requests[0][2]["state"]
    hosted.open(f"/explorer?error=access_denied&error_description=Pay+me&state={state}")
    assert hosted.notice() == "The sign-in page did not sign you in. Please try again."


def test_an_open_dialog_is_within_the_policy(visit: Visit) -> None:
    """The style that GraphiQL puts in behind a dialog has the nonce."""
    visit.pick("admin")
    visit.page.get_by_role("button", name="Open settings dialog").click()
    visit.page.get_by_role("dialog").wait_for()
    visit.page.keyboard.press("Escape")
    visit.page.get_by_role("button", name="Open short keys dialog").click()
    visit.page.get_by_role("dialog").wait_for()


def test_the_policy_is_in_force(visit: Visit) -> None:
    """Neither a script in the markup nor `eval` runs."""
    outcome = visit.page.evaluate(
        """async () => {
          const refused = [];
          addEventListener("securitypolicyviolation", (event) =>
            refused.push(event.effectiveDirective));
          const script = document.createElement("script");
          script.text = "window.ran = 1";
          document.body.append(script);
          const element = document.createElement("p");
          element.setAttribute("onclick", "window.ran = 2");
          element.click();
          setTimeout("window.ran = 3"); // evaluates its text, as eval does
          await new Promise((resolve) => setTimeout(resolve, 100));
          return [window.ran, refused.sort()];
        }"""
    )
    assert outcome == [None, ["script-src", "script-src-attr", "script-src-elem"]]
    visit.problems.clear()


@pytest.mark.parametrize(("scheme", "dark"), [("light", False), ("dark", True)])
def test_it_is_light_or_dark_as_the_system_is(
    visits: Callable[..., Visit], site: Site, scheme: str, *, dark: bool
) -> None:
    """The bar and the editor follow the system's choice together."""
    visit = visits(site.origin, color_scheme=scheme)
    visit.open()
    for element in ("body", ".graphiql-container"):
        colour = visit.page.evaluate(
            f"getComputedStyle(document.querySelector('{element}')).backgroundColor"
        )
        assert (sum(map(int, colour.strip("rgb()").split(", "))) < 300) is dark


def test_it_fits_a_narrow_screen(visits: Callable[..., Visit], site: Site) -> None:
    """At 400 pixels nothing is cut off sideways, and the result is below the editor."""
    visit = visits(site.origin, viewport={"width": 400, "height": 800})
    visit.open()
    visit.pick("admin")
    assert visit.page.evaluate("document.documentElement.scrollWidth") == 400
    editors = visit.page.locator(".graphiql-editors").bounding_box()
    result = visit.page.locator(".graphiql-response").bounding_box()
    assert editors
    assert result
    assert result["y"] >= editors["y"] + editors["height"] - 1
    for button in visit.page.locator(".bar button:visible").all():
        box = button.bounding_box()
        assert box
        assert 0 <= box["x"] < box["x"] + box["width"] <= 400


def test_the_keyboard_is_enough(visit: Visit) -> None:
    """One picks a person, chooses an example and runs it without a mouse."""
    visit.page.keyboard.press("Tab")
    assert visit.page.evaluate("document.activeElement.textContent") == "admin"
    visit.page.keyboard.press("Enter")
    visit.page.locator("#examples button").first.wait_for()
    for _ in range(6):  # the other people, paste, sign out, and the first example
        visit.page.keyboard.press("Tab")
    assert visit.page.evaluate("document.activeElement.textContent") == "viewer"
    visit.page.keyboard.press("Enter")
    visit.page.keyboard.press("Control+Enter")
    until(lambda: "alice" in visit.result())


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(visits: Callable[..., Visit], site: Site, scheme: str) -> None:
    """What is ours has names, roles and contrast, in every state."""
    if not AXE.exists() and not os.environ.get("CI"):
        pytest.skip("axe-core is not installed: run npm ci in graphql_admin/web/explorer/vendor")
    visit = visits(site.origin, color_scheme=scheme)
    visit.open()
    assert serious_findings(visit) == []
    visit.page.get_by_role("button", name="Paste a token").click()
    assert serious_findings(visit) == []
    visit.paste("no token")
    visit.notice()
    assert serious_findings(visit) == []
    visit.pick("admin")
    assert serious_findings(visit) == []


def serious_findings(visit: Visit) -> list[tuple[str, str]]:
    """Return rule and place of what axe-core finds outside GraphiQL that is serious or worse."""
    visit.page.evaluate(AXE.read_text(encoding="utf-8"))
    found = visit.page.evaluate("axe.run({exclude: [['#graphiql > *']]})")
    assert found["passes"]
    return [
        (violation["id"], node["html"])
        for violation in found["violations"]
        if violation["impact"] in {"serious", "critical"}
        for node in violation["nodes"]
    ]


def test_below_a_path_prefix(
    start: Callable[..., Site], sign_in_page: SignInPage, visits: Callable[..., Visit]
) -> None:
    """The page, what it loads and asks, the redirect to it and the sign-in are all below it."""
    site = start(
        root_path="/v1/admin", explorer_login_url=sign_in_page.url, explorer_client_id=CLIENT_ID
    )
    visit = visits(site.origin)
    visit.open("/graphql")
    assert visit.page.url == f"{site.origin}/explorer"
    visit.page.get_by_role("button", name="Sign in", exact=True).click()
    visit.page.get_by_role("link", name="Sign in as alice").click()
    visit.page.locator("#username", has_text="alice").wait_for()
    assert visit.page.url == f"{site.origin}/explorer"
    assert sign_in_page.requests[0][2]["redirect_uri"] == f"{site.origin}/explorer"
    visit.choose("listUsers")
    visit.run()
    assert "alice@example.com" in visit.result()
    own = [each.url for each in visit.requests if not each.url.startswith(sign_in_page.url)]
    assert len(own) > 5
    assert [url for url in own if not url.startswith(f"{site.origin}/")] == []


def test_what_is_kept_is_of_one_path(
    start: Callable[..., Site], visits: Callable[..., Visit]
) -> None:
    """One host may have several servers: a tab must not send one the token for another."""
    visit = visits(start(root_path="/one").origin)
    visit.open()
    visit.pick("admin")
    visit.choose("listUsers")
    keys = "Object.keys(sessionStorage)"
    until(lambda: any("graphiql:" in key for key in visit.page.evaluate(keys)))
    kept = visit.page.evaluate(keys)
    assert "/one/explorer graphql-admin:token" in kept
    assert [key for key in kept if not key.startswith("/one/explorer ")] == []
    visit.page.reload()
    visit.page.locator("#username", has_text="alice").wait_for()
