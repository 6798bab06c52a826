"""The store, on real database files."""
