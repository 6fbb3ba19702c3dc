"""For all tests: what Hypothesis may take, by profile (`--hypothesis-profile`).

By default the examples are the same in every run, so that a change is judged by the change; `long` looks further, and
elsewhere each time.
"""

from __future__ import annotations

from hypothesis import HealthCheck, Phase, settings

settings.register_profile("default", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile(
    "no-shrink", parent=settings.get_profile("default"), derandomize=False, phases=[Phase.explicit, Phase.generate]
)
settings.register_profile("long", parent=settings.get_profile("default"), derandomize=False)
settings.load_profile("default")
