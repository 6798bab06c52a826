"""Exit codes as users write them: numbers, signals, and negative numbers as wrappers report signals."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import click

from exporter.exit_codes import MAX_CODE, MAX_SIGNAL, SIGNAL_BASE

CODE_RANGE = f"0 to {MAX_CODE}"
# Signals of Linux on x86 and ARM, from 1; the system that runs the command may have others.
_SIGNAL_NAMES = """
HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT
CHLD CONT STOP TSTP TTIN TTOU URG XCPU XFSZ VTALRM PROF WINCH IO PWR SYS
"""
SIGNALS = tuple(f"SIG{name}" for name in _SIGNAL_NAMES.split())
_FIRST_REAL_TIME = 34
_MIN_8_BITS, _MIN_32_BITS = -(2**7), -(2**31)
_NUMBER = re.compile(r"[0-9]+|0[xX][0-9a-fA-F]+", re.ASCII)
_NEGATIVE = re.compile(r"-[0-9]{1,20}", re.ASCII)
_REAL_TIME = re.compile(r"(?:SIG)?RTMIN(?:\+([0-9]{1,2}))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class ParsedCode:
    """An exit code, with a note about how it was read from the user's text."""

    code: int
    note: str = ""


class ExitCode(click.ParamType[int]):
    """A number from 0 to MAX_CODE, decimal or hexadecimal with 0x."""

    name = "code"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the number."""
        text = str(value)
        code = parse_code_number(text)
        if code is None:
            hint = "; 'ps --reason' lists the jobs of a reason" if text.isalpha() else ""
            self.fail(f"{text!r} is not an exit code ({CODE_RANGE}){hint}", param, ctx)
        return code


class NegativeNumberCommand(click.Command):
    """A command whose argument may be a negative number."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Move negative numbers behind ``--``: otherwise click reads them as options."""
        numbers = [] if "--" in args else [word for word in args if _NEGATIVE.fullmatch(word)]
        others = [word for word in args if word not in numbers]
        return super().parse_args(ctx, [*others, "--", *numbers] if numbers else args)


def parse_code_number(text: str) -> int | None:
    """Return a code that is written as a number; None if it is none."""
    if not _NUMBER.fullmatch(text) or len(text.lstrip("0")) > len(str(MAX_CODE)):
        return None
    code = int(text, 16) if "x" in text.lower() else int(text)
    return code if code <= MAX_CODE else None


def parse_code(text: str) -> ParsedCode | None:
    """Return the code of a number or of a signal's name; None if the text is neither."""
    if _NEGATIVE.fullmatch(text):
        return _parse_negative(int(text))
    code = parse_code_number(text)
    if code is not None:
        return ParsedCode(code, "" if text.isdigit() else f"{text} is {code}.")
    signal = _parse_signal(text.upper())
    if signal is None:
        return None
    code = SIGNAL_BASE + signal
    return ParsedCode(code, f"{_signal_name(signal)} is signal {signal}, {code} as a container's code.")


def _parse_negative(value: int) -> ParsedCode | None:
    # Programs return -1 themselves; wrappers report the others for a child that a signal ended.
    if -MAX_SIGNAL <= value < -1:
        code = SIGNAL_BASE - value
        signal = f"{value} is {_signal_name(-value)} as wrappers such as Python's subprocess report it"
        return ParsedCode(
            code, f"{signal}: {code} as a container's code, or {value & 0xFF} of a wrapper that passes it on."
        )
    if value < _MIN_32_BITS:
        return None
    bits = 8 if value >= _MIN_8_BITS else 32
    code = value & (2**bits - 1)
    return ParsedCode(code, f"{value} is {code} as an unsigned number of {bits} bits.")


def _parse_signal(name: str) -> int | None:
    real_time = _REAL_TIME.fullmatch(name)
    if real_time:
        signal = _FIRST_REAL_TIME + int(real_time[1] or 0)
        return signal if signal <= MAX_SIGNAL else None
    full_name = name if name.startswith("SIG") else f"SIG{name}"
    return SIGNALS.index(full_name) + 1 if full_name in SIGNALS else None


def _signal_name(signal: int) -> str:
    if signal <= len(SIGNALS):
        return SIGNALS[signal - 1]
    return f"SIGRTMIN+{signal - _FIRST_REAL_TIME}" if signal >= _FIRST_REAL_TIME else f"signal {signal}"
