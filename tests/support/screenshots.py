"""Take pictures of the explorer: `python -m tests.support.screenshots DIR`."""

import os
import sys
from pathlib import Path
from typing import Any

from graphql_admin.app import create_app
from graphql_admin.dev.cognito import EmbeddedCognito, isolated_environment
from graphql_admin.settings import load_settings
from tests.support.browser import Visit, chromium
from tests.support.started import listening

WIDE = {"width": 1280, "height": 760}
NARROW = {"width": 400, "height": 860}


def main(folder: Path) -> None:
    """Write a PNG of each of the explorer's looks into the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with isolated_environment(), EmbeddedCognito() as cognito:
        cognito.seed(40)
        os.environ.update(cognito.environment)
        app = create_app(load_settings(), cognito.ready_people)
        with listening(app) as origin, chromium() as browser:

            def visit(role: str | None, **options: Any) -> Visit:
                context = browser.new_context(**{"viewport": WIDE, **options})
                visit = Visit(context.new_page(), origin)
                visit.open()
                if role is not None:
                    visit.pick(role)
                return visit

            def take(visit: Visit, name: str) -> None:
                visit.page.wait_for_timeout(400)  # until what moves has come to rest
                visit.page.screenshot(path=folder / f"{name}.png")

            take(visit(None), "signed-out")
            take(visit("admin"), "signed-in")
            for name, options in (
                ("result", {}),
                ("dark", {"color_scheme": "dark"}),
                ("narrow", {"viewport": NARROW}),
            ):
                one = visit("admin", **options)
                one.choose("listUsers")
                one.run()
                take(one, name)
            refused = visit("ordinary user")
            refused.type(
                'mutation {\n  enableUser(input: {username: "sam"}) {\n'
                "    user { username }\n  }\n}"
            )
            refused.run()
            take(refused, "refusal")
            documented = visit("helper")
            documented.page.get_by_role("button", name="Show Documentation Explorer").click()
            for link in ("Query", "users"):
                documented.page.locator(".graphiql-doc-explorer").get_by_role(
                    "link", name=link, exact=True
                ).click()
            take(documented, "documentation")
            expired = visit("admin")
            expired.page.clock.install()
            expired.page.clock.fast_forward("01:02:00")
            expired.notice()
            take(expired, "ended")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
