"""The packet sockets that hear one interface, and which of its frames each of them gets.

Two hear it always. `small` has slots for a packet, thousands of them, and takes each frame; of one that is too long for
a slot (a burst) it takes the beginning, which marks its place. `large` has a few large slots for those. The kernel
gives a frame first to the socket that was bound last, so that a burst is there when its mark is.

In a flood `syns` hears the SYNs, and `small` does not: what finds that ring full is a SYN, and whoever has had an
answer to his loses nothing. Outside of floods it hears nothing, since each socket costs each frame something.
"""

from __future__ import annotations

import socket
from typing import Final

from synfin.links import ethernet, packet_filter
from synfin.links.packet_interface import HOW_TO_BE_ALLOWED
from synfin.links.packet_ring import FRAME, SLOT, BurstRing, PacketSocket

RECEIVE_BYTES: Final = 16 << 20  # of the ring of frames that come in: 8192 of Ethernet's usual size
LARGE_SLOT: Final = 68 * 1024  # the largest IP packet, its headers and the slot's
LARGE_SLOTS: Final = 120
SYN_BYTES: Final = 4 << 20  # of the ring of SYNs: 16384, 60 ms of what a processor answers
SYN_SLOT: Final = 256
SYN_FRAME: Final = SYN_SLOT - FRAME  # the longest that it holds: IPv6 and TCP headers with all options have 114
SEND_BYTES: Final = 2 << 20  # of the ring of frames to be sent
_SEND_BUFFER: Final = 4 << 20
_MARK: Final = 128  # bytes of a burst in the small ring


class PacketSockets:
    """Of `interface`, for packets to the addresses `own`. Raises OSError as PacketLink says.

    offload: bursts are sent by sendmsg() on `small`, which a socket with a ring to send has not: `large` has that.
    """

    def __init__(self, interface: str, own: list[bytes], mtu: int, offload: bool, bypass_queue: bool) -> None:
        slot = SLOT
        while slot < mtu + 256:
            slot *= 2
        longest = slot - FRAME
        ring = SEND_BYTES // slot
        self.syns_are_apart = False
        self._filters = [packet_filter.up_to(longest, _MARK, own, but) for but in (0, SYN_FRAME)]
        self._syn_filters = [packet_filter.nothing(), packet_filter.bare_syns(SYN_FRAME, own)]
        self._all: list[PacketSocket] = []
        try:
            self.small = self._opened(RECEIVE_BYTES // slot, 0 if offload else ring, slot, slot)
            self.large = self._opened(LARGE_SLOTS, ring if offload else 0, LARGE_SLOT, slot)
            self.syns = self._opened(SYN_BYTES // SYN_SLOT, 0, SYN_SLOT, slot)
            self.small.filter(self._filters[False])
            self.large.filter(packet_filter.longer_than(longest, own))
            self.syns.filter(self._syn_filters[False])
            index = socket.if_nametoindex(interface)
            for address in own:
                if len(address) == 16:
                    self.small.join(index, ethernet.group_mac(ethernet.solicited_node(address)))
            for one in (self.syns, self.small, self.large):  # in this order: see above
                one.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
                if bypass_queue:
                    one.bypass_queue()
                one.bind(interface)
        except BaseException:
            self.close()
            raise
        sent = (self.large if offload else self.small).sent
        received, bursts, syns = self.small.received, self.large.received, self.syns.received
        assert sent is not None and received is not None and bursts is not None and syns is not None
        self.sent, self.received, self.bursts, self.received_syns = sent, received, BurstRing(bursts), syns

    def _opened(self, receive: int, send: int, receive_slot: int, send_slot: int) -> PacketSocket:
        try:
            one = PacketSocket(receive, send, receive_slot, send_slot)
        except PermissionError as error:
            raise PermissionError(error.errno, HOW_TO_BE_ALLOWED) from error
        self._all.append(one)
        return one

    def set_syns_apart(self, apart: bool) -> None:
        """Have `syns` hear them, or `small` again. For a moment both do, and such a SYN is answered twice."""
        changes = [(self.syns, self._syn_filters[apart]), (self.small, self._filters[apart])]
        for one, program in changes if apart else reversed(changes):
            one.filter(program)
        self.syns_are_apart = apart

    def dropped(self) -> int:
        """Frames that found their ring full, so far."""
        return sum(one.count() for one in self._all)

    def take_error(self) -> int:
        """The number of what has happened to `small`, 0: nothing; the others have had the same."""
        numbers = [one.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) for one in self._all]
        return numbers[0]

    def close(self) -> None:
        """Give all back. May be called twice."""
        for one in self._all:
            one.close()
