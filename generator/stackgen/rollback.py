"""Goes back to what ran before the last upgrade: files, .env, images, and the hub's database if its tables changed.

The older stackgen is not needed for it. Users' servers go on.
"""

from stackgen import compose, hub_database, images, lifecycle
from stackgen.engine import Engine
from stackgen.errors import StackgenError
from stackgen.journal import REPLACED, UNDOING, Journal
from stackgen.output import say
from stackgen.stack import Stack


def last_upgrade(stack: Stack) -> Journal:
    """The upgrade that can be taken back. Raises StackgenError if there is none."""
    journal = Journal.of(stack.directory)
    if not journal:
        raise StackgenError(
            "there is no upgrade to take back", "only the last one can be, and only once; backups go back further"
        )
    return journal


def undo(journal: Journal, engine: Engine) -> None:
    """Take an upgrade back. May be interrupted and repeated; the journal is gone when all is as it was."""
    journal.enter(UNDOING)
    for path in journal.restore():
        say(f"{path} was edited since the upgrade: that text is in {REPLACED}/{path}")
    stack = Stack(journal.directory)
    name = stack.settings["STACK_NAME"]
    undone = images.current(engine, name)
    for image in images.bring_back(engine, journal.images):
        say(f"the image {image} of {journal.before} is gone: building it anew")
        compose.run(compose.build(stack.directory, image.rpartition("/")[2]))
    if journal.reached_step("database"):
        hub_database.stop_hub(stack, engine)
        if journal.database:
            _restore_database(stack, journal)
        if journal.running:
            lifecycle.start(stack, engine)
        else:
            compose.run(compose.down(stack.directory))
    images.keep(engine, name, {})
    images.drop(engine, undone.values())
    journal.forget()


def _restore_database(stack: Stack, journal: Journal) -> None:
    found = hub_database.restore(stack, journal.identity)
    if found.get("revision") != journal.database.get("revision"):
        say(
            f"warning: the upgrade changed the tables of the hub's database, which is {found['kind']} and not in the "
            f"stack's care: if the hub does not start, bring back the dump that was taken before"
        )
