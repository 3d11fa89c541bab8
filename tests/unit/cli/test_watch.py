"""`synfin watch`: who gets in, what its pages are, and what a feed keeps of what a host tells."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import string
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from synfin.aio import watching
from synfin.aio.host import Host
from synfin.cli.app import app
from synfin.cli.http_answer import Answer
from synfin.cli.watch import pages, picture
from synfin.cli.watch.door import MOST_KEYS, Door
from synfin.cli.watch.feed import MOST_DRAWN, MOST_ROWS, Chosen, Feed
from synfin.cli.watch.picture import Look, state
from synfin.cli.watch.server import WatchServer
from synfin.tcp.trace import CAUSE_USER
from synfin.view.words import CHINESE, Catalogue

needs_unix = pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="this system has no Unix sockets")
PORT = 4000
OURS = {"host": f"127.0.0.1:{PORT}", "origin": f"http://127.0.0.1:{PORT}"}
KEY = "0a0000010a000002c0000050"


def bearer(secret: str) -> dict[str, str]:
    return {**OURS, "authorization": f"Bearer {secret}"}


def token_of(door: Door) -> str:
    address, _, token = door.address.partition("#")
    assert address == f"http://127.0.0.1:{PORT}/"
    return token


# ---- the door ----


def test_a_token_is_good_once() -> None:
    door = Door(PORT)
    token = token_of(door)
    key = door.enter(bearer(token))
    assert key
    assert door.key_of(bearer(key)) == key
    assert door.enter(bearer(token)) == ""
    assert token_of(door) not in (token, key)


@pytest.mark.parametrize("given", ["", "x", "Bearer ", "Bearer é", "Basic {}", "{}"])
def test_whoever_has_no_token_and_no_key_stays_outside(given: str) -> None:
    door = Door(PORT)
    fields = {**OURS, "authorization": given.format(token_of(door))}
    assert door.enter(fields) == ""
    assert door.key_of(fields) == ""
    assert door.key_of(bearer(token_of(door))) == ""


def test_a_token_from_no_page_at_all_opens_nothing() -> None:
    door = Door(PORT)
    fields = bearer(token_of(door))
    del fields["origin"]
    assert door.enter(fields) == ""


def test_of_too_many_keys_the_one_unused_for_longest_holds_no_longer() -> None:
    gone: list[str] = []
    door = Door(PORT, gone.append)
    keys = [door.enter(bearer(token_of(door))) for _ in range(MOST_KEYS)]
    assert door.key_of(bearer(keys[0])) == keys[0]
    door.enter(bearer(token_of(door)))
    assert gone == [keys[1]]
    assert door.key_of(bearer(keys[1])) == ""
    assert door.key_of(bearer(keys[0])) == keys[0]


@pytest.mark.parametrize(
    ("fields", "ours"),
    [
        ({"host": f"127.0.0.1:{PORT}"}, True),
        ({"host": f"localhost:{PORT}", "origin": f"http://localhost:{PORT}"}, True),
        ({"host": f"127.0.0.1:{PORT}", "sec-fetch-site": "same-origin"}, True),
        ({}, False),
        ({"host": "127.0.0.1"}, False),
        ({"host": "127.0.0.1:80"}, False),
        ({"host": f"evil.example:{PORT}"}, False),
        ({"host": f"127.0.0.1:{PORT}", "origin": "http://evil.example"}, False),
        ({"host": f"127.0.0.1:{PORT}", "origin": "null"}, False),
        ({"host": f"127.0.0.1:{PORT}", "origin": f"https://127.0.0.1:{PORT}"}, False),
        ({"host": f"127.0.0.1:{PORT}", "origin": f"http://localhost:{PORT}"}, False),
        ({"host": f"127.0.0.1:{PORT}", "sec-fetch-site": "cross-site"}, False),
        ({"host": f"127.0.0.1:{PORT}", "sec-fetch-site": "same-site"}, False),
    ],
)
def test_requests_of_other_names_and_other_pages_are_not_ours(fields: dict[str, str], ours: bool) -> None:
    assert Door(PORT).is_ours(fields) is ours


# ---- the server ----


def answered(method: str, target: str, fields: dict[str, str]) -> Answer:
    async def main() -> Answer:
        server = WatchServer(Path("/nowhere"), PORT)
        try:
            return await server.respond(method, target, fields)
        finally:
            await server.close()

    return asyncio.run(main())


def field(answer: Answer, name: str) -> str:
    return dict(answer.fields)[name]


@pytest.mark.parametrize("target", ["/", "/zh-Hans.html", "/watch.js", "/synfin.css", "/strings.en.json", "/enter"])
def test_nothing_is_given_to_another_origin_by_rebinding(target: str) -> None:
    fields = {"host": f"evil.example:{PORT}"}
    assert answered("GET", target, fields).status == 403
    assert answered("POST", target, fields).status == 403


def test_the_state_is_for_keys_alone() -> None:
    assert answered("GET", "/state", OURS).status == 401
    assert answered("GET", "/state?follow=next", bearer("x" * 43)).status == 401
    assert answered("POST", "/state", OURS).status == 405


def test_entering_is_by_post() -> None:
    answer = answered("GET", "/enter", OURS)
    assert (answer.status, field(answer, "Allow")) == (405, "POST")


@pytest.mark.parametrize(
    "target",
    ["/page.html", "/watch", "/../door.py", "/..%2fdoor.py", "/%2e%2e/door.py", "/page/", "//a.js", "/.js"],
)
def test_nothing_but_the_page_is_found(target: str) -> None:
    assert answered("GET", target, OURS).status == 404


def test_who_enters_is_shown_the_state_and_another_address_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr("synfin.cli.watch.server.PATIENCE_SECONDS", 0)

    async def main() -> Any:
        server = WatchServer(Path("/nowhere"), PORT, said.append)
        try:
            entered = await server.respond("POST", "/enter", bearer(token_of(server.door)))
            key = json.loads(b"".join(entered.body))["key"]
            assert (await server.respond("GET", "/state?follow=boom", bearer(key))).status == 400
            return await server.respond("GET", "/state?seen=0&width=9999", bearer(key))
        finally:
            await server.close()

    answer = asyncio.run(main())
    assert json.loads(b"".join(answer.body))["trouble"] is True
    assert [address.partition("#")[0] for address in said] == [f"http://127.0.0.1:{PORT}/"]


# ---- pages ----


def test_the_page_has_no_script_and_no_style_of_its_own_and_asks_nobody_else() -> None:
    for language in pages.LANGUAGES.values():
        page = pages.page(language)
        assert not re.search(r"<style|style=|<script(?![^>]*src=)|\son\w+=|https?://", page)
        assert pages.POLICY in page
    scripts = "\n".join(path.read_text(encoding="utf-8") for path in pages.FOLDER.glob("*.js"))
    assert not re.search(r"innerHTML|eval\(|new Function|insertAdjacentHTML|document\.(?:write|cookie)", scripts)


def test_each_language_says_the_same_things_and_no_more_than_is_used() -> None:
    english, chinese = pages.strings("en"), pages.strings("zh-Hans")
    assert list(english) == list(chinese)
    used = "".join((pages.FOLDER / name).read_text(encoding="utf-8") for name in ("watch.js", "page.html"))
    for key, text in english.items():
        fields = {name for _, name, _, _ in string.Formatter().parse(text) if name}
        assert fields == {name for _, name, _, _ in string.Formatter().parse(chinese[key]) if name}, key
        assert key in used or key.partition(".")[0] in ("fact", "column", "theme"), key


def test_each_column_and_fact_has_a_word() -> None:
    listed = re.search(r"const COLUMNS = \[(.*?)\]", (pages.FOLDER / "watch.js").read_text(encoding="utf-8"), re.DOTALL)
    assert listed is not None
    assert tuple(re.findall(r'"([^"]+)"', listed[1])) == picture.COLUMNS
    words = pages.strings("en")
    assert {f"column.{name}" for name in picture.COLUMNS} <= set(words)


# ---- what is kept, and drawn ----


def row(number: int, **more: Any) -> dict[str, Any]:
    names = (
        "recv_queue", "send_queue", "cwnd", "srtt_us", "rto_us", "in_flight", "retries", "delivery_rate", "busy_us",
        "peer_limited_us", "buffer_limited_us", "congestion_limited_us", "sent", "received", "snd_wnd", "deadline",
    )  # fmt: skip
    return {
        **dict.fromkeys(names, 0),
        "key": f"0a0000010a000002{number:04x}0050",
        "state": "ESTABLISHED",
        "local": "10.0.0.2:80",
        "peer": f"10.0.0.1:{number}",
        "timer": None,
        "timer_name": "",
        **more,
    }


def a_feed(
    rows: list[dict[str, Any]], time_us: int = 1_000_000, feed: Feed | None = None, gone: Sequence[str] = ()
) -> Feed:
    feed = feed or Feed(Path("/nowhere"))
    counters = dict.fromkeys(("InSegs", "OutSegs", "RetransSegs", "OutRsts", "TCPTimeouts"), 1)
    census = {"listeners": 1, "half_open": 0, "time_wait": 0}
    head = {"name": "web", "pid": 7, "time_us": time_us, "census": census, "counters": counters}
    feed._take({"table": head, "rows": rows, "gone": list(gone), "last": True})
    return feed


def followed(time_us: int, events: list[Any], now: dict[str, Any] | None, **more: Any) -> dict[str, Any]:
    said = {"which": "next", "key": KEY, "time_us": time_us, "events": events, "row": now, "gap": False, "missed": 0}
    return {**said, **more}


SYN = "450000280000400040060000" + "0a0000010a000002" + "c000005000000001000000005002ffff00000000"
ANSWER = "450000280000400040060000" + "0a0000020a000001" + "0050c00000000001000000025012ffff00000000"
OPENING = [
    ["packet", 10, False, SYN, 0, 0],
    ["packet", 20, True, ANSWER, 0, 0],
    ["transition", 30, 3, 4, "ACK of SYN", "9293 3.10.7.4", CAUSE_USER],
]


def test_a_table_is_sorted_searched_and_cut() -> None:
    feed = a_feed([row(number, cwnd=number) for number in range(500)])
    found = state(feed, Look(order="cwnd", down=True))
    assert (found["total"], found["found"], len(found["rows"])) == (500, 500, picture.SHOWN)
    assert found["rows"][0]["cells"][4] == "10.0.0.1:499"
    assert [one["cells"][4] for one in state(feed, Look(find="0.1:499"))["rows"]] == ["10.0.0.1:499"]
    assert len(picture.COLUMNS) == len(found["rows"][0]["cells"])


def test_rates_are_told_from_one_table_to_the_next() -> None:
    feed = a_feed([row(1, received=1000, sent=0)])
    a_feed([row(1, received=1000, sent=0)], 2_000_000, feed)
    a_feed([row(1, received=126_000, sent=250_000), row(2, received=125_000)], 3_000_000, feed)
    cells = [one["cells"] for one in state(feed, Look())["rows"]]
    assert [line[5:7] for line in cells] == [["1 Mbit/s", "2 Mbit/s"], ["1 Mbit/s", "-"]]
    assert feed.points[-1] == (3_000_000, 250_000.0, 250_000.0, 2)
    assert 'class="synfin-figure"' in state(feed, Look())["figure"]


def test_what_is_not_told_again_stays_as_it_was_but_for_its_timer() -> None:
    feed = a_feed([row(1, received=1000), row(2, deadline=5_000_000, timer_name="keepalive"), row(3)])
    a_feed([row(1, received=2000)], 2_000_000, feed, gone=[row(3)["key"]])
    lines = {one["cells"][4]: one["cells"] for one in state(feed, Look())["rows"]}
    assert set(lines) == {"10.0.0.1:1", "10.0.0.1:2"}
    assert lines["10.0.0.1:2"][5:8] == ["-", "-", "keepalive 3.0 s"]
    assert feed.points[-1][3] == 2


def test_of_more_connections_than_can_be_kept_the_rest_is_left_out() -> None:
    feed = a_feed([row(0, key=f"{number:024x}") for number in range(MOST_ROWS + 5)])
    assert len(feed.rows) == MOST_ROWS


def test_the_followed_connection_is_drawn_with_its_states() -> None:
    feed = a_feed([row(1)])
    feed.follow("next")
    feed._take({"followed": followed(50, OPENING, row(1))})
    chosen = state(feed, Look())["chosen"]
    assert chosen["key"] == KEY
    assert chosen["open"]
    assert "ESTABLISHED" in chosen["diagram"]
    assert [line[1] for line in chosen["table"]][:1] == ["peer → web"]
    feed._take({"followed": followed(90, [], None)})
    chosen = state(feed, Look())["chosen"]
    assert not chosen["open"]
    assert chosen["state"] == "CLOSED"


def test_what_was_asked_for_before_is_not_taken_for_what_is_asked_for_now() -> None:
    feed = a_feed([row(1)])
    feed.follow("next.1")
    feed._take({"followed": followed(50, OPENING, row(1), which="next.0")})
    assert feed.chosen is not None
    assert feed.chosen.key == ""


@pytest.mark.parametrize("which", ["x", "next.x", "0a", KEY.upper(), KEY + "\nfollow", "next\n"])
def test_only_a_key_or_the_next_can_be_followed(which: str) -> None:
    with pytest.raises(ValueError, match="is no connection's key"):
        Feed(Path("/nowhere")).follow(which)


def test_a_gap_is_told_where_it_is_and_only_the_latest_lines_are_drawn() -> None:
    chosen = Chosen("next", "web")
    chosen.take(followed(50, OPENING, row(1), gap=True, missed=3))
    lines = picture._as_table(chosen.opening, chosen.rows(), Catalogue.of(CHINESE))
    assert lines[-1][2] == "此处往来的报文段多于画出的"
    assert chosen.missed == 3
    for number in range(1000):
        chosen.take(followed(100 + number, [["note", 100 + number, f"remark {number}", ""]], row(1)))
    assert len(chosen.rows()) <= MOST_DRAWN + 2
    assert chosen.left_out >= 1000 - MOST_DRAWN


def test_every_word_of_the_drawings_has_its_chinese() -> None:
    feed = a_feed([row(1)])
    feed.follow("next")
    for number in range(3):
        a_feed([row(1)], 2_000_000 + number, feed)
        feed._take({"followed": followed(50 + number, OPENING if number == 0 else [], row(1), gap=True)})
    say = Catalogue.of(CHINESE)
    assert feed.chosen is not None
    for figure in (picture.host_figure(feed), picture.chosen_figure(feed.chosen)):
        assert figure is not None
        say.figure(figure)
    picture._as_table(feed.chosen.opening, feed.chosen.rows(), say)
    assert say.missing == set()


@needs_unix
def test_a_feed_shows_a_running_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setattr(watching, "TURN_SECONDS", 0)
    monkeypatch.setattr(watching, "TABLE_SECONDS", 0)

    async def main() -> dict[str, Any]:
        loop = asyncio.get_running_loop()
        client = Host("10.0.0.1", send=lambda packet: loop.call_soon(host.receive, packet))
        host = Host("10.0.0.2", send=lambda packet: loop.call_soon(client.receive, packet), name="web", control="web")
        async with client, host:
            served: list[asyncio.StreamWriter] = []
            await host.start_server(lambda reader, writer: served.append(writer), port=80)
            (path,) = (tmp_path / "synfin").iterdir()
            feed = Feed(path)
            running = asyncio.ensure_future(feed.run())
            while feed.trouble:
                await feed.newer(feed.version, 10)
            feed.follow("next")
            while host.stack._env.tracer is None:
                await feed.newer(feed.version, 10)
            kept = await client.open_connection("10.0.0.2", 80)
            while feed.chosen is None or feed.chosen.row is None or not feed.rows:
                await feed.newer(feed.version, 10)
            for writer in (kept[1], *served):
                writer.close()
            shown = state(feed, Look())
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            return shown

    shown = asyncio.run(main())
    assert shown["name"] == "web"
    assert shown["chosen"]["table"][0][1].endswith("→ web")
    assert "SYN" in shown["chosen"]["table"][0][2]


# ---- the command ----


@needs_unix
def test_without_a_host_of_that_name_it_says_so_with_status_1(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    result = CliRunner().invoke(app, ["watch", "web"])
    assert result.exit_code == 1
    assert "no running host 'web'" in " ".join(result.stderr.split())


@needs_unix
def test_of_several_hosts_one_has_to_be_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))

    async def main() -> Any:
        hosts = [Host(f"10.0.0.{n}", send=lambda packet: None, control=f"web{n}") for n in (1, 2)]
        async with hosts[0], hosts[1]:
            return await asyncio.to_thread(CliRunner().invoke, app, ["watch"])

    result = asyncio.run(main())
    assert result.exit_code == 1
    assert re.search(r"which one: web1-\d+, web2-\d+\?", " ".join(result.stderr.split()))
