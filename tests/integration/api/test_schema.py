"""The API keeps its own description, whatever is sent to it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.core import NOT_SET
from schemathesis.specs.openapi.checks import response_schema_conformance, status_code_conformance
from tests.support.api import Api, a_caller, a_connected_world

from mercuri.web import api as web_api


def operations() -> list[Any]:
    """Every operation that the API describes, but for streams, which end with their run."""
    app = FastAPI()
    app.include_router(web_api.router)
    schema = schemathesis.openapi.from_dict(app.openapi())
    found = [item.ok() for item in schema.get_all_operations()]
    return [operation for operation in found if not operation.path.endswith("/events")]


OPERATIONS = operations()


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """A program that may do everything, in a workspace with a group of duplicates."""
    directory: Path = tmp_path_factory.mktemp("described")
    with a_connected_world(directory) as world, a_caller(world, "owner") as made:
        for name in ("Ana", "A."):
            world.create(first_name=name, phone="+447911123456")
        yield made


@pytest.mark.parametrize("operation", OPERATIONS, ids=[operation.label for operation in OPERATIONS])
def test_every_answer_is_as_described(operation: Any, api: Api) -> None:
    @settings(
        max_examples=8,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy())
    def asked(case: schemathesis.Case) -> None:
        answer = api.request(
            case.method,
            f"http://mercuri.test{case.formatted_path}",
            params=case.query or None,
            json=None if case.body is NOT_SET else case.body,
        )
        answer.elapsed = timedelta()
        case.validate_response(
            schemathesis.Response.from_any(answer),
            checks=[not_a_server_error, response_schema_conformance, status_code_conformance],
        )

    asked()
