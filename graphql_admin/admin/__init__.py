"""The admin API: users and groups as GraphQL types, and the gate for every change to them."""
