"""What stackgen asks of the hub beyond JupyterHub's own REST API: people, with their rules and passwords, and aliases.

Everything needs the scope admin:users; and as with JupyterHub's own API, only admins make or change admins. Names in
paths are percent-encoded, and normalised here.
"""

import asyncio
import functools
import json
import os
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

from jupyterhub import orm
from jupyterhub.apihandlers.base import APIHandler
from jupyterhub.handlers import BaseHandler
from jupyterhub.scopes import needs_scope
from jupyterhub.user import User
from piculatorauthenticator import end_access
from sqlalchemy.orm import selectinload
from tornado import web

from stackgen_hub import people
from stackgen_hub.names import user_name, volume_name
from stackgen_hub.passwords import check_password, hashed

HASHING = ThreadPoolExecutor(os.cpu_count())  # of its own, so that a roster holds up nobody else's work
STOP_SECONDS = 30  # the engine kills a server that has not ended by itself after ten


def is_admin(handler: BaseHandler, name: str) -> bool:
    """Whether a user of this name is an admin, or will be one with the first login."""
    user = orm.User.find(handler.db, name)
    return bool(user and user.admin) or name in handler.authenticator.admin_users


def only_for_admins(handler: BaseHandler) -> None:
    """Ends with 403 if who asks is no admin: whoever has been given admin:users must not become one by it."""
    if not handler.current_user.admin:
        raise web.HTTPError(403, "only admins can make or change admins")


class PeopleHandler(APIHandler):
    """What the handlers below share."""

    @property
    def has_passwords(self) -> bool:
        """Whether this login's passwords are stackgen's to set."""
        return self.authenticator.own_passwords

    def name_of(self, text: Any) -> str:
        """A user's name as the hub writes it. Ends with 400 for one that cannot be."""
        try:
            name = user_name(str(text))
            volume_name(self.authenticator.volume_prefix, name)
        except ValueError as error:
            raise web.HTTPError(400, str(error)) from None
        return name

    def changeable(self, text: Any) -> str:
        """The name of somebody who is to be changed. Ends with 403 if that is an admin, and who asks is none."""
        name = self.name_of(text)
        if is_admin(self, name):
            only_for_admins(self)
        return name

    def password_of(self, name: str, body: dict[str, Any]) -> str | None:
        """The password in a request, if there is one. Ends with 400 for one that will not do."""
        password = body.get("password")
        if password is None:
            return None
        if not self.has_passwords:
            raise web.HTTPError(400, "passwords are the provider's with this login")
        try:
            check_password(str(password))
        except ValueError as error:
            raise web.HTTPError(400, f"{name}: {error}") from None
        return str(password)

    def everybody(self) -> dict[str, dict[str, Any]]:
        """Everybody the hub knows of, users, accounts and names with a rule, as JSON by name.

        A handful of queries, however many people there are: the hub does nothing else meanwhile.
        """
        loaded = selectinload(orm.User.groups), selectinload(orm.User._orm_spawners).selectinload(orm.Spawner.server)
        users = {user.name: user for user in self.db.query(orm.User).options(*loaded)}
        rows = {row.name: row for row in self.db.query(people.Person)}
        accounts, aliases = self.authenticator.accounts(), people.aliases(self.db)
        return {
            name: {
                **self.of_user(users.get(name)),
                "name": name,
                "state": self.authenticator.state(name, accounts),
                "email": (name in rows and rows[name].email) or "",
                "aliases": [login for login, known in aliases.items() if known == name],
                "account": accounts.get(name, False),
            }
            for name in sorted({*users, *rows, *accounts})
        }

    def write_person(self, name: str) -> None:
        """Answer with one person. Ends with 404 if the hub does not know the name."""
        everybody = self.everybody()
        if name not in everybody:
            raise web.HTTPError(404, f"there is no user {name}")
        self.write(json.dumps(everybody[name]))

    @staticmethod
    def of_user(user: orm.User | None) -> dict[str, Any]:
        """What JupyterHub itself knows of a person."""
        if user is None:
            return {"admin": False, "groups": [], "last_activity": None, "running": False}
        used: datetime | None = user.last_activity
        return {
            "admin": user.admin,
            "groups": sorted(group.name for group in user.groups),
            "last_activity": used.isoformat() + "Z" if used else None,
            "running": any(spawner.server for spawner in user.orm_spawners.values()),
        }


