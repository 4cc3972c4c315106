"""Who may log in, who is an admin by .env, and who of a login's people is which user: tables in the hub's database.

`name` is always a user's normalised name on the hub, `login` a normalised name at the provider.
"""

from collections.abc import Mapping

from jupyterhub import orm
from sqlalchemy import Boolean, Column, Unicode, delete, or_, select, update
from sqlalchemy.orm import Session

ALLOW = "allow"
BLOCK = "block"

# What a provider never gives to anybody else, by its kind: `sub` of OpenID Connect, `id` of other services, `login` of
# a directory. A provider may give several, or another kind after a change. Empty where it has nothing of that sort.
Subjects = Mapping[str, str]


class Person(orm.Base):
    """What stackgen notes of a person, whether they ever logged in or not."""

    __tablename__ = "stackgen_people"
    name = Column(Unicode(255), primary_key=True)
    rule = Column(Unicode(8))  # ALLOW, BLOCK or None: the login's own rules decide
    email = Column(Unicode(255))
    admin = Column(Boolean, default=False, nullable=False)  # by ADMIN_USERS, not by the admin page or a group


class Alias(orm.Base):
    """Whoever is called `login` at the provider is the user `name` here."""

    __tablename__ = "stackgen_aliases"
    login = Column(Unicode(255), primary_key=True)
    name = Column(Unicode(255), unique=True, nullable=False)


class Identity(orm.Base):
    """The user `name` is, or was, the person whom a provider knows as `subject`, however their name changes there.

    What was stays noted: the volume holds this person's files, and must not become somebody else's unsaid.
    """

    __tablename__ = "stackgen_identities"
    provider = Column(Unicode(255), primary_key=True)
    kind = Column(Unicode(8), primary_key=True)
    name = Column(Unicode(255), primary_key=True)
    subject = Column(Unicode(255), nullable=False)
    current = Column(Boolean, nullable=False)


class Taken(Exception):
    """A user's name belongs to somebody else; the text is for the one who asked."""


def person(db: Session, name: str) -> Person:
    """The row of this person, made if there is none."""
    row = db.get(Person, name)
    if row is None:
        row = Person(name=name, admin=False)
        db.add(row)
    return row


def rule(db: Session, name: str) -> str | None:
    """ALLOW, BLOCK or None."""
    row = db.get(Person, name)
    return row.rule if row else None


def user_of(db: Session, provider: str, subjects: Subjects, login: str) -> str:
    """The user that somebody is who logs in as `login`: what an alias says, or who they were before, or `login` itself.

    No two people of a provider are ever the same user, as far as it gives subjects. A name there may change hands or
    look like another's after normalisation: the one who came first keeps the user, others are refused. Raises Taken.
    """
    alias = db.get(Alias, login)
    names = [alias.name] if alias else []
    for kind, subject in subjects.items():
        known = (Identity.provider == provider, Identity.kind == kind, Identity.subject == subject, Identity.current)
        names += db.scalars(select(Identity.name).where(*known))
    if not names and _alias_of(db, login):
        raise _taken(login)
    for name in names or [login]:
        if not _is_anothers(db, provider, subjects, name):
            return name
    raise _taken(names[0] if names else login)


def bind(db: Session, provider: str, subjects: Subjects, name: str) -> None:
    """From now on this person is the user `name`. Raises Taken if somebody else has just become that user."""
    if _is_anothers(db, provider, subjects, name):
        raise _taken(name)
    for kind, subject in subjects.items():
        before = (Identity.provider == provider, Identity.kind == kind, Identity.subject == subject)
        db.execute(update(Identity).where(*before).values(current=False))
        db.merge(Identity(provider=provider, kind=kind, name=name, subject=subject, current=True))
    db.commit()


def set_alias(db: Session, provider: str, login: str, name: str) -> None:
    """Whoever logs in as `login` is the user `name` from now on. Raises Taken if somebody else is."""
    other = _alias_of(db, name)
    if other and other.login != login:
        raise Taken(f"{name} is whoever logs in as {other.login}: remove that alias first")
    if other:
        return
    if login != name and any(row.current for row in _identities_of(db, provider, name)):
        raise Taken(f"somebody else has logged in as {name} already: remove that user first, the volume is kept")
    db.merge(Alias(login=login, name=name))
    db.commit()


def remove_alias(db: Session, provider: str, login: str) -> bool:
    """Whoever logs in as `login` is a user of that name again; False if there was no such alias."""
    alias = db.get(Alias, login)
    if not alias:
        return False
    if alias.name != login:
        former = (Identity.provider == provider, Identity.name == alias.name)
        db.execute(update(Identity).where(*former).values(current=False))
    db.delete(alias)
    db.commit()
    return True


def aliases(db: Session) -> dict[str, str]:
    """Every alias: login -> name."""
    return {alias.login: alias.name for alias in db.scalars(select(Alias).order_by(Alias.login))}


def forget(db: Session, name: str) -> bool:
    """Remove all that is noted of a user; False if there was nothing. The caller commits."""
    statements = (
        delete(Person).where(Person.name == name),
        delete(Alias).where(or_(Alias.name == name, Alias.login == name)),
        delete(Identity).where(Identity.name == name),
    )
    return sum(db.execute(statement).rowcount for statement in statements) > 0


def follow_admins(db: Session, admins: set[str]) -> list[str]:
    """Note who is an admin by ADMIN_USERS, and take the flag from those who were and are no more; their names.

    JupyterHub makes everybody on its list an admin, but a name that was taken off the list stays one. Admins whom the
    admin page or a group made are left alone.
    """
    former = [row for row in db.scalars(select(Person).where(Person.admin)) if row.name not in admins]
    for row in former:
        row.admin = False
        set_admin(db, row.name, admin=False)
    for name in admins:
        person(db, name).admin = True
    db.commit()
    return [row.name for row in former]


def set_admin(db: Session, name: str, *, admin: bool) -> None:
    """Set JupyterHub's own flag and role of a user, if there is one. The caller commits."""
    user = orm.User.find(db, name)
    if user:
        user.admin = admin
        roles = [role for role in user.roles if role.name != "admin"]
        user.roles = [*roles, orm.Role.find(db, "admin")] if admin else roles


def _taken(name: str) -> Taken:
    return Taken(f"The user name {name} belongs to somebody else here. Please ask an admin for another one.")


def _alias_of(db: Session, name: str) -> Alias | None:
    return db.scalar(select(Alias).where(Alias.name == name))


def _identities_of(db: Session, provider: str, name: str) -> list[Identity]:
    return list(db.scalars(select(Identity).where(Identity.provider == provider, Identity.name == name)))


def _is_anothers(db: Session, provider: str, subjects: Subjects, name: str) -> bool:
    """Whether the user is, or was, somebody else.

    Who it was does not count where an alias gives the user away, nor what the provider calls nobody by any more: then
    names decide, as after a change of provider.
    """
    given_away = _alias_of(db, name)
    return any(
        subjects.get(row.kind, row.subject) != row.subject and (row.current or not given_away)
        for row in _identities_of(db, provider, name)
    )
