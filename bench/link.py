"""A slow link: a relay that holds bytes back as a line of a given rate and latency would.

Runs in the network namespace that it is started in. All connections share the rate, as they share a line; each new
connection waits a round trip for its handshake. Slow start and packet loss are not imitated.
"""

import asyncio
import socket
import sys

CHUNK = 4096  # bytes; small, so that connections share the line fairly
QUEUE = 65536  # bytes that the line's sending end takes before it can deliver them, as a router does


class Line:
    """One direction: `rate` bytes/s, `delay` seconds."""

    def __init__(self, rate: float, delay: float) -> None:
        self.rate, self.delay, self.free = rate, delay, 0.0

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take bytes as fast as the line takes them, deliver each after the delay, until the sender is done."""
        loop = asyncio.get_running_loop()
        on_the_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

        async def deliver() -> None:
            while (item := await on_the_way.get())[1]:
                await asyncio.sleep(item[0] - loop.time())
                writer.write(item[1])
                await writer.drain()
            writer.close()

        delivery = asyncio.create_task(deliver())
        try:
            while data := await reader.read(CHUNK):
                self.free = max(self.free, loop.time()) + len(data) / self.rate
                on_the_way.put_nowait((self.free + self.delay, data))
                await asyncio.sleep(self.free - loop.time())
        except ConnectionError:
            pass
        on_the_way.put_nowait((0, b""))
        await asyncio.gather(delivery, return_exceptions=True)


async def relay(port: int, target: int, megabits: float, round_trip: float) -> None:
    """Listen on the loopback; `round_trip` in seconds."""
    up, down = (Line(megabits * 1e6 / 8, round_trip / 2) for _ in range(2))

    async def connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(round_trip)
        sender = socket.socket()
        sender.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, QUEUE)
        sender.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sender, ("127.0.0.1", target))
        to_reader, to_writer = await asyncio.open_connection(sock=sender, limit=CHUNK)
        await asyncio.gather(up.carry(reader, to_writer), down.carry(to_reader, writer))

    server = await asyncio.start_server(connection, "127.0.0.1", port)
    print("ready", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(relay(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4])))
