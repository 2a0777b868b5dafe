"""The server without some of what makes it fast.

    python -m bench.ablated plans,columns serve

Names are those of `bench.ablations`; with "" none is taken away. What follows goes to the
server's own command line. With BENCH_TRACE in the environment, each seam says when it is used.
"""

import os
import sys

from bench.ablations import ABLATIONS
from bench.seams import Seams, load_all
from graphql_admin.cli import main as run_server

TRACE = "BENCH_TRACE"
"""The variable that asks for a line at the first use of each seam."""


def main() -> None:
    """Take away what is named, and start.

    Raises:
        SeamNotFound: Something that is named is not there to be taken away.
    """
    _, names, *arguments = sys.argv
    load_all()
    seams = Seams(is_traced=TRACE in os.environ)
    for name in filter(None, names.split(",")):
        ABLATIONS[name].apply(seams)
    run_server(arguments)


if __name__ == "__main__":
    main()
