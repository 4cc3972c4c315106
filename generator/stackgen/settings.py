"""Every setting's value, checked: each by itself, and all of them together."""

import difflib
import re
import secrets
from collections.abc import Iterable, Iterator, Mapping

from stackgen.errors import SETTINGS, Problem, StackgenError
from stackgen.logins import LOGINS, Login, contradictions
from stackgen.names import user_name
from stackgen.settings_table import BY_KEY, TABLE


class Settings(Mapping[str, str]):
    """Every setting's value as text: what .env stores, else the default. Valid as far as files need not be read."""

    def __init__(self, stored: Mapping[str, str]) -> None:
        """Check what .env stores. Raises StackgenError with every problem, not only the first."""
        problems = [*unknown_keys(stored), *invalid_values(stored), *_missing(stored)]
        self._values = with_defaults(stored)
        if not problems:
            problems = list(self._contradictions())
        if problems:
            raise StackgenError(problems, exit_code=SETTINGS)

    def __getitem__(self, key: str) -> str:
        return self._values[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    @property
    def admins(self) -> list[str]:
        """The admins' user names, normalised, in the order of .env."""
        return [user_name(name) for name in self["ADMIN_USERS"].split(",") if name]

    @property
    def aliases(self) -> list[str]:
        """The names and addresses under which users reach the stack, beside DOMAIN."""
        return [name for name in self["DOMAIN_ALIASES"].split(",") if name]

    @property
    def services(self) -> tuple[str, ...]:
        """The services of compose.yaml that `up` starts."""
        certbot = ("certbot",) if self["TLS"] == "acme" else ()
        backup = ("backup",) if self["BACKUP_SCHEDULE"] else ()
        return ("nginx", *certbot, "sage", "hub", *backup)

    @property
    def sage_image(self) -> str:
        """The image of users' servers."""
        return self["SAGE_IMAGE"] or f"{self['STACK_NAME']}/sage"

    @property
    def built(self) -> tuple[str, ...]:
        """The services whose images `up` builds: also of backups that are made by hand."""
        return tuple(dict.fromkeys((*self.services, *(("backup",) if self["BACKUP_REPOSITORY"] else ()))))

    @property
    def repository_kind(self) -> str:
        """Where backups go: local, sftp, s3 or rest; empty if nowhere."""
        place = self["BACKUP_REPOSITORY"]
        return "local" if place.startswith("/") else place.partition(":")[0]

    @property
    def operator_files(self) -> tuple[str, ...]:
        """The settings that name a file outside of the stack directory which the stack needs."""
        wanted = {
            "TLS_CERT": self["TLS"] == "files",
            "TLS_KEY": self["TLS"] == "files",
            "STACK_LOGO": True,
            "BACKUP_SSH_KEY": self.repository_kind == "sftp",
            "BACKUP_SSH_KNOWN_HOSTS": self.repository_kind == "sftp",
        }
        return tuple(key for key, used in wanted.items() if used and self[key])

    @property
    def url(self) -> str:
        """The address that users type."""
        scheme, port, usual = ("http", "HTTP_PORT", "80") if self["TLS"] == "off" else ("https", "HTTPS_PORT", "443")
        return f"{scheme}://{self['DOMAIN']}" + ("" if self[port] == usual else f":{self[port]}") + "/"

    @property
    def login(self) -> Login:
        """How users log in."""
        return LOGINS[self["AUTH"]]

    @property
    def callback_url(self) -> str:
        """Where a provider sends users back after they have logged in; it must know this address."""
        return self["OAUTH_CALLBACK_URL"] or self.url + "hub/oauth_callback"

    def _contradictions(self) -> Iterator[Problem]:
        if self["TLS"] == "acme":
            yield from self._acme_contradictions()
        if self["TLS"] == "files":
            for key in ("TLS_CERT", "TLS_KEY"):
                if not self[key]:
                    yield Problem(f"TLS=files needs {key}", f"set {key} in .env to the absolute path of a PEM file")
        if self["TLS"] != "off" and self["HTTP_PORT"] == self["HTTPS_PORT"]:
            yield Problem(
                f"HTTP_PORT and HTTPS_PORT are both {self['HTTP_PORT']}", "choose two different ports in .env"
            )
        for key in ("SAGE_EXTRA_PIP", "SAGE_EXTRA_APT"):
            if self["SAGE_IMAGE"] and self[key]:
                yield Problem(
                    f"{key} has no effect with SAGE_IMAGE, which is not built here",
                    f"take {key} out of .env, or SAGE_IMAGE",
                )
        yield from contradictions(self)
        yield from self._backup_contradictions()

    def _acme_contradictions(self) -> Iterator[Problem]:
        if self["ACME_SERVER"]:
            if self["ACME_STAGING"] == "true":
                yield Problem("ACME_STAGING is Let's Encrypt's, and ACME_SERVER is another", "leave one of the two out")
            return  # an authority of one's own may certify any name
        for key, name in [("DOMAIN", self["DOMAIN"]), *(("DOMAIN_ALIASES", name) for name in self.aliases)]:
            if "." not in name or re.fullmatch(r"[0-9.]+", name):
                yield Problem(
                    f"TLS=acme: Let's Encrypt does not certify {key}={name}",
                    f"{key} must hold names that anybody on the internet can look up; or set TLS=self-signed",
                )

    def _backup_contradictions(self) -> Iterator[Problem]:
        kind = self.repository_kind
        needed = {"s3": ("BACKUP_S3_KEY_ID", "BACKUP_S3_SECRET"), "sftp": ("BACKUP_SSH_KEY", "BACKUP_SSH_KNOWN_HOSTS")}
        for key in needed.get(kind, ()):
            if not self[key]:
                yield Problem(f"BACKUP_REPOSITORY={kind}:... needs {key}", f"set {key} in .env")
        if bool(self["BACKUP_REST_USER"]) != bool(self["BACKUP_REST_PASSWORD"]):
            yield Problem("BACKUP_REST_USER and BACKUP_REST_PASSWORD go together", "set both in .env, or none")
        if self["BACKUP_SCHEDULE"] and not kind:
            yield Problem(
                "BACKUP_SCHEDULE needs BACKUP_REPOSITORY", "run: stackgen backup init --repository REPOSITORY"
            )


def with_defaults(stored: Mapping[str, str]) -> dict[str, str]:
    """The value of every setting, valid or not."""
    return {setting.key: stored.get(setting.key) or setting.default for setting in TABLE}


def unknown_keys(keys: Iterable[str]) -> Iterator[Problem]:
    """A problem for each key that is no setting, with the nearest one."""
    for key in keys:
        # COMPOSE_* is Compose's own: https://docs.docker.com/compose/how-tos/environment-variables/envvars/
        if key not in BY_KEY and not key.startswith("COMPOSE_"):
            near = difflib.get_close_matches(key.upper(), BY_KEY, n=1)
            yield Problem(
                f"{key} is not a setting", f"did you mean {near[0]}?" if near else "see .env.example for all settings"
            )


def invalid_values(stored: Mapping[str, str]) -> Iterator[Problem]:
    """A problem for each value that its setting cannot have; no secret is repeated in it."""
    for setting in TABLE:
        value = stored.get(setting.key)
        if not value:
            continue
        try:
            setting.check(value)
        except ValueError as error:
            shown = "" if setting.secret else f"={value}"
            yield Problem(f"{setting.key}{shown}: {error}", setting.help)


def missing_secrets(stored: Mapping[str, str]) -> dict[str, str]:
    """A new secret for each setting that must have one and has none."""
    return {
        setting.key: secrets.token_urlsafe(32) for setting in TABLE if setting.generated and not stored.get(setting.key)
    }


def _missing(stored: Mapping[str, str]) -> Iterator[Problem]:
    for setting in TABLE:
        if setting.generated and not stored.get(setting.key):
            yield Problem(f"{setting.key} is missing", "run `stackgen init` again: it makes what is missing")
