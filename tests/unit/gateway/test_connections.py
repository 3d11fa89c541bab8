"""TCP through a gateway: what the outside says is what the inside hears, and what is under way is bounded."""

from __future__ import annotations

import asyncio
import errno
import select
import socket
from contextlib import suppress
from typing import Any

import pytest

import synfin
from synfin.aio.host import Host
from synfin.gateway import Gateway, Limits
from synfin.gateway.dialling import by_kernel
from synfin.stack.addresses import packed
from synfin.tcp.config import Config
from synfin.wire.key import make_key
from synfin.wire.segment import Segment, build
from synfin.wire.tcp_header import RST, SYN
from tests.unit.aio.hosts import reset
from tests.unit.aio.virtual import reported, run, settle
from tests.unit.gateway.outside import FAR, FAR6, World, echo, world


@pytest.mark.parametrize("address", [FAR, FAR6])
def test_text_crosses_both_ways_and_both_ends_close_in_order(address: str) -> None:
    text = bytes(range(256)) * 4000

    async def main() -> None:
        async with world() as (scene, gateway):
            await scene.far.start_server(echo, port=80)
            reader, writer = await scene.inside.open_connection(address, 80)
            assert writer.get_extra_info("peername")[:2] == (address, 80)
            writer.write(text)
            writer.write_eof()
            assert await reader.read() == text
            writer.close()
            await settle()
            (flow,) = scene.ended
            assert scene.opened == [flow]
            assert (flow.protocol, flow.dst, flow.target, flow.inward) == ("tcp", (address, 80), (address, 80), False)
            assert (flow.sent, flow.received) == (len(text), len(text))
            assert (flow.outcome, flow.closed_by, flow.error) == ("closed", "inside", None)
            assert flow.tcp is not None
            assert flow.tcp.snd_una > len(text)
            assert flow.began < flow.connected < flow.ended  # type: ignore[operator]
            assert not gateway.flows
            assert scene.gate.stack.census()["connections"] == 0
            assert scene.near.stack.census()["connections"] == 0

    run(main())


def test_refused_outside_is_refused_inside_before_any_handshake() -> None:
    async def main() -> None:
        async with world() as (scene, _):
            with pytest.raises(ConnectionRefusedError):
                await scene.inside.open_connection(FAR, 80)
            assert scene.gate.stack.counters.PassiveOpens == 0
            (flow,) = scene.ended
            assert (flow.outcome, flow.closed_by) == ("refused", "outside")
            assert isinstance(flow.error, ConnectionRefusedError)

    run(main())


@pytest.mark.parametrize(
    ("code", "icmp"), [(errno.ENETUNREACH, 0), (errno.EHOSTUNREACH, 1), (errno.EACCES, 13), (errno.EADDRNOTAVAIL, 0)]
)
def test_unreachable_outside_is_icmp_inside(code: int, icmp: int) -> None:
    heard: list[bytes] = []

    async def dial(*_: object) -> Any:
        raise OSError(code, "no way")

    async def main() -> None:
        async with world(dial=dial) as (scene, _):

            def listen(sender: Host, packet: bytes) -> bool:
                if sender is scene.gate:
                    heard.append(packet)
                return False

            scene.inner.drop = listen
            attempt = asyncio.create_task(scene.inside.open_connection(FAR, 80))
            await settle(0.5)
            attempt.cancel()
            assert heard[0][9] == 1
            assert (heard[0][20], heard[0][21]) == (3, icmp)
            assert scene.ended[0].outcome == "unreachable"

    run(main())


def test_silence_outside_is_silence_inside_and_one_attempt() -> None:
    async def main() -> None:
        async with world(Config(syn_retries=3)) as (scene, _):
            scene.outer.drop = lambda *_: True
            loop = asyncio.get_running_loop()
            began = loop.time()
            with pytest.raises(TimeoutError):
                await scene.inside.open_connection(FAR, 80)
            assert loop.time() - began == pytest.approx(15, abs=0.1)  # 1 + 2 + 4 + 8 s, as without a gateway
            await settle()
            assert scene.dialled == [(FAR, 80)]
            assert scene.gate.stack.counters.SynsHeldAgain == 3
            assert scene.ended[0].outcome == "timeout"
            assert scene.inside.stack.counters.InDestUnreachs == 0

    run(main())


