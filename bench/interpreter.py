"""Makes the environment that the bench runs in, of the fastest Python there is.

    python -m bench.interpreter build/bench/venv

Builds of one release of Python differ by up to a quarter: those of Debian, python.org, Docker and
uv are optimised by profiles, those of pyenv are not, unless told. A server is to be measured at
its best, and nobody deploys the slow ones.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from operator import itemgetter
from pathlib import Path

_ROOT = Path(__file__).parent.parent

_NAME = re.compile(r"python3(\.\d+)?")

_TRIAL = """
import sys, sysconfig
from timeit import repeat

assert sys.implementation.name == "cpython" and sys.version_info >= (3, 11)

class Pair:
    def __init__(self, name, value):
        self.name = name
        self.value = value

    def shown(self):
        return f"{self.name}={self.value}"

def work():
    pairs = [Pair(str(number), number) for number in range(100)]
    return {pair.name: pair.shown() for pair in pairs if pair.value is not None}

print(min(repeat(work, number=200, repeat=15)))
"""
"""Prints how many seconds some ordinary Python takes."""


def candidates() -> Iterator[Path]:
    """Yield the Pythons on the path, and the one that runs this, each once."""
    found = [Path(sys.executable)]
    for folder in os.get_exec_path():
        found += sorted(
            path for path in Path(folder).glob("python3*") if _NAME.fullmatch(path.name)
        )
    seen = set()
    for path in found:
        # A link to another is the same; so are those of virtual environments.
        if (real := path.resolve()) not in seen and os.access(path, os.X_OK):
            seen.add(real)
            yield real


def try_out(python: Path) -> float | None:
    """Return the seconds that a Python takes for the trial; None: it is none that will do."""
    try:
        # Without what the environment says, which may be meant for another Python.
        trial = subprocess.run(
            [python, "-I", "-c", _TRIAL], capture_output=True, text=True, check=True, timeout=30
        )
        return float(trial.stdout)
    except (OSError, subprocess.SubprocessError, ValueError):
        return None


def make_environment(python: Path, folder: Path) -> None:
    """Install this project, with what its bench takes, into a new virtual environment.

    Raises:
        CalledProcessError: That Python cannot have it.
    """
    # Debian's Python has no pip to put into it: this one's installs there.
    subprocess.run([python, "-m", "venv", "--clear", "--without-pip", folder], check=True)
    pip = [sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python")]
    options = ["--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "install", *options, "--editable", f"{_ROOT}[dev,test]"], check=True)


def main() -> int:
    """Make the environment.

    Returns:
        0, or 1 where no Python will do.
    """
    folder = Path(sys.argv[1])
    trials = [(try_out(python), python) for python in candidates()]
    able = [(seconds, python) for seconds, python in trials if seconds is not None]
    for seconds, python in sorted(able, key=itemgetter(0)):
        print(
            f"Installing for {python}; the trial took it {seconds * 1e3:.1f} ms.", file=sys.stderr
        )
        try:
            make_environment(python, folder)
        except subprocess.CalledProcessError as error:
            print(f"{python}: {error}", file=sys.stderr)
        else:
            return 0
    return 1


if __name__ == "__main__":
    sys.exit(main())
