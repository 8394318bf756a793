"""Settings that would be unsafe are refused before anything listens."""

from pathlib import Path

import pytest

from liveavatar.errors import OptionError
from liveavatar.server.run import format_address
from liveavatar.server.settings import ServerSettings, is_loopback


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "avatar.example", ""])  # noqa: S104
def test_other_machines_need_a_token(host: str, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="token"):
        ServerSettings(host=host, folder=tmp_path)
    assert ServerSettings(host=host, folder=tmp_path, token="x" * 16).host == host


def test_a_name_of_a_proxy_needs_a_token(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="token"):
        ServerSettings(host_names=("avatar.example",), folder=tmp_path)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("::1", True),
        ("localhost", True),
        ("127.8.8.8", True),
        ("10.0.0.1", False),
        ("localhost.example", False),
    ],
)
def test_loopback(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


@pytest.mark.parametrize(
    "values",
    [{"token": "short"}, {"port": -1}, {"port": 65_536}, {"keep_hours": 0}, {"keep_hours": float("nan")}],
)
def test_unusable_values_are_refused(values: dict[str, object], tmp_path: Path) -> None:
    with pytest.raises(OptionError):
        ServerSettings(folder=tmp_path, **values)  # type: ignore[arg-type]


def test_the_address_hides_the_token_from_servers(tmp_path: Path) -> None:
    settings = ServerSettings(folder=tmp_path, token="x" * 16, host="::1")
    assert format_address(settings, 80) == f"http://[::1]:80/#token={'x' * 16}"
    everywhere = ServerSettings(folder=tmp_path, token="x" * 16, host="0.0.0.0")  # noqa: S104
    assert format_address(everywhere, 80).startswith("http://localhost:80/")
