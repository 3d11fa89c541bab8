"""Where a program sees something else on synfin than on the kernel's sockets.

Every entry must hold: one that no longer does fails its test, and is then taken away. KNOWN is what is to be mended, by
subject; ON_PURPOSE is what stays, and docs/asyncio.md says it ("What differs, and why").
"""

from __future__ import annotations

from tests.unit.aio.promises.net import OWN, WORLDS

# subject -> programs, each with the worlds that differ
_ORDER = "tasks run between events"
_RETURN = "create_connection returns before anything is received"
_DELIVERY = "what was written before a close or an abort is delivered"
_FAILING = "a callback that fails"
_CALLS = "what a call answers"

KNOWN: dict[str, tuple[str, tuple[str, ...]]] = {
    "tasks_run_between_the_last_message_and_the_end": (_ORDER, WORLDS),
    "tasks_run_between_the_last_message_and_the_end_of_a_buffered_protocol": (_ORDER, WORLDS),
    "a_stream_reader_sees_the_last_line_before_the_end": (_ORDER, WORLDS),
    "close_in_data_received_tells_after_the_tasks_it_woke": (_ORDER, WORLDS),
    "an_answer_written_in_data_received_comes_before_the_end": (_ORDER, WORLDS),
    "both_ends_half_close_and_nobody_closes": (_ORDER, WORLDS),
    "create_connection_returns_before_a_greeting": (_RETURN, (OWN,)),
    "create_connection_returns_before_a_farewell": (_RETURN, (OWN,)),
    "create_connection_returns_before_a_reset": (_RETURN, (OWN,)),
    "a_greeting_goes_to_the_protocol_set_right_after_the_return": (_RETURN, (OWN,)),
    "a_greeting_goes_to_the_buffered_protocol_set_right_after_the_return": (_RETURN, (OWN,)),
    "a_greeting_waits_for_resume_reading_after_a_pause_right_after_the_return": (_RETURN, (OWN,)),
    "a_write_in_resume_writing_after_close_is_sent": (_DELIVERY, WORLDS),
    "a_write_after_close_while_the_buffer_drains_is_sent": (_DELIVERY, WORLDS),
    "abort_delivers_what_the_socket_holds": (_DELIVERY, WORLDS),
    "abort_with_nothing_written_ends_in_order": (_DELIVERY, WORLDS),
    "abort_with_unread_input_resets": (_DELIVERY, WORLDS),
    "abort_drops_what_the_transport_holds": (_DELIVERY, WORLDS),
    "abort_tells_by_call_soon": (_DELIVERY, WORLDS),
    "closing_many_times_tells_once": (_DELIVERY, WORLDS),
    "writes_after_a_close_with_nothing_left_are_dropped_and_warned_of": (_CALLS, WORLDS),
    "writes_after_a_reset_are_dropped_and_warned_of": (_CALLS, WORLDS),
    "writing_to_a_peer_that_has_closed": (_CALLS, WORLDS),
    "a_buffer_is_asked_for_with_asyncios_hint": (_CALLS, WORLDS),
    "data_received_fails": (_FAILING, WORLDS),
    "buffer_updated_fails": (_FAILING, WORLDS),
    "connection_lost_fails": (_FAILING, WORLDS),
    "connection_made_fails_at_the_server": (_FAILING, WORLDS),
    "connection_made_fails_at_the_client": (_FAILING, WORLDS),
    "a_factory_fails_at_the_client": (_FAILING, WORLDS),
    "a_factory_fails_at_the_server": (_FAILING, WORLDS),
}

ON_PURPOSE: dict[str, tuple[str, tuple[str, ...]]] = {}
