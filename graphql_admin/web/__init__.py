"""The HTTP endpoints and middleware, as ASGI applications."""
