"""`python -m graphql_admin` is `graphql-admin`."""

from graphql_admin.cli import main

if __name__ == "__main__":
    main()
