"""The server's own AWS credentials, and how to sign with them."""

import asyncio

import botocore.session
import structlog
from botocore.credentials import Credentials, RefreshableCredentials
from botocore.exceptions import NoCredentialsError

from graphql_admin.cognito.signing import Signer
from graphql_admin.errors import UpstreamFailed

log = structlog.get_logger(__name__)


class Keyring:
    """The server's own credentials, found and refreshed in a thread, one load at a time.

    Both may read a file, run a program or call a service, which is slow. Calls go on with the
    current credentials while those are still valid.

    Args:
        session: Its credential providers are used.
        service: The service that requests are signed for, as signatures name it.
        region: Its AWS region.
        url: Where the requests go.
    """

    def __init__(
        self, session: botocore.session.Session, service: str, region: str, url: str
    ) -> None:
        self._session = session
        self._service = service
        self._region = region
        self._url = url
        self._credentials: Credentials | None = None
        self._signer: Signer | None = None
        self._refresh: asyncio.Task[None] | None = None

    @property
    def available(self) -> bool:
        """Whether there are credentials that are still valid."""
        return not self._ends_within(0)

    @property
    def ready(self) -> Signer | None:
        """The signer, if its credentials need no refresh yet; if they do, see `signer`."""
        return None if self._ends_within(None) else self._signer

    def close(self) -> None:
        """Stop looking for credentials."""
        if self._refresh is not None:
            self._refresh.cancel()

    async def signer(self) -> Signer:
        """Return a signer with valid credentials.

        Raises:
            UpstreamFailed: There are none.
        """
        if self._ends_within(None) and self._refresh is None:
            self._refresh = asyncio.create_task(self._load())
        if self._ends_within(0) and self._refresh is not None:
            await asyncio.shield(self._refresh)
        if self._signer is None or self._ends_within(0):
            raise UpstreamFailed
        return self._signer

    def _ends_within(self, seconds: int | None) -> bool:
        """Whether the credentials expire within `seconds`; None: in botocore's refresh window."""
        if isinstance(self._credentials, RefreshableCredentials):
            return self._credentials.refresh_needed(seconds)
        return self._credentials is None

    async def _load(self) -> None:
        try:
            credentials, signer = await asyncio.to_thread(self._find)
        except Exception as error:  # noqa: BLE001  # a credential provider may raise anything
            log.error("this server has no AWS credentials", error=type(error).__name__)
        else:
            self._credentials = credentials
            self._signer = signer
        finally:
            self._refresh = None

    def _find(self) -> tuple[Credentials, Signer]:
        credentials = self._session.get_credentials()
        if credentials is None:
            raise NoCredentialsError
        frozen = credentials.get_frozen_credentials()
        if frozen.access_key is None or frozen.secret_key is None:
            raise NoCredentialsError
        signer = Signer(
            frozen.access_key,
            frozen.secret_key,
            frozen.token,
            service=self._service,
            region=self._region,
            url=self._url,
        )
        return credentials, signer
