"""How `make test` hands the tests out to its workers."""

from __future__ import annotations

import pytest


def test_a_worker_knows_which_tests_belong_together(request: pytest.FixtureRequest) -> None:
    if not getattr(request.config.option, "loadgroup", False):
        pytest.skip("one worker has all tests")
    assert request.node.nodeid.endswith("@test_workers.py")  # pytest-xdist 3.8 leaves this out on pytest 9.2
