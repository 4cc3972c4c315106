"""The nginx image in real Docker, as the compose file runs it, with servers behind it that the test can watch."""

import json
import socket
import ssl
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import requests
import websocket

import stackgen.render
from stackgen.settings import Settings
from tests.conftest import docker, log_of
from tests.stack.upstream import WAIT, Handler, Upstream

TOKEN = "test-token"
STATE = "/var/lib/stackgen"
ROUTES_FILE = f"{STATE}/routes/routes.json"
START_TIMEOUT = 60  # seconds


def inspect(name: str) -> Any:
    return json.loads(docker("inspect", name))[0]


def render(tls: str) -> dict[str, str]:
    """The configuration by the path below nginx/."""
    needed = {
        "files": {"TLS_CERT": "/unused", "TLS_KEY": "/unused"},
        "acme": {"DOMAIN": "math.example.org"},
    }
    stored = {"TLS": tls, "PROXY_TOKEN": "x" * 32, "HUB_API_TOKEN": "x" * 32, "CRYPT_KEY": "x" * 32}
    stored |= needed.get(tls, {})
    files_of_stack = stackgen.render.render(Settings(stored), Path("/unused"))
    return {
        path.removeprefix("nginx/"): content.decode()
        for path, content in files_of_stack.items()
        if path.startswith("nginx/") and not stackgen.render.is_operators(path)
    }


