"""Where packets come and go: TUN devices, memory, and what wraps them. Nothing here knows TCP's rules."""
