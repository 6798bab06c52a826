"""Address on which the daemon listens by default, and which the commands ask by default."""

DEFAULT_ADDRESS = "127.0.0.1:10137"
