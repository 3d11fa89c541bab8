"""A TUN device as a link, with segment and checksum offload both ways where the kernel gives it.

With offload each read and write starts with a `struct virtio_net_hdr` (10 bytes, native order): the kernel hands over
and takes TCP segments of up to 64 KiB whose checksum is left partial. Without offload: plain packets, one a call; while
they are many the kernel merges them itself, apart from the call (see `tun_thread`).

What fails, and who hears of it:
- a packet the device refuses (ENOBUFS, EINVAL, ...) is lost as on any network, and counted: `refused`, `last_error`;
- an interface that is down (EIO) loses the packets in hand, counted as `refused` too, and is full until it is up again:
  what waits for it goes then, and not when its timer expires (`has_come_back`);
- a device that is gone (deleted, closed) raises OSError from receive(), send() and flush(), now and at each later call;
- what the device can't take now (EAGAIN) waits in a queue of QUEUE_LIMIT packets; what finds it full: `overflowed`.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections import deque
from collections.abc import Callable
from typing import Final

from synfin.links.link import PacketSink, check_mtu
from synfin.links.tun_thread import DeviceThread, of_device
from synfin.links.vnet import CHECKSUM_KNOWN, GSO_SIZE, VNET_LEN, frames
from synfin.wire.pieces import Piece
from synfin.wire.segment import Burst, split

MAX_QUEUES: Final = 256  # of one device: MAX_TAP_QUEUES of the kernel
QUEUE_LIMIT: Final = 1024  # packets (bursts with offload) that wait while the device is full
KERNEL_QUEUE: Final = 4096  # packets that the kernel holds for receive(); with its own 500 a window of 1 MB overflows
READ_AT_ONCE: Final = 16  # packets that are read one after the other, and get the same time

_DEVICE: Final = "/dev/net/tun"
_TUNSETIFF: Final = 0x400454CA
_TUNSETOFFLOAD: Final = 0x400454D0
_TUNSETVNETHDRSZ: Final = 0x400454D8
_IFF_TUN: Final = 0x1
_IFF_NAPI: Final = 0x10
_IFF_MULTI_QUEUE: Final = 0x100
_IFF_NO_PI: Final = 0x1000
_IFF_VNET_HDR: Final = 0x4000
_TUN_F_CSUM_TSO4_TSO6: Final = 1 | 2 | 4
_SIOCGIFMTU: Final = 0x8921
_RTM_NEWLINK: Final = 16
_NLM_F_REQUEST_ACK: Final = 1 | 4
_NLMSG_LEN: Final = 16
_IFLA_MTU: Final = 4
_IFLA_TXQLEN: Final = 13

_READ_SIZE: Final = VNET_LEN + 40 + 65535  # the largest IPv6 packet, behind its vnet header

_EBADFD: Final = 77  # Linux; what a TUN descriptor says once its interface is deleted
_GONE: Final = frozenset({errno.EBADF, _EBADFD, errno.ENODEV, errno.ENXIO, errno.EFAULT})


class TunLink:
    """The packets of one TUN interface. Nobody but this object reads or writes its descriptor.

    name: of the interface, at most 15 characters; "%d" in it becomes a free number; created if it isn't there.
    mtu: bytes, 576 to 65535; the interface is set to it. offload: asked for; `link.offload` says what was granted.
    thread: without offload, and while much is carried, a thread of the kernel's is to receive what is written, so that
    a packet costs half the time here; `link.thread` is None where this user or this kernel can't.
    Addresses, routes and "up" are `netns.configure`'s or the administrator's business.
    Raises ValueError for a bad name or mtu, and OSError (PermissionError, FileNotFoundError, ...) that says what to do.
    """

    def __init__(self, name: str = "synfin%d", mtu: int = 1500, offload: bool = True, thread: bool = True) -> None:
        check_mtu(mtu)
        _check_name(name)
        threaded = _open_with_thread(name) if thread and not offload else None
        fd, name, offload = threaded[:3] if threaded else _open(name, offload)
        self._adopt(fd, name, mtu, offload, threaded[3] if threaded else None)
        try:
            _set_up(name, mtu)
        except BaseException:
            self.close()
            raise

    @classmethod
    def queues(cls, count: int, name: str = "synfin%d", mtu: int = 1500, offload: bool = True) -> list[TunLink]:
        """One device as `count` links, 1 to 256, each a queue of its own, for a process each (see links.crew).

        The kernel gives a flow's packets to the queue that last sent for it, or else to any: it may change its mind.
        Raises as TunLink() does.
        """
        if not 1 <= count <= MAX_QUEUES:
            raise ValueError(f"a TUN device has from 1 to {MAX_QUEUES} queues, not {count}")
        check_mtu(mtu)
        _check_name(name)
        links: list[TunLink] = []
        try:
            for _ in range(count):
                fd, name, offload = _open(name, offload, _IFF_MULTI_QUEUE)
                links.append(cls.from_fd(fd, mtu, offload, name))
            _set_up(name, mtu)
        except BaseException:
            for link in links:
                link.close()
            raise
        return links

    @classmethod
    def from_fd(cls, fd: int, mtu: int = 1500, offload: bool = False, name: str = "") -> TunLink:
        """A link over a TUN descriptor that somebody else opened with IFF_NO_PI; it is the link's from now on.

        offload: it was opened with IFF_VNET_HDR, 10 bytes long, and TUNSETOFFLOAD.
        """
        check_mtu(mtu)
        os.set_blocking(fd, False)
        link = cls.__new__(cls)
        link._adopt(fd, name, mtu, offload)
        return link

    def _adopt(self, fd: int, name: str, mtu: int, offload: bool, thread: DeviceThread | None = None) -> None:
        self._fd = fd  # -1 once closed
        self.name = name
        self.mtu = mtu
        self.offload = offload
        self.thread = thread
        """What receives written packets while they are many; None: there is none."""
        self._queue: deque[list[Piece]] = deque()  # iovecs, oldest first; not empty only after EAGAIN
        self._down = False  # the interface was, at the last write; the kernel calls it writable once it is up
        self._was_down = False  # and nobody has asked since whether it has come back
        self.overflowed = 0  # packets lost because the queue was full
        self.refused = 0  # packets lost because the device did not want them
        self.last_error: OSError | None = None  # why, for the last one refused

    def fileno(self) -> int:
        """The device's descriptor; -1 once closed."""
        return self._fd

    def receive(self, stack: PacketSink, clock: Callable[[], int], limit: int) -> int:
        """Read up to `limit` packets and give each to the stack. How many. OSError once the device is gone."""
        offload = self.offload
        deliver = stack.receive
        count = 0
        while count < limit:
            wanted = min(limit - count, READ_AT_ONCE)
            packets = self._read(wanted)
            if packets:
                now = clock()
                if self.thread is not None:
                    self.thread.carries(packets)
                    self.thread.look(now)
            for data in packets:
                if not offload:
                    deliver(data, now, False, 0)
                elif data[1]:  # gso_type: a burst
                    deliver(data, now, data[0] & CHECKSUM_KNOWN != 0, GSO_SIZE.unpack_from(data, 4)[0], VNET_LEN)
                else:
                    deliver(data, now, data[0] & CHECKSUM_KNOWN != 0, 0, VNET_LEN)
            count += len(packets)
            if len(packets) < wanted:
                break
        return count

    def _read(self, limit: int) -> list[bytes]:
        """What waits, as it comes, at most `limit` packets."""
        packets: list[bytes] = []
        fd = self._fd
        read = os.read
        try:
            while len(packets) < limit:
                packets.append(read(fd, _READ_SIZE))
        except BlockingIOError:
            pass
        except OSError as error:
            self._lost(error)
        return packets

    def send(self, bursts: list[Burst]) -> bool:
        """Write all bursts; False if some wait for flush(), or all for "up". OSError once the device is gone."""
        if self._queue:
            self.flush()
        for burst in bursts:
            if self.offload:
                for iovec in frames(burst):
                    self._write(iovec)
            else:
                self._write_packets(split(burst))
        return not self._queue and not self._down

    def flush(self) -> bool:
        """Write what waits, oldest first; True when nothing waits any more. OSError once the device is gone."""
        self._down = False
        queue = self._queue
        while queue:
            try:
                os.writev(self._fd, queue[0])
            except BlockingIOError:
                return False
            except OSError as error:
                queue.popleft()
                self._lost(error)
            else:
                queue.popleft()
        return True

    def is_down(self) -> bool:
        """What is sent is lost, until the interface is up again."""
        return self._down

    def has_come_back(self) -> bool:
        """The interface was down, and something could be written since; once."""
        back = self._was_down and not self._down
        if back:
            self._was_down = False
        return back

    def close(self) -> None:
        """Close the descriptor; the interface goes with it unless it was made to persist. What waits is dropped."""
        fd, self._fd = self._fd, -1
        self._queue.clear()
        if self.thread is not None:
            self.thread.close()
        if fd >= 0:
            os.close(fd)

    def _write_packets(self, packets: list[bytes]) -> None:
        """Whole packets to the device, or behind those that wait."""
        fd = self._fd
        queue = self._queue
        write = os.write
        if self.thread is not None:
            self.thread.carries(packets)
        for packet in packets:
            if queue:
                self._wait([packet])
                continue
            try:
                write(fd, packet)
            except BlockingIOError:
                queue.append([packet])
            except OSError as error:
                self._lost(error)

    def _write(self, iovec: list[Piece]) -> None:
        """One packet to the device, or behind those that wait."""
        if self._queue:
            self._wait(iovec)
            return
        try:
            if len(iovec) == 1:
                os.write(self._fd, iovec[0])
            else:
                os.writev(self._fd, iovec)
        except BlockingIOError:
            self._queue.append(iovec)
        except OSError as error:
            self._lost(error)

    def _wait(self, iovec: list[Piece]) -> None:
        """Behind those that wait, if there is room."""
        if len(self._queue) < QUEUE_LIMIT:
            self._queue.append(iovec)
        else:
            self.overflowed += 1

    def _lost(self, error: OSError) -> None:
        """A packet was refused: count it. Or the device is gone: say so to whoever called."""
        if error.errno in _GONE:
            what = "is closed" if self._fd < 0 else "is gone: its interface was deleted"
            raise OSError(error.errno, f"the TUN link {self.name!r} {what}") from error
        self._down = error.errno == errno.EIO
        self._was_down |= self._down
        self.refused += 1
        self.last_error = error


