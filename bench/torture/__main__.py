"""``python -m bench.torture``: torture an exporter on a real engine, and print what came of it."""

from __future__ import annotations

import argparse
import random
import secrets
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from bench.torture.account import Fault, Truth, faults, is_said, read_truth, silent
from bench.torture.containers import Sweeper, run_all
from bench.torture.lab import ENGINES, lab
from bench.torture.plans import draw_plans
from bench.torture.troubles import Tortured, Troubles
from bench.torture.watching import INTERVAL_SECONDS, Exits, Watching, read_about_itself, read_exits
from exporter.model import SECOND_NS
from tests.lab.wait import wait_until

_SETTLE_SECONDS = 60.0
_READY_SECONDS = 180.0
_SUMMED = ("event_gaps", "exits_recovered", "exits_unobserved", "job_records_dropped", "log_lines_dropped")
_BAD = ("lost", "doubled", "two jobs")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the containers did, and what was counted, said and done meanwhile."""

    truth: Sequence[Truth]
    exits: Exits
    about_itself: dict[str, float]
    watching: Watching
    troubles: Troubles


def main(arguments: Sequence[str]) -> int:
    """Torture; return 1 if an exit was lost or counted twice, and that was not said."""
    chosen = _arguments(arguments)
    print(f"--seed {chosen.seed}", flush=True)
    with ExitStack() as stack:
        directory = chosen.directory or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        directory.mkdir(parents=True, exist_ok=True)
        tortured = stack.enter_context(lab(chosen.engine, directory, live_restore=chosen.live_restore))
        outcome = _torture(tortured, directory, chosen)
        return _report(outcome, tortured)


def _torture(tortured: Tortured, directory: Path, chosen: argparse.Namespace) -> Outcome:
    dice = random.Random(chosen.seed)  # noqa: S311  # not a secret
    truth = directory / "truth"
    truth.mkdir()
    plans = draw_plans(dice, chosen.containers)
    tortured.exporter.await_ready()
    watching, troubles = Watching(tortured.exporter), Troubles(tortured, dice)
    sweeper = Sweeper(tortured.engine, plans)
    parts = (watching, sweeper, troubles)
    for part in parts:
        part.begin()
    run_all(tortured.engine, plans, truth, chosen.seconds, dice)
    troubles.end()
    exits = _settled(tortured)
    sweeper.end()
    watching.end()
    _write_troubles(directory / "troubles", tortured, troubles)
    about_itself = read_about_itself(tortured.exporter.get("/metrics").text)
    return Outcome(read_truth(plans, truth), exits, about_itself, watching, troubles)


def _write_troubles(path: Path, tortured: Tortured, troubles: Troubles) -> None:
    """Write down what was done when, so that a fault can be traced to it."""
    lines = [f"{begun:.0f} to {ended:.0f}: {name}" for begun, ended, name in troubles.log]
    lines += [
        f"{at_ns // SECOND_NS}: the engine's clock is ahead by {ahead_ns // SECOND_NS} s"
        for at_ns, ahead_ns in tortured.engine_clock.steps[1:]
    ]
    path.write_text("".join(f"{line}\n" for line in sorted(lines)))


def _settled(tortured: Tortured) -> Exits:
    """Return what is counted once that no longer changes."""
    if not wait_until(tortured.exporter.ready, _READY_SECONDS):
        print("THE EXPORTER DOES NOT BECOME READY AGAIN", flush=True)
    found: list[Exits] = []
    steady = int(_SETTLE_SECONDS / INTERVAL_SECONDS)

    def is_steady() -> bool:
        found.append(read_exits(tortured.exporter.get("/metrics").text))
        return len(found) > steady and found[-1] == found[-steady]

    wait_until(is_steady, 10 * _SETTLE_SECONDS, interval=INTERVAL_SECONDS)
    return found[-1]


def _report(outcome: Outcome, tortured: Tortured) -> int:
    seen = outcome.watching.seen
    found = list(faults(outcome.truth, outcome.exits, seen))
    said = [fault for fault in found if fault.kind in _BAD[:1] and is_said(fault, seen.looks)]
    bad = [fault for fault in found if fault.kind in _BAD and fault not in said]
    for line in (*_figures(outcome, found, said), *_ends(tortured), *map(_told, found)):
        print(line, flush=True)
    print(f"{len(bad)} lost or doubled and not said")
    return 1 if bad else 0


def _figures(outcome: Outcome, found: Sequence[Fault], said: Sequence[Fault]) -> Iterator[str]:
    truth, seen = outcome.truth, outcome.watching.seen
    yield f"containers: {len(truth)}, begun {sum(one.began for one in truth)}"
    yield f"ended as meant: {sum(one.ended_at is not None for one in truth)}"
    yield f"exits counted: {sum(codes.total() for codes in outcome.exits.values())}"
    yield f"not as they ended: {dict(Counter(fault.kind for fault in found))}; lost and said: {len(said)}"
    lost = {fault.name for fault in found if fault.kind == "lost"}
    late = {name: seconds for name, seconds in silent(truth, seen.looks) if name not in lost}
    yield f"not shown while ready for 30 s: {len(late)}, at most for {max(late.values(), default=0):.0f} s"
    yield f"trouble: {dict(outcome.troubles.done)}"
    yield "about itself: " + ", ".join(f"{name} {outcome.about_itself.get(name, 0):.0f}" for name in _SUMMED)
    unhealthy, unready = (
        sum(not getattr(look, name) for look in seen.looks) for name in ("healthy", "ready")
    )
    yield f"looks: {len(seen.looks)}, not healthy {unhealthy}, not ready {unready}"
    yield f"looks without an answer: {seen.unread}; most memory: {seen.peak_mib:.0f} MiB"


def _ends(tortured: Tortured) -> Iterator[str]:
    yield f"ended by itself, by code: {dict(tortured.exporter.ends)}"


def _told(fault: Fault) -> str:
    return f"  {fault.kind} at {fault.at:.0f}: {fault.name}, {fault.detail}"


def _arguments(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.torture", description=__doc__)
    parser.add_argument("--seconds", type=float, default=3600, help="how long containers are started")
    parser.add_argument("--containers", type=int, default=1000, help="how many containers")
    parser.add_argument("--engine", choices=ENGINES, default="debian", help="which engine")
    parser.add_argument("--live-restore", action="store_true", help="containers outlive their engine")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6), help="repeats the same chances")
    parser.add_argument("--directory", type=Path, help="an empty directory that is kept, with the log")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
