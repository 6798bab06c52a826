"""Bring an older database to today's schema, step by step, in one transaction."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import structlog
from sqlalchemy import Engine

if TYPE_CHECKING:
    from alembic.config import Config
    from alembic.script import Script

log = structlog.get_logger(__name__)

OnStep = Callable[[str], None]
"""Is told of each step of a migration before it begins, in words."""

_MIGRATIONS = Path(__file__).with_name("migrations")


def migrate(engine: Engine, revision: str, on_step: OnStep) -> None:
    """Migrate a database of an older revision, and say each step before it begins: one may take minutes.

    If one fails, the database stays as it was. Raises what SQLAlchemy raises.
    """
    # Alembic takes 10 MB as long as the process lives: it is imported only for an older database.
    from alembic import command  # noqa: PLC0415

    config, steps = _steps(revision)
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        for number, step in enumerate(steps, 1):
            place = f"{number} of {len(steps)}"
            log.info("migrating the database", step=place, what=step.doc)
            on_step(f"{place}: {step.doc}")
            command.upgrade(config, step.revision)


def _steps(revision: str) -> tuple[Config, list[Script]]:
    """Return the migrations after a revision, the oldest first."""
    from alembic.config import Config  # noqa: PLC0415
    from alembic.script import ScriptDirectory  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    scripts = ScriptDirectory.from_config(config)
    return config, list(scripts.iterate_revisions("head", revision))[::-1]
