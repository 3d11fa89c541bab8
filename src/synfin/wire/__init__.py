"""Bytes <-> fields: IP, TCP and ICMP packets. No clock, no state; hostile bytes raise WireError and nothing else."""
