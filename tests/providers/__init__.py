"""Real identity providers in Docker, on the network of a stack: oidc-provider, Piculator and OpenLDAP.

Inside the network their names are oidc.test, piculator.test and ldap.test. Each has a certificate of the tests' own
authority, and knows alice, bob and mallory with passwords of this run. The servers that hold backups are sftp.test,
rest.test and s3.test.
"""

from tests.providers.acme_authority import AcmeAuthority
from tests.providers.authority import Authority
from tests.providers.ldap import Ldap
from tests.providers.oauth import OAuthProvider, Oidc, Piculator
from tests.providers.provider import Person, Provider
from tests.providers.storage import ObjectStore, RestServer, Sftp, Storage

__all__ = [
    "AcmeAuthority", "Authority", "Ldap", "OAuthProvider", "ObjectStore", "Oidc", "Person", "Piculator", "Provider",
    "RestServer", "Sftp", "Storage",
]  # fmt: skip
