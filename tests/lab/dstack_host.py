"""The host of dstack's fleet: this machine, as a mount and a network namespace show it.

dstack writes to fixed paths. In the namespace they are overlays, and everything listens on the namespace's
own loopback, so that nothing of it is left on the machine.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from textwrap import dedent

from tests.lab.errors import LabError
from tests.lab.install import program
from tests.lab.process import system_path

IN_NAMESPACE = "EXIT_EXPORTER_DSTACK_NAMESPACE"
"""Variable that `make test-dstack` sets within the namespaces."""

OVERLAID = ("/root", "/usr/local/bin", "/etc/systemd/system")
EMPTIED = "/run"
SHIM_HOME = Path("/root/.dstack")
BRIDGE, BRIDGE_ADDRESS = "lab0", "172.31.231.1/24"
SSH_PORT = 2222

SUDO = """#!/bin/sh
exec "$@"
"""
# What the shim measures of this machine is replaced, so that a block of the fleet is 2 CPUs and 1 GiB.
SYSTEMCTL = """#!/bin/sh
case "$*" in *restart*dstack-shim*) ;; *) exit 0 ;; esac
unit=/etc/systemd/system/dstack-shim.service
binary=$(sed -n 's/^ExecStart=//p' "$unit")
folder=$(sed -n 's/^WorkingDirectory=//p' "$unit")
set -a
. "$(sed -n 's/^EnvironmentFile=//p' "$unit")"
set +a
cd "$folder"
[ -s shim.pid ] && kill "$(cat shim.pid)" && sleep 1
rm -f host_info.json
setsid "$binary" >"$folder/shim.log" 2>&1 </dev/null &
echo $! >"$folder/shim.pid"
for _ in $(seq 100); do [ -s host_info.json ] && break; sleep 0.1; done
sed -i -E 's/"cpus": ?[0-9]+/"cpus": 16/; s/"memory": ?[0-9]+/"memory": 8589934592/' host_info.json
"""


def require_namespace() -> None:
    """Raise `LabError` outside of such a namespace."""
    if not os.environ.get(IN_NAMESPACE):
        raise LabError("run it by `make test-dstack`, which gives it namespaces of its own")


def cover_paths(folder: Path) -> None:
    """Put a layer in memory over each folder that dstack and engines write to; it lies in ``folder``."""
    _mount("tmpfs", folder)
    _mount("tmpfs", EMPTIED)
    for number, target in enumerate(OVERLAID):
        upper, work = folder / f"upper{number}", folder / f"work{number}"
        upper.mkdir()
        work.mkdir()
        _mount("overlay", target, "-o", f"lowerdir={target},upperdir={upper},workdir={work}")
    shutil.rmtree(SHIM_HOME, ignore_errors=True)


def make_bridge() -> None:
    """Make the interface that containers are connected to."""
    for words in (
        ["link", "set", "lo", "up"],
        ["link", "add", BRIDGE, "type", "bridge"],
        ["address", "add", BRIDGE_ADDRESS, "dev", BRIDGE],
        ["link", "set", BRIDGE, "up"],
    ):
        subprocess.run([program("ip"), *words], check=True)


def sshd_command(folder: Path) -> Sequence[str | Path]:
    """Write an sshd's keys, settings and stubs to ``folder``; return its command. `user` is a login key."""
    stubs = folder / "stubs"
    stubs.mkdir(parents=True)
    for name in ("host", "user"):
        command = [program("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)]
        subprocess.run(command, check=True)
    for name, script in (("sudo", SUDO), ("systemctl", SYSTEMCTL)):
        (stubs / name).write_text(script)
        (stubs / name).chmod(0o755)
    Path("/run/sshd").mkdir(exist_ok=True)
    Path("/root/.ssh").mkdir(exist_ok=True, mode=0o700)
    shutil.copy(folder / "user.pub", "/root/.ssh/authorized_keys")
    settings = dedent(f"""\
        ListenAddress 127.0.0.1:{SSH_PORT}
        HostKey {folder / "host"}
        PidFile none
        StrictModes no
        PermitRootLogin yes
        UsePAM no
        Subsystem sftp internal-sftp
        SetEnv PATH={stubs}:{system_path()}
        """)
    (folder / "sshd_config").write_text(settings)
    return [program("sshd"), "-D", "-e", "-f", folder / "sshd_config"]


def _mount(kind: str, target: str | Path, *options: str) -> None:
    subprocess.run(["mount", "-t", kind, kind, *options, str(target)], check=True)
