"""Who may watch: a token that is good once, a key for who has brought it, and requests of our own page alone.

Every user of the machine reaches loopback, and a page from elsewhere can make a name mean 127.0.0.1 (DNS rebinding):
hence the token, and the look at Host and Origin. The token travels in the address's fragment, which no browser sends;
the key is kept where only this origin, port included, can read it. A cookie would go to every port of 127.0.0.1.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from synfin.cli.conditions import Fields

ADDRESS: Final = "127.0.0.1"
MOST_KEYS: Final = 4
_SCHEME: Final = "Bearer "


class Door:
    """port: of this server. fresh: gives a text that nobody guesses. on_gone: is told of keys that hold no longer."""

    def __init__(
        self,
        port: int,
        on_gone: Callable[[str], None] = lambda key: None,
        fresh: Callable[[], str] = lambda: secrets.token_urlsafe(32),
    ) -> None:
        self._hosts = (f"{ADDRESS}:{port}", f"localhost:{port}")
        self._on_gone = on_gone
        self._fresh = fresh
        self._token = fresh()
        self._keys: OrderedDict[str, None] = OrderedDict()  # the one that was used last at the end

    @property
    def address(self) -> str:
        """What to open in a browser, once."""
        return f"http://{self._hosts[0]}/#{self._token}"

    def is_ours(self, fields: Fields) -> bool:
        """A request to this server by its own name, of one of its own pages or of no page."""
        host = fields.get("host", "")
        if host not in self._hosts:
            return False
        if fields.get("origin", f"http://{host}") != f"http://{host}":
            return False
        return fields.get("sec-fetch-site", "none") in ("none", "same-origin")

    def enter(self, fields: Fields) -> str:
        """A key for who brings the token, which is good no more; "" for anybody else."""
        if not _same(_bearer(fields), self._token) or "origin" not in fields:
            return ""
        self._token = self._fresh()
        key = self._fresh()
        self._keys[key] = None
        while len(self._keys) > MOST_KEYS:
            self._on_gone(self._keys.popitem(last=False)[0])
        return key

    def key_of(self, fields: Fields) -> str:
        """The key that a request brings; "" if it holds not or no longer."""
        given = _bearer(fields)
        found = [key for key in self._keys if _same(given, key)]
        if not found:
            return ""
        self._keys.move_to_end(found[0])
        return found[0]


def _bearer(fields: Fields) -> str:
    field = fields.get("authorization", "")
    return field.removeprefix(_SCHEME) if field.startswith(_SCHEME) else ""


def _same(given: str, secret: str) -> bool:
    return secrets.compare_digest(given.encode(), secret.encode())
