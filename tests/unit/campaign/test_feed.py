"""Jobs cut into chunks: each is answered once, whatever becomes of those who run them."""

from __future__ import annotations

from collections.abc import Iterator

from synfin.campaign.feed import Chunk, Feed
from synfin.campaign.program import Json


def numbered(count: int) -> Iterator[Json]:
    return ({"n": number} for number in range(count))


def wanted(feed: Feed, now: float = 0.0) -> Chunk:
    chunk = feed.next(now)
    assert chunk is not None
    return chunk


def test_all_jobs_go_out_once_and_chunks_grow_to_the_time_they_are_to_last() -> None:
    feed = Feed(numbered(3000), seconds=0.5)
    sizes, seen = [], []
    while (chunk := feed.next(0.0)) is not None:
        sizes.append(len(chunk.jobs))
        seen += [job["n"] for job in chunk.jobs]
        assert feed.answered(chunk, 0.001 * len(chunk.jobs))
    assert seen == list(range(3000))
    assert sizes[0] == 4
    assert sizes[1:-1] == [500] * len(sizes[1:-1])
    assert feed.done


def test_a_chunk_that_was_lost_goes_out_again_before_others() -> None:
    feed = Feed(numbered(100))
    first, second = wanted(feed), wanted(feed)
    feed.lost(first)
    assert feed.next(0.0) is first
    assert feed.answered(second, 1.0)
    assert feed.answered(first, 1.0)


def test_a_late_chunk_goes_out_twice_and_its_first_answer_counts() -> None:
    feed = Feed(numbered(4))
    chunk = wanted(feed, now=0.0)
    assert feed.late(100.0, seconds=100) == []
    assert feed.late(161.0, seconds=100) == [chunk]
    assert feed.next(161.0) is chunk
    assert feed.late(500.0, seconds=100) == []  # two are enough
    assert feed.answered(chunk, 1.0)
    assert not feed.answered(chunk, 1.0)
    assert feed.next(501.0) is None
    assert feed.done


def test_a_copy_that_is_lost_is_not_missed_while_another_is_out() -> None:
    feed = Feed(numbered(4))
    chunk = wanted(feed)
    feed.late(1000.0, seconds=1)
    wanted(feed, 1000.0)
    feed.lost(chunk)
    assert feed.next(1000.0) is None
    feed.lost(chunk)
    assert feed.next(1000.0) is chunk


def test_a_job_that_is_to_be_alone_is_and_those_after_it_wait() -> None:
    feed = Feed(iter([{"n": 0}, {"n": 1, "alone": True}, {"n": 2}]))
    assert [[job["n"] for job in wanted(feed).jobs] for _ in range(3)] == [[0], [1], [2]]


def test_none_among_the_jobs_means_ask_again_later() -> None:
    feed = Feed(iter([{"n": 0}, None, {"n": 1}]))
    chunk = wanted(feed)
    assert [job["n"] for job in chunk.jobs] == [0]
    assert not feed.done
    feed.answered(chunk, 1.0)
    assert [job["n"] for job in wanted(feed).jobs] == [1]
