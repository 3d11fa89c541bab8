"""`synfin fault`: what the network of a running `synfin run` is set to, and setting it."""

from __future__ import annotations

import sys

from synfin.aio.control import check_folder, control_folder
from synfin.run.fault_socket import ask, fault_sockets


def run(name: str, words: list[str], way: str) -> int:
    """The command; its exit status. words: perhaps a place, then settings."""
    place = words.pop(0) if words and "=" not in words[0] else "*"
    try:
        check_folder(control_folder())
        found = fault_sockets(name)
        if len(found) != 1:
            raise FileNotFoundError(_which(name, [path.stem for path in found]))
        said = ask(found[0], place=place, way=way, settings=words)
    except FileNotFoundError as error:
        print(f"synfin fault: {error if not error.errno else _which(name, [])}", file=sys.stderr)
        return 1
    except (OSError, ValueError) as error:
        print(f"synfin fault: {error}", file=sys.stderr)
        return 1
    if "error" in said:
        print(f"synfin fault: {said['error']}", file=sys.stderr)
        return 2
    print("\n".join(said["now"]))
    return 0


def _which(name: str, found: list[str]) -> str:
    if found:
        return f"which of them? {', '.join(found)}"
    return (
        f"there is no run called {name!r} whose network can be changed: it is called as its program, and was started "
        "with an option of its link, and be it --delay 0"
    )
