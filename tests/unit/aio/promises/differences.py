"""Where a program sees something else on synfin than on the kernel's sockets.

Every entry must hold: one that no longer does fails its test, and is then taken away. KNOWN is what is to be mended, by
subject; ON_PURPOSE is what stays, and docs/asyncio.md says it.
"""

from __future__ import annotations

from tests.unit.aio.promises.net import HOSTS, LOOP, PLAIN, WORLDS

Differences = dict[str, dict[str, tuple[str, ...]]]  # subject -> program -> the worlds that differ

KNOWN: Differences = {}

ON_PURPOSE: Differences = {
    "Arguments that make no sense are TypeError or ValueError at the call": {
        "connecting_to_a_port_of_none": WORLDS,
        "connecting_to_port_zero": WORLDS,
        "connecting_to_a_port_too_large": WORLDS,
        "connecting_to_a_negative_port": WORLDS,
        "connecting_to_a_port_that_is_a_float": WORLDS,
        "connecting_with_ssl_of_a_wrong_type": WORLDS,
        "connecting_from_a_port_too_large": WORLDS,
        "a_datagram_to_what_is_no_address": WORLDS,
        "listening_on_a_port_too_large": WORLDS,
        "listening_on_a_negative_port": WORLDS,
        "listening_on_a_port_that_is_a_float": WORLDS,
        "listening_on_a_port_that_is_true": WORLDS,
        "listening_with_ssl_of_a_wrong_type": WORLDS,
        "a_factory_that_cannot_be_called": WORLDS,
        "a_handler_that_cannot_be_called": (HOSTS, LOOP),
    },
    "A name whose addresses fail alike fails so: refused everywhere is ConnectionRefusedError": {
        "connecting_to_a_name_where_nobody_listens": WORLDS,
        "the_error_of_a_name_whose_addresses_fail_alike": WORLDS,
    },
    "Two connections may leave from one port to different ports": {
        "two_connections_from_one_port_to_two_ports": WORLDS,
    },
    "A datagram endpoint without an address is on all of them": {
        "datagrams_from_no_address": WORLDS,
    },
    "A server on one address may stand beside one on all of them": {
        "listening_on_a_wildcard_and_an_address_of_its_family": WORLDS,
        "a_wildcard_server_beside_one_on_an_address": WORLDS,
    },
    "A socket that is closed under its transport ends it": {
        "a_socket_is_closed_under_its_transport": PLAIN,
    },
    "A face can't be duplicated": {
        "the_face_of_a_connection_is_duplicated": WORLDS,
    },
    "reuse_port has no effect": {
        "two_servers_that_reuse_the_port": WORLDS,
    },
    "A backlog of 0 is one of 1": {
        "a_server_with_a_backlog_of_zero": WORLDS,
    },
    "A server's factory that fails is reported": {
        "a_factory_fails_at_the_server": WORLDS,
    },
}


def why_different(program: str, world: str) -> str:
    """The subject of a difference that must be there; the empty string if the program must see the same."""
    for subject, programs in [*KNOWN.items(), *ON_PURPOSE.items()]:
        if world in programs.get(program, ()):
            return subject
    return ""
