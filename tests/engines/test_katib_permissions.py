"""The table of permissions is one that a Role can say."""

from __future__ import annotations

import pytest

from bot.engines.katib_permissions import PERMISSIONS, Permission, needed

VERBS = {"get", "list", "watch", "create", "update", "patch", "delete"}


@pytest.mark.parametrize("each", PERMISSIONS, ids=lambda each: each.rule)
def test_every_line_can_stand_in_a_role(each: Permission) -> None:
    assert each.verbs
    assert set(each.verbs) <= VERBS
    assert len(set(each.verbs)) == len(each.verbs)
    assert each.why[0].islower() and not each.why.endswith(".")


def test_no_resource_stands_in_the_table_twice() -> None:
    rules = [(each.group, each.rule) for each in PERMISSIONS]
    assert len(set(rules)) == len(rules)


def test_the_bot_works_without_any_right_in_the_whole_cluster() -> None:
    assert [each.rule for each in PERMISSIONS if each.cluster and not each.optional] == []


def test_only_the_kind_of_trial_that_runs_is_asked_for() -> None:
    kinds = {"pytorchjobs", "trainjobs"}
    assert {each.resource for each in needed("PyTorchJob")} & kinds == {"pytorchjobs"}
    assert {each.resource for each in needed("TrainJob")} & kinds == {"trainjobs"}
