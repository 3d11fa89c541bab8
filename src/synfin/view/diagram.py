r"""The sequence diagram of a trace: live, line by line, while the connections run, or of a list of events.

    stack = Stack(..., trace=Diagram(print))                     # one host's trace: the peer's states are inferred
    print("\n".join(draw(events)))                               # the traces of both hosts, if they are there

`Diagram` and `draw` give plain text; `live` adds what a terminal can do: its width, colour (rich, imported only then),
and a bulk transfer that counts up in place.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Final

from synfin.tcp import states
from synfin.tcp.trace import Event, NoteEvent, PacketEvent, SampleEvent, TransitionEvent
from synfin.view.conversation import Conversation, Refs
from synfin.view.events import icmp_about, is_key
from synfin.view.rows import Opening, Resumed, Row
from synfin.view.text import Page, TextLine, plain
from synfin.wire.key import reverse_key

Only = bytes | Collection[bytes] | Callable[[bytes], bool] | None

_PATIENCE_US: Final = 3_000_000
_MAX_CONVERSATIONS: Final = 4096


class Rows:
    """Takes events, gives rows to `emit` with the number of the connection that each belongs to.

    only: the connections to draw: a key (of either end), several, or a function of the key; None: all.
    both_ends: the events are of both ends of each connection (a simulation, two stacks on one link), or a function that
    says so of a key. Otherwise the end whose event comes first is the one with a trace.
    patience_us: with `both_ends`, how long a segment may take before it is drawn as lost; -1: until `finish`.
    names: what to call an address; traced hosts have the name that their stack has.
    began: the time that is shown as 0; None: that of the first event. refs: what the segments of a packet event are
    called, one name each; arrows keep it.
    """

    def __init__(
        self,
        emit: Callable[[int, Row], None],
        *,
        only: Only = None,
        both_ends: bool | Callable[[bytes], bool] = False,
        fold: bool = True,
        names: Mapping[str, str] | None = None,
        patience_us: int = _PATIENCE_US,
        began: int | None = None,
        refs: Refs | None = None,
    ) -> None:
        self._emit = emit
        self._wanted = _filter(only)
        self._both_ends = both_ends
        self._fold = fold
        self._names = names or {}
        self._patience_us = patience_us
        # In order of their first events, by the lesser of both keys; None: not wanted.
        self._conversations: OrderedDict[bytes, Conversation | None] = OrderedDict()
        self._over: OrderedDict[bytes, None] = OrderedDict()  # the names of those that are over, in that order
        self._count = 0
        self._began = began
        self._refs = refs

    def __call__(self, event: Event) -> None:
        if self._began is None:
            self._began = event.at
        if isinstance(event, PacketEvent) and not event.key and not event.outgoing:
            key, text = icmp_about(event)
            if key not in self._conversations and reverse_key(key) not in self._conversations if key else True:
                return
            event = NoteEvent(event.at, event.host, key, text, "")
        if not is_key(event.key) or _is_about_a_listener(event) or isinstance(event, SampleEvent):
            return
        name = min(event.key, reverse_key(event.key))
        conversation = self._find(name, event.key)
        if conversation is not None:
            conversation.feed(event)
            if conversation.over:
                self._over[name] = None
            else:
                self._over.pop(name, None)

    def flush(self) -> None:
        """Emit what is held back only because more plain data may follow."""
        for conversation in self._each():
            conversation.flush()

    def tick(self, now: int) -> None:
        """Emit runs of plain data that have paused."""
        for conversation in self._each():
            conversation.tick(now)

    def finish(self) -> None:
        """There are no more events: with both ends traced, what has not arrived was lost."""
        for conversation in self._each():
            conversation.finish()

    def pending(self) -> list[tuple[int, Row]]:
        """What `flush` would emit now."""
        return [(c.number, row) for c in self._each() for row in c.pending()]

    def _each(self) -> list[Conversation]:
        return [c for c in self._conversations.values() if c is not None]

    def _find(self, name: bytes, key: bytes) -> Conversation | None:
        if name in self._conversations:
            return self._conversations[name]
        if len(self._conversations) >= _MAX_CONVERSATIONS:
            self._forget()
        conversation: Conversation | None = None
        if not self._wanted(key) and not self._wanted(reverse_key(key)):
            self._over[name] = None
        else:
            self._count += 1
            number = self._count

            def emit(row: Row) -> None:
                self._emit(number, row)

            began = self._began or 0
            both_ends = self._both_ends(key) if callable(self._both_ends) else self._both_ends
            conversation = Conversation(
                number, both_ends, self._fold, began, self._patience_us, self._names, emit, self._refs
            )
        self._conversations[name] = conversation
        return conversation

    def _forget(self) -> None:
        """Make room: connections that are over go first, then the oldest."""
        if self._over:
            name, _ = self._over.popitem(last=False)
            conversation = self._conversations.pop(name)
        else:
            _, conversation = self._conversations.popitem(last=False)
        if conversation is not None:
            conversation.finish()


class Diagram:
    """A trace that draws: call it with events, it calls `write` with each finished line of text.

    The other arguments are those of `Rows`; `width` in columns, `ascii_only` for terminals that know no more.
    `write_spans` takes each line as (text, style) spans instead, for a renderer with colours.
    """

    def __init__(
        self,
        write: Callable[[str], None] = print,
        *,
        width: int = 100,
        ascii_only: bool = False,
        only: Only = None,
        both_ends: bool | Callable[[bytes], bool] = False,
        fold: bool = True,
        names: Mapping[str, str] | None = None,
        patience_us: int = _PATIENCE_US,
        write_spans: Callable[[TextLine], None] | None = None,
    ) -> None:
        self._write = write
        self._write_spans = write_spans
        self._width = width
        self._ascii_only = ascii_only
        self._pages: OrderedDict[int, tuple[Page, Opening]] = OrderedDict()
        self._last = 0
        self._rows = Rows(self._draw, only=only, both_ends=both_ends, fold=fold, names=names, patience_us=patience_us)

    def __call__(self, event: Event) -> None:
        self._rows(event)

    def flush(self) -> None:
        """Draw what is held back only because more plain data may follow; call it when the connection is idle."""
        self._rows.flush()

    def tick(self, now: int) -> None:
        """Draw runs of plain data that have paused for a moment; `now` in the trace's microseconds."""
        self._rows.tick(now)

    def close(self) -> None:
        """Draw the rest; with both ends traced, what has not arrived by now is drawn as lost."""
        self._rows.finish()

    def pending(self) -> list[TextLine]:
        """The lines that `flush` would draw now, for a terminal that shows them in place."""
        return [line for number, row in self._rows.pending() for line in self._pages[number][0].lines(row)]

    def _draw(self, number: int, row: Row) -> None:
        if isinstance(row, Opening):
            self._pages[number] = Page(self._width, self._ascii_only), row
            if len(self._pages) > _MAX_CONVERSATIONS:
                self._pages.popitem(last=False)
        elif number != self._last:
            opening = self._pages[number][1]
            self._put(number, Resumed(number, opening.left, opening.right))
        self._last = number
        self._put(number, row)

    def _put(self, number: int, row: Row) -> None:
        for line in self._pages[number][0].lines(row):
            if self._write_spans is not None:
                self._write_spans(line)
            else:
                self._write(plain(line))


