"""A websocket server on port 9000 that sends back what it gets; runs in the hub's image."""

import asyncio

from tornado.web import Application
from tornado.websocket import WebSocketHandler


class Echo(WebSocketHandler):
    """/echo"""

    def check_origin(self, _: str) -> bool:
        """Anybody may."""
        return True

    def on_message(self, message: str | bytes) -> None:
        """Send it back."""
        self.write_message(message, binary=isinstance(message, bytes))


async def main() -> None:
    """Serve for ever."""
    Application([("/echo", Echo)]).listen(9000)
    await asyncio.Event().wait()


asyncio.run(main())
