"""What the engine's own words about a failed start mean: text in, a reason out. Pure.

The words are those of dockerd 20.10 to 29, containerd and runc, with Podman's and crun's where they differ.
"""

from __future__ import annotations

import re

# More than any engine's sentence, and few enough to search again and again.
_MAX_LENGTH = 2000
# What stands in quotes is the user's (a command, a path, a name), and may be made of the engine's own words.
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*(?:"|$)', re.DOTALL)


def reason_of(text: str) -> str | None:
    """The reason that the engine's words about a failed start give; None where they give none."""
    # Old runtimes put their whole cause in quotes.
    return _kind(_QUOTED.sub('""', text)) or _kind(text)


def _kind(text: str) -> str | None:
    said = text[:_MAX_LENGTH]
    return next((reason for reason, words in _KINDS if words.search(said)), None)


def _words(*alternatives: str) -> re.Pattern[str]:
    return re.compile("|".join(alternatives), re.IGNORECASE | re.DOTALL)


# The first that fits: causes first, then what failed by them. A disk that is full fails a mount, and a
# mount that fails says "no such file or directory" as a missing command does.
_KINDS: tuple[tuple[str, re.Pattern[str]], ...] = (
    (
        "InitOutOfMemory",
        _words(
            r"init was OOM-killed",
            r"memory limit too low",
            r"unable to set memory limit to",
            # The kernel refuses a limit below what the runtime's own first process uses by then.
            r"memory\.(limit_in_bytes|max): device or resource busy",
        ),
    ),
    (
        "HostExhausted",
        _words(
            r"cannot allocate memory",
            r"resource temporarily unavailable",
            r"too many open files",
            # A quota of the kernel's keys and a number of control groups, not the disk's.
            r"session key.*disk quota exceeded",
            r"/sys/fs/cgroup\S*: no space left on device",
        ),
    ),
    ("DiskFull", _words(r"no space left on device", r"disk quota exceeded")),
    (
        "RuntimeNotFound",
        _words(
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
        _words(
            r"could not select device driver",
            r"nvidia-container-",
            r"unresolvable CDI devices",
            r"CDI device injection",
            r"failed to discover GPU vendor",
        ),
    ),
    (
        "DeviceNotFound",
        _words(
            r"gathering device information",
            r"not a device node",
            r"creating device nodes",
            # --device-read-bps and the like
            r"^stat /dev/\S+: no such file",
        ),
    ),
    (
        "UserNotFound",
        _words(
            r"unable to find (user|group)\b",
            r"no matching entries in (passwd|group) file",
            r"no users found",
        ),
    ),
    (
        "PortInUse",
        _words(
            r"port is already allocated",
            r"EADDRINUSE",
            # Without a word of binding it is an address of the network's that another container has.
            r"\b(bind|listen)\b.*address already in use",
            r"only one usage of each socket address",
        ),
    ),
    (
        "PortRefused",
        _words(
            r"\blisten (tcp|udp|sctp)\w* .*\bbind: permission denied",
            r"\blisten (tcp|udp|sctp)\w* .*forbidden by its access permissions",
            r"cannot expose privileged port",
            # Docker Desktop, of whatever its host answered.
            r"ports are not available",
        ),
    ),
    (
        "MountFailed",
        _words(
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
        _words(
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
        _words(
            r"/sys/fs/cgroup",
            r"cgroup (config|mount destination)",
            r"range of CPUs",
            r"requested (CPUs|memory nodes) are not available",
            r"\brlimit",
        ),
    ),
    (
        "WorkingDirectoryInvalid",
        _words(
            r"\bchdir to\b",
            r"\b(mkdir:? /\S*:? is|mkdir /\S*:|lstat /\S*:) not a directory",
            r"\bworkdir\b",
            r"working directory",
        ),
    ),
    ("DeviceNotFound", _words(r"no such device\b")),
    (
        # The runtime, a hook or an option failed: their "no such file" is not the command's.
        "ContainerCannotRun",
        _words(
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
        _words(
            r"(?<![/\w])exec:? .*(permission denied|is a directory)",
            r"exec format error",
            r"open executable: permission denied",
            r"OCI permission denied",
        ),
    ),
    (
        "CommandNotFound",
        _words(
            r"executable file .*not found",
            r"(?<![/\w])exec:? .*(no such file or directory|not a directory|file does not exist)",
            r"\bcannot run executable\b",
            r"system cannot find the (file|path) specified",
            r"no command specified",
            r"a command that was not found",
        ),
    ),
)

REASONS = tuple(dict.fromkeys(reason for reason, _ in _KINDS))
"""Every reason that the engine's words can give."""
