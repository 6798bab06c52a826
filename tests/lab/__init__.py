"""The lab: a private Docker Engine, images made without a registry, and real jobs.

The tests, the demo and the benchmarks use these real parts.
"""

from tests.lab.engine import PrivateEngine
from tests.lab.errors import LabError
from tests.lab.exporter import ExporterProcess
from tests.lab.images import BUSYBOX, PYTHON, import_busybox, import_python
from tests.lab.install import ensure_dockerd
from tests.lab.jobs import DEMO_JOBS, LabJob
from tests.lab.wheels import build_image, build_wheels

__all__ = [
    "BUSYBOX",
    "DEMO_JOBS",
    "PYTHON",
    "ExporterProcess",
    "LabError",
    "LabJob",
    "PrivateEngine",
    "build_image",
    "build_wheels",
    "ensure_dockerd",
    "import_busybox",
    "import_python",
]
