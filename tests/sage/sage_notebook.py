"""Notebooks as the tests write them down, and a kernel that runs them the way a page does: over its websocket."""

import base64
import hashlib
import html
import json
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stackgen.smoke import Browser

PROMPT, MORE = "sage: ", "....: "
WIDGET = "application/vnd.jupyter.widget-view+json"
GIF = re.compile(r"data:image/gif;base64,([^\"]+)")
THINGS = re.compile(r"(?:var|const|let) (texts|points|lines|surfaces) = (\[.*\]);")
TAG = re.compile(r"<[^>]+>")


@dataclass(frozen=True)
class Cell:
    """One cell, and what must stand below it."""

    code: str
    expected: str


@dataclass(frozen=True)
class Output:
    """What stood below a cell, and a digest of its pictures and scenes, byte by byte."""

    text: str
    pictures: str


def read(path: Path) -> list[Cell]:
    """The cells of a notebook written like Sage's own doctests.

    `sage: ` begins a cell, `....: ` continues it; the lines up to an empty line are its outputs. Each output is told as
    a reader of the page would: a picture as its type and size, a scene as what is in it, anything typeset or tabular as
    its HTML without tags, an error as its last line, a widget as what it controls. Addresses in memory are `0x`.
    """
    cells = []
    for block in re.split(r"\n\n(?=sage: )", path.read_text("utf-8"))[1:]:  # all but the heading
        lines = block.strip().splitlines()
        code = [line[len(PROMPT) :] for line in lines if f"{line} ".startswith((PROMPT, MORE))]
        cells.append(Cell("\n".join(code), "\n".join(lines[len(code) :])))
    return cells


class Kernel:
    """A kernel on a user's own server, from its start to `close`."""

    def __init__(self, browser: Browser, spec: str) -> None:
        self.browser = browser
        self.id = str(browser.api("POST", "/api/kernels", json={"name": spec}).json()["id"])
        self.channel = browser.open_channel(self.id)

    def close(self) -> None:
        """Shut the kernel down."""
        self.channel.close()
        self.browser.api("DELETE", f"/api/kernels/{self.id}")

    def run(self, code: str) -> Output:
        """Run a cell to its end; all that it put on the page."""
        messages = list(self._messages(code))
        pictures = b"".join(_picture(_data(message)) for message in messages)
        return Output(_page(messages), hashlib.sha256(pictures).hexdigest())

    def _messages(self, code: str) -> Iterator[dict[str, Any]]:
        request = self.channel.send(code)
        while True:
            answer = self.channel.receive()
            if answer["content"].get("execution_state") in ("restarting", "dead"):
                raise AssertionError(f"the kernel died of: {code}")
            if answer["parent_header"].get("msg_id") != request or answer["channel"] != "iopub":
                continue
            if answer["content"].get("execution_state") == "idle":
                return
            yield answer


def _picture(data: dict[str, Any]) -> bytes:
    """The picture in a result, b"" if there is none. Animations come as HTML with the picture in it."""
    page = data.get("text/html", "")
    if page.lstrip().startswith("<iframe"):
        return html.unescape(page).encode()
    inside = GIF.search(page)
    return base64.b64decode(inside[1] if inside else data.get("image/png", ""))


def _scene(page: str) -> str:
    """What there is to see in a page that Sage makes for three.js, of each kind that there is."""
    things = {kind: json.loads(found) for kind, found in THINGS.findall(page)}
    things["vertices"] = [vertex for surface in things["surfaces"] for vertex in surface["vertices"]]
    return ", ".join(f"{len(of_kind)} {kind}" for kind, of_kind in things.items() if of_kind)


def _data(message: dict[str, Any]) -> dict[str, Any]:
    return message["content"].get("data", {}) if message["msg_type"] in ("display_data", "execute_result") else {}


def _page(messages: list[dict[str, Any]]) -> str:
    page = ""
    for message in messages:
        kind, content = message["msg_type"], message["content"]
        if kind == "stream":
            page += content["text"]
        elif kind == "error":
            page += f"{content['ename']}: {content['evalue']}\n"
        elif data := _data(message):
            page += _shown(data) + "\n"
    lines = re.sub(r"\b0x[0-9a-f]+", "0x", page).splitlines()
    return "\n".join(line.rstrip() for line in lines if line.strip())


def _shown(data: dict[str, Any]) -> str:
    """The richest form of a result, which is the one that JupyterLab shows."""
    if WIDGET in data:
        return f"[widget] {data['text/plain']}"
    picture = _picture(data)
    if picture.lstrip().startswith(b"<iframe"):
        return f"[scene with {_scene(picture.decode())}]"
    if picture.startswith(b"GIF"):
        width, height = struct.unpack("<HH", picture[6:10])
        return f"[image/gif {width}x{height}]"
    if picture:
        width, height = struct.unpack(">II", picture[16:24])
        return f"[image/png {width}x{height}]"
    if "text/html" in data:
        return f"[text/html] {' '.join(html.unescape(TAG.sub(' ', data['text/html'])).split())}"
    if "text/latex" in data:
        return f"[text/latex] {data['text/latex']}"
    return str(data["text/plain"])
