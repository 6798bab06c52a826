"""The words of the built-in catalogue, written down a second time: an oracle, not derived from it."""

from collections.abc import Mapping

SIGNAL_WORDS = {
    129: "SIGHUP",
    130: "SIGINT",
    131: "SIGQUIT",
    132: "SIGILL",
    133: "SIGTRAP",
    134: "Aborted",
    135: "SIGBUS",
    136: "SIGFPE",
    137: "SIGKILL",
    138: "SIGUSR1",
    139: "SegmentationFault",
    140: "SIGUSR2",
    141: "SIGPIPE",
    142: "SIGALRM",
    143: "SIGTERM",
    144: "SIGSTKFLT",
    145: "SIGCHLD",
    146: "SIGCONT",
    147: "SIGSTOP",
    148: "SIGTSTP",
    149: "SIGTTIN",
    150: "SIGTTOU",
    151: "SIGURG",
    152: "SIGXCPU",
    153: "SIGXFSZ",
    154: "SIGVTALRM",
    155: "SIGPROF",
    156: "SIGWINCH",
    157: "SIGIO",
    158: "SIGPWR",
    159: "SIGSYS",
    **dict.fromkeys(range(162, 193), "RealTimeSignal"),
}

SYSEXITS_WORDS = {
    64: "UsageError",
    65: "DataError",
    66: "NoInput",
    67: "NoUser",
    68: "NoHost",
    69: "Unavailable",
    70: "SoftwareError",
    71: "OSError",
    72: "OSFileError",
    73: "CannotCreate",
    74: "IOError",
    75: "TemporaryFailure",
    76: "ProtocolError",
    77: "NoPermission",
    78: "ConfigError",
}

WINDOWS_WORDS = {
    1067: "ProcessAborted",
    0x40010004: "DebuggerTerminated",
    0x80000003: "Breakpoint",
    0x80131506: "DotNetEngineFailure",
    0x80131623: "DotNetFailFast",
    0xC0000005: "AccessViolation",
    0xC0000006: "InPageError",
    0xC0000017: "NoMemory",
    0xC000001D: "IllegalInstruction",
    0xC000007B: "InvalidImageFormat",
    0xC0000094: "IntegerDivisionByZero",
    0xC00000FD: "StackOverflow",
    0xC000012D: "CommitLimit",
    0xC0000135: "DllNotFound",
    0xC0000138: "EntryPointNotFound",
    0xC0000139: "EntryPointNotFound",
    0xC000013A: "ControlCExit",
    0xC0000142: "DllInitFailed",
    0xC0000374: "HeapCorruption",
    0xC0000409: "StackBufferOverrun",
    0xC000041D: "CallbackException",
    0xC0000420: "AssertionFailed",
    0xC0000602: "FailFast",
    0xE0434352: "DotNetException",
    0xE06D7363: "CppException",
    0xFFFFFFFF: "UnspecifiedError",
}

NEGATIVE_SIGNAL_WORDS = {
    241: "SIGTERM",
    242: "SIGALRM",
    243: "SIGPIPE",
    244: "SIGUSR2",
    245: "SegmentationFault",
    246: "SIGUSR1",
    247: "SIGKILL",
}

PLAIN_WORDS: Mapping[int, str] = {
    0: "Completed",
    1: "Error",
    2: "Misuse",
    **dict.fromkeys((3, 100, 111, 254), "Error"),
    **NEGATIVE_SIGNAL_WORDS,
    **SYSEXITS_WORDS,
    124: "TimedOut",
    125: "LauncherFailed",
    126: "CommandNotExecutable",
    127: "CommandNotFound",
    128: "FatalError",
    **SIGNAL_WORDS,
    255: "UnspecifiedError",
    **WINDOWS_WORDS,
}
REQUESTED_WORDS: Mapping[int, str] = {
    **dict.fromkeys((2, 126, 127), "Error"),
    130: "Interrupted",
    **dict.fromkeys((137, 247), "Killed"),
    **dict.fromkeys((143, 241), "Terminated"),
}
RAN_WORDS: Mapping[int, str] = dict.fromkeys((126, 127), "Error")
START_FAILURE_WORDS: Mapping[int | None, str] = {126: "CommandNotExecutable", 127: "CommandNotFound"}


def plain_word(code: int) -> str:
    """Name a code of which nothing more is known."""
    return PLAIN_WORDS.get(code, "Error")


def requested_word(code: int) -> str:
    """Name a code after the engine was asked for the end."""
    return REQUESTED_WORDS.get(code, plain_word(code))


def ran_word(code: int) -> str:
    """Name a code of a run that lasted for more than a second."""
    return RAN_WORDS.get(code, plain_word(code))


def start_failure_word(code: int | None) -> str:
    """Name the code of a container that the engine could not start."""
    return START_FAILURE_WORDS.get(code, "ContainerCannotRun")
