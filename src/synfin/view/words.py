"""The words inside of drawings in another language: a catalogue of phrases, whose numbers may be any.

`{}` in a phrase stands for a number, and in its translation `{0}` for the first one, wherever another language has it.
Rule for the next editor: labels that are TCP's own (SYN, seq=1) stay as they are.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from synfin.view.figure import Figure, Layer

CHINESE: Final = Path(__file__).with_name("words.zh.json")
_PLACE = re.compile(r"\{(\d*)\}")
_NUMBER = re.compile(r"\d[\d.,]*\d|\d")
_BETWEEN = " · "
_WHO = ("user: ", "timer: ")
_CARRIED = re.compile(r"(\d\S* \w+) in (\d\S* \w+)(: \d\S* \S+)?")
_OWN = re.compile(r"[^a-z]*$|.* → |(seq|ack|len|win)=|<|seq |unreadable|\{\} [KM]?B,$|\{\} s, \{\} Mbit/s$")


def key_of(text: str) -> str:
    """The phrase without its numbers."""
    return _NUMBER.sub("{}", text)


def filled(phrase: str, numbers: Sequence[str]) -> str:
    """The phrase with these numbers: `{}` takes the next one, `{0}` the first.

    >>> filled("{1} s, {0} SYN", ["8,000", "80"])
    '80 s, 8,000 SYN'
    """
    following = iter(numbers)
    return _PLACE.sub(lambda place: numbers[int(place[1])] if place[1] else next(following), phrase)


def phrases_of(text: str, translation: str) -> dict[str, str]:
    """What is known of a text by its translation: the pair itself, and the phrase for other numbers.

    There is no phrase where the translation has no place for a number of the text, or where two that may differ are the
    same here and stand in another order.

    >>> phrases_of("8,000 SYNs in 80 s", "80 秒内 8,000 个 SYN")["{} SYNs in {} s"]
    '{1} 秒内 {0} 个 SYN'
    """
    known = {text: translation}
    numbers, there = _NUMBER.findall(text), _NUMBER.findall(translation)
    if numbers == there:
        known[key_of(text)] = key_of(translation)
    elif len(set(numbers)) == len(numbers) and set(numbers) <= set(there):
        known[key_of(text)] = _NUMBER.sub(
            lambda found: f"{{{numbers.index(found[0])}}}" if found[0] in numbers else found[0], translation
        )
    return known


class Catalogue:
    """Called with a phrase it gives that of its language, or the phrase itself; `missing` collects what it lacks."""

    def __init__(self, phrases: Mapping[str, str]) -> None:
        self._phrases = phrases
        self.missing: set[str] = set()

    @classmethod
    def of(cls, path: Path) -> Catalogue:
        """From a JSON file: an object, phrase to phrase. Raises OSError, ValueError."""
        return cls(json.loads(path.read_text(encoding="utf-8")))

    def __call__(self, text: str) -> str:
        for who in _WHO:
            if text.startswith(who) and text not in self._phrases:
                return self(who) + self(text.removeprefix(who))
        found = self._phrases.get(text)
        if found is not None:
            return found
        key = key_of(text)
        found = self._phrases.get(key)
        if found is None:
            if not _OWN.match(key):
                self.missing.add(key)
            return text
        return filled(found, _NUMBER.findall(text))

    def listed(self, text: str) -> str:
        """What has parts, each in this language."""
        return _BETWEEN.join(self._amount(part) for part in text.split(_BETWEEN)) if text else ""

    def _amount(self, part: str) -> str:
        """So much in such a time is that, whatever the units; all else is a phrase."""
        carried = _CARRIED.fullmatch(part)
        if carried is None:
            return self(part)
        size, time, rate = carried.groups()
        return filled(self._phrases.get("{} in {}", "{} in {}"), (size, time)) + (rate or "")

    def figure(self, figure: Figure) -> Figure:
        """The figure with its words in this language."""
        return replace(
            figure,
            title=self(figure.title),
            subtitle=self.listed(figure.subtitle),
            spans=[replace(span, name=self(span.name)) for span in figure.spans],
            panels=[
                replace(panel, title=self(panel.title), layers=[self._layer(layer) for layer in panel.layers])
                for panel in figure.panels
            ],
        )

    def _layer(self, layer: Layer) -> Layer:
        return replace(layer, name=self(layer.name)) if layer.name else layer
