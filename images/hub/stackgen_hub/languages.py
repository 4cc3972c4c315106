"""The hub's pages in English or Chinese, by what the browser of each request asks for."""

import os
import re
from contextvars import ContextVar

from tornado.httputil import HTTPHeaders, HTTPServerRequest
from tornado.web import OutputTransform

from stackgen_hub.chinese import MESSAGES, PAGES

TAGS = {"en": "en", "zh": "zh-CN"}  # language -> what <html lang> says: our Chinese is in simplified characters
# a language, of which the region or script does not matter, and how much it is wanted (RFC 9110, section 12.5.4)
_RANGE = re.compile(r"\s*([A-Za-z]{1,8}|\*)(?:-[A-Za-z0-9-]+)?\s*(?:;\s*[qQ]=(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)\s*)?")
_PLACEHOLDER = re.compile(r"%\((\w+)\)s")

_language: ContextVar[str] = ContextVar("language")


class ByLanguage(OutputTransform):
    """Notes the language of each request, and that pages depend on it.

    tornado makes one just before it runs a request's handler as a task, which gets a copy of this context: so requests
    that are answered at the same time each see their own.
    """

    def __init__(self, request: HTTPServerRequest) -> None:
        _language.set(preferred(request.headers.get("Accept-Language", "")))

    def transform_first_chunk(
        self,
        status_code: int,
        headers: HTTPHeaders,
        chunk: bytes,
        finishing: bool,  # noqa: ARG002
    ) -> tuple[int, HTTPHeaders, bytes]:
        if headers.get("Content-Type", "").startswith("text/html"):
            headers.add("Vary", "Accept-Language")
        return status_code, headers, chunk


def preferred(accepted: str) -> str:
    """The language that this Accept-Language header likes best; the stack's own if it likes none of ours."""
    wanted: dict[str, float] = {}
    for item in accepted.split(","):
        found = _RANGE.fullmatch(item)
        language = found and found[1].lower()
        if language in TAGS:
            wanted[language] = max(wanted.get(language, 0), float(found[2] or 1))
    best = max(wanted, key=lambda language: wanted[language], default="")  # of several, the first
    return best if best and wanted[best] else os.environ.get("STACK_LANGUAGE", "en")


def language() -> str:
    """The language of this request: en or zh."""
    return _language.get("en")


def language_tag() -> str:
    """The language of this request as <html lang> names it."""
    return TAGS[language()]


def gettext(text: str) -> str:
    """A text of a template in the language of this request."""
    return PAGES[text] if language() == "zh" else text


def translated(message: str) -> str:
    """What JupyterHub or a login says, in the language of this request; as it is if nobody has translated it."""
    if language() == "en" or not message:
        return message
    message_in_one_line = " ".join(message.split())
    for pattern, text in _PATTERNS:
        if found := pattern.fullmatch(message_in_one_line):
            return text % {name: translated(value) for name, value in found.groupdict().items()}
    return message


def _pattern(message: str) -> re.Pattern[str]:
    """What matches the message, whatever stands in its places for values."""
    pieces = _PLACEHOLDER.split(message)  # text, name, text, name, ... text
    return re.compile(
        "".join(f"(?P<{piece}>.+?)" if place % 2 else re.escape(piece) for place, piece in enumerate(pieces)), re.DOTALL
    )


_PATTERNS = [(_pattern(message), text) for message, text in MESSAGES.items()]
