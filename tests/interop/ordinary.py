"""A command by an ordinary user, which root becomes for it: `python -m tests.interop.ordinary COMMAND ...`."""

from __future__ import annotations

import os
import sys

from tests.interop.test_tun_device import give_up_root


def main() -> None:
    if os.geteuid() == 0:
        give_up_root()
    os.execvp(sys.argv[1], sys.argv[1:])


if __name__ == "__main__":
    main()
