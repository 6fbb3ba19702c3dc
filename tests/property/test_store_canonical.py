"""Any value of the model is read back from its canonical form as it was, and written again as it was."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shipyard.model import canonical
from shipyard.model.container import ContainerSpec, Healthcheck, Port, RestartPolicy
from shipyard.model.inventory import Become, Connection
from shipyard.model.node import Node
from shipyard.model.observed import Facts
from shipyard.model.spec import NetworkSpec, VolumeSpec

pytestmark = pytest.mark.thorough

st.register_type_strategy(float, st.floats(allow_nan=False, allow_infinity=False))

KINDS = [ContainerSpec, Healthcheck, Port, RestartPolicy, NetworkSpec, VolumeSpec, Node, Facts, Connection, Become]


@settings(max_examples=50, deadline=None)
@given(st.sampled_from(KINDS).flatmap(st.from_type))
def test_read_back_as_written(value: object) -> None:
    text = canonical.dumps(value)
    again = canonical.loads(type(value), text)
    assert again == value
    assert canonical.dumps(again) == text
