"""`stackgen upgrade` and `rollback`: verbs and flags, nothing else; what a verb needs is imported when it runs."""

import contextlib
import json
import sys
from collections.abc import Iterator
from typing import Annotated

import typer

from stackgen import __version__
from stackgen.cli_options import HERE, Directory, Json

upgrades = typer.Typer()

Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


@upgrades.command()
def upgrade(
    directory: Directory = HERE,
    check: Annotated[bool, typer.Option("--check", help="Change nothing; exit 3 if an upgrade is pending.")] = False,
    diff: Annotated[bool, typer.Option("--diff", help="Show the differences of all files and change nothing.")] = False,
    yes: Yes = False,
    no_backup: Annotated[bool, typer.Option("--no-backup", help="Do not back up to BACKUP_REPOSITORY first.")] = False,
    keep_mine: Annotated[bool, typer.Option("--keep-mine", help="Keep yours where merging fails.")] = False,
    smoke: Annotated[bool, typer.Option("--smoke", help="Prove at the end that a new user can compute.")] = False,
    as_json: Json = False,
) -> None:
    """Bring a stack that an older stackgen rendered to this version. Running kernels go on.

    Shows what changes, then does it, and goes back by itself if a step fails. Run it again if it was interrupted.
    """
    from stackgen import upgrade as upgrading
    from stackgen.engine import Engine
    from stackgen.errors import CONFLICT
    from stackgen.journal import UNDOING, Journal, alone, due
    from stackgen.output import result, say
    from stackgen.rollback import undo
    from stackgen.stack import Stack
    from stackgen.upgrade_plan import Plan
    from stackgen.versions import refuse_newer

    stack, engine = Stack.at(directory), Engine()
    refuse_newer(stack.directory)

    def shown() -> Plan:
        plan = Plan.of(stack)
        result(json.dumps(plan.data(), indent=2) if as_json else plan.text(keep_mine=keep_mine))
        return plan

    if check or diff:
        plan = shown()
        if diff:
            result(plan.diff())
        if said := due(stack.directory):
            say(said.message)
        raise typer.Exit(CONFLICT if check and said else 0)
    with alone(stack.directory), _interruptible():
        journal = Journal.of(stack.directory)
        if journal and journal.unfinished:
            say(upgrading.interrupted(journal))
            if journal.step == UNDOING:
                undo(journal, engine)
                say(f"{journal.before} runs as before; to try again: stackgen upgrade")
                return
        else:
            plan = shown()
            if not plan.pending:
                say("nothing to upgrade; after a change of .env: stackgen render, then stackgen up")
                return
            if keep_mine or not plan.conflicts:
                _confirm(f"Upgrade to {__version__}?", yes=yes)
            journal = upgrading.begin(plan, engine, backup=not no_backup, keep_mine=keep_mine)
        upgrading.finish(journal, engine, prove=smoke)
    say(f"upgraded from {journal.before} to {journal.after}; to go back: stackgen rollback")
    say("running servers of users go on, and take the new image at their next start: see stackgen status")


@upgrades.command()
def rollback(directory: Directory = HERE, yes: Yes = False) -> None:
    """Go back to what ran before the last upgrade. Running kernels go on; the older stackgen is not needed."""
    from stackgen.engine import Engine
    from stackgen.journal import alone
    from stackgen.output import say
    from stackgen.rollback import last_upgrade, undo
    from stackgen.stack import Stack

    stack = Stack.at(directory)
    with alone(stack.directory), _interruptible():
        journal = last_upgrade(stack)
        _confirm(f"Go back from stackgen {journal.after} to {journal.before}?", yes=yes)
        undo(journal, Engine())
    say(f"{journal.before} runs as before the upgrade")


def _confirm(question: str, *, yes: bool) -> None:
    from stackgen.errors import USAGE, StackgenError

    if yes:
        return
    if not sys.stdin.isatty():
        raise StackgenError(f"{question} Nobody can be asked", "use --yes", USAGE)
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise StackgenError("nothing was changed")


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """Say what to do after Ctrl-C."""
    from stackgen.output import say

    try:
        yield
    except KeyboardInterrupt:
        say("interrupted; go on with it: stackgen upgrade, or go back: stackgen rollback")
        raise
