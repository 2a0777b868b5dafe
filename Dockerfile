FROM python:3.14-slim AS build

WORKDIR /build

# Everything that is installed, the build's own tools too, is the release with the hash in a lock.
COPY requirements.lock requirements-build.lock ./
RUN python -m venv /opt/graphql-admin \
    && /opt/graphql-admin/bin/pip install --no-cache-dir --require-hashes -r requirements.lock \
    && python -m venv /opt/build \
    && /opt/build/bin/pip install --no-cache-dir --require-hashes -r requirements-build.lock

COPY pyproject.toml README.md LICENSE ./
COPY graphql_admin graphql_admin
RUN /opt/build/bin/pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir dist . \
    && /opt/graphql-admin/bin/pip install --no-cache-dir --no-deps dist/*.whl \
    && /opt/graphql-admin/bin/pip check


FROM python:3.14-slim

COPY --from=build /opt/graphql-admin /opt/graphql-admin

# Nothing is written at run time: modules were compiled when they were installed.
ENV PATH="/opt/graphql-admin/bin:$PATH" \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    GRAPHQL_ADMIN_HOST=0.0.0.0 \
    GRAPHQL_ADMIN_PORT=8000

USER 10001:10001
EXPOSE 8000

HEALTHCHECK --interval=10s --timeout=5s --start-period=10s \
    CMD ["python", "-c", "import http.client, os, sys; connection = http.client.HTTPConnection('127.0.0.1', int(os.environ['GRAPHQL_ADMIN_PORT']), timeout=4); connection.request('GET', '/healthz'); sys.exit(connection.getresponse().status != 200)"]

ENTRYPOINT ["graphql-admin"]
CMD ["serve"]
