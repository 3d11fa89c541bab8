"""What can become of a test with a seed. Strings, since they stand in the ledger."""

from __future__ import annotations

from typing import Final

PASSED: Final = "passed"
FAILED: Final = "failed"  # the test
ERROR: Final = "error"  # its fixtures, or the process that ran it
HUNG: Final = "hung"  # it took too long in real time: of the program or of the machine, nobody knows
ESCAPED: Final = "escaped"  # it reached for the real network
SKIPPED: Final = "skipped"

BAD: Final = (FAILED, ERROR, ESCAPED, HUNG)
"""All that a campaign ends with status 1 for."""
ALL: Final = (PASSED, *BAD, SKIPPED)