class Front:
    """One nginx container on a backend and a users network."""

    def __init__(self, image: str, tls: str = "self-signed", **environment: str) -> None:
        self.image = image
        self.name = f"stackgen-test-{uuid.uuid4().hex[:8]}"
        self.backend, self.users, self.state = f"{self.name}-backend", f"{self.name}-users", f"{self.name}-state"
        self.tls = tls
        self.volumes: list[str] = []  # further ones, as `docker run --volume` takes them
        self.aliases: list[str] = []  # names of the container on the users network
        self.environment = {"TLS": tls, "DOMAIN": "localhost", "CONFIGPROXY_AUTH_TOKEN": TOKEN} | environment
        self.scheme = "http" if tls == "off" else "https"
        self.session = requests.Session()
        self.session.verify = False
        self.session.trust_env = False
        self.session.headers["Host"] = self.environment["DOMAIN"]
        self._cleanup = ExitStack()

    def __enter__(self) -> "Front":
        with ExitStack() as cleanup:
            directory = cleanup.enter_context(tempfile.TemporaryDirectory())
            self.config = Path(directory, "nginx")
            (self.config / "conf.d").mkdir(parents=True)
            for name, content in render(self.tls).items():
                (self.config / name).write_text(content)
            self.certificates = Path(directory, "tls")
            self.certificates.mkdir()
            for network, options in {self.backend: ["--internal"], self.users: []}.items():
                docker("network", "create", *options, network)
                cleanup.callback(docker, "network", "rm", network)
            cleanup.callback(docker, "volume", "rm", "--force", self.state)
            cleanup.callback(docker, "rm", "--force", self.name)
            cleanup.callback(self.session.close)
            self._cleanup = cleanup.pop_all()
        return self

    def __exit__(self, *exception: object) -> None:
        self._cleanup.close()

    def create(self, **environment: str) -> None:
        """Make the container anew, as `docker compose up` does after a change; the volume stays."""
        docker("rm", "--force", self.name)
        self.environment |= environment
        self.session.headers["Host"] = self.environment["DOMAIN"]
        settings = [f"--env={name}={value}" for name, value in self.environment.items()]
        mounts = [f"{self.state}:{STATE}", f"{self.config}:/etc/stackgen/nginx:ro", *self.volumes]
        if self.tls == "files":
            mounts += [f"{path}:/etc/stackgen/tls/{path.name}:ro" for path in self.certificates.iterdir()]
        docker("create", f"--name={self.name}", f"--network={self.backend}", "--network-alias=proxy-api",
               *settings, *(f"--volume={mount}" for mount in mounts), self.image)  # fmt: skip
        docker("network", "connect", *(f"--alias={alias}" for alias in self.aliases), self.users, self.name)

    def start(self, **environment: str) -> "Front":
        """Create and start the container and wait until it is healthy."""
        self.create(**environment)
        docker("start", self.name)
        self._wait()
        return self

    def restart(self, signal: str = "TERM") -> None:
        docker("kill", f"--signal={signal}", self.name)
        docker("wait", self.name)
        docker("start", self.name)
        self._wait()

    def run_to_exit(self) -> tuple[int, str]:
        """Start a container that is expected to give up: its exit code and what it said."""
        self.create()
        docker("start", self.name)
        return int(docker("wait", self.name)), self.logs()

    def _wait(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT
        check = ["docker", "exec", self.name, "curl", "-fsS", "http://127.0.0.1:8002/healthz"]
        while subprocess.run(check, capture_output=True).returncode != 0:
            assert time.monotonic() < deadline and inspect(self.name)["State"]["Running"], self.logs()
            time.sleep(0.1)
        networks = inspect(self.name)["NetworkSettings"]["Networks"]
        self._addresses = {name: str(network["IPAddress"]) for name, network in networks.items()}

    def logs(self) -> str:
        return log_of(self.name)

    def await_log(self, text: str, times: int = 1) -> None:
        """Wait until the log holds a text, so many times; Docker passes on what nginx writes a moment later."""
        deadline = time.monotonic() + START_TIMEOUT
        while self.logs().count(text) < times:
            assert time.monotonic() < deadline, self.logs()
            time.sleep(0.1)

    def exec(self, *command: str) -> str:
        return docker("exec", self.name, *command)

    def write(self, path: str, text: str) -> None:
        """Write a file inside the container."""
        subprocess.run(
            ["docker", "exec", "-i", self.name, "tee", path],
            input=text,
            text=True,
            check=True,
            stdout=subprocess.DEVNULL,
        )

    def append(self, path: str, data: bytes) -> None:
        """Add to a file inside the container."""
        subprocess.run(["docker", "exec", "-i", self.name, "tee", "-a", path], input=data, check=True,
                       stdout=subprocess.DEVNULL)  # fmt: skip

    def workers(self) -> list[str]:
        """The process ids of nginx's workers, those that are shutting down too."""
        return self.exec("sh", "-c", "grep -l '^nginx: worker' /proc/[0-9]*/cmdline | cut -d/ -f3").split()

    def await_new_workers(self, old: list[str]) -> None:
        """Wait for workers that are none of these; the next request is theirs."""
        deadline = time.monotonic() + START_TIMEOUT
        while set(self.workers()) <= set(old):
            assert time.monotonic() < deadline, self.logs()
            time.sleep(0.1)
        self.session.close()

    def address(self, network: str) -> str:
        return self._addresses[network]

    def api(self, method: str, path: str = "", token: str | None = TOKEN, **kwargs: Any) -> requests.Response:
        """A call of the routes API, as the hub makes it."""
        headers = {"Authorization": f"token {token}"} if token is not None else {}
        url = f"http://{self.address(self.backend)}:8001/api/routes{path}"
        return self.session.request(method, url, headers=headers, **kwargs)

    def routes(self) -> dict[str, dict[str, Any]]:
        response = self.api("GET")
        assert response.status_code == 200
        return dict(response.json())

    def add(self, path: str, target: str, **data: Any) -> None:
        assert self.api("POST", path, json={"target": target, "jupyterhub": True, **data}).status_code == 201

    def clear(self) -> None:
        """Delete every route."""
        for path in self.routes():
            self.api("DELETE", path.replace("%", "%25"))
        assert self.routes() == {}

    def saved_routes(self) -> dict[str, dict[str, Any]]:
        """The routes that nginx would find if it started now."""
        saved: dict[str, dict[str, Any] | None] = {}
        for line in filter(None, self.exec("cat", ROUTES_FILE).splitlines()):
            saved |= json.loads(line)
        return {path: route for path, route in saved.items() if route is not None}

    def save_activity(self, time: str) -> None:
        """Restart nginx with a table whose routes were all active at this time last."""
        saved = {path: route | {"last_activity": time} for path, route in self.routes().items()}
        self.write(ROUTES_FILE, json.dumps(saved))
        self.restart()

    def connect(self) -> ssl.SSLSocket:
        """A connection to speak HTTP over by hand."""
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context.wrap_socket(socket.create_connection((self.address(self.backend), 443), WAIT))

    def url(self, path: str, scheme: str = "") -> str:
        return f"{scheme or self.scheme}://{self.address(self.backend)}{path}"

    def request(self, path: str, method: str = "GET", **kwargs: Any) -> requests.Response:
        """A browser's request."""
        return self.session.request(method, self.url(path), allow_redirects=False, **{"timeout": WAIT, **kwargs})

    def websocket(self, path: str) -> websocket.WebSocket:
        """A browser's websocket."""
        url = self.url(path, scheme="ws" if self.scheme == "http" else "wss")
        host = self.environment["DOMAIN"]
        return websocket.create_connection(url, sslopt={"cert_reqs": 0}, timeout=WAIT, host=host)

    def upstream(self, name: str, handler: type[Handler] = Handler) -> Upstream:
        """A server on this machine that the container can reach; lives as long as the front."""
        gateway = str(inspect(self.backend)["IPAM"]["Config"][0]["Gateway"])
        upstream = Upstream(gateway, name, handler)
        self._cleanup.callback(upstream.stop)
        return upstream

    def run_beside(self, name: str, *args: str) -> None:
        """`docker run` another container on the backend network."""
        self._cleanup.callback(docker, "rm", "--force", f"{self.name}-{name}")
        docker("run", "--detach", f"--name={self.name}-{name}", f"--network={self.backend}", *args)

    def remove_beside(self, name: str) -> None:
        docker("rm", "--force", f"{self.name}-{name}")


@contextmanager
def running_front(image: str, tls: str = "self-signed", **environment: str) -> Iterator[Front]:
    with Front(image, tls, **environment) as front:
        yield front.start()
