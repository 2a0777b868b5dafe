"""The check of words: what it finds, and what it leaves alone."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

WORDS = Path(__file__).parent.parent / ".ci" / "words"

FOUND = """\
in hand; Nobody; whoever; what came of; Whom to disable.; other than well; is to be had
it is to be sent; for good; must be a text; and the like; at hand; was begun; came to nothing
no calls of Cognito; the reply of Cognito; requests under way; read anew; lest it fails; but for one
on oneself; one's own; this cannot be right; a good token; such tokens are good; as Cognito has it
all the same; by way of GraphQL; see to it; does not suffice; take note of; a fault of ours
one below another; spreads of fragments; turned away; whereupon; a look-up; beside versions\
""".replace("\n", "; ").split("; ")

LEFT_ALONE = """\
KIND = "text/plain"
text = texts[0]
has_begun = under_way
USER = "nobody"
query { user(by: { email: "nobody@example.com" }) { username } }
read(anew=anew)
Oneself.ONLY
TARGETS["oneself"]
the text of a document
no longer
this is to be a page
a good reason
There is no token.
"""


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    if shutil.which("git") is None:
        assert "CI" not in os.environ
        pytest.skip("there is no git, by which the check finds files")
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    return tmp_path


def check(repository: Path, name: str, text: str) -> list[str]:
    """Return the lines that the check prints for a repository with one file."""
    (repository / name).write_text(text, encoding="utf-8")
    subprocess.run(["git", "add", "--intent-to-add", name], cwd=repository, check=True)
    ended = subprocess.run(
        [sys.executable, WORDS], cwd=repository, capture_output=True, text=True, check=False
    )
    found = ended.stdout.splitlines()
    assert ended.returncode == (1 if found else 0), ended.stderr
    return found


def test_phrases_are_found(repository: Path) -> None:
    """Each phrase is found once, with its file, its line and what to write instead."""
    found = check(repository, "page.md", "".join(f"This is {phrase}.\n\n" for phrase in FOUND))
    places = [line.split(": ")[0] for line in found]
    assert places == [f"page.md:{2 * number + 1}" for number in range(len(FOUND))]
    assert all(": write " in line for line in found)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("page.md", "What came\nof it.\n"),
        ("module.py", "# What came\n# of it.\n"),
        ("script.js", "/*\n * What came\n * of it.\n */\n"),
    ],
)
def test_phrases_may_be_broken(repository: Path, name: str, text: str) -> None:
    """A phrase is found across lines, in prose and in comments."""
    assert len(check(repository, name, text)) == 1


def test_other_uses_are_left_alone(repository: Path) -> None:
    """The same words in names, values and other phrases are not found."""
    assert check(repository, "module.py", LEFT_ALONE) == []
