"""Upgrades a stack that an older stackgen rendered, and goes back by itself where a step fails.

Every step may be interrupted and repeated. Users' servers are never touched: they take the new image when they start
anew.
"""

import time
from collections.abc import Callable

from stackgen import __version__, envfile, hub_database, images, lifecycle, machine, smoke
from stackgen.apply import apply, offer
from stackgen.engine import Engine
from stackgen.errors import CONFLICT, Problem, StackgenError
from stackgen.front import FrontDoor
from stackgen.hubapi import Hub
from stackgen.journal import DONE, STEPS, UNDOING, Journal, paths_of, record
from stackgen.output import say
from stackgen.rendering import conflict, pending
from stackgen.rollback import undo
from stackgen.servers import answering, lost
from stackgen.stack import Stack
from stackgen.upgrade_plan import Plan
from stackgen.versions import number


def begin(plan: Plan, engine: Engine, *, backup: bool, keep_mine: bool) -> Journal:
    """Look whether all is ready, back up, and write the journal. Raises StackgenError with nothing touched."""
    stack, name = plan.stack, plan.stack.settings["STACK_NAME"]
    if plan.conflicts and not keep_mine:
        for change in plan.conflicts:
            offer(stack.directory, change.path, change.new or b"")
        raise plan.conflict()
    machine.check(stack, engine)
    if backup:
        _back_up(plan, engine)
    before, services = images.current(engine, name), engine.services(name)
    images.keep(engine, name, before)
    running = any(container.state == "running" for container in services.values())
    journal = Journal(
        directory=stack.directory,
        before=plan.before,
        after=__version__,
        identity=time.strftime("%Y%m%d%H%M%S", time.gmtime()),
        images=before,
        running=running,
        servers=answering(stack, engine) if running else {},
        paths=paths_of([change.path for change in plan.changes], stack.directory),
        keep_mine=keep_mine,
    )
    journal.begin()
    return journal


def finish(journal: Journal, engine: Engine, *, prove: bool) -> None:
    """Do the steps that are left; with `prove` the last is a smoke test.

    Raises StackgenError where one fails, after all is as it was before.
    """
    upgrade = _Upgrade(journal, engine, prove=prove)
    try:
        for step in STEPS[STEPS.index(journal.step) :]:
            journal.enter(step)
            upgrade.steps[step]()
        journal.enter(DONE)
    except Exception as error:  # whatever it is, people must be able to work again
        raise _taken_back(journal, engine, error) from error


def _taken_back(journal: Journal, engine: Engine, error: Exception) -> StackgenError:
    problems = _problems(error)
    for problem in problems:
        say(f"failed: {problem.message}")
    say(f"going back to {journal.before}")
    try:
        undo(journal, engine)
    except Exception as second:
        last = Problem("the upgrade failed, and going back was not finished", "try again: stackgen rollback")
        return StackgenError([*problems, *_problems(second), last])
    last = Problem(
        f"the upgrade to {journal.after} failed, and was taken back: {journal.before} runs as before",
        "mend what is said above, then run stackgen upgrade again",
    )
    return StackgenError([*problems, last])


def _problems(error: Exception) -> list[Problem]:
    return error.problems if isinstance(error, StackgenError) else [Problem(f"{type(error).__name__}: {error}")]


class _Upgrade:
    """The steps of one upgrade."""

    def __init__(self, journal: Journal, engine: Engine, *, prove: bool) -> None:
        self.journal, self.engine, self.prove = journal, engine, prove
        self.steps: dict[str, Callable[[], None]] = {
            "files": self.files,
            "images": self.images,
            "database": self.database,
            "start": self.start,
            "check": self.check,
        }

    @property
    def stack(self) -> Stack:
        """The stack with the settings that .env has by now."""
        return Stack(self.journal.directory)

    def files(self) -> None:
        """Write .env, once, and then every file."""
        stack = self.stack
        if envfile.read_text(stack.env).encode() == self.journal.original(".env"):
            envfile.write(stack.env, Plan.of(stack).env)
        report = apply(pending(self.stack), stack.directory, merge=True, keep_mine=self.journal.keep_mine)
        for path in report.merged:
            say(f"merged {path}")
        if report.conflicts:
            raise conflict(report)
        record(stack.directory)
        self.journal.note_written()

    def images(self) -> None:
        """Build, and let the users' image prove itself, while everybody works on."""
        lifecycle.build(self.stack, self.engine)

    def database(self) -> None:
        """Stop the hub, copy its database and upgrade that; users' kernels go on."""
        say("upgrading the hub's database")
        stack = self.stack
        hub_database.stop_hub(stack, self.engine)
        if not self.journal.database:
            self.journal.database = hub_database.copy(stack, self.journal.identity)
            self.journal.enter("database")
        hub_database.upgrade(stack)

    def start(self) -> None:
        """Start what has changed; Compose leaves the rest alone."""
        lifecycle.start(self.stack, self.engine)

    def check(self) -> None:
        """See that people can log in, and that whoever had a server still reaches it."""
        say("checking")
        stack, settings = self.stack, self.stack.settings
        hub = Hub.of(settings, self.engine)
        if gone := lost(stack, self.engine, hub, self.journal.servers):
            raise StackgenError(f"the servers of {', '.join(gone)} run, but cannot be reached any more")
        if self.prove:
            with smoke.visitor(settings, self.engine, hub) as (name, secret):
                front = FrontDoor.of(settings, self.engine)
                smoke.prove(front, name, secret, by_token=not settings.login.passwords)


def interrupted(journal: Journal) -> str:
    """What was interrupted, for the operator. Raises StackgenError if another version must go on with it."""
    if journal.step == UNDOING:
        return f"going back from {journal.after} to {journal.before} was interrupted: going on with that"
    if journal.after != __version__:
        raise StackgenError(
            f"an upgrade to stackgen {journal.after} was interrupted, and this is stackgen {__version__}",
            f"go back first: stackgen rollback; or install stackgen {journal.after} and go on with it",
            CONFLICT,
        )
    return f"the upgrade from {journal.before} to {journal.after} was interrupted ({journal.step}): going on with it"


def _back_up(plan: Plan, engine: Engine) -> None:
    """A backup of everything, where the stack has a repository for it. The local copies are made in any case."""
    if not plan.stack.settings.get("BACKUP_REPOSITORY"):
        return
    if number(plan.before) < (0, 2, 0):
        say(f"{plan.before} had no backups yet: there are only the copies that `stackgen rollback` takes")
        return
    from stackgen import backup

    say("backing up")
    try:
        backup.run(plan.stack, engine)
    except StackgenError as error:
        last = Problem("there is no backup, so nothing was upgraded", "mend what is said above, or: --no-backup")
        raise StackgenError([*error.problems, last], exit_code=error.exit_code) from None
