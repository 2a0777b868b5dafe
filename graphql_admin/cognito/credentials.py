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
    """The server's own credentials, found and refreshed in a thread, one at a time.

    Both may ask a file, a program or a service, and take their time. While credentials in hand
    are still good, calls go on with them.

    Args:
        session: Knows where credentials may be.
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
    def in_hand(self) -> bool:
        """Whether there are credentials that are still good."""
        return not self._ends_within(0)

    @property
    def ready(self) -> Signer | None:
        """What signs with credentials that need no refresh yet; None: `signer` has to see."""
        return None if self._ends_within(None) else self._signer

    def close(self) -> None:
        """Stop looking for credentials."""
        if self._refresh is not None:
            self._refresh.cancel()

    async def signer(self) -> Signer:
        """Return what signs with good credentials.

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
        """Tell whether the credentials end so soon; None: in the time botocore refreshes them."""
        if isinstance(self._credentials, RefreshableCredentials):
            return self._credentials.refresh_needed(seconds)
        return self._credentials is None

    async def _load(self) -> None:
        try:
            credentials, signer = await asyncio.to_thread(self._find)
        except Exception as error:  # noqa: BLE001  # whatever a provider of credentials raises
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