def test_this_machines_want_of_descriptors_is_no_answer_and_counted() -> None:
    async def dial(*_: object) -> Any:
        raise OSError(errno.EMFILE, "too many open files")

    async def main() -> None:
        async with world(dial=dial) as (scene, gateway):
            attempt = asyncio.create_task(scene.inside.open_connection(FAR, 80))
            await settle(0.5)
            assert not attempt.done()
            attempt.cancel()
            assert gateway.counters.outside_short == 1

    run(main())


def test_a_dial_function_that_fails_is_reported_and_its_client_hears_nothing() -> None:
    async def dial(*_: object) -> Any:
        raise LookupError

    async def main() -> None:
        async with world(dial=dial) as (scene, gateway):
            attempt = asyncio.create_task(scene.inside.open_connection(FAR, 80))
            await settle(0.5)
            attempt.cancel()
            assert isinstance(reported()[0]["exception"], LookupError)
            assert not gateway.flows

    run(main())


def test_each_direction_closes_on_its_own() -> None:
    async def main() -> None:
        async with world() as (scene, _):
            done = asyncio.Event()

            async def talk_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                assert await reader.read() == b"question"
                for number in range(3):
                    writer.write(b"%d" % number)
                    await asyncio.sleep(1)
                writer.close()
                done.set()

            await scene.far.start_server(talk_on, port=80)
            reader, writer = await scene.inside.open_connection(FAR, 80)
            writer.write(b"question")
            writer.write_eof()
            assert await reader.read() == b"012"
            await done.wait()
            writer.close()
            await settle()
            assert scene.ended[0].outcome == "closed"

    run(main())


def test_a_reset_outside_is_a_reset_inside_behind_what_came_before_it() -> None:
    async def main() -> None:
        async with world() as (scene, _):

            async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                await reader.read(1)
                writer.write(b"x" * 50_000)
                await writer.drain()
                await asyncio.sleep(1)
                reset(writer.transport)

            await scene.far.start_server(serve, port=80)
            reader, writer = await scene.inside.open_connection(FAR, 80)
            writer.write(b"?")
            assert await reader.readexactly(50_000)
            with pytest.raises(ConnectionResetError):
                await reader.read()
            writer.close()
            await settle()
            (flow,) = scene.ended
            assert (flow.outcome, flow.closed_by) == ("reset", "outside")

    run(main())


def test_a_reset_waits_for_what_a_slow_reader_has_not_got_yet_and_not_for_ever() -> None:
    async def main() -> None:
        async with world(limits=Limits(linger_seconds=30)) as (scene, _):

            async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                writer.write(b"x" * 150_000)
                await writer.drain()
                await asyncio.sleep(1)
                reset(writer.transport)

            await scene.far.start_server(serve, port=80)
            reader, writer = await scene.inside.open_connection(FAR, 80, limit=1024)  # which does not read yet
            await settle(10)
            assert len(await reader.readexactly(150_000)) == 150_000
            with pytest.raises(ConnectionResetError):
                await reader.read()
            writer.close()

    run(main())


def test_a_reset_inside_is_a_reset_outside() -> None:
    async def main() -> None:
        async with world() as (scene, _):
            failed: asyncio.Future[BaseException] = asyncio.get_running_loop().create_future()

            async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                try:
                    await reader.read()
                except OSError as error:
                    failed.set_result(error)
                writer.close()

            await scene.far.start_server(serve, port=80)
            _, writer = await scene.inside.open_connection(FAR, 80)
            await settle(1)
            reset(writer.transport)
            assert isinstance(await failed, ConnectionResetError)
            await settle()
            assert (scene.ended[0].outcome, scene.ended[0].closed_by) == ("reset", "inside")

    run(main())


