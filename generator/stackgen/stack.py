"""A stack directory: its .env, its settings, its files."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from stackgen import envfile
from stackgen.errors import USAGE, StackgenError
from stackgen.migrations import migrated
from stackgen.settings import Settings, missing_secrets
from stackgen.settings_table import BY_KEY
from stackgen.versions import is_newer, is_older, refuse_newer, rendered_by


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
        """The settings as .env has them. Raises StackgenError if they are not valid.

        An older stackgen's are read as this version understands them; what only a newer one knows is passed over.
        """
        return self._understood(envfile.read_text(self.env))

    def _understood(self, text: str) -> Settings:
        stored = envfile.parse(migrated(text, rendered_by(self.directory)).text)
        if is_newer(self.directory):
            stored = {key: value for key, value in stored.items() if key in BY_KEY}
        if is_older(self.directory):
            stored |= missing_secrets(stored)  # `stackgen upgrade` makes and stores them
        return Settings(stored)

    def store(self, **values: str) -> "Stack":
        """Change settings in .env, and return the stack with them. Raises StackgenError before anything is written."""
        refuse_newer(self.directory)
        text = envfile.updated(envfile.read_text(self.env), values)
        self._understood(text)
        envfile.write(self.env, text)
        return Stack(self.directory)

    def check_mode(self) -> str:
        """A warning if others on this machine can read the secrets in .env, else nothing."""
        mode = self.env.stat().st_mode & 0o777
        return f".env can be read by others (mode {mode:o}): chmod 600 {self.env}" if mode & 0o077 else ""
