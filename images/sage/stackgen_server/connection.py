"""The websocket between a page and a kernel: there at once, and it passes on what the server has to say."""

import asyncio
import json
from typing import Any

from jupyter_server.services.kernels.connection.base import deserialize_binary_message, deserialize_msg_from_ws_v1
from jupyter_server.services.kernels.connection.channels import ZMQChannelsWebsocketConnection

from stackgen_server.kernels import Note

Header = dict[str, Any]


class Connection(ZMQChannelsWebsocketConnection):
    """Jupyter Server's own connection, with a handshake that does not sleep."""

    _told: Note | None = None

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._open: dict[str, Header] = {}  # the cells of this page that wait for the kernel's reply, by their ids

    def connect(self) -> asyncio.Future[None] | None:
        """Join page and kernel, without Nagle's algorithm: it holds a cell's output back for 40 ms."""
        self.websocket_handler.set_nodelay(True)
        return super().connect()

    def nudge(self) -> asyncio.Future[None]:
        """Be sure that the kernel's output arrives, before the first cell is sent.

        Jupyter Server asks the kernel for a sign of life. The first answer may be lost, because it comes before the
        subscription to the kernel's output has reached the kernel, and it asks again only after half a second.
        """
        if self.kernel_manager.execution_state == "starting" and self._kernel_info_future.result():
            self.kernel_manager.execution_state = "idle"  # it has answered, see prepare(); the next look is in 50 ms
        nudged = super().nudge()
        self._asking = asyncio.ensure_future(self._ask_until(nudged))
        return nudged

    async def _ask_until(self, nudged: asyncio.Future[None]) -> None:
        """Ask for a sign of life until one has arrived: soon at first, then ever more seldom."""
        control, pause = self.kernel_manager.connect_control(), 0.005
        try:
            while not (await asyncio.wait([nudged], timeout=pause))[0]:
                self.session.send(control, "kernel_info_request")
                pause *= 2
        finally:
            control.close()

    def handle_incoming_message(self, incoming_msg: str | bytes) -> None:
        """Send it to the kernel; remember the cell, because a kernel may die before it says which one it runs."""
        super().handle_incoming_message(incoming_msg)
        if self.subprotocol:
            header = self.session.unpack(deserialize_msg_from_ws_v1(incoming_msg)[1][0])
        else:
            parse = deserialize_binary_message if isinstance(incoming_msg, bytes) else json.loads
            header = parse(incoming_msg)["header"]
        if header["msg_type"] == "execute_request":
            self._open[header["msg_id"]] = header

    def _limit_rate(self, channel: str, msg: dict[str, Any], msg_list: list[Any]) -> bool:
        """See every message on its way out; this method of the base class is the first one that gets it parsed."""
        parent = msg["parent_header"] = self.get_part("parent_header", msg["parent_header"], msg_list)
        if channel == "shell":
            self._open.pop(parent.get("msg_id"), None)
        elif parent.get("msg_type") == "execute_request":
            self._tell(parent)
        return super()._limit_rate(channel, msg, msg_list)

    def on_kernel_restarted(self) -> None:
        """The kernel has died; say why, before the page learns that it starts again."""
        if self._open:
            self._tell(next(iter(self._open.values())))
            self._open.clear()
        super().on_kernel_restarted()

    def _tell(self, cell: Header) -> None:
        """Show under this cell what there is to say, once to each page."""
        note = self.kernel_manager.note
        if note and note is not self._told and note.cell in (None, cell["msg_id"]):
            self._told, note.cell = note, cell["msg_id"]
            self.write_stderr(note.text, cell)
