"""What a page does on a user's server besides running cells."""

import json

from stackgen.smoke import KERNEL_SECONDS, Browser


class Terminal:
    """A terminal of JupyterLab: the shell that it starts, and the websocket to it (terminado's messages)."""

    def __init__(self, browser: Browser) -> None:
        name = browser.api("POST", "/api/terminals").json()["name"]
        path = browser.server.removeprefix(browser.front.url) + f"/terminals/websocket/{name}"
        self._socket = browser.front.websocket(path, browser.session, KERNEL_SECONDS)

    def run(self, line: str) -> str:
        """Type a line, and wait until the shell has done what it says; all that the terminal showed meanwhile."""
        self._socket.send(json.dumps(["stdin", f"{line}; echo 'that is' all\r"]))
        shown = ""
        while "that is all" not in shown:
            kind, *content = json.loads(self._socket.recv())
            shown += content[0] if kind == "stdout" else ""
        return shown
