"""What is done to the database while the hub is down: by its configuration, and by add-admin and remove-admin.

These run `python -m stackgen_hub.offline COMMAND NAME`:

exists     ends with 0 if NAME has an account that an admin made or let in, else with 3
password   gives NAME a password, a line of standard input
no-admin   takes the admin's flag away; those on ADMIN_USERS are made admins when the hub starts
"""

import os
import sys
from pathlib import Path

from jupyterhub import orm
from piculatorauthenticator.access import server_token_id
from sqlalchemy import create_engine, delete, inspect, select
from sqlalchemy.orm import Session
from traitlets.utils.importstring import import_item

from stackgen_hub import people
from stackgen_hub.passwords import check_password, hashed


def end_other_logins(database_url: str, login: str, note: Path) -> None:
    """If people log in another way now than by `note`, where the last login is kept, end all that they have open.

    A name may be somebody else's in the other login, and the other provider's tokens mean nothing to this one. Servers
    compute on, with their own tokens. Called before the hub opens its database, of which there may be none yet.
    """
    if note.exists() and note.read_text() == login:
        return
    engine = create_engine(database_url)
    if inspect(engine).has_table(orm.User.__tablename__):
        with Session(engine) as db:
            servers = db.scalars(select(orm.Spawner).where(orm.Spawner.server_id.is_not(None)))
            kept = {server_token_id(db, server) for server in servers} - {None}
            of_users = orm.APIToken.user_id.is_not(None)
            db.execute(delete(orm.APIToken).where(of_users, orm.APIToken.id.not_in(kept)))
            db.execute(delete(orm.OAuthCode))
            for user in db.scalars(select(orm.User)):
                user.cookie_id, user.encrypted_auth_state = orm.new_token(), None
            db.commit()
    engine.dispose()
    note.write_text(login)


def main() -> None:
    """Run one command. Ends with 1 and a sentence if the password or the name will not do."""
    command, name = sys.argv[1:]
    authenticator_class = import_item(os.environ["AUTHENTICATOR_CLASS"])
    # creates the database's tables if this is the stack's first command
    with orm.new_session_factory(os.environ["DATABASE_URL"])() as db:
        if command == "no-admin":
            people.set_admin(db, name, admin=False)
            if row := db.get(people.Person, name):
                row.admin = False
            db.commit()
            return
        authenticator = authenticator_class(db=db)
        if command == "exists":
            # whoever signed up and waits chose the password, and may be anybody
            sys.exit(0 if authenticator.accounts().get(name) else 3)
        password = sys.stdin.readline().rstrip("\n")
        try:
            check_password(password)
            authenticator.store_passwords({name: hashed(password)})
        except ValueError as error:
            sys.exit(f"error: {error}")
        db.commit()


if __name__ == "__main__":
    main()
