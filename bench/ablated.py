"""The server without some of its fast paths.

    python -m bench.ablated plans,columns serve

Names are those of `bench.ablations`; with "" none is removed. The other arguments are those of the
server's command line. With BENCH_TRACE in the environment, each seam logs its first use.
"""

import os
import sys

from bench.ablations import ABLATIONS
from bench.seams import Seams, load_all
from graphql_admin.cli import main as run_server

TRACE = "BENCH_TRACE"
"""The environment variable that enables a line at the first use of each seam."""


def main() -> None:
    """Remove the named fast paths, and start.

    Raises:
        SeamNotFound: A fast path does not exist in the code.
    """
    _, names, *arguments = sys.argv
    load_all()
    seams = Seams(is_traced=TRACE in os.environ)
    for name in filter(None, names.split(",")):
        ABLATIONS[name].apply(seams)
    run_server(arguments)


if __name__ == "__main__":
    main()
