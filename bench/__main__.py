"""``python -m bench``: measure speed, memory and delay, scrapes, spans, rules, followed logs and listings."""

import argparse
import signal
import sys
import tempfile
import time
from pathlib import Path

from bench.exporter import BenchError
from bench.host_info import describe_host
from bench.plan import FULL, QUICK, Plan
from bench.table import format_sections

# Always on disk; /tmp may be in memory, where a durable write costs nothing.
ON_DISK = Path("/var/tmp")  # noqa: S108  # only a directory of our own in it


def main(arguments: list[str]) -> int:
    """Measure and print; return 1 if an exit was lost, counted twice or classified wrongly."""
    chosen = _arguments(arguments)
    # So that no exporter or engine is left behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    with tempfile.TemporaryDirectory(prefix="exit-bench-", dir=chosen.directory) as name:
        directory = Path(name)
        print(describe_host(directory), flush=True)
        try:
            _measure(Plan(QUICK if chosen.quick else FULL, directory), chosen.only)
        except BenchError as error:
            print(f"FAILED: {error}", file=sys.stderr)
            return 1
    return 0


MEASURES = {
    "speed": Plan.throughput,
    "memory": Plan.memory,
    "scrapes": Plan.scrapes,
    "delay": Plan.delay,
    "spans": Plan.spans,
    "rules": Plan.rules,
    "dstack": Plan.dstack,
    "listing": Plan.listing,
    "fleet": Plan.fleet,
    "starts": Plan.starts,
}


def _measure(plan: Plan, only: str | None) -> None:
    """Print each measure as soon as it is complete."""
    begun = time.monotonic()
    for name, measure in MEASURES.items():
        if only in (None, name):
            print()
            print(format_sections(measure(plan)), flush=True)
    print(f"\nAll counts exact, all reasons right. {time.monotonic() - begun:.0f} s.")


def _arguments(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="little of everything, to see that it works")
    parser.add_argument("--only", choices=MEASURES, help="only this measure")
    parser.add_argument(
        "--directory",
        type=Path,
        default=ON_DISK if ON_DISK.is_dir() else None,
        help="where databases are written during the run; should be on a real disk",
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
