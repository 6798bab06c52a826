"""Variables of the environment that are no settings: of the commands that ask the daemon, and secrets."""

from __future__ import annotations

PREFIX = "EXIT_EXPORTER_"
# As a flag, every process on the host could read these.
PASSWORD = f"{PREFIX}PASSWORD"
DSTACK_TOKEN = f"{PREFIX}DSTACK_TOKEN"
_OF_COMMANDS = ("URL", "TLS_CA", "USER", "PASSWORD_FILE", "TOKEN_FILE")
OTHER_VARIABLES = frozenset({*(f"{PREFIX}{name}" for name in _OF_COMMANDS), PASSWORD, DSTACK_TOKEN})
