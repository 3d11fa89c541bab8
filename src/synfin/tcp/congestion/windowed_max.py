"""The largest value of late, by Kathleen Nichols' windowed maximum: the best, and the best after it, and after that."""

from __future__ import annotations

from mypy_extensions import i64


class WindowedMax:
    """Times and window lengths in any unit that only grows. Invariant: values fall, times rise, from first to third."""

    def __init__(self) -> None:
        self.value: i64 = 0
        self._at: i64 = 0
        self._second: i64 = 0
        self._second_at: i64 = 0
        self._third: i64 = 0
        self._third_at: i64 = 0

    def update(self, value: i64, now: i64, window: i64) -> i64:
        """A new value. The largest of those not older than `window`, with it."""
        if value >= self.value or now - self._third_at > window:
            self.value = self._second = self._third = value
            self._at = self._second_at = self._third_at = now
            return value
        if value >= self._second:
            self._second = self._third = value
            self._second_at = self._third_at = now
        elif value >= self._third:
            self._third = value
            self._third_at = now
        return self._age(value, now, window)

    def _age(self, value: i64, now: i64, window: i64) -> i64:
        """What is too old gives way; what only may become so gets a successor from the next part of the window."""
        age = now - self._at
        if age > window:
            self._advance(value, now)
            if now - self._at > window:
                self._advance(value, now)
        elif self._second_at == self._at and age > window // 4:
            self._second = self._third = value
            self._second_at = self._third_at = now
        elif self._third_at == self._second_at and age > window // 2:
            self._third = value
            self._third_at = now
        return self.value

    def _advance(self, value: i64, now: i64) -> None:
        self.value = self._second
        self._at = self._second_at
        self._second = self._third
        self._second_at = self._third_at
        self._third = value
        self._third_at = now
