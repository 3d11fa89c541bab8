"""Many connections on one set of addresses: demultiplexing, ports, timers, ICMP. No I/O, no clock."""
