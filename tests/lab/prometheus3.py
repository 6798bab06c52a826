"""Prometheus 3, which Debian does not package."""

from pathlib import Path

from tests.lab.go_build import GoBuild, GoProgram

VERSION = "3.16.0"
_MODULE_VERSION = "v0.316.0"
"""The same release, as a Go module is numbered."""

_TAGS = "netgo remove_all_sd"
"""Without the service discoveries, which are most of what there is to compile."""

_BUILD = GoBuild(
    "prometheus-3",
    "Prometheus 3",
    tuple(
        GoProgram(
            f"github.com/prometheus/prometheus/cmd/{name}",
            _MODULE_VERSION,
            tags=_TAGS,
            variables=f"-X github.com/prometheus/common/version.Version={VERSION}",
        )
        for name in ("prometheus", "promtool")
    ),
)


def prometheus_3() -> Path:
    """Return the folder with `prometheus` and `promtool`; build it if there is none.

    Raises `LabError` with what to do where it cannot be built.
    """
    return _BUILD.ensure()


def why_no_prometheus_3() -> str | None:
    """Return why this machine cannot run a Prometheus 3 and what to do about it; None if it can."""
    return _BUILD.why_not()