@pytest.mark.parametrize("outwards", [True, False])
def test_who_does_not_read_holds_up_who_writes_and_little_is_kept_between(outwards: bool) -> None:
    async def main() -> None:
        async with world() as (scene, gateway):
            stuck: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

            async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                stuck.set_result((reader, writer))

            await scene.far.start_server(serve, port=80, limit=4096)
            near = await scene.inside.open_connection(FAR, 80, limit=4096)
            far = await stuck
            reader, writer = (far[0], near[1]) if outwards else (near[0], far[1])
            written = 0
            for _ in range(400):
                writer.write(bytes(100_000))
                written += 100_000
                try:
                    await asyncio.wait_for(writer.drain(), 5)
                except TimeoutError:
                    break
            assert written < 30_000_000  # windows and send buffers of two connections, which grow to megabytes
            assert 0 < gateway._connections._held.bytes < 400_000
            while written:
                written -= len(await reader.read(1 << 20))  # and nothing was lost
            await settle()
            assert gateway._connections._held.bytes == 0
            for _, one in (near, far):
                one.close()

    run(main())


def test_above_its_limit_of_connections_a_gateway_is_silent() -> None:
    async def main() -> None:
        async with world(limits=Limits(connections=2)) as (scene, gateway):
            await scene.far.start_server(echo, port=80)
            held = [await scene.inside.open_connection(FAR, 80) for _ in range(2)]
            attempt = asyncio.create_task(scene.inside.open_connection(FAR, 80))
            await settle(0.5)
            assert not attempt.done()
            assert gateway.counters.connections_dropped == 1
            held[0][1].close()
            _, writer = await attempt  # its SYN comes again
            for one in (writer, held[1][1]):
                one.close()

    run(main())


def test_while_it_keeps_too_much_for_readers_that_do_not_read_a_gateway_takes_nobody_new() -> None:
    async def main() -> None:
        async with world(limits=Limits(memory=50_000)) as (scene, gateway):
            stuck: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
            await scene.far.start_server(lambda reader, writer: stuck.append((reader, writer)), port=80, limit=4096)
            await scene.far.start_server(echo, port=81)
            _, writer = await scene.inside.open_connection(FAR, 80)
            written = 0
            while not gateway._connections._held.bytes:
                writer.write(bytes(100_000))
                written += 100_000
                with suppress(TimeoutError):
                    await asyncio.wait_for(writer.drain(), 1)
            attempt = asyncio.create_task(scene.inside.open_connection(FAR, 81))
            await settle(0.5)
            assert not attempt.done()
            assert gateway.counters.connections_dropped == 1
            while written:
                written -= len(await stuck[0][0].read(1 << 20))
            _, late = await attempt  # its SYN comes again
            for one in (writer, stuck[0][1], late):
                one.close()

    run(main())


def forge(scene: World, count: int) -> None:
    """SYNs of senders that are not there."""
    for number in range(count):
        seg = Segment()
        seg.key = make_key(packed(f"10.9.9.{number}"), packed(FAR), 1000, 80)
        seg.flags, seg.window, seg.mss = SYN, 1000, 1400
        scene.gate.receive(build(seg))


def test_forged_senders_get_outer_connections_that_end_when_nobody_comes() -> None:
    async def main() -> None:
        async with world(limits=Limits(handshake_seconds=10)) as (scene, gateway):
            await scene.far.start_server(echo, port=80)
            forge(scene, 20)
            await settle(5)
            assert scene.near.stack.census()["connections"] == 20
            await settle(10)
            assert scene.near.stack.census()["connections"] == 0
            assert gateway.counters.handshakes_lost == 20
            assert not gateway.flows
            assert {flow.outcome for flow in scene.ended} == {"timeout"}

    run(main())


def test_forged_senders_make_room_for_who_is_there() -> None:
    async def main() -> None:
        async with world(limits=Limits(connections=20)) as (scene, gateway):
            await scene.far.start_server(echo, port=80)
            forge(scene, 30)
            await settle(1.1)
            assert scene.near.stack.census()["connections"] == 20
            reader, writer = await asyncio.wait_for(scene.inside.open_connection(FAR, 80), 1)
            writer.write(b"here")
            writer.write_eof()
            assert await asyncio.wait_for(reader.read(), 1) == b"here"
            writer.close()
            assert len(gateway.flows) <= 20
            assert gateway.counters.handshakes_lost == 1

    run(main())


