"""The values that are read of Kubernetes objects cost little to keep."""

from __future__ import annotations

import gc

import msgspec

from bot.engines import katib_wire
from bot.engines.katib_wire import KatibTrial


def test_no_value_is_walked_by_the_garbage_collector() -> None:
    """With 11,000 objects of them that would hold up every thread for 60 ms and more."""
    kinds = [each for each in vars(katib_wire).values() if isinstance(each, type)]
    values = [each for each in kinds if issubclass(each, msgspec.Struct)]
    assert len(values) > 20
    assert [each.__name__ for each in values if each.__struct_config__.gc] == []
    trial = msgspec.json.decode(
        b'{"metadata":{"name":"a","labels":{"b":"c"}},"status":{"conditions":[{"type":"Created"}]}}',
        type=KatibTrial,
    )
    assert not gc.is_tracked(trial)
    assert not gc.is_tracked(trial.metadata)
