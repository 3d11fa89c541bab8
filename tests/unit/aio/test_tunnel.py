"""The embedder's link: packets by a function, by pulling them, and in by a plain call; on any loop."""

from __future__ import annotations

import asyncio
import errno
import random
import threading
from collections.abc import Callable

import hypothesis
import pytest
from hypothesis import strategies as st

from synfin.aio.driver import ASK_AGAIN_SECONDS, ASK_SECONDS
from synfin.aio.host import Host
from synfin.tcp.config import Config
from tests.unit.aio.hosts import CLIENT, PORT, SERVER, Recorder, assert_nothing_left, hosts, joined
from tests.unit.aio.virtual import LoopWithoutReaders, VirtualLoop, reported, run, settle

ADDRESSES = {"IPv4 only": ("10.0.0.1", "10.0.0.2"), "IPv6 only": ("fd00::1", "fd00::2")}
LOOPS = {"a loop with readers": VirtualLoop, "a loop without": LoopWithoutReaders}


async def carry(source: Host, target: Host, batches: list[list[bytes]] | None = None) -> None:
    """Pull what `source` sends and give it to `target`, until `source` is closed."""
    while True:
        try:
            packets = await source.outgoing()
        except OSError:
            return
        assert packets
        if batches is not None:
            batches.append(packets)
        for packet in packets:
            if target.is_open():
                target.receive(packet)


async def transfer(client: Host, server: Host, address: str, size: int) -> None:
    data = random.Random(size).randbytes(size)

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write((await reader.read())[::-1])
        writer.close()

    await server.start_server(handler, port=PORT)
    reader, writer = await client.open_connection(address, PORT)
    writer.write(data)
    writer.write_eof()
    assert await reader.read() == data[::-1]
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("family", ADDRESSES)
@pytest.mark.parametrize("verify", [True, False], ids=["verified", "checksums trusted"])
def test_send_and_receive_carry_a_connection(family: str, loop: str, verify: bool) -> None:
    left, right = ADDRESSES[family]

    async def main() -> None:
        a, b = joined(left, right, verify_checksums=verify)
        async with a, b:
            await transfer(a, b, right, 200_000)

    run(main(), LOOPS[loop])


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("family", ADDRESSES)
def test_outgoing_and_receive_carry_a_connection(family: str, loop: str) -> None:
    left, right = ADDRESSES[family]

    async def main() -> None:
        a, b = Host(left), Host(right)
        async with a, b:
            carriers = [asyncio.create_task(carry(a, b)), asyncio.create_task(carry(b, a))]
            await transfer(a, b, right, 200_000)
        await asyncio.gather(*carriers)

    run(main(), LOOPS[loop])


def test_outgoing_gives_a_whole_burst_a_wake_up_and_one_packet_an_element() -> None:
    async def main() -> None:
        a, b = Host(CLIENT), Host(SERVER)
        batches: list[list[bytes]] = []
        async with a, b:
            carriers = [asyncio.create_task(carry(a, b, batches)), asyncio.create_task(carry(b, a))]
            receiver = Recorder()
            await b.create_server(lambda: receiver, port=PORT)
            transport, _ = await a.create_connection(Recorder, SERVER, PORT)
            await settle()
            batches.clear()
            transport.write(bytes(14_480))
            await settle()
            assert [len(batch) for batch in batches] == [10], "ten segments of the initial window, in one element each"
            for packet in batches[0]:
                assert int.from_bytes(packet[2:4], "big") == len(packet) <= 1500
            assert len(receiver.data) == 14_480
        await asyncio.gather(*carriers)

    run(main())


def test_what_is_not_pulled_stays_in_its_connection() -> None:
    async def main() -> None:
        async with Host(CLIENT) as host:
            task = asyncio.create_task(host.create_connection(Recorder, SERVER, PORT))
            await settle(30)
            syns = await host.outgoing()
            assert len(syns) == 1, "SYN timers while nobody pulled made no queue of SYNs"
            task.cancel()

    run(main())


