"""What was tried and what came of it: SQLite, written by the campaign's own process alone, one transaction a chunk.

The key of a verdict is (code, test, seed, settings). It stands once, and the first one stays; that a later run of the
same key did something else is kept as a flaky seed.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from synfin.campaign.program import Json
from synfin.campaign.signature import Signature

_SCHEMA: Final = """
CREATE TABLE code (id INTEGER PRIMARY KEY, hash TEXT NOT NULL UNIQUE);
CREATE TABLE test (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE settings (id INTEGER PRIMARY KEY, json TEXT NOT NULL UNIQUE);
CREATE TABLE campaign (
    id INTEGER PRIMARY KEY, code INTEGER NOT NULL, began REAL NOT NULL, ended REAL, how TEXT NOT NULL DEFAULT 'running',
    tests TEXT NOT NULL, plan TEXT NOT NULL, root TEXT NOT NULL, known INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE signature (
    id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, exception TEXT NOT NULL, place TEXT NOT NULL, text TEXT NOT NULL,
    detail TEXT NOT NULL
);
CREATE TABLE verdict (
    code INTEGER NOT NULL, test INTEGER NOT NULL, seed INTEGER NOT NULL, settings INTEGER NOT NULL,
    verdict TEXT NOT NULL, signature INTEGER, seconds REAL NOT NULL, digest INTEGER NOT NULL, novelty INTEGER NOT NULL,
    campaign INTEGER NOT NULL,
    PRIMARY KEY (code, test, seed, settings)
) WITHOUT ROWID;
CREATE INDEX verdict_bad ON verdict (code, signature) WHERE signature IS NOT NULL;
CREATE TABLE flaky (
    code INTEGER NOT NULL, test INTEGER NOT NULL, seed INTEGER NOT NULL, settings INTEGER NOT NULL,
    one TEXT NOT NULL, other TEXT NOT NULL, difference TEXT NOT NULL,
    PRIMARY KEY (code, test, seed, settings)
) WITHOUT ROWID;
CREATE TABLE shrunk (
    code INTEGER NOT NULL, test INTEGER NOT NULL, seed INTEGER NOT NULL, settings INTEGER NOT NULL,
    signature INTEGER NOT NULL, answer TEXT NOT NULL,
    PRIMARY KEY (code, test, seed, settings)
) WITHOUT ROWID;
CREATE TABLE journal (
    code INTEGER NOT NULL, test INTEGER NOT NULL, seed INTEGER NOT NULL, settings INTEGER NOT NULL,
    first INTEGER NOT NULL, second INTEGER,
    PRIMARY KEY (code, test, seed, settings)
) WITHOUT ROWID;
CREATE TABLE feature (code INTEGER NOT NULL, feature INTEGER NOT NULL, PRIMARY KEY (code, feature)) WITHOUT ROWID;
CREATE TABLE growth (
    campaign INTEGER NOT NULL, seconds REAL NOT NULL, done INTEGER NOT NULL, failures INTEGER NOT NULL,
    features INTEGER NOT NULL
);
"""
_LATE: Final = """
CREATE TABLE late (
    code INTEGER NOT NULL, folder TEXT NOT NULL, hash TEXT NOT NULL, PRIMARY KEY (code, folder)
) WITHOUT ROWID;
"""
_STEPS: Final = (_SCHEMA, _LATE)
VERSION: Final = len(_STEPS)


class LedgerError(Exception):
    """It can't be read or written: what was not said to be kept is not."""


@dataclass(frozen=True)
class Key:
    """What was tried, but for the code."""

    test: str
    seed: int
    settings: str = "{}"
    """JSON with sorted keys."""


@dataclass(frozen=True)
class Row:
    """What came of it."""

    key: Key
    verdict: str
    signature: Signature | None = None
    seconds: float = 0.0
    digest: int = 0
    detail: str = ""
    features: Sequence[int] = ()


@dataclass
class Group:
    """One failure, which many seeds may have. seeds: the first of them; tests: all it happened in."""

    signature: Signature
    verdict: str
    count: int
    detail: str
    seeds: list[Key] = field(default_factory=list)
    shrunk: list[tuple[Key, Json]] = field(default_factory=list)


@dataclass(frozen=True)
class Flaky:
    """A key of which two runs did not do the same."""

    key: Key
    one: str
    other: str
    difference: str


@dataclass(frozen=True)
class Told:
    """A campaign, as it was told when it began and ended."""

    number: int
    code: str
    began: float
    ended: float | None
    how: str
    tests: list[str]
    plan: Json
    root: str
    known: int
    """Verdicts that it took from campaigns before it."""


def settings_text(settings: Mapping[str, Any]) -> str:
    """As the key has them."""
    return json.dumps(settings, sort_keys=True, separators=(",", ":"))


class Ledger:
    """A file; made where there is none, unless `only_read`. Raises LedgerError from every method."""

    def __init__(self, path: Path, only_read: bool = False) -> None:
        self._ids: dict[tuple[str, str], int] = {}
        self.path = path
        with _told(path):
            if only_read:
                self._db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                if path.parent.name == ".synfin":
                    (path.parent / ".gitignore").write_text("*\n")
                self._db = sqlite3.connect(path, timeout=30, isolation_level=None)
            try:
                self._know_the_file(only_read)
            except BaseException:
                self._db.close()
                raise

    def _know_the_file(self, only_read: bool) -> None:
        if not only_read:
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = NORMAL")
        [version] = self._db.execute("PRAGMA user_version").fetchone()
        if version < VERSION and not only_read:
            with self._transaction():
                for statement in "".join(_STEPS[version:]).split(";"):
                    self._db.execute(statement)
                self._db.execute(f"PRAGMA user_version = {VERSION}")
        elif version != VERSION:
            raise LedgerError(f"{self.path} is no ledger of this synfin (version {version}, not {VERSION})")

    def close(self) -> None:
        """It is used no more."""
        self._db.close()

    # ---- a campaign ----

    def begin(self, code: str, tests: Sequence[str], plan: Json, root: str) -> int:
        """Its number."""
        with self._writing():
            row = self._db.execute(
                "INSERT INTO campaign (code, began, tests, plan, root) VALUES (?, ?, ?, ?, ?)",
                (self._id("code", "hash", code), time.time(), json.dumps(list(tests)), json.dumps(plan), root),
            )
            return int(row.lastrowid or 0)

    def end(self, campaign: int, how: str, known: int) -> None:
        """How it ended."""
        with self._writing():
            self._db.execute(
                "UPDATE campaign SET ended = ?, how = ?, known = ? WHERE id = ?", (time.time(), how, known, campaign)
            )

    def campaigns(self) -> list[Told]:
        """All there were, the latest last."""
        with _told(self.path):
            rows = self._db.execute(
                "SELECT campaign.id, hash, began, ended, how, tests, plan, root, known "
                "FROM campaign JOIN code ON code.id = code ORDER BY campaign.id"
            ).fetchall()
        return [
            Told(number, code, began, ended, how, json.loads(tests), json.loads(plan), root, known)
            for number, code, began, ended, how, tests, plan, root, known in rows
        ]

    def campaign(self, number: int) -> Told:
        """One of them."""
        found = next((one for one in self.campaigns() if one.number == number), None)
        if found is None:
            raise LedgerError(f"{self.path}: there is no campaign {number}")
        return found

    def ran(self, campaign: int) -> int:
        """How many verdicts are its own."""
        with _told(self.path):
            [count] = self._db.execute("SELECT count(*) FROM verdict WHERE campaign = ?", (campaign,)).fetchone()
        return int(count)

    # ---- writing ----

    def record(self, campaign: int, code: str, rows: Iterable[Row], new: Iterable[tuple[int, int]] = ()) -> list[Row]:
        """Keep verdicts, all or none; those that stood there otherwise are returned. new: (row, its novelty)."""
        novelty = dict(new)
        other: list[Row] = []
        with self._writing():
            for number, row in enumerate(rows):
                key = self._key(code, row.key)
                before = self._db.execute(
                    "SELECT verdict, digest, signature FROM verdict "
                    "WHERE code = ? AND test = ? AND seed = ? AND settings = ?",
                    key,
                ).fetchone()
                signature = None if row.signature is None else self._signature(row.signature, row.detail)
                if before is not None:
                    if before != (row.verdict, row.digest, signature):
                        other.append(row)
                    continue
                values = (*key, row.verdict, signature, row.seconds, row.digest, novelty.get(number, 0), campaign)
                self._db.execute(f"INSERT INTO verdict VALUES ({', '.join('?' * len(values))})", values)
                if row.features:
                    self._db.executemany(
                        "INSERT OR IGNORE INTO feature VALUES (?, ?)", [(key[0], feature) for feature in row.features]
                    )
        return other

    def note_flaky(self, code: str, key: Key, one: str, other: str, difference: str = "") -> None:
        """Two runs of a key did not do the same; said once more, with their first difference."""
        with self._writing():
            self._db.execute(
                "INSERT INTO flaky VALUES (?, ?, ?, ?, ?, ?, ?) "
                "ON CONFLICT DO UPDATE SET difference = excluded.difference",
                (*self._key(code, key), one, other, difference),
            )

    def note_shrunk(self, code: str, key: Key, signature: Signature, answer: Json) -> None:
        """What is left of a failure."""
        with self._writing():
            self._db.execute(
                "INSERT OR REPLACE INTO shrunk VALUES (?, ?, ?, ?, ?, ?)",
                (*self._key(code, key), self._signature(signature, ""), json.dumps(answer)),
            )

    def note_journals(self, code: str, journals: Iterable[tuple[Key, int]], second: bool) -> list[Key]:
        """CRCs of journals; with `second`, of the other run: the keys of which they differ."""
        differ: list[Key] = []
        with self._writing():
            for key, crc in journals:
                place = self._key(code, key)
                if not second:
                    self._db.execute("INSERT OR REPLACE INTO journal VALUES (?, ?, ?, ?, ?, NULL)", (*place, crc))
                    continue
                where = "WHERE code = ? AND test = ? AND seed = ? AND settings = ?"
                self._db.execute(f"UPDATE journal SET second = ? {where}", (crc, *place))
                [first] = self._db.execute(f"SELECT first FROM journal {where}", place).fetchone()
                if first != crc:
                    differ.append(key)
        return differ

    def note_growth(self, campaign: int, seconds: float, done: int, failures: int, features: int) -> None:
        """How far it is."""
        with self._writing():
            self._db.execute("INSERT INTO growth VALUES (?, ?, ?, ?, ?)", (campaign, seconds, done, failures, features))

    def note_late(self, code: str, folders: Mapping[str, str]) -> list[str]:
        """Sources that were loaded under a code and are not in it, by their hash; those that had another one before."""
        before = self.late(code)
        with self._writing():
            for folder, its in folders.items():
                self._db.execute(
                    "INSERT OR IGNORE INTO late VALUES (?, ?, ?)", (self._id("code", "hash", code), folder, its)
                )
        return [folder for folder, its in folders.items() if before.get(folder, its) != its]

    # ---- reading ----

    def late(self, code: str) -> dict[str, str]:
        """The folders that were, with their hashes."""
        return dict(self._read("SELECT folder, late.hash FROM late WHERE code = ?", code))

    def has(self, code: str, key: Key) -> bool:
        """There is a verdict."""
        with _told(self.path):
            found = self._db.execute(
                "SELECT 1 FROM verdict WHERE code = ? AND test = ? AND seed = ? AND settings = ?", self._key(code, key)
            )
            return found.fetchone() is not None

    def has_journal(self, code: str, key: Key) -> bool:
        """A run of a key was written down."""
        with _told(self.path):
            found = self._db.execute(
                "SELECT 1 FROM journal WHERE code = ? AND test = ? AND seed = ? AND settings = ?", self._key(code, key)
            )
            return found.fetchone() is not None

    def unpaired(self, code: str, tests: Sequence[str]) -> list[Key]:
        """Of which one run was written down."""
        rows = self._read(
            "SELECT test.name, seed, json FROM journal JOIN test ON test.id = test "
            "JOIN settings ON settings.id = settings WHERE code = ? AND second IS NULL ORDER BY seed, test.name",
            code,
        )
        return [Key(*row) for row in rows if row[0] in tests]

    def counts(self, code: str, tests: Sequence[str]) -> dict[str, dict[str, tuple[int, float]]]:
        """By test and verdict: how many, and the seconds they took."""
        found: dict[str, dict[str, tuple[int, float]]] = {test: {} for test in tests}
        for test, verdict, count, seconds in self._read(
            "SELECT test.name, verdict, count(*), sum(seconds) FROM verdict JOIN test ON test.id = test "
            "WHERE code = ? GROUP BY test.name, verdict",
            code,
        ):
            if test in found:
                found[test][verdict] = count, seconds
        return found

    def groups(self, code: str, tests: Sequence[str], seeds: int = 5) -> list[Group]:
        """The distinct failures of these tests, the most frequent first; of each the first seeds."""
        groups: dict[str, Group] = {}
        for name, seed, settings, verdict, key, *signature, detail, answer in self._read(
            "SELECT test.name, verdict.seed, json, verdict, key, exception, place, text, detail, answer FROM verdict "
            "JOIN test ON test.id = verdict.test JOIN settings ON settings.id = verdict.settings "
            "JOIN signature ON signature.id = verdict.signature "
            "LEFT JOIN shrunk ON shrunk.code = verdict.code AND shrunk.test = verdict.test "
            "AND shrunk.seed = verdict.seed AND shrunk.settings = verdict.settings "
            "WHERE verdict.code = ? AND verdict.signature IS NOT NULL ORDER BY test.name, verdict.seed",
            code,
        ):
            if name not in tests:
                continue
            group = groups.setdefault(f"{verdict} {key}", Group(Signature(*signature), verdict, 0, detail))
            group.count += 1
            if len(group.seeds) < seeds:
                group.seeds.append(Key(name, seed, settings))
            if answer is not None:
                group.shrunk.append((Key(name, seed, settings), json.loads(answer)))
        return sorted(groups.values(), key=lambda group: (-group.count, str(group.signature)))

    def flaky(self, code: str, tests: Sequence[str]) -> list[Flaky]:
        """The seeds that did not do the same twice."""
        rows = self._read(
            "SELECT test.name, seed, json, one, other, difference FROM flaky JOIN test ON test.id = test "
            "JOIN settings ON settings.id = settings WHERE code = ? ORDER BY test.name, seed",
            code,
        )
        return [Flaky(Key(*row[:3]), *row[3:]) for row in rows if row[0] in tests]

    def growth(self, campaign: int) -> list[tuple[float, int, int, int]]:
        """Seconds, seeds done, distinct failures, features."""
        with _told(self.path):
            return self._db.execute(
                "SELECT seconds, done, failures, features FROM growth WHERE campaign = ? ORDER BY seconds", (campaign,)
            ).fetchall()

    def features(self, code: str) -> set[int]:
        """All that was reached."""
        return {row[0] for row in self._read("SELECT feature FROM feature WHERE code = ?", code)}

    # ---- inside ----

    def _read(self, query: str, code: str) -> list[Any]:
        with _told(self.path):
            found = self._db.execute("SELECT id FROM code WHERE hash = ?", (code,)).fetchone()
            return [] if found is None else self._db.execute(query, found).fetchall()

    def _key(self, code: str, key: Key) -> tuple[int, int, int, int]:
        return (
            self._id("code", "hash", code),
            self._id("test", "name", key.test),
            key.seed,
            self._id("settings", "json", key.settings),
        )

    def _id(self, table: str, column: str, value: str) -> int:
        """The number of a code, a test, settings; a new one where there was none."""
        found = self._ids.get((table, value))
        if found is None:
            row = self._db.execute(f"SELECT id FROM {table} WHERE {column} = ?", (value,)).fetchone()
            if row is None:
                row = [self._db.execute(f"INSERT INTO {table} ({column}) VALUES (?)", (value,)).lastrowid]
            found = self._ids[table, value] = int(row[0])
        return found

    def _signature(self, signature: Signature, detail: str) -> int:
        row = self._db.execute("SELECT id FROM signature WHERE key = ?", (signature.key,)).fetchone()
        if row is not None:
            return int(row[0])
        values = (signature.key, signature.exception, signature.place, signature.text, detail)
        return int(
            self._db.execute(
                "INSERT INTO signature (key, exception, place, text, detail) VALUES (?, ?, ?, ?, ?)", values
            ).lastrowid
            or 0
        )

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with _told(self.path), self._transaction():
            yield

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """All of it or nothing."""
        known = dict(self._ids)
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            self._ids = known
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """In words, what SQLite and the system say."""
    try:
        yield
    except sqlite3.Error as error:
        full = "the disk is full" if "full" in str(error) else str(error)
        raise LedgerError(f"{path}: {full}") from error
    except OSError as error:
        raise LedgerError(f"{error.filename or path}: {error.strerror or error}") from error
