"""Creates the virtual environment of the bench, with the fastest Python that is installed.

    python -m bench.interpreter build/bench/venv

Builds of one release of Python differ by up to a quarter: those of Debian, python.org, Docker and
uv have profile-guided optimisation, those of pyenv do not by default. A server must be measured at
its best, and the slow ones are not deployed.
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
"""Prints the seconds that some typical Python code takes."""


def candidates() -> Iterator[Path]:
    """Yield the Pythons on the path, and the one that runs this, each once."""
    found = [Path(sys.executable)]
    for folder in os.get_exec_path():
        found += sorted(
            path for path in Path(folder).glob("python3*") if _NAME.fullmatch(path.name)
        )
    seen = set()
    for path in found:
        # Links count once, and so do those of virtual environments.
        if (real := path.resolve()) not in seen and os.access(path, os.X_OK):
            seen.add(real)
            yield real


def try_out(python: Path) -> float | None:
    """Return the seconds of the trial; None if the Python is not suitable."""
    try:
        # Without environment variables, which may be meant for another Python.
        trial = subprocess.run(
            [python, "-I", "-c", _TRIAL], capture_output=True, text=True, check=True, timeout=30
        )
        return float(trial.stdout)
    except (OSError, subprocess.SubprocessError, ValueError):
        return None


def make_environment(python: Path, folder: Path) -> None:
    """Install this project, with the dependencies of its bench, into a new virtual environment.

    Raises:
        CalledProcessError: It cannot be installed with that Python.
    """
    # Debian's Python has no ensurepip, so the pip of this environment installs there.
    subprocess.run([python, "-m", "venv", "--clear", "--without-pip", folder], check=True)
    pip = [sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python")]
    options = ["--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "install", *options, "--editable", f"{_ROOT}[dev,test]"], check=True)


def main() -> int:
    """Make the environment.

    Returns:
        0; 1 if no Python is suitable.
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
