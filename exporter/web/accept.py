"""Which formats of metrics a client accepts, as far as they can be written."""

from __future__ import annotations

# prometheus_client fails at a version that is no number, and writes one that it does not know as if it did.
_VERSIONS = {
    "application/openmetrics-text": frozenset({"0.0.1", "1.0.0"}),
    "text/plain": frozenset({"0.0.4", "1.0.0"}),
}


def known_formats(accept: str) -> str:
    """Return the header ``Accept`` without the items whose version of a format does not exist."""
    return ",".join(item for item in accept.split(",") if _is_known(item))


def _is_known(item: str) -> bool:
    media_type, *parameters = (part.strip() for part in item.split(";"))
    pairs = [parameter.partition("=") for parameter in parameters]
    versions = {value for name, _, value in pairs if name == "version"}
    return versions <= _VERSIONS.get(media_type, versions)
