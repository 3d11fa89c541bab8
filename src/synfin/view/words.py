"""The words inside of drawings in another language: a catalogue of phrases, whose numbers may be any.

`{}` in a phrase stands for a number. Rule for the next editor: labels that are TCP's own (SYN, seq=1) stay as they are.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from synfin.view.figure import Figure, Layer

CHINESE: Final = Path(__file__).with_name("words.zh.json")
_NUMBER = re.compile(r"\d[\d.,]*\d|\d")
_WHO = ("user: ", "timer: ")
_OWN = re.compile(r"[^a-z]*$|(seq|ack|len|win)=|<|seq |unreadable|\{\} [KM]?B,$|\{\} s, \{\} Mbit/s$")


def key_of(text: str) -> str:
    """The phrase without its numbers."""
    return _NUMBER.sub("{}", text)


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
        numbers = iter(_NUMBER.findall(text))
        return re.sub(r"\{\}", lambda _: next(numbers), found)

    def figure(self, figure: Figure) -> Figure:
        """The figure with its words in this language."""
        return replace(
            figure,
            title=self(figure.title),
            subtitle=self(figure.subtitle) if figure.subtitle else "",
            spans=[replace(span, name=self(span.name)) for span in figure.spans],
            panels=[
                replace(panel, title=self(panel.title), layers=[self._layer(layer) for layer in panel.layers])
                for panel in figure.panels
            ],
        )

    def _layer(self, layer: Layer) -> Layer:
        return replace(layer, name=self(layer.name)) if layer.name else layer
