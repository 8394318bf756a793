from dataclasses import fields

import numpy as np
import pytest

from liveavatar.dit.parity.session import ReferenceActor
from liveavatar.dit.recovery import RecoveringActor
from liveavatar.engines import (
    ENGINE_OPTIONS,
    ENGINE_SOURCE_TYPES,
    check_engine_readiness,
    list_engine_options,
    open_engine,
)
from liveavatar.errors import EngineError, OptionError
from liveavatar.face.portrait import Portrait
from liveavatar.mesh.session import MeshEngine


def test_every_engine_says_how_its_pictures_come_about() -> None:
    assert ENGINE_SOURCE_TYPES.keys() == ENGINE_OPTIONS.keys()


def test_an_engine_that_is_not_there_is_refused() -> None:
    with pytest.raises(EngineError, match="use one of: mesh, dit"):
        open_engine("magic")


@pytest.mark.parametrize(
    ("engine", "option", "flag"),
    [
        ("mesh", "prompt", "--prompt"),
        ("mesh", "sample_steps", "--sample-steps"),
        ("mesh", "online_decode", "--online-decode"),
        ("mesh", "folder", "--ckpt-dir"),
        ("dit", "motion", "--motion"),
        ("mesh", "no_such_thing", "--no-such-thing"),
    ],
)
def test_an_option_without_effect_is_refused_by_its_flag(engine: str, option: str, flag: str) -> None:
    with pytest.raises(OptionError, match=f"^{flag} has no effect with the {engine} engine"):
        open_engine(engine, {option: 1})


def test_the_dit_engine_takes_a_prompt_for_an_emotion() -> None:
    with pytest.raises(OptionError, match="describe the face in --prompt"):
        open_engine("dit", {"emotion": "happy"})


def test_every_engine_lists_the_fields_of_its_options() -> None:
    for name, options in ENGINE_OPTIONS.items():
        assert list_engine_options(name) == fields(options)


def test_options_out_of_range_are_refused_before_anything_is_loaded() -> None:
    with pytest.raises(OptionError, match="motion 3"):
        open_engine("mesh", {"motion": 3})
    with pytest.raises(OptionError, match="infer-frames"):
        check_engine_readiness("dit", {"infer_frames": 13})


@pytest.mark.parametrize(
    ("engine", "options", "message"),
    [
        ("mesh", {"motion": "x"}, "motion 'x' is a str; give a number"),
        ("mesh", {"motion": None}, "motion None is a NoneType; give a number"),
        ("mesh", {"motion": True}, "motion True is a bool; give a number"),
        ("mesh", {"motion": float("nan")}, "motion nan is outside"),
        ("mesh", {"speech": ["small"]}, "is a list; give text"),
        ("dit", {"prompt": 1}, "prompt 1 is a int; give text"),
        ("dit", {"preset": ["tiny"]}, "is a list; give text"),
        ("dit", {"sample_steps": 2.5}, "sample_steps 2.5 is a float; give a whole number"),
        ("dit", {"parity": 1}, "parity 1 is a int; give True or False"),
        ("dit", {"folder": 5}, "int is not the path of a folder"),
    ],
    ids=str,
)
def test_options_of_another_type_are_refused(engine: str, options: dict[str, object], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        open_engine(engine, options)


def test_a_name_that_is_no_text_is_refused() -> None:
    with pytest.raises(EngineError, match="use one of: mesh, dit"):
        open_engine(["mesh"])  # type: ignore[arg-type]


def test_numbers_of_numpy_are_numbers() -> None:
    engine = open_engine("mesh", {"motion": np.float32(0.5), "expression": 1})
    assert isinstance(engine, MeshEngine)
    assert (engine.motion, engine.expression) == (0.5, 1)


def test_parity_opens_the_reference(portrait: Portrait) -> None:
    options = {"preset": "tiny", "parity": True, "sample_steps": 1, "infer_frames": 12}
    actor = open_engine("dit", options).open(portrait, (64, 64))
    assert isinstance(actor, RecoveringActor)
    assert isinstance(actor.prepare_actor(), ReferenceActor)
