"""A Host's life: open, idle, closed; and what its end does to whatever is open then."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable
from ipaddress import ip_address
from typing import Any

import pytest

from synfin.aio.driver import CATCH_UP_PACKETS
from synfin.aio.host import Host
from synfin.links.link import PacketSink
from synfin.tcp.config import Config
from synfin.wire.key import make_key
from synfin.wire.segment import Burst, Segment, build
from synfin.wire.tcp_header import ACK, RST, SYN
from tests.unit.aio.hosts import CLIENT, PORT, SERVER, Recorder, assert_nothing_left, hosts
from tests.unit.aio.virtual import VirtualLoop, run, settle


def now() -> float:
    return asyncio.get_running_loop().time()


@pytest.mark.parametrize("connected", [False, True], ids=["no connection", "an open connection"])
def test_an_idle_host_wakes_zero_times(connected: bool) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        async with hosts() as pair:
            await pair.server.create_server(Recorder, port=PORT)
            if connected:
                transport, _ = await pair.client.create_connection(Recorder, SERVER, PORT)
                transport.write(bytes(50_000))
            await settle(10)
            sent, before = dict(pair.wire.sent), loop.wakes
            await asyncio.sleep(24 * 3600)
            # One turn in which the sleep is armed and waited for, one in which it ends, one that wakes this task.
            assert loop.wakes - before <= 3
            assert pair.wire.sent == sent

    run(main())


def test_connections_in_their_users_hands_are_reset_when_the_host_ends() -> None:
    async def main() -> None:
        async with hosts() as pair:
            client, server = Recorder(), Recorder()
            transport, _, _ = await pair.connect(client, server)
            transport.write(b"x")
            await settle()
            await pair.client.aclose()
            assert client.calls == ["made", "lost"] and isinstance(client.lost, ConnectionAbortedError)
            assert transport.is_closing()
            await settle()
            assert isinstance(server.lost, ConnectionResetError)
            assert_nothing_left(pair.server, "listeners")
            assert_nothing_left(pair.client)
            transport.write(b"ignored")
            transport.close()
            transport.abort()

    run(main())


@pytest.mark.parametrize("ending", [Host.close, Host.aclose], ids=["close", "aclose"])
def test_a_client_whose_third_segment_meets_the_end_of_the_host_is_reset(ending: Callable[[Host], Any]) -> None:
    async def main() -> None:
        async with hosts() as pair:
            pair.wire.delay = 0.01
            client = Recorder()
            await pair.server.create_server(Recorder, port=PORT)
            await pair.client.create_connection(lambda: client, SERVER, PORT)
            assert pair.server.stack.census()["half_open"] == 1
            waiting = ending(pair.server)
            if waiting is not None:
                await waiting
            assert_nothing_left(pair.server, "timers")
            await settle()
            assert isinstance(client.lost, ConnectionResetError)

    run(main())


def test_a_client_whose_third_segment_was_lost_is_reset_when_the_server_listens_no_more() -> None:
    async def main() -> None:
        async with hosts() as pair:
            client = Recorder()
            server = await pair.server.create_server(Recorder, port=PORT)
            connecting = pair.client.create_connection(lambda: client, SERVER, PORT)
            pair.wire.drop = lambda sender, packet: sender is pair.client and bool(packet[33] & ACK)
            await connecting
            await asyncio.sleep(0.1)
            server.close()
            await settle()
            assert isinstance(client.lost, ConnectionResetError)

    run(main())


def test_each_of_thousands_of_peers_is_told_when_the_host_ends() -> None:
    async def main() -> None:
        config = Config(outbox_limit=16, syn_queue_limit=16)
        async with hosts(server=config) as pair:
            clients = [Recorder() for _ in range(50)]
            await pair.server.create_server(Recorder, port=PORT)
            for each in clients:
                await pair.client.create_connection(lambda each=each: each, SERVER, PORT)  # type: ignore[misc]
            await settle()
            await pair.server.aclose()
            await settle()
            assert all(isinstance(each.lost, ConnectionResetError) for each in clients)

    run(main())


def test_a_stream_reader_hears_an_error_and_not_the_end_of_file_when_its_host_ends() -> None:
    async def main() -> None:
        async with hosts() as pair:
            await pair.server.create_server(Recorder, port=PORT)
            reader, writer = await pair.client.open_connection(SERVER, PORT)
            reading = asyncio.create_task(reader.read())
            await settle()
            await pair.client.aclose()
            with pytest.raises(ConnectionAbortedError):
                await reading
            with pytest.raises(ConnectionAbortedError):
                await writer.wait_closed()

    run(main())


def test_what_a_user_wrote_and_closed_is_delivered_before_the_host_ends() -> None:
    async def main() -> None:
        async with hosts() as pair:
            pair.wire.delay = 0.05
            client, server = Recorder(), Recorder()
            transport, _, _ = await pair.connect(client, server)
            data = bytes(range(256)) * 1000
            transport.write(data)
            transport.close()
            began = now()
            await pair.client.aclose()
            assert now() - began < 1
            await settle()
            assert server.data == data and server.lost is None

    run(main())


def test_aclose_is_bounded_when_the_peer_is_silent() -> None:
    async def main() -> None:
        async with hosts() as pair:
            client = Recorder()
            transport, _, _ = await pair.connect(client, Recorder())
            pair.wire.drop = lambda *_: True
            transport.write(bytes(1_000_000))
            transport.close()
            began = now()
            await pair.client.aclose(grace=3)
            assert 2.9 < now() - began < 3.1
            assert isinstance(client.lost, ConnectionAbortedError)
            assert_nothing_left(pair.client, "timers")

    run(main())


def test_aclose_and_close_may_be_called_again_and_by_many() -> None:
    async def main() -> None:
        async with hosts() as pair:
            await pair.connect(Recorder(), Recorder())
            assert pair.client.is_open() and not pair.client.is_closed()
            await asyncio.gather(*(pair.client.aclose() for _ in range(5)))
            assert pair.client.is_closed() and not pair.client.is_open()
            await pair.client.aclose()
            pair.client.close()
            pair.client.close()
            assert "closed" in repr(pair.client)

    run(main())


def test_a_host_closed_while_connecting_fails_the_connect_at_once() -> None:
    async def main() -> None:
        async with hosts() as pair:
            pair.wire.drop = lambda *_: True
            task = asyncio.create_task(pair.client.create_connection(Recorder, SERVER, PORT))
            await settle()
            began = now()
            await pair.client.aclose()
            with pytest.raises(ConnectionAbortedError):
                await task
            assert now() - began < 0.1
            assert_nothing_left(pair.client)

    run(main())


@pytest.mark.parametrize("turns", range(10))
def test_a_host_closed_in_any_turn_of_a_connect_tells_every_protocol_its_end(turns: int) -> None:
    async def main() -> None:
        async with hosts() as pair:
            pair.wire.delay = 0
            made: list[Recorder] = []

            def factory() -> Recorder:
                made.append(Recorder())
                return made[-1]

            await pair.server.create_server(factory, port=PORT)
            task = asyncio.create_task(pair.client.create_connection(factory, SERVER, PORT))
            for _ in range(turns):
                await asyncio.sleep(0)
            pair.client.close()
            pair.server.close()
            await settle()
            await asyncio.wait([task])
            if task.exception() is not None:
                assert isinstance(task.exception(), (ConnectionAbortedError, RuntimeError))
            for protocol in made:
                assert protocol.calls in ([], ["made", "lost"])
            assert_nothing_left(pair.client, "timers")

    run(main())


def test_a_server_of_a_closed_host_is_closed() -> None:
    async def main() -> None:
        async with hosts() as pair:
            server = await pair.server.create_server(Recorder, port=PORT)
            await pair.client.create_connection(Recorder, SERVER, PORT)
            await settle()
            serving = asyncio.create_task(server.serve_forever())
            await settle()
            await pair.server.aclose()
            assert not server.is_serving()
            await server.wait_closed()
            with pytest.raises(asyncio.CancelledError):
                await serving

    run(main())


def test_every_call_on_a_host_that_is_not_open_says_so() -> None:
    async def main() -> None:
        host = Host(CLIENT)
        calls: list[Any] = [
            lambda: host.create_connection(Recorder, SERVER, PORT),
            lambda: host.open_connection(SERVER, PORT),
            lambda: host.connect(SERVER, PORT),
            lambda: host.create_server(Recorder, port=PORT),
            lambda: host.start_server(lambda reader, writer: None, port=PORT),
            lambda: host.create_datagram_endpoint(asyncio.DatagramProtocol),
        ]
        for call in [*calls, host.outgoing]:
            with pytest.raises(RuntimeError, match="not open: use `async with"):
                await call()
        with pytest.raises(RuntimeError, match="not open"):
            _ = host.loop
        with pytest.raises(RuntimeError, match="not open"):
            host.receive(b"x")
        with pytest.raises(RuntimeError, match="not open"):
            host.link_is_up()
        async with host:
            with pytest.raises(RuntimeError, match="is open already"):
                host.open()
        for call in calls:
            with pytest.raises(RuntimeError, match="not open"):
                await call()
        with pytest.raises(OSError) as caught:
            await host.outgoing()
        assert caught.value.errno == errno.ENOTCONN
        with pytest.raises(OSError) as caught:
            host.receive(b"x")
        assert caught.value.errno == errno.ENOTCONN
        with pytest.raises(RuntimeError, match="make a new one"):
            host.open()

    run(main())


def test_a_host_never_opened_closes_without_a_loop() -> None:
    host = Host(CLIENT, send=lambda packet: None)
    host.close()
    assert host.is_closed()

    async def main() -> None:
        await Host(CLIENT).aclose()

    run(main())


def test_hosts_follow_each_other_on_the_same_addresses() -> None:
    async def main() -> None:
        for _ in range(5):
            async with hosts(Config(timestamps=False)) as pair:
                client, server = Recorder(), Recorder()
                transport, _, _ = await pair.connect(client, server)
                transport.write(b"again")
                await settle()
                assert server.data == b"again"

    run(main())


def test_many_hosts_live_in_one_process() -> None:
    async def main() -> None:
        net: dict[bytes, Host] = {}

        def route(packet: bytes) -> None:
            net[packet[16:20]].receive(packet)

        members = [Host(f"10.3.0.{number}/24", send=route) for number in range(1, 31)]
        for member in members:
            net.update(dict.fromkeys(member.stack.addresses, member))
            member.open()
        received = [Recorder() for _ in members]
        for member, recorder in zip(members, received, strict=True):
            await member.create_server(lambda recorder=recorder: recorder, port=PORT)  # type: ignore[misc]
        for number, member in enumerate(members):
            _, writer = await member.open_connection(f"10.3.0.{(number + 1) % 30 + 1}", PORT)
            writer.write(str(number).encode())
            writer.close()
        await settle()
        assert [bytes(recorder.data) for recorder in received] == [str((n - 1) % 30).encode() for n in range(30)]
        await asyncio.gather(*(member.aclose() for member in members))

    run(main())


def test_a_host_on_its_own_address_speaks_with_itself() -> None:
    async def main() -> None:
        async with Host(CLIENT, send=lambda packet: pytest.fail("a packet left the host")) as host:
            server = Recorder()
            await host.create_server(lambda: server, port=PORT)
            _, writer = await host.open_connection(CLIENT, PORT)
            writer.write(bytes(100_000))
            writer.close()
            await settle()
            assert len(server.data) == 100_000

    run(main())


class SlowLink:
    """Has something to read, and sends later what it is given."""

    mtu, offload = 1500, False

    def __init__(self, *packets: bytes) -> None:
        self._packets = list(packets)
        self._pair = socket.socketpair()
        self._pair[1].send(bytes(1))  # readable, until receive() has been called
        self._pair[0].setblocking(False)
        self.waiting: list[Burst] = []
        self.sent: list[Burst] = []
        self._turns = 0

    def fileno(self) -> int:
        return self._pair[0].fileno()

    def receive(self, stack: PacketSink, clock: Callable[[], int], limit: int) -> int:
        count = len(self._packets)
        if count:
            self._pair[0].recv(1)
        while self._packets:
            stack.receive(self._packets.pop(0), clock(), True, 0)
        return count

    def send(self, bursts: list[Burst]) -> bool:
        self.waiting += bursts
        self._turns = 5
        return False

    def flush(self) -> bool:
        self._turns -= 1
        if self._turns:
            return False
        self.sent += self.waiting
        self.waiting.clear()
        return True

    def close(self) -> None:
        for one in self._pair:
            one.close()


def test_what_tells_others_of_the_end_has_left_the_link_before_it_is_closed() -> None:
    syn = Segment()
    syn.key = make_key(ip_address(CLIENT).packed, ip_address(SERVER).packed, 1000, PORT)
    syn.flags = SYN

    async def main() -> None:
        link = SlowLink(build(syn))
        host = Host(SERVER, link=link)
        host.open()
        await host.create_server(Recorder, port=PORT)
        await settle()
        assert host.stack.census()["half_open"] == 1
        await host.aclose()
        assert link.sent[-1].head[33] == RST | ACK and not link.waiting

    run(main())


class FloodedLink:
    """More is there whenever it is read, thousands at a time."""

    mtu, offload = 1500, False

    def __init__(self) -> None:
        self._pair = socket.socketpair()
        self.read = 0

    def fileno(self) -> int:
        return self._pair[0].fileno()

    def receive(self, stack: PacketSink, clock: Callable[[], int], limit: int) -> int:
        self.read += CATCH_UP_PACKETS
        return CATCH_UP_PACKETS

    def send(self, bursts: list[Burst]) -> bool:
        return True

    def flush(self) -> bool:
        return True

    def close(self) -> None:
        for one in self._pair:
            one.close()


def test_what_is_read_before_a_timer_has_an_end_in_a_flood_too() -> None:
    async def main() -> None:
        link = FloodedLink()
        async with Host(SERVER, link=link) as host:
            attempt = asyncio.ensure_future(host.create_connection(Recorder, CLIENT, PORT))
            await asyncio.sleep(0.999)
            assert link.read == 0
            await asyncio.sleep(0.002)
            assert link.read == CATCH_UP_PACKETS
            attempt.cancel()

    run(main())


class PluggedIn(SlowLink):
    """Readable, without a packet: by news of its interface, as a PacketLink."""

    asked = 0

    def receive(self, stack: PacketSink, clock: Callable[[], int], limit: int) -> int:
        self._pair[0].recv(1)
        return 0

    def has_come_back(self) -> bool:
        self.asked += 1
        return True


def test_a_link_that_was_readable_without_a_packet_is_asked_at_once_whether_it_has_come_back() -> None:
    async def main() -> None:
        link = PluggedIn()
        async with Host(CLIENT, link=link) as host:
            assert host.stack.next_deadline() is None, "no timer of the host's would ask"
            await settle()
            assert link.asked == 1

    run(main())