def _check_name(name: str) -> None:
    encoded = name.encode()
    if not 1 <= len(encoded) <= 15 or name in (".", "..") or any(c <= 32 or c in b"/:" for c in encoded):
        raise ValueError(f"an interface name has 1 to 15 characters, no space, no '/', no ':'; not {name!r}")
    if name.count("%") != name.count("%d") or name.count("%") > 1:
        raise ValueError(f"an interface name may hold one '%d', which becomes a number; not {name!r}")


def _open(name: str, offload: bool, more_flags: int = 0) -> tuple[int, str, bool]:
    """The descriptor, the name that the kernel gave, and whether offload was granted."""
    try:
        fd = os.open(_DEVICE, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise OSError(error.errno, _why_no_device(error.errno)) from error
    try:
        return fd, _attach(fd, name, offload, more_flags), offload
    except OSError as error:
        os.close(fd)
        if offload and error.errno == errno.EINVAL:
            return _open(name, False, more_flags)
        raise OSError(error.errno, _why_no_interface(error, name)) from error


def _open_with_thread(name: str) -> tuple[int, str, bool, DeviceThread] | None:
    """The same without offload, of a device that can have a thread; None: it can't, and NAPI alone is slower."""
    fd, given, _ = _open(name, False, _IFF_NAPI)
    try:
        thread = of_device(given)
    except BaseException:
        os.close(fd)
        raise
    if thread is None:
        os.close(fd)
        return None
    return fd, given, False, thread


def _attach(fd: int, name: str, offload: bool, more_flags: int) -> str:
    """Make the interface, or take an existing one; its name."""
    from fcntl import ioctl

    flags = _IFF_TUN | _IFF_NO_PI | (_IFF_VNET_HDR if offload else 0) | more_flags
    answer = ioctl(fd, _TUNSETIFF, struct.pack("16sH22x", name.encode(), flags))
    if offload:
        ioctl(fd, _TUNSETVNETHDRSZ, struct.pack("i", VNET_LEN))
    # an interface that persists remembers what its last user could take
    ioctl(fd, _TUNSETOFFLOAD, _TUN_F_CSUM_TSO4_TSO6 if offload else 0)
    return answer[:16].split(b"\0", 1)[0].decode()


def _set_up(name: str, mtu: int) -> None:
    """Make the interface agree with the link's mtu, and lengthen its queue.

    OSError if this user may change neither and the mtu differs. By netlink (rtnetlink(7)), since the ioctl for the
    queue is refused inside a user namespace.
    """
    from fcntl import ioctl

    body = struct.pack("=BxHiII", socket.AF_UNSPEC, 0, socket.if_nametoindex(name), 0, 0)
    body += struct.pack("=HHIHHI", 8, _IFLA_MTU, mtu, 8, _IFLA_TXQLEN, KERNEL_QUEUE)
    head = struct.pack("=IHHII", _NLMSG_LEN + len(body), _RTM_NEWLINK, _NLM_F_REQUEST_ACK, 1, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as kernel:
        kernel.send(head + body)
        (number,) = struct.unpack_from("=i", kernel.recv(4096), _NLMSG_LEN)
    if number == 0:
        return
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        answer = ioctl(control, _SIOCGIFMTU, struct.pack("16s24x", name.encode()))
    (current,) = struct.unpack_from("i", answer, 16)
    if current != mtu:
        raise OSError(
            -number,
            f"interface {name!r} has mtu {current} and could not be given {mtu} ({os.strerror(-number)}): "
            f"open the link with mtu={current}, or have it changed: ip link set {name} mtu {mtu}",
        )


def _why_no_device(number: int | None) -> str:
    if number in (errno.EACCES, errno.EPERM):
        return f"this user may not open {_DEVICE}: chmod 666 {_DEVICE} (the usual mode) as root, or run as root"
    if number in (errno.ENOENT, errno.ENODEV, errno.ENXIO):
        return f"there is no {_DEVICE}: modprobe tun, or give the container the device (docker: --device {_DEVICE})"
    return f"{_DEVICE} can't be opened: {os.strerror(number or 0)}"


def _why_no_interface(error: OSError, name: str) -> str:
    if error.errno == errno.EPERM:
        return (
            f"this user may not make the interface {name!r}: call synfin.links.netns.enter_private_network() first, "
            f"have root prepare it (ip tuntap add {name} mode tun user NAME), or run as root"
        )
    if error.errno == errno.EBUSY:
        return f"the interface {name!r} is in use by another process: choose another name"
    if error.errno == errno.EINVAL:
        return f"the interface {name!r} exists and is no TUN device: choose another name"
    return f"the interface {name!r} can't be opened: {error.strerror}"