def test_the_last_packets_are_still_given_after_the_end() -> None:
    async def main() -> None:
        a, b = Host(CLIENT), Host(SERVER)
        async with b:
            a.open()
            carriers = [asyncio.create_task(carry(a, b)), asyncio.create_task(carry(b, a))]
            receiver = Recorder()
            await b.create_server(lambda: receiver, port=PORT)
            await a.create_connection(Recorder, SERVER, PORT)
            await settle()
            a.close()
            await settle()
            assert isinstance(receiver.lost, ConnectionResetError), "the peer heard of it"
        await asyncio.gather(*carriers)

    run(main())


def test_outgoing_has_one_user_and_is_for_hosts_without_a_link() -> None:
    async def main() -> None:
        async with Host(CLIENT) as host:
            first = asyncio.create_task(host.outgoing())
            await settle(0)
            with pytest.raises(RuntimeError, match="already being awaited"):
                await host.outgoing()
            first.cancel()
        async with Host(CLIENT, send=lambda packet: None) as host:
            with pytest.raises(RuntimeError, match="link of its own"):
                await host.outgoing()

    run(main())


@hypothesis.given(st.lists(st.binary(max_size=120), max_size=20), st.data())
def test_receive_never_raises_on_hostile_bytes(garbage: list[bytes], data: st.DataObject) -> None:
    async def main() -> None:
        seen: list[bytes] = []
        async with hosts() as pair:

            def watch(_: Host, packet: bytes) -> bool:
                seen.append(packet)
                return False

            pair.wire.drop = watch
            transport, _, _ = await pair.connect(Recorder(), Recorder())
            transport.write(b"hello")
            await settle()
            for packet in seen[:10]:
                mutated = bytearray(packet)
                for _ in range(data.draw(st.integers(1, 4))):
                    mutated[data.draw(st.integers(0, len(mutated) - 1))] = data.draw(st.integers(0, 255))
                garbage.append(bytes(mutated[: data.draw(st.integers(0, len(mutated)))]))
                garbage.append(bytes(mutated))
            for host in (pair.client, pair.server):
                for packet in garbage:
                    host.receive(packet)
                    host.receive(bytearray(packet))
                    host.receive(memoryview(packet))
            await settle()
            assert pair.client.is_open() and pair.server.is_open()

    run(main())


@pytest.mark.parametrize("trusted", [False, True])
def test_a_wrong_checksum_is_dropped_unless_the_tunnels_owner_is_trusted(trusted: bool) -> None:
    async def main() -> None:
        def spoil(packet: bytes) -> None:
            wrong = bytearray(packet)
            wrong[36] ^= 0xFF  # the TCP checksum
            b.receive(wrong)

        a, b = joined(CLIENT, SERVER, send=spoil, verify_checksums=not trusted, config=Config(syn_retries=0))
        async with a, b:
            await b.create_server(Recorder, port=PORT)
            if trusted:
                await a.create_connection(Recorder, SERVER, PORT)
            else:
                with pytest.raises(TimeoutError):
                    await a.create_connection(Recorder, SERVER, PORT)
            assert bool(b.stack.counters.InCsumErrors) is not trusted

    run(main())


def test_a_send_that_raises_oserror_loses_the_packet_and_is_counted() -> None:
    async def main() -> None:
        full = True

        def send(packet: bytes) -> None:
            if full:
                raise BlockingIOError(errno.EAGAIN, "the tunnel is full")
            b.receive(packet)

        a, b = joined(CLIENT, SERVER, send=send)
        async with a, b:
            await b.create_server(Recorder, port=PORT)
            task = asyncio.create_task(a.create_connection(Recorder, SERVER, PORT))
            await settle(2)
            full = False
            await task
            tunnel = a._engine.driver._tunnel
            assert tunnel is not None and tunnel.refused == 2 and isinstance(tunnel.last_error, BlockingIOError)

    run(main())


