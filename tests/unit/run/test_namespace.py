"""Which network a run is to join: what is said of one that is not there."""

from __future__ import annotations

import errno
import sys

import pytest

from synfin.run.namespace import join

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="network namespaces are Linux's")


def test_a_process_that_is_not_there_has_no_network_to_be_joined() -> None:
    with pytest.raises(OSError, match="--netns 999999999: there is no process of this number") as told:
        join("999999999")
    assert told.value.errno == errno.ENOENT


def test_a_path_where_nothing_is_is_no_network_either() -> None:
    with pytest.raises(OSError, match="--netns /no/such/network: No such file"):
        join("/no/such/network")
