"""Orders: what clients may set is what engines bound, and nothing else."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liveavatar.engines import ENGINE_OPTIONS, list_engine_options
from liveavatar.errors import OptionError
from liveavatar.mesh.options import MeshOptions
from liveavatar.server.studio import orders
from liveavatar.server.studio.orders import (
    FRAME_SIZES,
    describe_client_options,
    list_client_options,
    order_to_json,
    parse_order,
)

IDS = {"portrait": "a", "speech": "b"}


@pytest.mark.parametrize("engine", ENGINE_OPTIONS)
def test_paths_memory_and_prompts_are_the_operators(engine: str) -> None:
    allowed = {option.name for option in list_client_options(engine)}
    assert not allowed & {"folder", "device", "memory", "speed", "prompt"}
    assert not any("Path" in str(option.type) for option in list_client_options(engine))


def test_every_bounded_option_takes_its_bounds() -> None:
    for option in list_client_options("mesh"):
        for value in option.metadata.get("choices", option.metadata.get("range")):
            order = parse_order({**IDS, "options": {option.name: value}})
            options = MeshOptions(**order.engine_options)  # type: ignore[arg-type]
            assert getattr(options, option.name) == value


def test_a_choice_whose_package_is_missing_is_neither_offered_nor_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(orders, "find_spec", lambda _name: None)
    (speech,) = (option for option in describe_client_options("mesh") if option["name"] == "speech")
    assert speech["choices"] == ["small"]
    with pytest.raises(OptionError):
        parse_order({**IDS, "options": {"speech": "whisper"}})


@pytest.mark.parametrize("size", FRAME_SIZES)
def test_offered_sizes_are_accepted(size: str) -> None:
    assert parse_order({**IDS, "size": size}).size == size


@pytest.mark.parametrize(
    "values",
    [
        {"options": {"motion": 2.1}},
        {"options": {"motion": True}},
        {"options": {"motion": "1"}},
        {"options": {"motion": float("nan")}},
        {"options": {"gaze": "sideways"}},
        {"options": {"gaze": ["natural"]}},
        {"options": {"folder": "/etc"}},
        {"options": []},
        {"engine": "nothing"},
        {"engine": "dit"},
        {"engine": None},
        {"size": "1x1"},
        {"size": "99999x2"},
        {"fps": "1000"},
        {"fps": 25},
        {"seed": -1},
        {"seed": 1.5},
        {"quality": "perfect"},
        {"output": "x.mp4"},
        {"portrait": 7},
        {"portrait": None},
    ],
)
def test_everything_else_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(OptionError):
        parse_order({**IDS, **values})


def test_a_missing_input_is_named() -> None:
    with pytest.raises(OptionError, match="portrait"):
        parse_order({"speech": "b"})


@given(
    st.dictionaries(st.text(), st.none() | st.booleans() | st.floats() | st.text() | st.lists(st.integers()))
)
def test_any_object_is_an_order_or_an_error_of_one_line(values: dict[str, Any]) -> None:
    try:
        order = parse_order({**IDS, **values})
    except OptionError as error:
        is_right = "\n" not in str(error)
    else:
        is_right = parse_order(order_to_json(order)) == order
    assert is_right


def test_the_help_of_every_option_is_known() -> None:
    assert all("help" in option.metadata for option in list_client_options("mesh"))
    assert {option.name for option in list_client_options("mesh")} <= {
        option.name for option in list_engine_options("mesh")
    }