def test_a_send_that_raises_anything_else_is_reported_and_stops_nothing() -> None:
    async def main() -> None:
        broken = True

        def send(packet: bytes) -> None:
            if broken:
                raise ZeroDivisionError("a bug of the embedder's")
            b.receive(packet)

        a, b = joined(CLIENT, SERVER, send=send)
        async with a, b:
            receiver = Recorder()
            await b.create_server(lambda: receiver, port=PORT)
            task = asyncio.create_task(a.create_connection(Recorder, SERVER, PORT))
            await settle(2)
            broken = False
            transport, _ = await task
            assert reported()
            transport.write(bytes(100_000))
            await settle()
            assert len(receiver.data) == 100_000
            broken = True
        assert a.is_closed()
        reported()

    run(main())


@pytest.mark.parametrize("order", ["send closes the host", "send feeds its own host"])
def test_a_send_that_calls_back_into_its_host_does_no_harm(order: str) -> None:
    async def main() -> None:
        def send(packet: bytes) -> None:
            if order == "send closes the host":
                host.close()
            else:
                host.receive(packet)

        host = Host(CLIENT, send=send, config=Config(syn_retries=1))
        async with host:
            with pytest.raises(OSError):
                await host.create_connection(Recorder, SERVER, PORT)

    run(main())


def test_an_mtu_of_the_tunnel_is_kept_by_every_packet() -> None:
    async def main() -> None:
        largest = 0

        def measure(to: Callable[[], Host]) -> Callable[[bytes], None]:
            def send(packet: bytes) -> None:
                nonlocal largest
                largest = max(largest, len(packet))
                to().receive(packet)

            return send

        config = Config(mtu=1280)
        a = Host("fd00::1", send=measure(lambda: b), config=config)
        b = Host("fd00::2", send=measure(lambda: a), config=config)
        async with a, b:
            await transfer(a, b, "fd00::2", 50_000)
        assert largest == 1280

    run(main())


def test_open_close_open_again_of_new_hosts_on_one_tunnel() -> None:
    async def main() -> None:
        async with Host(SERVER, send=lambda packet: current.receive(packet) if current.is_open() else None) as server:
            receivers: list[Recorder] = []

            def factory() -> Recorder:
                receivers.append(Recorder())
                return receivers[-1]

            await server.create_server(factory, port=PORT)
            for number in range(5):
                current = Host(CLIENT, send=server.receive)
                async with current:
                    transport, _ = await current.create_connection(Recorder, SERVER, PORT, local_addr=(CLIENT, 4000))
                    transport.write(b"%d" % number)
                    await settle()
            assert [bytes(receiver.data) for receiver in receivers] == [b"0", b"1", b"2", b"3", b"4"]
            assert all(isinstance(receiver.lost, ConnectionResetError) for receiver in receivers)

    run(main())


def test_receive_and_outgoing_are_refused_in_another_thread() -> None:
    async def main() -> None:
        async with Host(CLIENT, send=lambda packet: None) as near, Host(SERVER) as far:
            loop = asyncio.get_running_loop()
            before = near.stack.counters.InReceives

            def elsewhere() -> None:
                with pytest.raises(RuntimeError, match="call_soon_threadsafe"):
                    near.receive(b"\x45")
                with pytest.raises(RuntimeError, match="call_soon_threadsafe"):
                    near.link_is_up()
                with pytest.raises(RuntimeError, match="call_soon_threadsafe"):
                    asyncio.run(far.outgoing())
                loop.call_soon_threadsafe(near.receive, b"\x45")

            thread = threading.Thread(target=elsewhere)
            thread.start()
            thread.join()
            assert near.stack.counters.InReceives == before
            await asyncio.sleep(0)
            assert near.stack.counters.InReceives == before + 1

    run(main())


def test_a_connect_fails_in_time_though_nobody_asks_for_what_goes_out() -> None:
    async def main() -> None:
        async with Host(CLIENT, config=Config(syn_retries=1)) as host:
            loop = asyncio.get_running_loop()
            began = loop.time()
            with pytest.raises(TimeoutError):
                await host.create_connection(Recorder, SERVER, PORT)
            assert loop.time() - began == pytest.approx(ASK_SECONDS + 1 + 2, abs=0.001)
            assert host.stack.counters.OutDiscards == 2
            await asyncio.sleep(0.001)
            assert_nothing_left(host)

    run(main())


