"""Eight small asyncio programs, each with one bug of a kind that networks bring out: to measure what finds them.

Each runs on a network of its own, with faults until HORIZON, and fails by an AssertionError if the bug shows. Without
faults none does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any

from synfin.sim import Network, SimHost, point

HORIZON = "12s"  # later there are no faults
PORT = 7
Answer = Callable[[list[str]], Awaitable[str]]


def service(answer: Answer) -> Callable[[], Coroutine[Any, Any, None]]:
    """A program that answers lines of words, for as long as the client sends some."""

    async def run() -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with suppress(OSError):
                while line := await reader.readline():
                    writer.write(f"{await answer(line.decode().split())}\n".encode())
            writer.close()

        async with await asyncio.start_server(serve, port=PORT) as server:
            await server.serve_forever()

    return run


async def call(host: str, text: str, patience: float) -> str | None:
    """Ask once; None: there was no answer in time."""
    try:
        async with asyncio.timeout(patience):
            reader, writer = await asyncio.open_connection(host, PORT)
            try:
                writer.write(f"{text}\n".encode())
                return (await reader.readline()).decode().strip() or None
            finally:
                writer.close()
    except OSError:  # TimeoutError is one
        return None


async def lost_update(network: Network) -> None:
    """Two clients increment a counter, each in its own seconds; the server reads, waits for its disk, and writes."""
    value, done = 0, 0

    async def answer(words: list[str]) -> str:
        nonlocal value
        seen = value
        await asyncio.sleep(0.01)
        value = seen + 1
        return "ok"

    async def client(offset: float) -> None:
        nonlocal done
        await asyncio.sleep(offset)
        for _ in range(8):
            if await call("server", "add", 20) == "ok":
                done += 1
            await asyncio.sleep(1)

    network.host("server").start(service(answer))
    clients = [network.host(f"client{number}").start(client(0.5 * number)) for number in (1, 2)]
    network.spare("server", "crash")
    await asyncio.gather(*clients)
    assert value >= done


async def double_delivery(network: Network) -> None:
    """A client that has no answer within three seconds sends its order again, on another connection."""
    orders: list[str] = []

    async def answer(words: list[str]) -> str:
        orders.append(words[0])
        return "ok"

    async def client() -> None:
        for number in range(8):
            while await call("shop", f"order{number}", 3) is None:
                point("again")
                await asyncio.sleep(0.2)
            await asyncio.sleep(0.5)

    network.host("shop").start(service(answer))
    await network.host("client").start(client())
    assert len(orders) == len(set(orders))


async def split_brain(network: Network) -> None:
    """A leader leads until it hears of nobody for 3 s; the others elect one when they hear nothing of it for 2 s."""
    leaders: set[str] = set()
    names = ["a", "b", "c"]
    heard = dict.fromkeys(names, 0.0)  # when each last heard of a leader

    def node(name: str) -> Callable[[], Coroutine[Any, Any, None]]:
        others = [other for other in names if other != name]
        loop = asyncio.get_running_loop()

        async def answer(words: list[str]) -> str:
            if words[0] == "lead":
                heard[name] = loop.time()
                return "ok"
            return "yes" if loop.time() - heard[name] > 2 else "no"

        async def lead() -> None:
            leaders.add(name)
            point(f"leads {len(leaders)}")
            acknowledged = loop.time()
            while loop.time() - acknowledged < 3:
                answers = await asyncio.gather(*(call(other, "lead", 1) for other in others))
                if "ok" in answers:
                    acknowledged = loop.time()
                await asyncio.sleep(0.5)
            leaders.discard(name)

        async def follow() -> None:
            if name == "a" and not leaders and loop.time() - began < 1:
                await lead()
            heard[name] = loop.time()
            while True:
                await asyncio.sleep(0.5)
                if loop.time() - heard[name] > 2:
                    point("asks for votes")
                    if "yes" in await asyncio.gather(*(call(other, "vote", 1) for other in others)):
                        await lead()
                    heard[name] = loop.time()

        async def run() -> None:
            await asyncio.gather(service(answer)(), follow())

        return run

    def one_leads() -> None:
        assert len(leaders) <= 1, sorted(leaders)

    began = asyncio.get_running_loop().time()
    heard.update(dict.fromkeys(names, began))
    for name in names:
        network.host(name).start(node(name))
        network.spare(name, "crash")
    network.always(one_leads)
    await network.after("16s")


async def leaked_connection(network: Network) -> None:
    """A pool of three connections: who gives up while it connects keeps its place in the pool."""
    places = 3

    async def answer(words: list[str]) -> str:
        return "ok"

    async def client() -> int:
        nonlocal places
        answered = 0
        for _ in range(12):
            if not places:
                break
            places -= 1
            try:
                async with asyncio.timeout(2):
                    reader, writer = await asyncio.open_connection("server", PORT)
            except OSError:
                point(f"leaks {places}")
                continue  # and never `places += 1`
            with suppress(OSError):
                async with asyncio.timeout(2):
                    writer.write(b"hello\n")
                    answered += await reader.readline() == b"ok\n"
            writer.close()
            places += 1
            await asyncio.sleep(0.8)
        return answered

    network.host("server").start(service(answer))
    await network.host("client").start(client())
    assert places, "the pool is empty for ever"


async def half_open_reader(network: Network) -> None:
    """A subscriber only reads: from a publisher that has crashed meanwhile it waits for ever."""
    got: list[float] = []
    loop = asyncio.get_running_loop()

    async def publish() -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with suppress(OSError):
                while True:
                    writer.write(b"news\n")
                    await asyncio.sleep(2)
            writer.close()

        async with await asyncio.start_server(serve, port=PORT) as server:
            await server.serve_forever()

    async def subscribe() -> None:
        while True:
            with suppress(OSError):
                reader, writer = await asyncio.open_connection("publisher", PORT)
                with suppress(OSError):
                    while await reader.readline():
                        got.append(loop.time())
                writer.close()
            await asyncio.sleep(0.5)

    network.host("publisher").start(publish)
    network.host("subscriber").start(subscribe())
    await network.after(HORIZON)
    await network.after("60s")
    assert got and loop.time() - got[-1] < 50, "no news for a long time"


async def reordered(network: Network) -> None:
    """Messages are numbered by their order alone: after a reconnect an old connection may still deliver its own."""
    arrived: list[int] = []

    async def answer(words: list[str]) -> str:
        arrived.append(int(words[0]))
        return "ok"

    async def client() -> None:
        number = 0
        while number < 10:
            with suppress(OSError):
                async with asyncio.timeout(4):
                    reader, writer = await asyncio.open_connection("server", PORT)
                try:
                    while number < 10:
                        writer.write(f"{number}\n".encode())
                        number += 1  # it is sent: TCP will bring it
                        async with asyncio.timeout(1.5):
                            await reader.readline()
                        await asyncio.sleep(0.5)
                finally:
                    point("reconnects")
                    writer.close()

    network.host("server").start(service(answer))
    network.spare("server", "crash")
    await network.host("client").start(client())
    await network.after("20s")
    assert arrived == sorted(arrived)


async def lost_wakeup(network: Network) -> None:
    """A consumer sees an empty queue, notes that on its disk, and then clears the flag: what came meanwhile is lost."""
    queue: list[str] = []
    handled: list[str] = []
    flag = asyncio.Event()

    async def answer(words: list[str]) -> str:
        queue.append(words[0])
        flag.set()
        return "ok"

    async def consume() -> None:
        while True:
            while queue:
                handled.append(queue.pop(0))
            await asyncio.sleep(0.003)
            flag.clear()
            await flag.wait()

    async def produce(name: str, offset: float) -> None:
        await asyncio.sleep(offset)
        for number in range(8):
            answered = None
            while answered is None:
                answered = await call("server", f"{name}{number}", 30)
                await asyncio.sleep(0.5)
            await asyncio.sleep(0.5)

    server = network.host("server")
    server.start(service(answer)())
    server.start(consume())
    producers = [network.host(name).start(produce(name, offset)) for name, offset in (("x", 0.25), ("y", 0.75))]
    await asyncio.gather(*producers)
    await network.after("1s")
    assert not queue, f"nobody handles {queue}"


async def deadlock(network: Network) -> None:
    """Two banks, each with a lock: a transfer takes its own, and asks the other for the other's."""

    def bank(other: str) -> Answer:
        lock = asyncio.Lock()

        async def answer(words: list[str]) -> str:
            async with lock:
                if words[0] == "transfer":
                    reader, writer = await asyncio.open_connection(other, PORT)
                    writer.write(b"credit\n")
                    with suppress(OSError):
                        await reader.readline()
                    writer.close()
                return "ok"

        return answer

    async def client(host: str, offset: float) -> None:
        await asyncio.sleep(offset)
        for _ in range(6):
            await call(host, "transfer", 300)
            await asyncio.sleep(2)

    a, b = network.host("a"), network.host("b")
    a.start(service(bank("b"))())
    b.start(service(bank("a"))())
    clients: list[asyncio.Task[None]] = []
    hosts: list[SimHost] = [network.host("c"), network.host("d")]
    for host, bank_name, offset in zip(hosts, ("a", "b"), (0.5, 1.5), strict=True):
        clients.append(host.start(client(bank_name, offset)))
    _, pending = await asyncio.wait(clients, timeout=200)
    assert not pending, "transfers wait for each other"


BUGS: dict[str, tuple[Callable[[Network], Coroutine[Any, Any, None]], list[str]]] = {
    bug.__name__: (bug, hosts.split())
    for bug, hosts in (
        (lost_update, "server client1 client2"),
        (double_delivery, "shop client"),
        (split_brain, "a b c"),
        (leaked_connection, "server client"),
        (half_open_reader, "publisher subscriber"),
        (reordered, "server client"),
        (lost_wakeup, "server x y"),
        (deadlock, "a b c d"),
    )
}
"""Each with its hosts."""