class PeopleAPIHandler(PeopleHandler):
    """/api/people"""

    @needs_scope("admin:users")
    def get(self) -> None:
        """Everybody."""
        self.write(json.dumps(list(self.everybody().values())))

    @needs_scope("admin:users")
    async def post(self) -> None:
        """Add many people, all or none. Those whom the hub knows keep their password."""
        body = self.get_json_body()
        entries = body.get("people") if isinstance(body, dict) else None
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise web.HTTPError(400, "the body must be an object with a list of objects: people")
        wanted = {self.changeable(entry.get("name", "")): entry for entry in entries}
        passwords = {name: self.password_of(name, entry) for name, entry in wanted.items()}
        settled = self.settled()
        new = {name: word for name, word in passwords.items() if word is not None and name not in settled}
        made = await asyncio.gather(
            *(self.hashed(word, generated=bool(wanted[name].get("generated"))) for name, word in new.items())
        )
        existing = wanted.keys() & self.settled()  # again: meanwhile somebody may have got a password
        hashes = {name: value for name, value in zip(new, made, strict=True) if name not in existing}
        try:
            for name, entry in wanted.items():
                self.add(name, entry)
            if self.has_passwords:
                self.authenticator.store_passwords(hashes)  # PAM's are in files, which no rollback takes back
            self.db.commit()
        except ValueError as error:
            self.db.rollback()
            raise web.HTTPError(400, str(error)) from None
        except BaseException:
            self.db.rollback()
            raise
        self.set_status(201)
        self.write(json.dumps({"created": sorted(wanted.keys() - existing), "existing": sorted(existing)}))

    @staticmethod
    async def hashed(password: str, *, generated: bool) -> bytes:
        """A password's hash, made beside the hub: bcrypt leaves other threads, and so the hub's own work, alone."""
        work = functools.partial(hashed, password, generated=generated)
        return await asyncio.get_running_loop().run_in_executor(HASHING, work)

    def settled(self) -> set[str]:
        """Those who were let in with an account or, at a provider's login, have a rule: both stay as they are."""
        if self.has_passwords:
            return {name for name, let_in in self.authenticator.accounts().items() if let_in}
        return {name for (name,) in self.db.query(people.Person.name).filter(people.Person.rule.is_not(None))}

    def add(self, name: str, entry: dict[str, Any]) -> None:
        """Write what a roster says of one person."""
        user = orm.User.find(self.db, name)
        if user is None:
            user = orm.User(name=name, roles=[orm.Role.find(self.db, "user")])
            self.db.add(user)
        row = people.person(self.db, name)
        if not self.has_passwords:
            row.rule = row.rule or people.ALLOW
        if entry.get("email"):
            row.email = entry["email"]
        groups = entry.get("groups") or []
        if groups and self.authenticator.manage_groups:
            raise ValueError(f"{name}: groups are the provider's with this login")
        for group_name in groups:
            group = orm.Group.find(self.db, group_name)
            if group is None:
                group = orm.Group(name=group_name)
                self.db.add(group)
            if group not in user.groups:
                user.groups.append(group)


