"""Print what these tests touch, and fill their cache, for which they have no network themselves."""

from __future__ import annotations

import sys

from tests.lab.dstack_cache import VERSION, cache, prepare, why_no_dstack
from tests.lab.dstack_host import EMPTIED, OVERLAID
from tests.lab.errors import LabError

TOUCHED = f"""\
The exporter beside dstack {VERSION} (server, SSH fleet of one host, shim, runner), for some minutes.
  stays:   {cache()} (packages, programs and an image, made the first time)
  removed: a temporary folder, control groups, all processes
  covered: {", ".join((*OVERLAID, EMPTIED))} and the network, by namespaces that end with the tests
"""


def main() -> str | None:
    """Return why dstack cannot be tested here; None if it can."""
    if why := why_no_dstack():
        return f"dstack is not tested: {why}."
    sys.stdout.write(TOUCHED)
    try:
        prepare()
    except LabError as error:
        return f"dstack is not tested: {error}"
    return None


if __name__ == "__main__":
    sys.exit(main())
