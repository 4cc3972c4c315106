"""Real identity providers in Docker, on the network of a stack: oidc-provider, Piculator and OpenLDAP.

Inside the network their names are oidc.test, piculator.test and ldap.test. Each has a certificate of the tests' own
authority, and knows alice, bob and mallory with passwords of this run.
"""

from tests.providers.acme_authority import AcmeAuthority
from tests.providers.authority import Authority
from tests.providers.ldap import Ldap
from tests.providers.oauth import OAuthProvider, Oidc, Piculator
from tests.providers.provider import Person, Provider

__all__ = ["AcmeAuthority", "Authority", "Ldap", "OAuthProvider", "Oidc", "Person", "Piculator", "Provider"]
