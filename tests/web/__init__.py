"""The web side, asked over a real socket."""
