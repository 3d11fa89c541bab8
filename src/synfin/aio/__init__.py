"""synfin as a citizen of asyncio: a Host over a link, with transports, streams and servers as usual."""
