"""What the Jupyter server and the preforking process say to one another, over Unix sockets of whole messages.

The request for a kernel goes over the control socket, which lives as long as both processes. With it goes one end of a
socket for this kernel alone, over which come the answer, and the exit code in the end.
"""

import json
import socket
from collections.abc import Sequence
from typing import Any

LARGEST = 1 << 16  # bytes of a message; Linux takes three times as much in one piece


def pair() -> tuple[socket.socket, socket.socket]:
    """Two ends of a new connection; no program that either process starts inherits them."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def send(connection: socket.socket, message: dict[str, Any], descriptors: Sequence[int] = ()) -> None:
    """Raises OSError if the other side is gone."""
    socket.send_fds(connection, [json.dumps(message).encode()], descriptors)


def receive(connection: socket.socket, descriptors: int) -> tuple[dict[str, Any], list[int]]:
    """The next message and the file descriptors sent with it, at most so many as given, none of them inheritable.

    Raises EOFError if the other side is gone, OSError if there is nothing in time, ValueError if it is no message.
    """
    data, received, _, _ = socket.recv_fds(connection, LARGEST, descriptors)
    if not data:
        raise EOFError
    message = json.loads(data)
    if not isinstance(message, dict):
        raise ValueError(data)
    return message, received
