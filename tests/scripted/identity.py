"""Identity of the scripted engine: that of the recorded engines, without what the exporter does not read."""

from collections.abc import Mapping
from typing import Any, NamedTuple

KERNEL = "6.18.44-fc-v669"


class Release(NamedTuple):
    """Version of an engine, and the oldest version of the API that it supports."""

    engine: str
    oldest: str


RELEASES: Mapping[str, Release] = {
    "1.41": Release("20.10.24+dfsg1", "1.12"),
    "1.55": Release("29.7.2", "1.40"),
    "1.56": Release("29", "1.40"),
}
"""Engines by their newest version of the API."""


def version(api: str) -> dict[str, Any]:
    """Return a new answer to `/version`."""
    engine, oldest = RELEASES[api]
    return {
        "Platform": {"Name": ""},
        "Components": [{"Name": "Engine", "Version": engine, "Details": {}}],
        "Version": engine,
        "ApiVersion": api,
        "MinAPIVersion": oldest,
        "GitCommit": "5d6db84",
        "GoVersion": "go1.19.8",
        "Os": "linux",
        "Arch": "amd64",
        "KernelVersion": KERNEL,
        "BuildTime": "2026-05-07T21:09:36.000000000+00:00",
    }


def info(api: str) -> dict[str, Any]:
    """Return a new answer to `/info`, without `SystemTime`."""
    return {
        "ID": "Z6TE:XMYA:CVZB:X5VP:ZOQO:44ZN:MTO7:CKOD:ZWQB:YVIQ:CHUG:KF66",
        "MemoryLimit": True,
        "SwapLimit": True,
        "OomKillDisable": True,
        "NEventsListener": 0,
        "CgroupDriver": "cgroupfs",
        "CgroupVersion": "1",
        "KernelVersion": KERNEL,
        "OperatingSystem": "Debian GNU/Linux 12 (bookworm)",
        "OSVersion": "12",
        "OSType": "linux",
        "Architecture": "x86_64",
        "NCPU": 2,
        "MemTotal": 25276502016,
        "Name": "scripted-host",
        "Labels": [],
        "ServerVersion": RELEASES[api].engine,
        "Swarm": {"NodeID": "", "NodeAddr": "", "LocalNodeState": "inactive", "ControlAvailable": False},
        "LiveRestoreEnabled": False,
        "Warnings": None,
    }
