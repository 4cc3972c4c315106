"""A certificate authority that speaks ACME."""

from tests.providers.authority import Authority
from tests.providers.provider import Provider


class AcmeAuthority(Provider):
    """Caddy's acme_server; its certificates last for half a day."""

    kind = "acme"

    def __init__(self, stack: str, authority: Authority, host: str = "acme.test") -> None:
        self.host = host  # type: ignore[misc]  # there may be two of them
        super().__init__(stack, authority, HOST=host)
        self.container = f"{stack}-{host.partition('.')[0]}"

    @property
    def directory(self) -> str:
        """What ACME_SERVER is set to."""
        return f"{self.url}/acme/local/directory"

    def populate(self) -> None:
        """It knows nobody."""
