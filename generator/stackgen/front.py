"""The stack's front door as this machine reaches it: HTTP and websockets through nginx, on its published port."""

import ipaddress
import socket
import ssl
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter

from stackgen.engine import Engine
from stackgen.errors import StackgenError
from stackgen.settings import Settings

if TYPE_CHECKING:
    import websocket

CERTIFICATE = "/run/stackgen/tls/fullchain.pem"


class FrontDoor:
    """Speaks to nginx under the stack's own host name, but always connects to this machine.

    So it works before any DNS name exists, and says nothing to whoever a name may point to. The one certificate that
    is trusted is the one that nginx holds.
    """

    def __init__(self, settings: Settings, certificate: str = "") -> None:
        """`certificate` is nginx's, PEM; not used with TLS=off."""
        self.url = settings.url.rstrip("/")
        self.address = _connectable(settings["BIND_ADDRESS"])
        self.port = int(settings["HTTP_PORT" if settings["TLS"] == "off" else "HTTPS_PORT"])
        self.tls = None if settings["TLS"] == "off" else _trust(certificate)

    @classmethod
    def of(cls, settings: Settings, engine: Engine) -> "FrontDoor":
        """The front door of a running stack. Raises StackgenError if nginx does not run."""
        if settings["TLS"] == "off":
            return cls(settings)
        nginx = engine.services(settings["STACK_NAME"]).get("nginx")
        if not nginx or nginx.state != "running":
            raise StackgenError("the stack is not running", "start it: stackgen up")
        return cls(settings, engine.read_file(nginx.name, CERTIFICATE).decode())

    def session(self) -> requests.Session:
        """A session with cookies of its own, like a browser's."""
        session = requests.Session()
        session.trust_env = False  # no proxy from the environment between this machine and itself
        session.mount(self.url, _LocalAdapter(self))
        return session

    def websocket(self, path: str, session: requests.Session, timeout: float) -> "websocket.WebSocket":
        """Open a websocket with the session's cookies or token; `timeout` in seconds is for each message."""
        import websocket

        connection: socket.socket = socket.create_connection((self.address, self.port), timeout)
        host = urlsplit(self.url).netloc
        if self.tls:
            connection = self.tls.wrap_socket(connection, server_hostname=urlsplit(self.url).hostname)
        headers = session.prepare_request(requests.Request("GET", self.url + path)).headers
        token = [f"Authorization: {headers['Authorization']}"] if "Authorization" in headers else []
        socket_url = self.url.replace("http", "ws", 1) + path
        try:
            return websocket.create_connection(
                socket_url,
                timeout,
                socket=connection,
                header=token,
                cookie=headers.get("Cookie"),
                host=host,
                origin=self.url,
            )
        except websocket.WebSocketException as error:
            connection.close()
            raise StackgenError(f"no websocket through {self.url}: {error}") from None


class _LocalAdapter(HTTPAdapter):
    """Connects to this machine whatever the URL's host is; the Host header and TLS keep the URL's host."""

    def __init__(self, front: FrontDoor) -> None:
        self.front = front
        super().__init__()

    def get_connection_with_tls_context(self, *_: Any, **__: Any) -> Any:
        if not self.front.tls:
            return self.poolmanager.connection_from_host(self.front.address, self.front.port, "http")
        host = urlsplit(self.front.url).hostname
        extra = {"ssl_context": self.front.tls, "server_hostname": host, "assert_hostname": host}
        return self.poolmanager.connection_from_host(self.front.address, self.front.port, "https", pool_kwargs=extra)

    def cert_verify(self, *_: Any, **__: Any) -> None:
        """The context has decided whom to trust."""

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        request.headers["Host"] = urlsplit(str(request.url)).netloc
        return super().send(request, *args, **kwargs)


def _connectable(bound: str) -> str:
    address = ipaddress.ip_address(bound.strip("[]"))
    if address.is_unspecified:
        return "127.0.0.1" if address.version == 4 else "::1"
    return str(address)


def _trust(certificate: str) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=certificate)
    # the chain's first certificate is trusted by itself, whoever signed it
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT  # Python 3.13 asks for extensions that many certificates lack
    return context
