"""Logins for JupyterHub at Piculator and at OpenID Connect providers, and a mixin for every class of oauthenticator."""

from .access import end_access, end_sessions
from .errors import AccessEnded, Misconfigured, ProviderDown, TokenRefused
from .openid import OpenIDConnectAuthenticator
from .piculator import PiculatorOAuthenticator
from .resilient import ResilientOAuth

__all__ = [
    "AccessEnded",
    "Misconfigured",
    "OpenIDConnectAuthenticator",
    "PiculatorOAuthenticator",
    "ProviderDown",
    "ResilientOAuth",
    "TokenRefused",
    "end_access",
    "end_sessions",
]
