from __future__ import annotations

from synfin.run.files import hosts_text, resolver_text


def test_names_that_were_given_win_over_the_outsides() -> None:
    text = hosts_text({"db": "10.1.2.3"}, "127.0.0.1 localhost\n10.9.9.9 db DB other # a comment\n10.8.8.8 db\n")
    assert text == "10.1.2.3\tdb\n127.0.0.1\tlocalhost\n10.9.9.9\tother\n"


def test_localhost_is_known_even_where_the_outside_has_no_hosts_file() -> None:
    assert hosts_text({}, "") == "127.0.0.1\tlocalhost\n::1\tlocalhost\n"


def test_the_resolver_is_ours_and_how_names_are_looked_for_the_outsides() -> None:
    outside = "# by hand\nnameserver 127.0.0.53\noptions edns0 trust-ad\nsearch example.org\n"
    assert resolver_text(["10.0.0.1"], outside) == "nameserver 10.0.0.1\noptions edns0 trust-ad\nsearch example.org\n"
