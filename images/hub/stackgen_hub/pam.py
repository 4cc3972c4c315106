"""AUTH=pam: real PAM in the hub's container, with accounts in /var/lib/extrausers, a volume of the stack.

libnss-extrausers makes accounts of the files passwd and shadow there, pam_unix checks the passwords, and pam_faillock
locks an account for some minutes after failed tries (images/hub/pam/).
"""

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

from jupyterhub.auth import Authenticator, PAMAuthenticator

from stackgen_hub.authenticator import PasswordAuthenticator

DIRECTORY = Path("/var/lib/extrausers")
TALLIES = "faillock"  # a folder of it, as /etc/security/faillock.conf says
SERVICE = "jupyterhub"
FIRST_UID = 20_000  # above all that Debian gives out by itself; nothing runs as these users
GROUP = 100  # Debian's group "users"
SECONDS_PER_DAY = 86_400


class PamAuthenticator(PasswordAuthenticator, PAMAuthenticator):
    """PAM with accounts that stackgen manages."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.service = SERVICE
        self.files = ExtraUsers(DIRECTORY)

    async def authenticate(self, handler, data):
        # PAM knows the name in one spelling
        return await super().authenticate(handler, {**data, "username": self.normalize_username(data["username"])})

    def add_user(self, user):
        # PAMAuthenticator asks for a system user, but one of another login has none
        Authenticator.add_user(self, user)

    def accounts(self) -> dict[str, bool]:
        return dict.fromkeys(self.files.names(), True)

    def store_passwords(self, hashes: dict[str, bytes]) -> None:
        self.files.store(hashes)

    def remove_account(self, name: str) -> bool:
        return self.files.remove(name)


class ExtraUsers:
    """The files of libnss-extrausers: passwd, shadow and group, in the forms of passwd(5) and shadow(5)."""

    def __init__(self, directory: Path, system: Path = Path("/etc/passwd")) -> None:
        self.directory, self.system = directory, system
        (directory / TALLIES).mkdir(mode=0o700, exist_ok=True)

    def names(self) -> set[str]:
        """Everybody who has an account."""
        return {line.split(":")[0] for line in self._lines("passwd")}

    def store(self, hashes: dict[str, bytes]) -> None:
        """Give these accounts these passwords (any hash of crypt(5)), creating those that do not exist.

        Raises ValueError for a name that the container's own system has: its account would be found first.
        """
        taken = {line.split(":")[0] for line in self.system.read_text().splitlines()}
        if clash := sorted(taken & hashes.keys()):
            raise ValueError(f"the user name {clash[0]!r} is taken by the system; choose another one")
        today = int(time.time() // SECONDS_PER_DAY)
        with self._locked():
            passwd = {line.split(":")[0]: line for line in self._lines("passwd")}
            shadow = {line.split(":")[0]: line for line in self._lines("shadow")}
            uid = max([FIRST_UID - 1, *(int(line.split(":")[2]) for line in passwd.values())])
            for name, password in hashes.items():
                if name not in passwd:
                    uid += 1
                    passwd[name] = f"{name}:x:{uid}:{GROUP}::/nonexistent:/usr/sbin/nologin"
                shadow[name] = f"{name}:{password.decode()}:{today}:0:99999:7:::"
                (self.directory / TALLIES / name).unlink(missing_ok=True)  # a new password works at once
            # without a line in passwd nobody finds the one in shadow, so an account appears whole
            self._write("shadow", shadow, 0o600)
            self._write("passwd", passwd, 0o644)

    def remove(self, name: str) -> bool:
        """Remove an account; False if there was none."""
        with self._locked():
            passwd = {line.split(":")[0]: line for line in self._lines("passwd")}
            shadow = {line.split(":")[0]: line for line in self._lines("shadow")}
            found = passwd.pop(name, None) is not None
            if found:
                self._write("passwd", passwd, 0o644)
            if shadow.pop(name, None) is not None:
                self._write("shadow", shadow, 0o600)
        return found

    def _lines(self, file: str) -> list[str]:
        try:
            return (self.directory / file).read_text().splitlines()
        except FileNotFoundError:
            return []

    def _write(self, file: str, lines: dict[str, str], mode: int) -> None:
        temporary = self.directory / f".{file}.new"
        temporary.touch(mode)
        temporary.chmod(mode)
        with temporary.open("w") as stream:
            stream.writelines(f"{line}\n" for line in lines.values())
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(self.directory / file)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """One writer at a time: the hub, or `stackgen_hub.offline` in a container of its own."""
        with (self.directory / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
