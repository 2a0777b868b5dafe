"""The admin API: users and groups as GraphQL types, and the gate before every change of them."""
