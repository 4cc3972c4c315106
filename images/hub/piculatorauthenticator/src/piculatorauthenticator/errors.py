"""What can go wrong at a provider. Each is an HTTP error, so that JupyterHub shows its text on an error page."""

from tornado import web


class ProviderDown(web.HTTPError):
    """The provider does not answer, or answers that it cannot (5xx). This says nothing about anybody's access."""

    def __init__(self, service: str) -> None:
        super().__init__(
            503,
            f"{service} does not answer at the moment. Whoever is logged in can go on working; "
            "please try again in some minutes.",
        )


class Misconfigured(web.HTTPError):
    """The hub's settings do not fit the provider. The text is for the hub's administrator, and holds no secret."""

    def __init__(self, message: str) -> None:
        super().__init__(500, message)


class TokenRefused(web.HTTPError):
    """The provider refused a code or token.

    `final`: it is the token that is refused (userinfo says 401 or 403, the token endpoint says invalid_grant), not this
    request or this hub.
    """

    def __init__(self, message: str, *, final: bool) -> None:
        super().__init__(403, message)
        self.final = final


class AccessEnded(web.HTTPError):
    """The provider no longer vouches for a user.

    `everything`: the user's servers end, too. False where the user's session at the provider ended, for which there
    may be a harmless reason.
    """

    def __init__(self, message: str, *, everything: bool = True) -> None:
        super().__init__(403, message)
        self.everything = everything
