"""Docker Engine 29, which Debian does not package."""

from pathlib import Path

from tests.lab.go_build import GoBuild, GoProgram
from tests.lab.install import ensure_to_build

RECIPE = (
    GoProgram(
        "github.com/containerd/containerd/v2/cmd/containerd",
        "v2.4.2",
        tags="no_btrfs no_devmapper no_zfs no_cri",
    ),
    GoProgram("github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2", "v2.4.2"),
    # dockerd's default profile needs seccomp; without it every container would be refused.
    GoProgram("github.com/opencontainers/runc", "v1.5.3", tags="seccomp", cgo=True),
    GoProgram(
        "github.com/moby/moby/v2/cmd/dockerd",
        "v2.0.0-beta.24",
        variables="-X github.com/moby/moby/v2/dockerversion.Version=29",
    ),
    GoProgram("github.com/moby/moby/v2/cmd/docker-proxy", "v2.0.0-beta.24"),
)
"""Programs of a Docker Engine 29, in versions that fit together."""

_BUILD = GoBuild("engine-29", "Docker Engine 29", RECIPE)


def engine_29() -> Path:
    """Return the folder with the engine's programs for `PrivateEngine`; build it if there is none.

    Raises `LabError` with what to do where it cannot be built.
    """
    return _BUILD.ensure(ensure_to_build)


def is_built() -> bool:
    """Return whether the cache contains it."""
    return _BUILD.is_built()


def why_no_engine_29() -> str | None:
    """Return why this machine cannot run an Engine 29 and what to do about it; None if it can."""
    return _BUILD.why_not()
