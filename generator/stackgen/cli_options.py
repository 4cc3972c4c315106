"""The options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

Directory = Annotated[
    Path, typer.Option("--dir", "-C", help="The stack directory.", envvar="STACKGEN_DIR", show_default="here")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
Generate = Annotated[bool, typer.Option("--generate", help="Make a password and print it.")]
PasswordStdin = Annotated[bool, typer.Option("--password-stdin", help="Read a password from a pipe.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask before something is destroyed.")]
Secrets = Annotated[
    str | None, typer.Option(metavar="FILE", help="Secret settings, as lines of .env; - reads standard input.")
]
HERE = Path()
