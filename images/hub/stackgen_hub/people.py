"""Who may log in, who is an admin by .env, and who of a login's people is which user: tables in the hub's database.

`name` is always a user's normalised name on the hub, `login` a normalised name at the provider.
"""

from jupyterhub import orm
from sqlalchemy import Boolean, Column, Unicode, UniqueConstraint, delete, or_, select
from sqlalchemy.orm import Session

ALLOW = "allow"
BLOCK = "block"


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
    """The person whom a provider knows as `subject` is the user `name` here, however their name changes there."""

    __tablename__ = "stackgen_identities"
    provider = Column(Unicode(255), primary_key=True)
    subject = Column(Unicode(255), primary_key=True)
    name = Column(Unicode(255), nullable=False)
    __table_args__ = (UniqueConstraint("provider", "name"),)


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


def user_of(db: Session, provider: str, subject: str | None, login: str) -> str:
    """The user that somebody is who logs in as `login`. No two people of a provider are ever the same user.

    `subject` is what the provider never gives to anybody else, or None where it has nothing of the kind; then `login`
    alone decides. A name at the provider may change hands or look like another's after normalisation: the one who came
    first keeps the user, others are refused. Raises Taken.
    """
    if subject is not None and (known := db.get(Identity, (provider, subject))):
        return known.name
    alias = db.get(Alias, login)
    if not alias and db.scalar(select(Alias).where(Alias.name == login)):
        raise _taken(login)
    name = alias.name if alias else login
    if subject is not None and _identity_of(db, provider, name):
        raise _taken(name)
    return name


def bind(db: Session, provider: str, subject: str, name: str) -> None:
    """From now on the person `subject` is the user `name`. Raises Taken if somebody else has just become that user."""
    if db.get(Identity, (provider, subject)) is None:
        if _identity_of(db, provider, name):
            raise _taken(name)
        db.add(Identity(provider=provider, subject=subject, name=name))
        db.commit()


def set_alias(db: Session, provider: str, login: str, name: str) -> None:
    """Whoever logs in as `login` is the user `name` from now on. Raises Taken if somebody else is."""
    other = db.scalar(select(Alias).where(Alias.name == name, Alias.login != login))
    if other:
        raise Taken(f"{name} is whoever logs in as {other.login}: remove that alias first")
    alias = db.get(Alias, login)
    if alias and alias.name == name:
        return
    if login != name and _identity_of(db, provider, name):
        raise Taken(f"somebody else has logged in as {name} already")
    # the one who logs in as `login` may have done so before, and was a user of their own then
    db.execute(delete(Identity).where(Identity.provider == provider, Identity.name == login))
    if alias:
        alias.name = name
    else:
        db.add(Alias(login=login, name=name))
    db.commit()


def remove_alias(db: Session, provider: str, login: str) -> bool:
    """Whoever logs in as `login` is a user of that name again; False if there was no such alias."""
    alias = db.get(Alias, login)
    if not alias:
        return False
    db.execute(delete(Identity).where(Identity.provider == provider, Identity.name == alias.name))
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


def _identity_of(db: Session, provider: str, name: str) -> Identity | None:
    return db.scalar(select(Identity).where(Identity.provider == provider, Identity.name == name))
