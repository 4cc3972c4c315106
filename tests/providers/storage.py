"""Servers that hold backups: SFTP, restic's REST server, and an object store that speaks S3."""

import base64
import hashlib
import secrets
import socket
from typing import ClassVar

from tests.providers.authority import Authority
from tests.providers.provider import Provider


class Storage(Provider):
    """A server with one account, whose files lie in the container's `folder`."""

    segment = "backend"
    folder: ClassVar[str]
    settings: dict[str, str]  # what an operator writes into .env for it
    wrong: dict[str, str]  # instead of some of it, and the server refuses

    def populate(self) -> None:
        """It knows nobody but the stack."""


class Sftp(Storage):
    """OpenSSH. The account `keeper` has a key, and may do nothing but SFTP."""

    kind, host, scheme, port = "sftp", "sftp.test", "sftp", 22
    folder = "/srv/keeper/backups"

    def shake_hands(self, connection: socket.socket) -> None:
        if connection.recv(4) != b"SSH-":
            raise ConnectionError("no SSH server")

    def populate(self) -> None:
        place = self.authority.leaf(self.host)
        key, known_hosts = place / "id_ed25519", place / "known_hosts"
        self.exec("sh", "-c", "cd /srv/keeper/.ssh && ssh-keygen -q -t ed25519 -N '' -f key && "
                              "install -m 0600 -o keeper -g keeper key.pub authorized_keys")  # fmt: skip
        key.touch(mode=0o600)
        key.write_text(self.exec("cat", "/srv/keeper/.ssh/key") + "\n")
        known_hosts.write_text(f"{self.host} {self.exec('cat', '/etc/ssh/ssh_host_ed25519_key.pub')}\n")
        self.settings = {
            "BACKUP_REPOSITORY": f"sftp:keeper@{self.host}:backups",
            "BACKUP_SSH_KEY": str(key),
            "BACKUP_SSH_KNOWN_HOSTS": str(known_hosts),
        }
        other = place / "other_hosts"
        other.write_text(known_hosts.read_text().replace(self.host, "other.test"))
        self.wrong = {"BACKUP_SSH_KNOWN_HOSTS": str(other)}


class RestServer(Storage):
    """restic's REST server. Each account reaches its own repositories and no others."""

    kind, host = "rest", "rest.test"
    folder = "/srv/repositories/keeper"

    def __init__(self, stack: str, authority: Authority) -> None:
        password = secrets.token_urlsafe(12)
        digest = base64.b64encode(hashlib.sha1(password.encode()).digest()).decode()  # noqa: S324  # htpasswd's format
        super().__init__(stack, authority, HTPASSWD=f"keeper:{{SHA}}{digest}")
        self.settings = {
            "BACKUP_REPOSITORY": f"rest:{self.url}/keeper/",
            "BACKUP_REST_USER": "keeper",
            "BACKUP_REST_PASSWORD": password,
        }
        self.wrong = {"BACKUP_REST_PASSWORD": "wrong"}


class ObjectStore(Storage):
    """SeaweedFS, by its S3 gateway, which checks signatures. The account may use one bucket, which it has to make."""

    kind, host = "s3", "s3.test"
    folder = "/srv/data"

    def __init__(self, stack: str, authority: Authority) -> None:
        identity, secret = secrets.token_hex(10), secrets.token_urlsafe(30)
        super().__init__(stack, authority, S3_KEY_ID=identity, S3_SECRET=secret, S3_BUCKET="backups")
        self.settings = {
            "BACKUP_REPOSITORY": f"s3:{self.url}/backups/stack",
            "BACKUP_S3_KEY_ID": identity,
            "BACKUP_S3_SECRET": secret,
        }
        self.wrong = {"BACKUP_S3_SECRET": "wrong"}