def test_an_outer_connection_whose_client_has_reset_before_it_stood_is_reset_at_once() -> None:
    async def main() -> None:
        async with world() as (scene, gateway):
            await scene.far.start_server(echo, port=80)
            seg = Segment()
            seg.key = make_key(packed("10.9.9.9"), packed(FAR), 1000, 80)
            seg.seq, seg.flags, seg.window, seg.mss = 5, SYN, 1000, 1400
            scene.gate.receive(build(seg))
            await settle(0.1)
            assert scene.near.stack.census()["connections"] == 1
            seg.seq, seg.flags, seg.mss = 6, RST, -1
            scene.gate.receive(build(seg))
            await settle(0.1)
            assert scene.near.stack.census()["connections"] == 0
            assert gateway.counters.handshakes_lost == 1
            (flow,) = scene.ended
            assert (flow.outcome, flow.closed_by) == ("timeout", "inside")

    run(main())


@pytest.mark.parametrize("resets", [True, False])
def test_an_attempt_outside_ends_with_the_one_inside(resets: bool) -> None:
    """By a RST, or since the SYN comes no more."""
    cancelled: list[float] = []

    async def never(*_: object) -> None:
        try:
            await asyncio.sleep(1e6)
        finally:
            cancelled.append(asyncio.get_running_loop().time())

    async def main() -> None:
        async with world(dial=never) as (scene, gateway):
            seg = Segment()
            seg.key = make_key(packed("10.9.9.9"), packed(FAR), 1000, 80)
            seg.seq, seg.flags, seg.window, seg.mss = 5, SYN, 1000, 1400
            began = asyncio.get_running_loop().time()
            scene.gate.receive(build(seg))
            await settle(1)
            if resets:
                seg.seq, seg.flags, seg.mss = 6, RST, -1
                scene.gate.receive(build(seg))
            await settle(12)
            assert cancelled[0] - began < (1.1 if resets else 12)
            assert not gateway.flows

    run(main())


def test_an_attempt_that_is_over_before_its_dialling_has_begun_is_counted_no_longer() -> None:
    async def main() -> None:
        async with world(limits=Limits(connections=3)) as (scene, gateway):
            await scene.far.start_server(echo, port=80)
            seg = Segment()
            for number in range(5):
                seg.key = make_key(packed("10.9.9.9"), packed(FAR), 1000 + number, 80)
                seg.seq, seg.flags, seg.window, seg.mss = 5, SYN, 1000, 1400
                scene.gate.receive(build(seg))
                seg.seq, seg.flags, seg.mss = 6, RST, -1
                scene.gate.receive(build(seg))
                await settle(0.1)
            assert scene.dialled == []
            assert not gateway.flows
            assert [(flow.outcome, flow.closed_by) for flow in scene.ended] == [("dropped", "inside")] * 5
            assert gateway.counters.connections_dropped == 0
            _, writer = await scene.inside.open_connection(FAR, 80)
            writer.close()

    run(main())


@pytest.mark.skipif(not hasattr(select, "epoll"), reason="epoll is Linux's")
@pytest.mark.parametrize("stands", [True, False])
def test_a_socket_of_the_kernels_goes_with_the_attempt_inside(stands: bool) -> None:
    """Whether it has been connected, or has not been answered, when who asked for it resets."""

    async def main() -> None:
        with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
            filling = [socket.socket() for _ in range(0 if stands else 4)]
            for one in filling:
                one.setblocking(False)
                one.connect_ex(full.getsockname())
            async with world(dial=by_kernel, route=lambda *_: full.getsockname()) as (scene, gateway):
                outer = gateway._connections._sockets
                assert outer is not None
                seg = Segment()
                seg.key = make_key(packed("10.9.9.9"), packed(FAR), 1000, 80)
                seg.seq, seg.flags, seg.window, seg.mss = 5, SYN, 1000, 1400
                scene.gate.receive(build(seg))
                await settle(0.1)
                assert len(outer) == 1
                assert scene.gate.stack.census()["held_syns"] == (0 if stands else 1)
                seg.seq, seg.flags, seg.mss = 6, RST, -1
                scene.gate.receive(build(seg))
                await settle(0.1)
                assert len(outer) == 0
                assert not gateway.flows
                assert gateway._connections.has_room()
                assert gateway._connections._dialled == 0
            for one in filling:
                one.close()

    run(main())


