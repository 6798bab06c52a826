"""Hypothesis without a clock: a slow machine must not make a true property fail."""

from hypothesis import settings

settings.register_profile("unit", deadline=None)
settings.load_profile("unit")
