"""What a user could pick instead of synfin, measured beside it: optional, none of it a dependency.

Rule for the next editor: a peer is one entry in `found` and one way to run it in `beside`. It serves what load.c asks.
"""