def test_behind_a_cookie_the_syn_that_comes_again_dials_no_second_time() -> None:
    async def main() -> None:
        async with world() as (scene, _):
            await scene.far.start_server(echo, port=80)
            seg = Segment()
            seg.key = make_key(packed("10.9.9.9"), packed(FAR), 1000, 80)
            seg.flags, seg.window, seg.mss = SYN, 1000, 1400
            scene.gate.receive(build(seg))
            await settle(1)
            scene.gate.receive(build(seg))
            await settle(1)
            assert scene.dialled == [(FAR, 80)]

    run(main())


def test_an_outer_connection_that_ends_before_the_inner_one_stands_is_a_reset() -> None:
    async def main() -> None:
        async with world() as (scene, gateway):

            async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                reset(writer.transport)

            await scene.far.start_server(serve, port=80)
            scene.inner.delay = 0.5
            reader, writer = await scene.inside.open_connection(FAR, 80)
            with pytest.raises(ConnectionResetError):
                await reader.read()
            writer.close()
            await settle()
            assert not gateway.flows
            assert scene.ended[0].outcome == "reset"

    run(main())


def test_a_route_leads_elsewhere_or_says_no() -> None:
    asked: list[object] = []

    def route(protocol: str, source: Any, destination: Any) -> Any:
        asked.append((protocol, source[0], destination))
        return {80: (FAR, 8080), 81: synfin.REFUSE, 82: synfin.DROP}.get(destination[1])

    async def main() -> None:
        async with world(route=route) as (scene, _):
            await scene.far.start_server(echo, port=8080)
            await scene.far.start_server(echo, port=90)
            for port in (80, 90):
                _, writer = await scene.inside.open_connection(FAR6, port)
                writer.close()
            await settle()
            with pytest.raises(ConnectionRefusedError):
                await scene.inside.open_connection(FAR6, 81)
            assert scene.dialled == [(FAR, 8080), (FAR6, 90)]
            assert [flow.target for flow in scene.ended[:2]] == [(FAR, 8080), (FAR6, 90)]
            assert asked[0] == ("tcp", "fd00::2", (FAR6, 80))
            attempt = asyncio.create_task(scene.inside.open_connection(FAR6, 82))
            await settle(0.5)
            attempt.cancel()
            assert scene.ended[-1].outcome == "dropped"

    run(main())


def test_the_end_of_a_gateway_resets_both_sides_of_everything() -> None:
    async def main() -> None:
        async with world() as (scene, gateway):
            failed: list[BaseException] = []

            async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                try:
                    await reader.read()
                except OSError as error:
                    failed.append(error)
                writer.close()

            await scene.far.start_server(serve, port=80)
            reader, writer = await scene.inside.open_connection(FAR, 80)
            await settle(1)
            await gateway.aclose()
            with pytest.raises(ConnectionResetError):
                await reader.read()
            writer.close()
            await settle()
            assert [type(error) for error in failed] == [ConnectionResetError]
            assert not gateway.flows
            assert scene.ended[0].outcome == "ended"
            assert scene.near.stack.census()["connections"] == 0
            with pytest.raises(ConnectionRefusedError):
                await scene.inside.open_connection(FAR, 80)
            await gateway.aclose()

    run(main())


def test_callbacks_that_fail_are_reported_and_change_nothing() -> None:
    def fails(_: object) -> None:
        raise LookupError

    async def main() -> None:
        async with world(on_open=fails, on_end=fails) as (scene, _):
            await scene.far.start_server(echo, port=80)
            reader, writer = await scene.inside.open_connection(FAR, 80)
            writer.write(b"hello")
            writer.write_eof()
            assert await reader.read() == b"hello"
            writer.close()
            await settle()
            assert len(reported()) == 2

    run(main())


def test_a_gateway_refuses_what_it_can_not_stand_behind() -> None:
    with pytest.raises(ValueError, match="any_destination"):
        Gateway(Host("10.0.0.1"))
    with pytest.raises(TypeError, match="Host"):
        Gateway("10.0.0.1")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="dial"):
        Gateway(Host("10.0.0.1", any_destination=True), dial=7)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="list"):
        Gateway(Host("10.0.0.1", any_destination=True), dns={"10.0.0.3": "127.0.0.1"})
    with pytest.raises(ValueError, match="above 0"):
        Limits(connections=0)
    with pytest.raises(TypeError, match="number"):
        Limits(buffer="much")  # type: ignore[arg-type]
