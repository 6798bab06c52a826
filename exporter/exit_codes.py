"""Exit codes that mean the same whatever program ended with them."""

from __future__ import annotations

from signal import SIGKILL, SIGTERM

# Windows has codes of 32 bits, Linux of 8.
MAX_CODE = 2**32 - 1
MAX_LINUX_CODE = 255
# Engines write these over the code of a start that failed, and shells use the first two alike.
NOT_EXECUTABLE = 126
NOT_FOUND = 127
START_FAILURES = frozenset({NOT_EXECUTABLE, NOT_FOUND, 128})
# A process that a signal ended is reported as 128 plus the number of the signal.
SIGNAL_BASE = 128
MAX_SIGNAL = 64
SIGKILLED = SIGNAL_BASE + SIGKILL
SIGTERMED = SIGNAL_BASE + SIGTERM
# containerd's UnknownExitStatus: Docker shows it for a container that was gone when the engine came back,
# and engines up to 23 can report it in `die` where an inspect has the true code.
UNKNOWN_STATUS = 255
