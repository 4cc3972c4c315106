"""A stack directory: its .env, its settings, its files."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from stackgen import envfile
from stackgen.errors import USAGE, StackgenError
from stackgen.settings import Settings


@dataclass(frozen=True)
class Stack:
    """The stack in `directory` (absolute)."""

    directory: Path

    @classmethod
    def at(cls, directory: Path) -> "Stack":
        """The stack in this directory. Raises StackgenError if there is none."""
        stack = cls(directory.resolve())
        if not stack.env.is_file():
            raise StackgenError(
                f"{stack.directory} is no stack directory: it has no .env",
                "go to the stack directory, name it with --dir, or make one: stackgen init DIR",
                USAGE,
            )
        return stack

    @property
    def env(self) -> Path:
        """The path of .env."""
        return self.directory / ".env"

    @cached_property
    def settings(self) -> Settings:
        """The settings as .env has them. Raises StackgenError if they are not valid."""
        return Settings(envfile.read(self.env))

    def store(self, **values: str) -> "Stack":
        """Change settings in .env, and return the stack with them. Raises StackgenError before anything is written."""
        text = envfile.updated(envfile.read_text(self.env), values)
        Settings(envfile.parse(text))
        envfile.write(self.env, text)
        return Stack(self.directory)

    def check_mode(self) -> str:
        """A warning if others on this machine can read the secrets in .env, else nothing."""
        mode = self.env.stat().st_mode & 0o777
        return f".env can be read by others (mode {mode:o}): chmod 600 {self.env}" if mode & 0o077 else ""
