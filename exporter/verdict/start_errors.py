"""Reason of a failed start by the error text of the engine. Pure.

The patterns cover dockerd 20.10 to 29, containerd and runc, and Podman and crun where they differ.
"""

from __future__ import annotations

import re

# Longer than any error of an engine, and short enough for many searches.
_MAX_LENGTH = 2000
# Quoted text is the user's (a command, a path, a name), and can contain any word of an engine's error.
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*(?:"|$)', re.DOTALL)


def reason_of(text: str) -> str | None:
    """Return the reason that the error text of a failed start gives, None if it matches no pattern."""
    # Old runtimes put the whole cause in quotes.
    return _match(_QUOTED.sub('""', text)) or _match(text)


def _match(text: str) -> str | None:
    start = text[:_MAX_LENGTH]
    return next((reason for reason, pattern in _PATTERNS if pattern.search(start)), None)


def _any_of(*alternatives: str) -> re.Pattern[str]:
    return re.compile("|".join(alternatives), re.IGNORECASE | re.DOTALL)


# The first match counts: causes come before their effects. A full disk makes a mount fail, and a failed
# mount reports "no such file or directory" as a missing command does.
_PATTERNS: tuple[tuple[str, re.Pattern[str]], ...] = (
    (
        "InitOutOfMemory",
        _any_of(
            r"init was OOM-killed",
            r"memory limit too low",
            r"unable to set memory limit to",
            # The kernel refuses a limit below what the runtime's own first process uses by then.
            r"memory\.(limit_in_bytes|max): device or resource busy",
        ),
    ),
    (
        "HostExhausted",
        _any_of(
            r"cannot allocate memory",
            r"resource temporarily unavailable",
            r"too many open files",
            # These are about the kernel's keys and the number of control groups, not about the disk.
            r"session key.*disk quota exceeded",
            r"/sys/fs/cgroup\S*: no space left on device",
        ),
    ),
    ("DiskFull", _any_of(r"no space left on device", r"disk quota exceeded")),
    (
        "RuntimeNotFound",
        _any_of(
            r"unable to retrieve OCI runtime error.*(fork/exec |executable file not found)",
            r"invalid runtime name",
            r"unknown runtime specified",
            r"\bruntime \S+ not found",
            r"failed to resolve runtime path",
            r"failed to start shim.*(executable file not found|no such file or directory)",
        ),
    ),
    (
        "DeviceDriverMissing",
        _any_of(
            r"could not select device driver",
            r"nvidia-container-",
            r"unresolvable CDI devices",
            r"CDI device injection",
            r"failed to discover GPU vendor",
        ),
    ),
    (
        "DeviceNotFound",
        _any_of(
            r"gathering device information",
            r"not a device node",
            r"creating device nodes",
            # --device-read-bps and the like
            r"^stat /dev/\S+: no such file",
        ),
    ),
    (
        "UserNotFound",
        _any_of(
            r"unable to find (user|group)\b",
            r"no matching entries in (passwd|group) file",
            r"no users found",
        ),
    ),
    (
        "PortInUse",
        _any_of(
            r"port is already allocated",
            r"EADDRINUSE",
            # Without "bind" it is about an address of a network that another container has.
            r"\b(bind|listen)\b.*address already in use",
            r"only one usage of each socket address",
        ),
    ),
    (
        "PortRefused",
        _any_of(
            r"\blisten (tcp|udp|sctp)\w* .*\bbind: permission denied",
            r"\blisten (tcp|udp|sctp)\w* .*forbidden by its access permissions",
            r"cannot expose privileged port",
            # Docker Desktop, for any error of its host.
            r"ports are not available",
        ),
    ),
    (
        "MountFailed",
        _any_of(
            r"\bmkdir(at)?:? (?!/sys/fs/cgroup)[^:]*: read-only file system",
            r"\b(re)?mount(ing)?\b(?!.*/sys/fs/cgroup).*read-only file system",
            r"SELinux relabeling of",
            r"setting label on mount source",
            r"\b(error|while|:) mounting\b",
            r"caused: mounting\b",
            r"failed to mount\b",
            r"\b(mount|bind) source path",
            r"invalid mount config",
            r"(?<!cgroup )\bmount (destination|propagation|through procfd)\b",
            r"\bmountpoints?\b",
            r"\bmount /\S*:",
            r"overlay mount\b",
            r"no such volume",
            r"\bvolume plugin\b",
            r"\bVolumeDriver\b",
        ),
    ),
    (
        "NetworkFailed",
        _any_of(
            r"\bnetwork \S+ (not found|is ambiguous)",
            r"could not find a network matching",
            r"endpoint join on\b",
            r"set up container networking",
            r"external connectivity on endpoint",
            r"endpoint with name",
            r"\b(create|join|adding|add) (an )?endpoint\b",
            r"\bendpoint \S+ not found",
            r"address pool",
            r"no available IP",
            r"sandbox join failed",
            r"attach to network",
            r"join network of",
            r"network namespace",
            r"/ns/net\b",
            r"cannot link to",
            r"ip6?tables",
            r"address already in use",
            r"cannot assign requested address",
        ),
    ),
    (
        "ResourcesRefused",
        _any_of(
            r"/sys/fs/cgroup",
            r"cgroup (config|mount destination)",
            r"range of CPUs",
            r"requested (CPUs|memory nodes) are not available",
            r"\brlimit",
        ),
    ),
    (
        "WorkingDirectoryInvalid",
        _any_of(
            r"\bchdir to\b",
            r"\b(mkdir:? /\S*:? is|mkdir /\S*:|lstat /\S*:) not a directory",
            r"\bworkdir\b",
            r"working directory",
        ),
    ),
    ("DeviceNotFound", _any_of(r"no such device\b")),
    (
        # The runtime, a hook or an option failed: "no such file" is not about the command then.
        "ContainerCannotRun",
        _any_of(
            r"unable to retrieve OCI runtime error",
            r"error running (\w+ )?hook",
            r"/proc/sys/",
            r"/proc/self/attr/",
            r"\bapparmor\b",
            r"\bseccomp\b",
            r"/proc/\d+/ns/",
        ),
    ),
    (
        "CommandNotExecutable",
        _any_of(
            r"(?<![/\w])exec:? .*(permission denied|is a directory)",
            r"exec format error",
            # Go's own words, of a supervisor that starts the command itself.
            r"^fork/exec .*: permission denied",
            r"open executable: permission denied",
            r"OCI permission denied",
        ),
    ),
    (
        "CommandNotFound",
        _any_of(
            r"executable file .*not found",
            r"^fork/exec .*: no such file or directory",
            r"(?<![/\w])exec:? .*(no such file or directory|not a directory|file does not exist)",
            r"\bcannot run executable\b",
            r"system cannot find the (file|path) specified",
            r"no command specified",
            r"a command that was not found",
        ),
    ),
)

REASONS = tuple(dict.fromkeys(reason for reason, _ in _PATTERNS))
"""Every reason that an error text can give."""