def draw(
    events: Iterable[Event],
    *,
    width: int = 100,
    ascii_only: bool = False,
    only: Only = None,
    fold: bool = True,
    names: Mapping[str, str] | None = None,
    began: int | None = None,
) -> list[str]:
    """The lines of the diagrams of a finished trace, one connection after the other.

    A connection with events of both its ends is drawn with both ends' own states, and what one sent and the other never
    received is drawn as lost. began: the time that is shown as 0; None: that of the first event.
    """
    lines: list[str] = []
    for rows in connections(events, only=only, fold=fold, names=names, began=began):
        page = Page(width, ascii_only)
        for row in rows:
            lines += [plain(line) for line in page.lines(row)]
    return lines


def connections(
    events: Iterable[Event],
    *,
    only: Only = None,
    fold: bool = True,
    names: Mapping[str, str] | None = None,
    began: int | None = None,
    refs: Refs | None = None,
) -> list[list[Row]]:
    """The rows of each connection of a finished trace, in the order in which the connections began."""
    events = list(events)
    keys = {event.key for event in events if is_key(event.key) and not _is_about_a_listener(event)}
    found: dict[int, list[Row]] = {}
    rows = Rows(
        lambda number, row: found.setdefault(number, []).append(row),
        only=only,
        both_ends=lambda key: reverse_key(key) in keys and reverse_key(key) != key,
        fold=fold,
        names=names,
        patience_us=-1,
        began=began,
        refs=refs,
    )
    for event in events:
        rows(event)
    rows.finish()
    return [found[number] for number in sorted(found)]


def _filter(only: Only) -> Callable[[bytes], bool]:
    if only is None:
        return lambda key: True
    if callable(only):
        return only
    wanted = {only} if isinstance(only, bytes) else set(only)
    return lambda key: key in wanted


def _is_about_a_listener(event: Event) -> bool:
    """A listener's own opening and closing belongs to no connection."""
    return isinstance(event, TransitionEvent) and {event.before, event.after} == {states.CLOSED, states.LISTEN}