def test_a_host_reaches_its_own_addresses_though_nobody_asks_for_what_goes_out() -> None:
    async def main() -> None:
        async with Host(CLIENT) as host:
            receiver = Recorder()
            await host.create_server(lambda: receiver, port=PORT)
            transport, _ = await host.create_connection(Recorder, CLIENT, PORT)
            sender, _ = await host.create_datagram_endpoint(asyncio.DatagramProtocol, remote_addr=(SERVER, 53))
            transport.write(bytes(100_000))
            sender.sendto(b"lost")  # in the same poll
            await asyncio.sleep(0.001)
            assert len(receiver.data) == 100_000 and host.stack.counters.OutDiscards == 1

    run(main())


def test_what_was_lost_while_nobody_asked_is_sent_again_when_somebody_does() -> None:
    async def main() -> None:
        async with Host(CLIENT) as host:
            connecting = asyncio.create_task(host.create_connection(Recorder, SERVER, PORT))
            await settle(ASK_SECONDS + 0.5)
            assert host.stack.counters.OutDiscards == 1
            (syn,) = await host.outgoing()
            assert len(syn) == 60 and host.stack.counters.OutDiscards == 1
            connecting.cancel()

    run(main())


def test_who_pulls_again_after_he_was_given_up_gets_at_once_what_has_waited_for_its_timer() -> None:
    async def main() -> None:
        async with Host(CLIENT) as host:
            connecting = asyncio.create_task(host.create_connection(Recorder, SERVER, PORT))
            await settle(60)
            lost = host.stack.counters.OutDiscards
            assert lost == 6
            began = asyncio.get_running_loop().time()
            assert len(await host.outgoing()) == 1
            assert asyncio.get_running_loop().time() == began
            connecting.cancel()

    run(main())


@pytest.mark.parametrize("told", [True, False])
def test_a_tunnel_that_reconnects_goes_on_at_once_when_its_owner_says_so(told: bool) -> None:
    async def main() -> None:
        async with hosts(Config(path_mtu_probing="off")) as pair:
            client, server = Recorder(), Recorder()
            transport, accepted, _ = await pair.connect(client, server)
            pair.wire.drop = lambda *_: True
            transport.write(bytes(100_000))
            accepted.write(bytes(100_000))
            await asyncio.sleep(100)
            pair.wire.drop = None
            if told:
                pair.client.link_is_up()
                pair.server.link_is_up()
            await asyncio.sleep(0.1)
            assert (len(client.data), len(server.data)) == ((100_000, 100_000) if told else (0, 0))
            await pair.client.aclose()
            with pytest.raises(OSError) as caught:
                pair.client.link_is_up()
            assert caught.value.errno == errno.ENOTCONN

    run(main())


def test_a_slow_tunnel_that_comes_back_within_a_minute_has_lost_nothing() -> None:
    async def main() -> None:
        async with Host(CLIENT) as host:
            asked = asyncio.create_task(host.outgoing())
            await asyncio.sleep(0)
            connecting = asyncio.create_task(host.create_connection(Recorder, SERVER, PORT))
            assert len(await asked) == 1
            for _ in range(3):
                await settle(ASK_AGAIN_SECONDS - 10)
                assert len(await host.outgoing()) == 1, "the SYN of the next timeout has waited"
            assert not host.stack.counters.OutDiscards
            await settle(2 * ASK_AGAIN_SECONDS + 1)
            assert host.stack.counters.OutDiscards
            connecting.cancel()

    run(main())


def test_an_idle_host_without_a_tunnel_does_not_wake() -> None:
    async def main() -> None:
        async with Host(CLIENT) as host:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(5):
                    await host.create_connection(Recorder, SERVER, PORT)
            loop = asyncio.get_running_loop()
            assert isinstance(loop, VirtualLoop)
            await asyncio.sleep(200)
            wakes = loop.wakes
            await asyncio.sleep(10_000)
            assert loop.wakes - wakes == 2, "the timer of this sleep, and its task"
            assert_nothing_left(host)

    run(main())
