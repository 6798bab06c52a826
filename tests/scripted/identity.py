"""Who the scripted engine says it is: what the engines of the recordings said, less what no watcher reads."""

from collections.abc import Mapping
from typing import Any, NamedTuple

KERNEL = "6.18.44-fc-v669"


class Release(NamedTuple):
    """An engine, and the oldest version of the API that it still speaks."""

    engine: str
    oldest: str


RELEASES: Mapping[str, Release] = {
    "1.41": Release("20.10.24+dfsg1", "1.12"),
    "1.55": Release("29.7.2", "1.40"),
    "1.56": Release("29", "1.40"),
}
"""The engines that can be played, by the newest version of the API that they speak."""


def version(api: str) -> dict[str, Any]:
    """Give a fresh answer to `/version`."""
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
    """Give a fresh answer to `/info`, without `SystemTime`: that is the time of asking."""
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
