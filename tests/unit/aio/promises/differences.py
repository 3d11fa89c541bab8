"""Where a program sees something else on synfin than on the kernel's sockets.

Every entry must hold: one that no longer does fails its test, and is then taken away. KNOWN is what is to be mended, by
subject; ON_PURPOSE is what stays, and docs/asyncio.md says it.
"""

from __future__ import annotations

from tests.unit.aio.promises.net import HOSTS, LOOP, OWN, PLAIN, SIM, WORLDS

Differences = dict[str, dict[str, tuple[str, ...]]]  # subject -> program -> the worlds that differ

KNOWN: Differences = {
    "addresses and arguments of connecting": {
        "connecting_to_a_name_for_ipv6": (HOSTS,),
        "connecting_to_a_name_for_ipv4": (HOSTS,),
        "connecting_to_an_address_of_the_other_family": WORLDS,
        "connecting_to_a_port_as_text": WORLDS,
        "connecting_to_a_name_and_a_port_as_text": WORLDS,
        "connecting_to_a_service_that_is_unknown": WORLDS,
        "connecting_to_host_and_port_of_none": (HOSTS, SIM),
        "connecting_without_host_and_port": (HOSTS, SIM),
        "connecting_to_a_host_that_is_a_number": (SIM,),
        "connecting_to_a_name_where_nobody_listens": WORLDS,
        "connecting_with_an_argument_nobody_knows": PLAIN,
        "connecting_with_a_backlog": PLAIN,
        "connecting_with_a_protocol_number": (HOSTS,),
        "connecting_with_flags": (HOSTS,),
        "connecting_by_name_with_flags_that_want_a_number": (HOSTS,),
        "connecting_with_happy_eyeballs": (HOSTS,),
        "connecting_with_happy_eyeballs_to_an_address": (HOSTS,),
        "connecting_with_interleave": (HOSTS,),
        "connecting_with_a_socket_and_an_address": WORLDS,
        "connecting_from_a_name": WORLDS,
        "connecting_from_a_port_as_text": WORLDS,
        "connecting_from_an_address_of_the_other_family": WORLDS,
        "connecting_from_a_name_nobody_knows": WORLDS,
        "connecting_from_an_address_without_a_port": WORLDS,
        "connecting_from_a_wildcard": WORLDS,
        "connecting_from_the_ipv6_wildcard": WORLDS,
        "the_second_address_of_a_name_answers": WORLDS,
        "the_error_of_a_name_whose_addresses_fail_alike": WORLDS,
        "a_stream_from_two_addresses": PLAIN,
        "open_connection_refuses_what_it_does_not_know": PLAIN,
    },
    "the face of a socket": {
        "a_connected_socket_is_refused_with_an_address": WORLDS,
        "options_of_a_socket_stay_when_it_is_handed_over": WORLDS,
        "so_linger_of_a_socket_stays_when_it_is_handed_over": WORLDS,
        "the_port_of_a_bound_socket_is_kept": WORLDS,
        "sock_calls_on_a_connected_socket": WORLDS,
        "closing_a_connected_socket_ends_the_connection": WORLDS,
        "sock_connect_refuses_a_blocking_socket_in_debug_mode": WORLDS,
        "the_face_of_a_listening_socket": WORLDS,
    },
    "datagram endpoints": {
        "datagrams_from_the_wildcard": WORLDS,
        "datagrams_from_the_ipv6_wildcard": WORLDS,
        "datagrams_from_a_port_as_text": WORLDS,
        "datagrams_from_a_name": WORLDS,
        "datagrams_from_a_text": (SIM,),
        "datagrams_to_a_port_as_text": WORLDS,
        "datagrams_to_nowhere": (HOSTS, SIM),
        "datagrams_for_ipv4": (HOSTS, SIM),
        "datagrams_for_ipv6_to_a_name": (HOSTS, SIM),
        "datagrams_with_reuse_port": (HOSTS,),
        "datagrams_with_broadcast": (HOSTS,),
        "datagrams_with_reuse_address": PLAIN,
        "datagrams_with_an_argument_nobody_knows": PLAIN,
        "the_face_of_an_endpoint": WORLDS,
        "a_wildcard_endpoint_hears_and_answers_on_all_addresses": WORLDS,
    },
    "addresses and arguments of listening": {
        "listening_on_the_same_address_twice": WORLDS,
        "listening_on_no_address_at_all": (SIM,),
        "listening_on_none": WORLDS,
        "listening_on_the_empty_name": WORLDS,
        "listening_on_none_in_a_list": WORLDS,
        "listening_on_the_ipv4_wildcard": WORLDS,
        "listening_on_the_ipv6_wildcard": WORLDS,
        "listening_on_both_wildcards": WORLDS,
        "listening_on_a_wildcard_and_an_address_of_the_other_family": WORLDS,
        "listening_on_a_wildcard_and_an_address_of_its_family": WORLDS,
        "listening_on_a_port_of_none": (HOSTS, LOOP),
        "listening_without_host_and_port": WORLDS,
        "listening_with_host_none_and_port_none": WORLDS,
        "listening_with_host_none_and_port_zero": WORLDS,
        "listening_on_a_port_as_text": WORLDS,
        "listening_on_a_port_as_bytes": WORLDS,
        "listening_on_a_service_that_is_unknown": WORLDS,
        "listening_on_a_port_as_an_empty_text": (HOSTS, LOOP),
        "listening_on_a_name": WORLDS,
        "listening_on_a_name_and_its_address": WORLDS,
        "listening_on_a_name_nobody_knows": (HOSTS, LOOP),
        "listening_for_ipv4": WORLDS,
        "listening_for_ipv6": WORLDS,
        "listening_on_a_name_for_ipv6": WORLDS,
        "listening_on_an_address_of_the_other_family": WORLDS,
        "listening_with_reuse_address": (HOSTS, LOOP),
        "listening_without_reuse_address": (HOSTS, LOOP),
        "listening_with_reuse_port": (HOSTS, LOOP),
        "listening_with_flags": (HOSTS, LOOP),
        "listening_by_name_with_flags_that_want_a_number": (HOSTS, LOOP),
        "listening_with_an_argument_nobody_knows": (OWN, SIM),
        "listening_with_a_happy_eyeballs_delay": (OWN, SIM),
        "listening_with_a_socket_and_an_address": (HOSTS, LOOP, SIM),
        "a_wildcard_server_beside_one_on_an_address": WORLDS,
        "a_server_for_each_family": WORLDS,
        "two_servers_that_reuse_the_port": WORLDS,
        "a_server_that_does_not_serve_yet": WORLDS,
        "a_server_that_never_served_is_closed": (HOSTS, LOOP),
        "serve_forever_starts_to_serve_and_closes_when_cancelled": (HOSTS, LOOP),
        "a_connection_that_nobody_accepted_before_the_server_closed": (HOSTS, LOOP),
        "start_server_refuses_what_it_does_not_know": (OWN, SIM),
    },
}

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
    "A server's factory that fails is reported": {
        "a_factory_fails_at_the_server": WORLDS,
    },
    "Two connections may leave from one port to different ports": {
        "two_connections_from_one_port_to_two_ports": WORLDS,
    },
    "An empty datagram is sent": {
        "a_datagram_may_be_empty": WORLDS,
    },
    "A datagram endpoint without an address is on all of them": {
        "datagrams_from_no_address": WORLDS,
    },
}


def why_different(program: str, world: str) -> str:
    """The subject of a difference that must be there; the empty string if the program must see the same."""
    for subject, programs in [*KNOWN.items(), *ON_PURPOSE.items()]:
        if world in programs.get(program, ()):
            return subject
    return ""
