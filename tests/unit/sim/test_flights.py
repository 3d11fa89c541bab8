from __future__ import annotations

import random

from synfin.links.tunnel import Arrival
from synfin.sim.flights import NEVER, Flight, Flights
from synfin.sim.station import Station

HERE = Station("here")


def test_packets_arrive_by_time_and_in_the_order_in_which_they_left_where_that_is_the_same() -> None:
    draw = random.Random(1)
    for apart in (0, 3, 50):  # how far one may overtake others, in microseconds
        flights, expected, now = Flights(), list[tuple[int, int]](), 0
        arrived: list[tuple[int, int]] = []
        for number in range(1, 2000):
            now += draw.randrange(3)
            while NEVER < flights.due < now and draw.random() < 0.9:
                arrived.append(_taken(flights))
            arrives = now + 20 + draw.randrange(apart + 1)
            expected.append((arrives, number))
            flights.put(arrives, HERE, Arrival(b"%d" % number))
            assert len(flights) == len(expected) - len(arrived)
        left = [int(arrival.packet) for arrival in flights.arrivals()]
        while flights.due != NEVER:
            arrived.append(_taken(flights))
        assert arrived == sorted(expected)
        assert left == [number for _, number in arrived[-len(left) :]]
        assert len(flights) == 0 and flights.arrivals() == []


def _taken(flights: Flights) -> tuple[int, int]:
    due, ahead = flights.due, flights.next()
    flight: Flight = flights.pop()
    assert flight == ahead and flight[0] == due
    return flight[0], int(flight[3].packet)


def test_what_is_cleared_does_not_arrive_and_what_is_put_then_does() -> None:
    flights = Flights()
    for arrives in (5, 3, 8):
        flights.put(arrives, HERE, Arrival(b""))
    assert flights.due == 3
    flights.clear()
    assert flights.due == NEVER and len(flights) == 0
    flights.put(4, HERE, Arrival(b"late"))
    assert flights.pop()[3].packet == b"late" and flights.due == NEVER
