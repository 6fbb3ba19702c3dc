"""For all tests: what Hypothesis may take, by profile (`--hypothesis-profile`)."""

from __future__ import annotations

from hypothesis import HealthCheck, Phase, settings

settings.register_profile("default", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("no-shrink", parent=settings.get_profile("default"), phases=[Phase.explicit, Phase.generate])
settings.register_profile("long", parent=settings.get_profile("default"), max_examples=5000)
settings.load_profile("default")
