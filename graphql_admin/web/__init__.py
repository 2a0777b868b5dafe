"""HTTP requests in, HTTP responses out, as ASGI applications."""
