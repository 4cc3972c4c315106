"""The providers that a browser is sent to: oidc-provider (npm), and Piculator, a student club's account service."""

import json
import secrets
from dataclasses import asdict

from tests.providers.authority import Authority
from tests.providers.provider import Person, Provider


class OAuthProvider(Provider):
    """A provider whose one client is the hub. Access tokens live for `token_lifetime` seconds."""

    def __init__(
        self,
        stack: str,
        authority: Authority,
        callback_url: str,
        after_logout_url: str,
        token_lifetime: int = 3600,
        **environment: str,
    ) -> None:
        self.client_id, self.client_secret = "stackgen", secrets.token_urlsafe(24)
        super().__init__(
            stack,
            authority,
            ISSUER=f"https://{self.host}",
            CLIENT_ID=self.client_id,
            CLIENT_SECRET=self.client_secret,
            CALLBACK_URL=callback_url,
            AFTER_LOGOUT_URL=after_logout_url,
            TOKEN_LIFETIME=str(token_lifetime),
            **environment,
        )


class Oidc(OAuthProvider):
    """An OpenID Connect provider. Its sessions and tokens are in memory: they do not outlive `stop()`."""

    kind, host = "oidc", "oidc.test"

    def add(self, username: str, *groups: str) -> Person:
        person = super().add(username, *groups)
        self._save()
        return person

    def set_groups(self, username: str, *groups: str) -> None:
        super().set_groups(username, *groups)
        self._save()

    def forget(self, username: str) -> None:
        super().forget(username)
        self._save()

    def _save(self) -> None:
        people = {
            name: asdict(person) | {"sub": f"id-of-{name}", "name": person.name, "email": person.email}
            for name, person in self.people.items()
        }
        self.exec("tee", "/srv/people.json", stdin=json.dumps(people))


class Piculator(OAuthProvider):
    """The club's account service, with OpenID Connect (PICULATOR_KIND=openid) or bare OAuth 2.0 (oauth)."""

    kind, host = "piculator", "piculator.test"

    def add(self, username: str, *groups: str) -> Person:
        person = super().add(username, *groups)
        self.order("add", stdin=json.dumps(asdict(person) | {"name": person.name, "email": person.email}))
        return person

    def set_groups(self, username: str, *groups: str) -> None:
        super().set_groups(username, *groups)
        self.order("groups", username, *groups)

    def forget(self, username: str) -> None:
        super().forget(username)
        self.order("remove", username)

    def order(self, *command: str, stdin: str = "") -> None:
        """Run a command of piculator/admin.py."""
        self.exec("python", "admin.py", *command, stdin=stdin)

    def disable(self, username: str) -> None:
        """Disable an account: nobody logs in with it any more, and its tokens are revoked."""
        self.order("disable", username)

    def enable(self, username: str) -> None:
        self.order("enable", username)

    def expire_access_tokens(self) -> None:
        """Every access token given out is over; refresh tokens still work."""
        self.order("expire")

    def spoil_next_id_token(self, fault: str) -> None:
        """The next id_token is forged, unsigned, expired, or of another issuer, audience or nonce."""
        self.order("spoil", fault)

    def rotate_key(self) -> None:
        """A new key signs from now on; those before stay published."""
        self.order("rotate")

    def down(self) -> None:
        """Answer 503 to everything, at the same address."""
        self.order("down")

    def up(self) -> None:
        self.order("up")
