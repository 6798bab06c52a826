"""Units of time: a time is an integer of nanoseconds since the Unix epoch."""

SECOND_NS = 10**9
