"""A folder as a site: files with their content types, index.html where there is one, else a listing.

Rule for the next editor: whatever a path says, what is opened lies within the folder once every link is followed; and
what is not served is not listed.
"""

from __future__ import annotations

import html
import mimetypes
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import quote

from synfin.cli.http_answer import TEXT, Resource

CHUNK: Final = 256 * 1024
INDEX: Final = "index.html"


class DirectorySite:
    """folder: is served with all below it, but for links that lead out of it."""

    def __init__(self, folder: Path) -> None:
        self._root = folder.resolve(strict=True)

    def find(self, path: str) -> Resource | None:
        """The file or folder at an absolute, decoded path; None for what isn't there or may not be read."""
        if not path.startswith("/") or "\0" in path or ".." in path.split("/"):
            return None
        try:
            # Path("/a") / "/etc" is /etc: an absolute part would leave the folder before anything is checked.
            real = self._served(self._root.joinpath(path.strip("/")))
            if real is None:
                return None
            if real.is_dir():
                return self._folder(real, path)
            return None if path.endswith("/") else _file(real)
        except OSError:  # it went just now
            return None

    def _served(self, path: Path) -> Path | None:
        """The file or folder that a path leads to once every link is followed; None if it is not for others."""
        try:
            real = path.resolve(strict=True)
            return real if real.is_relative_to(self._root) and _readable(real) else None
        except (OSError, RuntimeError, ValueError):  # gone, a loop of links, a name that no file can have
            return None

    def _folder(self, folder: Path, path: str) -> Resource | None:
        if not path.endswith("/"):
            # Relative links count from the last slash. A single one in front: //name would be another host.
            return Resource(0, TEXT, _nothing, location=quote("/" + path.strip("/") + "/"))
        index = self._served(folder / INDEX)
        if index is not None and index.is_file():
            return _file(index)
        with os.scandir(folder) as found:
            # What is no link is within, as its folder is.
            entries = [one for one in found if (self._served(Path(one)) if one.is_symlink() else _readable(one))]
        page = _listing(path, entries)
        return Resource(len(page), "text/html; charset=utf-8", lambda start, stop: iter([page[start:stop]]))


def content_type(name: str) -> str:
    """The media type that a file's name tells; compressed files are just that."""
    kind, encoding = mimetypes.guess_type(name)
    if encoding is not None:
        return "application/gzip" if encoding == "gzip" else "application/octet-stream"
    if kind is None:
        return "application/octet-stream"
    return f"{kind}; charset=utf-8" if kind.startswith("text/") else kind


def _readable(path: Path | os.DirEntry[str]) -> bool:
    """A file or folder that may be read. No FIFO, no device: opening one may block or do something."""
    if path.is_dir():
        return os.access(path, os.R_OK | os.X_OK)
    return path.is_file() and os.access(path, os.R_OK)


def _file(path: Path) -> Resource:
    def chunks(start: int, stop: int) -> Iterator[bytes]:
        with path.open("rb", buffering=0) as file:
            file.seek(start)
            while start < stop:
                chunk = file.read(min(CHUNK, stop - start))
                if not chunk:
                    raise OSError(f"{path} has become shorter")
                start += len(chunk)
                yield chunk

    status = path.stat()
    return Resource(status.st_size, content_type(path.name), chunks, modified=int(status.st_mtime))


def _nothing(start: int, stop: int) -> Iterator[bytes]:
    return iter(())


def _listing(path: str, entries: list[os.DirEntry[str]]) -> bytes:
    entries = sorted(entries, key=lambda entry: (not entry.is_dir(), entry.name.lower(), entry.name))
    names = ["../"] if path.strip("/") else []
    names += [f"{entry.name}/" if entry.is_dir() else entry.name for entry in entries]
    # "./": a name with a colon is no scheme. What is no UTF-8 on disk is none in the link either.
    lines = [
        f'<li><a href="./{quote(os.fsencode(name))}">{html.escape(os.fsencode(name).decode(errors="replace"))}</a>'
        for name in names
    ]
    title = html.escape(path.encode(errors="surrogateescape").decode(errors="replace"))
    head = f'<!doctype html>\n<meta charset="utf-8">\n<title>{title}</title>\n<h1>{title}</h1>\n<ul>\n'
    return (head + "\n".join(lines) + "\n</ul>\n").encode()
