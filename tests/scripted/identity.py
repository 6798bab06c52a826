"""Who the scripted engine says it is: what the engine of the recordings said, less what no watcher reads."""

from typing import Any

ENGINE = "20.10.24+dfsg1"
KERNEL = "6.18.44-fc-v669"


def version() -> dict[str, Any]:
    """Give a fresh answer to `/version`."""
    return {
        "Platform": {"Name": ""},
        "Components": [{"Name": "Engine", "Version": ENGINE, "Details": {}}],
        "Version": ENGINE,
        "ApiVersion": "1.41",
        "MinAPIVersion": "1.12",
        "GitCommit": "5d6db84",
        "GoVersion": "go1.19.8",
        "Os": "linux",
        "Arch": "amd64",
        "KernelVersion": KERNEL,
        "BuildTime": "2026-05-07T21:09:36.000000000+00:00",
    }


def info() -> dict[str, Any]:
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
        "ServerVersion": ENGINE,
        "Swarm": {"NodeID": "", "NodeAddr": "", "LocalNodeState": "inactive", "ControlAvailable": False},
        "LiveRestoreEnabled": False,
        "Warnings": None,
    }
