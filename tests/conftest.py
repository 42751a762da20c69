"""How Hypothesis runs: without deadlines, since exact arithmetic is slow; in CI the same examples every time."""

import os

from hypothesis import settings

settings.register_profile("explore", deadline=None, print_blob=True)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "explore")
