"""What hostile bytes may raise. Rule: nothing in wire/ lets another exception escape from a `parse_untrusted`."""


class WireError(ValueError):
    """The bytes are not a well-formed packet: drop and count."""


class ChecksumError(WireError):
    """The packet is well formed as far as was looked at, but a checksum (IPv4 header, TCP, ICMP) does not hold."""
