"""What add-admin and remove-admin need while the hub is down: `python -m stackgen_hub.offline COMMAND NAME`.

exists     ends with 0 if NAME has an account that an admin made or let in, else with 3
password   gives NAME a password, a line of standard input
no-admin   takes the admin's flag away; those on ADMIN_USERS are made admins when the hub starts
"""

import os
import sys

from jupyterhub import orm
from traitlets.utils.importstring import import_item

from stackgen_hub import people
from stackgen_hub.passwords import check_password, hashed


def main() -> None:
    """Run one command. Ends with 1 and a sentence if the password or the name will not do."""
    command, name = sys.argv[1:]
    authenticator_class = import_item(os.environ["AUTHENTICATOR_CLASS"])
    # creates the database's tables if this is the stack's first command
    with orm.new_session_factory(os.environ["DATABASE_URL"])() as db:
        if command == "no-admin":
            people.set_admin(db, name, admin=False)
            people.person(db, name).admin = False
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
