"""Exit codes as they are typed: as numbers, as signals, and as wrappers write signals."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import click

from exporter.exit_codes import MAX_CODE, MAX_SIGNAL, SIGNAL_BASE

RANGE = f"0 to {MAX_CODE}"
# Of Linux on x86 and ARM, wherever the command itself runs: the first is 1.
_SIGNAL_NAMES = """
HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT
CHLD CONT STOP TSTP TTIN TTOU URG XCPU XFSZ VTALRM PROF WINCH IO PWR SYS
"""
SIGNALS = tuple(f"SIG{name}" for name in _SIGNAL_NAMES.split())
_FIRST_REAL_TIME = 34
_LOWEST_OF_8_BITS, _LOWEST_OF_32_BITS = -(2**7), -(2**31)
_NUMBER = re.compile(r"[0-9]+|0[xX][0-9a-fA-F]+", re.ASCII)
_NEGATIVE = re.compile(r"-[0-9]{1,20}", re.ASCII)
_REAL_TIME = re.compile(r"(?:SIG)?RTMIN(?:\+([0-9]{1,2}))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Asked:
    """The code that was asked for, and how what was typed came to be read so."""

    code: int
    note: str = ""


class ExitCode(click.ParamType[int]):
    """A number from 0 to MAX_CODE; 0x before a hexadecimal one."""

    name = "code"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The number."""
        text = str(value)
        code = number(text)
        if code is None:
            hint = "; 'ps --reason' lists the jobs of a reason" if text.isalpha() else ""
            self.fail(f"{text!r} is not an exit code ({RANGE}){hint}", param, ctx)
        return code


class TakesNegativeNumbers(click.Command):
    """A command whose argument may be a negative number."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put negative numbers behind ``--``: else they are taken for options."""
        numbers = [] if "--" in args else [word for word in args if _NEGATIVE.fullmatch(word)]
        others = [word for word in args if word not in numbers]
        return super().parse_args(ctx, [*others, "--", *numbers] if numbers else args)


def number(text: str) -> int | None:
    """A code that is written as a number; None where it is none."""
    if not _NUMBER.fullmatch(text) or len(text.lstrip("0")) > len(str(MAX_CODE)):
        return None
    code = int(text, 16) if "x" in text.lower() else int(text)
    return code if code <= MAX_CODE else None


def asked(text: str) -> Asked | None:
    """The code that a number or a signal's name stands for; None where it is neither."""
    if _NEGATIVE.fullmatch(text):
        return _negative(int(text))
    code = number(text)
    if code is not None:
        return Asked(code, "" if text.isdigit() else f"{text} is {code}.")
    signal = _signal(text.upper())
    if signal is None:
        return None
    code = SIGNAL_BASE + signal
    return Asked(code, f"{_name(signal)} is signal {signal}, {code} as a container's code.")


def _negative(value: int) -> Asked | None:
    # -1 is what programs return, the others what wrappers are told of a child that a signal ended.
    if -MAX_SIGNAL <= value < -1:
        code = SIGNAL_BASE - value
        who = f"{value} is {_name(-value)} as wrappers such as Python's subprocess report it"
        return Asked(
            code, f"{who}: {code} as a container's code, or {value & 0xFF} of a wrapper that passes it on."
        )
    if value < _LOWEST_OF_32_BITS:
        return None
    bits = 8 if value >= _LOWEST_OF_8_BITS else 32
    code = value & (2**bits - 1)
    return Asked(code, f"{value} is {code} as {bits} bits without a sign.")


def _signal(name: str) -> int | None:
    real_time = _REAL_TIME.fullmatch(name)
    if real_time:
        signal = _FIRST_REAL_TIME + int(real_time[1] or 0)
        return signal if signal <= MAX_SIGNAL else None
    whole = name if name.startswith("SIG") else f"SIG{name}"
    return SIGNALS.index(whole) + 1 if whole in SIGNALS else None


def _name(signal: int) -> str:
    if signal <= len(SIGNALS):
        return SIGNALS[signal - 1]
    return f"SIGRTMIN+{signal - _FIRST_REAL_TIME}" if signal >= _FIRST_REAL_TIME else f"signal {signal}"
