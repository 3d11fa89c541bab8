"""One connection's protocol: every mechanism of TCP under its own name, no I/O, no clock, no randomness of its own."""
