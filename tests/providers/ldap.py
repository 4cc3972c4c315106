"""OpenLDAP with people and groups of example.edu."""

import secrets

from tests.providers.provider import Person, Provider

BASE_DN = "dc=example,dc=edu"


class Ldap(Provider):
    """LDAPS on port 636, StartTLS on 389. The account `search_dn` may search with `search_password`."""

    kind, host, scheme, port = "ldap", "ldap.test", "ldaps", 636
    search_base = f"ou=people,{BASE_DN}"
    bind_dn = f"uid={{username}},{search_base}"
    search_dn = f"cn=hub,{BASE_DN}"

    def populate(self) -> None:
        self.search_password = secrets.token_urlsafe(12)
        self._modify(self.search_dn, "modify", "add: userPassword", f"userPassword: {self.search_password}")
        super().populate()

    def add(self, username: str, *groups: str) -> Person:
        """Somebody new. The groups that exist are students and staff."""
        person = super().add(username, *groups)
        attributes = {"uid": username, "cn": person.name, "sn": person.name, "mail": person.email,
                      "objectClass": "inetOrgPerson", "userPassword": person.password}  # fmt: skip
        self._modify(self.dn(username), "add", *(f"{key}: {value}" for key, value in attributes.items()))
        self._save_groups()
        return person

    def set_groups(self, username: str, *groups: str) -> None:
        super().set_groups(username, *groups)
        self._save_groups()

    def forget(self, username: str) -> None:
        super().forget(username)
        self._modify(self.dn(username), "delete")
        self._save_groups()

    def dn(self, username: str) -> str:
        """The distinguished name of somebody."""
        return self.bind_dn.format(username=username)

    @staticmethod
    def group_dn(group: str) -> str:
        """The distinguished name of a group."""
        return f"cn={group},ou=groups,{BASE_DN}"

    def _save_groups(self) -> None:
        for group in ("students", "staff"):
            members = [
                self.search_dn,
                *(self.dn(name) for name, person in self.people.items() if group in person.groups),
            ]
            self._modify(self.group_dn(group), "modify", "replace: member", *(f"member: {dn}" for dn in members))

    def _modify(self, dn: str, change: str, *lines: str) -> None:
        """Change the directory as its administrator, with LDIF as ldapmodify(1) takes it."""
        ldif = "\n".join([f"dn: {dn}", f"changetype: {change}", *lines, ""])
        self.exec("ldapmodify", "-Q", "-Y", "EXTERNAL", "-H", "ldapi:///", stdin=ldif)
