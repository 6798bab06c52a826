"""``python -m bench``: speed, memory, scrapes, delay, spans and rules of one run, side by side."""

import argparse
import signal
import sys
import tempfile
import time
from pathlib import Path

from bench.exporter import BenchError
from bench.machine import described
from bench.plan import FULL, QUICK, Plan
from bench.table import printed

# On disk by its definition; /tmp may be memory, where a durable write costs nothing.
ON_DISK = Path("/var/tmp")  # noqa: S108  # only a directory of our own in it


def main(words: list[str]) -> int:
    """Measure and print; 1 where an exit was lost, counted twice or judged wrongly."""
    chosen = _arguments(words)
    # Whoever ends it so, too, must not leave an exporter or an engine behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    with tempfile.TemporaryDirectory(prefix="exit-bench-", dir=chosen.directory) as name:
        directory = Path(name)
        print(described(directory), flush=True)
        try:
            _measure(Plan(QUICK if chosen.quick else FULL, directory), chosen.only)
        except BenchError as error:
            print(f"FAILED: {error}", file=sys.stderr)
            return 1
    return 0


MEASURES = {
    "speed": Plan.throughput,
    "memory": Plan.weight,
    "delay": Plan.delay,
    "spans": Plan.spans,
    "rules": Plan.rules,
}


def _measure(plan: Plan, only: str | None) -> None:
    """Each measure, printed as soon as it is there."""
    begun = time.monotonic()
    for name, measure in MEASURES.items():
        if only in (None, name):
            print()
            print(printed(measure(plan)), flush=True)
    print(f"\nAll counts exact, all reasons right. {time.monotonic() - begun:.0f} s.")


def _arguments(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="little of everything: whether it works at all")
    parser.add_argument("--only", choices=MEASURES, help="this measure alone")
    parser.add_argument(
        "--directory",
        type=Path,
        default=ON_DISK if ON_DISK.is_dir() else None,
        help="where databases are written for the time of the run; should be on a real disk",
    )
    return parser.parse_args(words)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
