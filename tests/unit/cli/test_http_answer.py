"""What `synfin serve` answers: status lines, dates, conditions and ranges, as RFC 9110 has them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator

import pytest

from synfin.cli.conditions import fields_of, http_date, judge, range_holds
from synfin.cli.http_answer import Answer, Resource, answer, byte_range
from synfin.cli.http_server import HttpServer

CHANGED = 784111777  # the example of RFC 9110 5.6.7
DATE = "Sun, 06 Nov 1994 08:49:37 GMT"
BEFORE = "Sun, 06 Nov 1994 08:49:36 GMT"
AFTER = "Sun, 06 Nov 1994 08:49:38 GMT"
NOW = CHANGED + 1000.5
TEXT = b"0123456789"


class OneFile:
    """/file, and nothing else."""

    def __init__(self, modified: int | None = CHANGED) -> None:
        self._modified = modified

    def find(self, path: str) -> Resource | None:
        if path == "/folder":
            return Resource(0, "text/plain", self._bytes, location="/folder/")
        return Resource(len(TEXT), "text/x", self._bytes, modified=self._modified) if path == "/file" else None

    def _bytes(self, start: int, stop: int) -> Iterator[bytes]:
        yield TEXT[start:stop]


def get(method: str = "GET", target: str = "/file", modified: int | None = CHANGED, **fields: str) -> Answer:
    given = {name.replace("_", "-"): value for name, value in fields.items()}
    return answer(OneFile(modified), method, target, given, NOW)


def body(response: Answer) -> bytes:
    return b"".join(response.body)


def test_a_file_comes_with_its_date_and_that_of_the_answer() -> None:
    response = get()
    assert (response.status, body(response)) == (200, TEXT)
    fields = dict(response.fields)
    assert fields["Last-Modified"] == DATE
    assert fields["Date"] == "Sun, 06 Nov 1994 09:06:17 GMT"
    assert fields["Content-Length"] == "10"


def test_no_file_is_younger_than_its_answer() -> None:
    fields = dict(get(modified=CHANGED + 100_000).fields)
    assert fields["Last-Modified"] == fields["Date"]


def test_what_has_no_date_tells_none() -> None:
    assert "Last-Modified" not in dict(get(modified=None).fields)


def test_head_tells_the_length_and_sends_nothing() -> None:
    for target in ("/file", "/none"):
        whole, head = get("GET", target), get("HEAD", target)
        assert (head.status, head.fields, body(head)) == (whole.status, whole.fields, b"")


def test_304_has_the_date_and_no_content() -> None:
    response = get(if_modified_since=DATE)
    assert (response.status, response.reason, body(response)) == (304, "Not Modified", b"")
    names = {name for name, _ in response.fields}
    assert names == {"Date", "Server", "Last-Modified"}


CONDITIONS = [
    # If-Modified-Since, RFC 9110 13.1.3
    ({"if-modified-since": BEFORE}, 200),
    ({"if-modified-since": DATE}, 304),
    ({"if-modified-since": AFTER}, 304),
    ({"if-modified-since": "Sunday, 06-Nov-94 08:49:37 GMT"}, 304),
    ({"if-modified-since": "Sun Nov  6 08:49:37 1994"}, 304),
    ({"if-modified-since": "yesterday"}, 200),
    ({"if-modified-since": ""}, 200),
    ({"if-modified-since": "Sun, 99 Nov 1994 08:49:37 GMT"}, 200),
    ({"if-modified-since": f"{DATE}, {DATE}"}, 200),
    # A tag decides where there is one (13.2.2); ours has none, so that none matches.
    ({"if-modified-since": DATE, "if-none-match": '"tag"'}, 200),
    ({"if-none-match": "*"}, 304),
    # If-Unmodified-Since, 13.1.4; If-Match, 13.1.1
    ({"if-unmodified-since": BEFORE}, 412),
    ({"if-unmodified-since": DATE}, 200),
    ({"if-unmodified-since": "yesterday"}, 200),
    ({"if-match": "*", "if-unmodified-since": BEFORE}, 200),
    ({"if-match": '"tag"'}, 412),
    ({"if-match": '"tag"', "if-modified-since": DATE}, 412),
    ({"if-unmodified-since": DATE, "if-modified-since": DATE}, 304),
]


@pytest.mark.parametrize(("fields", "status"), CONDITIONS)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_conditions_are_judged_in_the_order_of_rfc_9110(method: str, fields: dict[str, str], status: int) -> None:
    assert judge(fields, CHANGED) == status
    response = answer(OneFile(), method, "/file", fields, NOW)
    assert response.status == status
    assert ("Content-Length" in dict(response.fields)) is (status != 304)


def test_what_has_no_date_meets_every_condition_on_dates() -> None:
    assert judge({"if-modified-since": DATE}, None) == judge({"if-unmodified-since": BEFORE}, None) == 200


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (DATE, CHANGED), ("Sunday, 06-Nov-94 08:49:37 GMT", CHANGED), ("Sun Nov  6 08:49:37 1994", CHANGED),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0), ("Wednesday, 31-Dec-69 23:59:59 GMT", 3155759999),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 253402300799),
        ("Sun, 06 Nov 1994 08:49:37 UTC", None), ("Sun, 06 Nov 1994 24:00:00 GMT", None), ("0", None),
        ("Sun, 06 Foo 1994 08:49:37 GMT", None), ("Sun, 31 Feb 1994 08:49:37 GMT", None), (f" {DATE}", None),
        ("Sun, 06 Nov 0000 08:49:37 GMT", None),
    ],
)  # fmt: skip
def test_a_date_has_one_of_three_forms(text: str, expected: int | None) -> None:
    assert http_date(text) == expected


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("bytes=0-0", (0, 1)), ("bytes=5-", (5, 10)), ("bytes=2-4", (2, 5)), ("bytes=8-100", (8, 10)),
        ("bytes=-3", (7, 10)), ("bytes=-100", (0, 10)), ("bytes=10-", (0, 0)), ("bytes=-0", (10, 10)),
        ("bytes=4-2", None), ("bytes=-", None), ("bytes=0-1,3-4", None), ("lines=0-1", None), ("bytes=a-b", None),
        ("bytes=" + "9" * 100 + "-", None), ("", None),
    ],
)  # fmt: skip
def test_a_range_is_what_rfc_9110_says(field: str, expected: tuple[int, int] | None) -> None:
    assert byte_range(field, 10) == expected


def test_a_part_says_which_and_an_impossible_one_says_how_much_there_is() -> None:
    part, none = get(range="bytes=2-4"), get(range="bytes=10-")
    assert (part.status, part.reason, body(part)) == (206, "Partial Content", b"234")
    assert dict(part.fields)["Content-Range"] == "bytes 2-4/10"
    assert none.status == 416
    assert dict(none.fields)["Content-Range"] == "bytes */10"
    assert body(none).endswith(b"\n")
    assert dict(none.fields)["Content-Length"] == str(len(body(none)))


@pytest.mark.parametrize(
    ("field", "status"), [(DATE, 206), (BEFORE, 200), (AFTER, 200), ('"tag"', 200), ("yesterday", 200), ("", 200)]
)
def test_a_part_of_another_version_is_never_sent(field: str, status: int) -> None:
    assert get(range="bytes=2-4", if_range=field).status == status


def test_a_date_tells_versions_apart_only_once_its_second_is_over() -> None:
    assert not range_holds({"if-range": DATE}, CHANGED, CHANGED + 0.9)
    assert range_holds({"if-range": DATE}, CHANGED, CHANGED + 1.0)
    assert not range_holds({"if-range": DATE}, None, NOW)


def test_a_folder_without_its_slash_is_answered_by_where_to_look() -> None:
    response = get(target="/folder")
    assert (response.status, response.reason) == (301, "Moved Permanently")
    assert dict(response.fields)["Location"] == "/folder/"


@pytest.mark.parametrize("method", ["POST", "DELETE", "OPTIONS"])
def test_other_methods_are_told_which_are_served(method: str) -> None:
    response = get(method)
    assert (response.status, response.reason) == (405, "Method Not Allowed")
    assert dict(response.fields)["Allow"] == "GET, HEAD"


def test_lines_of_one_field_are_one_list() -> None:
    assert fields_of([(b"range", b"bytes=0-1"), (b"x", b" y "), (b"Range", b"bytes=2-3")]) == {
        "range": "bytes=0-1, bytes=2-3", "x": "y",
    }  # fmt: skip


class Sink:
    """A StreamWriter, as far as the server needs one."""

    def __init__(self) -> None:
        self.written = b""

    def write(self, data: bytes) -> None:
        self.written += bytes(data)

    async def drain(self) -> None:
        pass

    def close(self) -> None:
        pass

    def get_extra_info(self, name: str) -> tuple[str, int]:
        return ("192.0.2.1", 1)


def served(requests: bytes) -> bytes:
    """All that is answered to these bytes on one connection."""

    async def run() -> bytes:
        reader, writer = asyncio.StreamReader(), Sink()
        reader.feed_data(requests)
        reader.feed_eof()
        await HttpServer(OneFile()).serve(reader, writer)  # type: ignore[arg-type]
        return writer.written

    return asyncio.run(run())


def test_the_status_line_has_a_reason() -> None:
    got = served(
        b"GET /file HTTP/1.1\r\nHost: x\r\n\r\n"
        b"HEAD /file HTTP/1.1\r\nHost: x\r\nIf-Modified-Since: " + DATE.encode() + b"\r\n\r\n"
        b"GET /none HTTP/1.1\r\nHost: x\r\n\r\n"
        b"GET /file HTTP/1.1\r\nHost: x\r\nRange: bytes=1-2\r\n\r\n"
        b"nonsense\r\n\r\n"
    )
    assert re.findall(rb"HTTP/1.1 (.*)\r\n", got) == [
        b"200 OK", b"304 Not Modified", b"404 Not Found", b"206 Partial Content", b"400 Bad Request",
    ]  # fmt: skip
