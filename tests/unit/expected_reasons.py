"""Expected reasons of every exit code, written independently of the built-in catalog."""

from collections.abc import Mapping

SIGNALS = {
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

SYSEXITS = {
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

WINDOWS = {
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

NEGATIVE_SIGNALS = {
    241: "SIGTERM",
    242: "SIGALRM",
    243: "SIGPIPE",
    244: "SIGUSR2",
    245: "SegmentationFault",
    246: "SIGUSR1",
    247: "SIGKILL",
}

BY_CODE: Mapping[int, str] = {
    0: "Completed",
    1: "Error",
    2: "Misuse",
    **dict.fromkeys((3, 100, 111, 254), "Error"),
    **NEGATIVE_SIGNALS,
    **SYSEXITS,
    124: "TimedOut",
    125: "LauncherFailed",
    126: "CommandNotExecutable",
    127: "CommandNotFound",
    128: "FatalError",
    **SIGNALS,
    255: "UnspecifiedError",
    **WINDOWS,
}
BY_CODE_AFTER_REQUEST: Mapping[int, str] = {
    **dict.fromkeys((2, 126, 127), "Error"),
    130: "Interrupted",
    **dict.fromkeys((137, 247), "Killed"),
    **dict.fromkeys((143, 241), "Terminated"),
}
BY_CODE_AFTER_A_SECOND: Mapping[int, str] = dict.fromkeys((126, 127), "Error")
BY_CODE_OF_FAILED_START: Mapping[int | None, str] = {126: "CommandNotExecutable", 127: "CommandNotFound"}


def reason_of_code(code: int) -> str:
    """Return the reason of a code without further evidence."""
    return BY_CODE.get(code, "Error")


def reason_after_request(code: int) -> str:
    """Return the reason of a code after a stop request."""
    return BY_CODE_AFTER_REQUEST.get(code, reason_of_code(code))


def reason_after_a_second(code: int) -> str:
    """Return the reason of a code after more than a second."""
    return BY_CODE_AFTER_A_SECOND.get(code, reason_of_code(code))


def reason_of_failed_start(code: int | None) -> str:
    """Return the reason of the code of a failed start."""
    return BY_CODE_OF_FAILED_START.get(code, "ContainerCannotRun")
