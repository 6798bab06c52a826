"""Units of time: a time is an integer of nanoseconds since the Unix epoch."""

SECOND_NS = 10**9
HOUR_NS = 3600 * SECOND_NS
DAY_NS = 24 * HOUR_NS
