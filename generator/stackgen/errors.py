"""The one exception type whose text a user sees, and the exit codes."""

from dataclasses import dataclass

FAILED = 1
USAGE = 2
CONFLICT = 3  # something would change, or the user's edits are in the way
MACHINE = 4  # the machine is not ready
SETTINGS = 5  # .env is invalid


@dataclass(frozen=True)
class Problem:
    """What is wrong, in words that name the setting or thing, and what to do about it."""

    message: str
    hint: str = ""


class StackgenError(Exception):
    """Ends a command: each problem is printed as `error: ...` and `hint: ...`, then it exits with `exit_code`."""

    def __init__(self, message: str | list[Problem], hint: str = "", exit_code: int = FAILED) -> None:
        self.problems = [Problem(message, hint)] if isinstance(message, str) else message
        self.exit_code = exit_code
        super().__init__("; ".join(problem.message for problem in self.problems))
