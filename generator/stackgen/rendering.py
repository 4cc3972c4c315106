"""What a render would do to a stack directory, as users see it."""

from stackgen.apply import Report
from stackgen.changes import Change, State, compare
from stackgen.errors import CONFLICT, Problem, StackgenError
from stackgen.output import table
from stackgen.render import render
from stackgen.stack import Stack


def pending(stack: Stack) -> list[Change]:
    """What a render would do, file by file."""
    return compare(render(stack.settings, stack.directory), stack.directory)


def change_table(changes: list[Change]) -> str:
    """The files that are not as rendered, as a table; empty if there are none."""
    rows = [[change.path, change.state.value] for change in changes if change.state is not State.SAME]
    return table(("file", "state"), rows) if rows else ""


def conflict(report: Report) -> StackgenError:
    """The error for files that the user edited and that would change."""
    return StackgenError(
        [
            Problem(
                f"{path} was edited by you, and stackgen has a new version of it",
                f"yours is kept; compare it with {path}.new, then: stackgen render --merge, or --keep-mine",
            )
            for path in report.conflicts
        ],
        exit_code=CONFLICT,
    )
