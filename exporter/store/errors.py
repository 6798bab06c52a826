"""Error of the store."""


class StoreError(Exception):
    """The database cannot be used; the text names it, the cause and what to do."""