class PersonAPIHandler(PeopleHandler):
    """/api/people/NAME"""

    @needs_scope("admin:users")
    def get(self, name: str) -> None:
        """One person."""
        name = self.name_of(name)
        self.write_person(name)

    @needs_scope("admin:users")
    async def patch(self, name: str) -> None:
        """Change a password, a rule, or whether the person is an admin."""
        name, body = self.changeable(name), self.get_json_body()
        if not isinstance(body, dict) or body.get("rule") not in (None, people.ALLOW, people.BLOCK):
            raise web.HTTPError(400, "the body must be an object; its rule, if there is one, allow or block")
        if body.get("admin"):
            only_for_admins(self)
        password = self.password_of(name, body)
        if password is not None:
            try:
                self.authenticator.store_passwords(
                    {name: await asyncio.to_thread(hashed, password, generated=bool(body.get("generated")))}
                )
            except ValueError as error:
                raise web.HTTPError(400, str(error)) from None
        made = password is not None or body.get("admin") or body.get("rule") == people.ALLOW
        user = self.user_from_username(name) if made else self.find_user(name)
        if "rule" in body:
            self.set_rule(name, body["rule"])
        self.db.commit()
        if "admin" in body and user:
            self.authenticator.set_admin(user, admin=bool(body["admin"]))
        if user and body.get("rule") == people.BLOCK:
            await end_access(user)
        elif user and password is not None:
            await end_access(user, servers=False)
        self.write_person(name)

    def set_rule(self, name: str, rule: str | None) -> None:
        """Block a person, or let them in: whoever signed up, or whom the rules of a provider's login may not let in.

        At a provider's login the end of a block is only that, or these rules would not count for the person any more.
        """
        row = people.person(self.db, name)
        if rule == people.ALLOW:
            if self.has_passwords:
                self.authenticator.let_in(name)
            if self.has_passwords or row.rule == people.BLOCK:
                rule = None
        row.rule = rule

    @needs_scope("admin:users")
    async def delete(self, name: str) -> None:
        """Stop the person's server and remove all that the hub holds of them. Never a volume."""
        name = self.changeable(name)
        known, user = name in self.everybody(), self.find_user(name)
        if user:
            await self.stop_server(user)
            self.authenticator.delete_user(user)
            await user.delete_spawners()
            self.users.delete(user)
        elif known:
            if self.has_passwords:
                self.authenticator.remove_account(name)
            people.forget(self.db, name)
        self.db.commit()
        if not known:
            raise web.HTTPError(404, f"there is no user {name}")
        self.set_status(204)

    async def stop_server(self, user: User) -> None:
        """Stop the user's server and wait for it. Ends with 400 while it starts, or if it takes too long to stop."""
        stopping = getattr(user.spawner, "_stop_future", None)
        if user.running:
            stopping = await self.stop_single_user(user)
        if stopping:
            await asyncio.wait([stopping], timeout=STOP_SECONDS)
        if user.spawner.pending:
            raise web.HTTPError(400, f"the server of {user.name} is just starting or stopping; try again in a moment")


class AdminsAPIHandler(PeopleHandler):
    """/api/admins"""

    @needs_scope("admin:users")
    def put(self) -> None:
        """The list in the body, and nobody else, are the admins by ADMIN_USERS; a group's or the page's stay admins."""
        only_for_admins(self)
        body = self.get_json_body()
        if not isinstance(body, list):
            raise web.HTTPError(400, "the body must be a list of user names")
        admins = {self.name_of(name) for name in body}
        for name in people.follow_admins(self.db, admins):
            self.authenticator.admin_users.discard(name)
        for name in admins - self.authenticator.admin_users:
            self.authenticator.set_admin(self.user_from_username(name), admin=True)
        self.set_status(204)


class AliasesAPIHandler(PeopleHandler):
    """/api/aliases"""

    @needs_scope("admin:users")
    def get(self) -> None:
        """Every alias: login -> user."""
        self.write(json.dumps(people.aliases(self.db)))


class AliasAPIHandler(PeopleHandler):
    """/api/aliases/LOGIN"""

    @needs_scope("admin:users")
    def put(self, login: str) -> None:
        """Whoever logs in as LOGIN is the user `name` from now on."""
        if self.has_passwords:
            raise web.HTTPError(400, "with this login user names are stackgen's own, and need no alias")
        body = self.get_json_body()
        login, name = self.changeable(login), self.changeable(body.get("name", "") if isinstance(body, dict) else "")
        try:
            people.set_alias(self.db, self.authenticator.provider, login, name)
        except people.Taken as taken:
            raise web.HTTPError(400, str(taken)) from None
        self.set_status(204)

    @needs_scope("admin:users")
    def delete(self, login: str) -> None:
        """Whoever logs in as LOGIN is the user LOGIN again."""
        login = self.name_of(login)
        self.changeable(people.aliases(self.db).get(login, login))
        if self.has_passwords or not people.remove_alias(self.db, self.authenticator.provider, login):
            raise web.HTTPError(404, f"there is no alias {login}")
        self.set_status(204)


HANDLERS = [
    (r"/api/people", PeopleAPIHandler),
    (r"/api/people/([^/]+)", PersonAPIHandler),
    (r"/api/admins", AdminsAPIHandler),
    (r"/api/aliases", AliasesAPIHandler),
    (r"/api/aliases/([^/]+)", AliasAPIHandler),
]
