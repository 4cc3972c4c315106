"""AUTH=ldap: jupyterhub-ldapauthenticator, out of the hub's way and with a clear word when the directory is down."""

import asyncio
from collections.abc import Mapping
from typing import Any

from ldap3.core.exceptions import LDAPCertificateError, LDAPCommunicationError, LDAPStartTLSError
from ldapauthenticator import LDAPAuthenticator
from tornado import web

from stackgen_hub import people
from stackgen_hub.authenticator import BoundAuthenticator


class LdapAuthenticator(BoundAuthenticator, LDAPAuthenticator):
    """A directory knows its people by their names, and keeps those unique."""

    provider = "ldap"

    def subjects(self, info: Mapping[str, Any]) -> people.Subjects:
        return {"login": info["login"]}

    def get_connection(self, userdn, password):
        connection = super().get_connection(userdn, password)
        if connection:
            # ldapauthenticator looks for groups by three attributes, of which a directory need not know each
            connection.check_names = False
        return connection

    async def authenticate(self, handler, data):
        try:
            # ldap3 waits for the directory's answers, and all other users of the hub would wait with it
            model = await asyncio.to_thread(asyncio.run, LDAPAuthenticator.authenticate(self, handler, data))
        except (LDAPCommunicationError, LDAPStartTLSError, LDAPCertificateError, OSError) as error:
            self.log.warning("The directory %s does not answer: %s", self.server_address, error)
            raise web.HTTPError(
                503, "The directory does not answer at the moment. Please try again in some minutes."
            ) from None
        if model:
            login = model["auth_state"]["login"] = self.normalize_username(model["name"])
            model["name"] = self.user_of(self.subjects(model["auth_state"]), login)
        return model
