"""The OpenAPI document, and the surface that it describes."""

import json
from collections.abc import Callable

import pytest
from starlette.testclient import TestClient

from liveavatar.server.app import build_app
from liveavatar.server.settings import ServerSettings
from server.conftest import ADDRESS


@pytest.fixture
def visitor(make_settings: Callable[..., ServerSettings]) -> TestClient:
    return TestClient(build_app(make_settings()), base_url=ADDRESS)


def test_the_surface_is_what_we_say(visitor: TestClient) -> None:
    paths = visitor.get("/openapi.json").json()["paths"]
    assert sorted(f"{method.upper()} {path}" for path, methods in paths.items() for method in methods) == [
        "DELETE /api/jobs/{job_id}",
        "DELETE /api/portraits/{upload_id}",
        "DELETE /api/speeches/{upload_id}",
        "GET /api/events",
        "GET /api/jobs",
        "GET /api/jobs/{job_id}",
        "GET /api/jobs/{job_id}/sync",
        "GET /api/jobs/{job_id}/video",
        "GET /api/live",
        "GET /api/portraits/{upload_id}/picture",
        "GET /api/speeches/{upload_id}/sound",
        "GET /api/studio",
        "GET /healthz",
        "GET /metrics",
        "POST /api/jobs",
        "POST /api/jobs/{job_id}/cancel",
        "POST /api/live",
        "POST /api/portraits",
        "POST /api/session",
        "POST /api/speeches",
        "POST /api/speeches/text",
    ]


def test_every_operation_has_a_name_of_its_own_and_asks_for_a_session_unless_it_is_open(
    visitor: TestClient,
) -> None:
    paths = visitor.get("/openapi.json").json()["paths"]
    operations = [(path, operation) for path, methods in paths.items() for operation in methods.values()]
    assert len({operation["operationId"] for _, operation in operations}) == len(operations)
    assert {path for path, operation in operations if not operation["security"]} == {
        "/api/session",
        "/healthz",
    }


def test_what_is_not_open_needs_a_session(visitor: TestClient) -> None:
    paths = visitor.get("/openapi.json").json()["paths"]
    for path, methods in paths.items():
        for method, operation in methods.items():
            if operation["security"]:
                assert visitor.request(method, path).status_code == 401, (method, path)


def test_references_resolve(visitor: TestClient) -> None:
    document = visitor.get("/openapi.json").json()
    assert '"$ref": "#/components/schemas/Error"' in json.dumps(document)
    assert "Error" in document["components"]["schemas"]


def test_unknown_paths_and_methods_are_answered_as_errors(visitor: TestClient) -> None:
    assert visitor.get("/api/nothing").json()["error"]["code"] == "not-found"
    answer = visitor.put("/api/jobs")
    assert (answer.status_code, answer.json()["error"]["code"]) == (405, "wrong-method")
