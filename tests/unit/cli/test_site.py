"""A folder as a site: what is found, and what is never found."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from synfin.cli.http_answer import Resource
from synfin.cli.site import DirectorySite, content_type


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With a secret beside it."""
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "served-not").mkdir()
    (tmp_path / "served-not" / "secret").write_text("secret")
    served = tmp_path / "served"
    (served / "sub").mkdir(parents=True)
    (served / "with index").mkdir()
    (served / "with index" / "index.html").write_text("<p>index")
    (served / "file.txt").write_text("0123456789")
    (served / "sub" / "a & b <c>.html").write_text("x")
    (served / "sub" / "data:text").write_text("x")
    return served


def body(resource: Resource | None) -> bytes:
    assert resource is not None
    return b"".join(resource.chunks(0, resource.size))


def test_files_are_found_with_their_size_and_type(folder: Path) -> None:
    found = DirectorySite(folder).find("/file.txt")
    assert found is not None
    assert (found.size, found.content_type) == (10, "text/plain; charset=utf-8")
    assert body(found) == b"0123456789"
    assert b"".join(found.chunks(3, 7)) == b"3456"


@pytest.mark.parametrize(
    "path",
    [
        "/../secret", "/..", "/../", "/../../../../../../etc/passwd", "/sub/../../secret", "/../served-not/secret",
        "//etc/passwd", "///etc/passwd", "/./../secret", "/none", "/file.txt/", "/file.txt/..", "/file.txt/x",
        "/file.txt\0", "\0", "", "file.txt", "/" + "x" * 5000, "/\udcff", "*", "/sub/..\\..\\secret",
    ],
)  # fmt: skip
def test_nothing_outside_and_nothing_strange_is_found(folder: Path, path: str) -> None:
    assert DirectorySite(folder).find(path) is None


def test_links_are_followed_within_the_folder_only(folder: Path) -> None:
    (folder / "inside").symlink_to("file.txt")
    (folder / "outside").symlink_to("../secret")
    (folder / "away").symlink_to("/etc")
    (folder / "loop").symlink_to("loop")
    (folder / "sub" / "index.html").symlink_to("../../secret")
    site = DirectorySite(folder)
    assert body(site.find("/inside")) == b"0123456789"
    for path in ("/outside", "/away", "/away/passwd", "/loop"):
        assert site.find(path) is None
    assert b"secret" not in body(site.find("/sub/"))


def test_what_is_not_served_is_not_listed(folder: Path) -> None:
    (folder / "inside").symlink_to("file.txt")
    (folder / "inside too").symlink_to("sub")
    (folder / "outside").symlink_to("../secret")
    (folder / "away").symlink_to("/etc")
    (folder / "by another").symlink_to("away")
    (folder / "loop").symlink_to("loop")
    (folder / "dangling").symlink_to("gone")
    os.mkfifo(folder / "fifo")
    page = body(DirectorySite(folder).find("/")).decode()
    listed = re.findall(r'href="\./([^"]*)"', page)
    assert listed == ["inside%20too/", "sub/", "with%20index/", "file.txt", "inside"]


def test_what_may_not_be_read_is_neither_served_nor_listed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refused = {folder / "file.txt", folder / "sub"}
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) not in refused)
    site = DirectorySite(folder)
    assert site.find("/file.txt") is site.find("/sub/") is None
    assert re.findall(r'href="\./([^"]*)"', body(site.find("/")).decode()) == ["with%20index/"]


def test_a_file_tells_the_second_of_its_last_change(folder: Path) -> None:
    os.utime(folder / "file.txt", ns=(0, 1_000_000_999_999_999))
    site = DirectorySite(folder)
    found, listing = site.find("/file.txt"), site.find("/")
    assert found is not None
    assert found.modified == 1_000_000
    assert listing is not None
    assert listing.modified is None


def test_a_folder_that_is_a_link_itself_is_served(folder: Path) -> None:
    link = folder.parent / "link"
    link.symlink_to(folder)
    assert body(DirectorySite(link).find("/file.txt")) == b"0123456789"


def test_what_is_no_plain_file_is_not_opened(folder: Path) -> None:
    os.mkfifo(folder / "fifo")
    assert DirectorySite(folder).find("/fifo") is None


def test_a_folder_without_a_slash_is_redirected_to_this_host(folder: Path) -> None:
    site = DirectorySite(folder)
    for path, location in (("/sub", "/sub/"), ("//sub", "/sub/"), ("/with index", "/with%20index/")):
        found = site.find(path)
        assert found is not None
        assert found.location == location


def test_index_html_stands_for_its_folder(folder: Path) -> None:
    assert body(DirectorySite(folder).find("/with index/")) == b"<p>index"


def test_a_listing_links_all_entries_and_escapes_their_names(folder: Path) -> None:
    site = DirectorySite(folder)
    page = body(site.find("/sub/")).decode()
    assert '<a href="./a%20%26%20b%20%3Cc%3E.html">a &amp; b &lt;c&gt;.html</a>' in page
    assert '<a href="./data%3Atext">' in page
    assert '<a href="./../">../</a>' in page
    top = body(site.find("/")).decode()
    assert "../" not in top
    assert top.index("./sub/") < top.index("./file.txt")


def test_names_that_are_no_utf8_can_be_listed_and_fetched(folder: Path) -> None:
    name = os.fsdecode(b"\xff.bin")
    try:
        (folder / name).write_bytes(b"x")
    except OSError:
        pytest.skip("this file system has UTF-8 names only")
    assert b'href="./%FF.bin"' in body(DirectorySite(folder).find("/"))


def test_a_file_that_shrinks_while_it_is_sent_is_an_error(folder: Path) -> None:
    found = DirectorySite(folder).find("/file.txt")
    (folder / "file.txt").write_text("0")
    with pytest.raises(OSError, match="shorter"):
        body(found)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("page.html", "text/html; charset=utf-8"), ("picture.png", "image/png"), ("archive.tar.gz", "application/gzip"),
        ("data.json", "application/json"), ("none", "application/octet-stream"),
        ("strange.svgz", "application/gzip"), ("x.tar.bz2", "application/octet-stream"),
    ],
)  # fmt: skip
def test_the_content_type_is_told_by_the_name(name: str, kind: str) -> None:
    assert content_type(name) == kind
