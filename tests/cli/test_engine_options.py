"""Options of the engines on the command line: every field once, in the spellings of the public reference too."""

from typing import Any

import pytest
from typer.main import get_group
from typer.testing import CliRunner

from liveavatar.cli.app import app
from liveavatar.cli.commands.generate import EngineName
from liveavatar.dit.plan.options import DitOptions
from liveavatar.engines import ENGINE_OPTIONS, list_engine_options
from liveavatar.mesh.options import MeshOptions

SPELLINGS = {
    "motion": ["--motion"],
    "emotion": ["--emotion"],
    "expression": ["--expression"],
    "gaze": ["--gaze"],
    "speech": ["--speech"],
    "prompt": ["--prompt"],
    "sample_steps": ["--sample-steps", "--sample_steps"],
    "infer_frames": ["--infer-frames", "--infer_frames"],
    "online_decode": ["--online-decode", "--enable_online_decode"],
    "parity": ["--parity"],
    "preset": ["--preset"],
    "random_weights": ["--random-weights"],
    "folder": ["--ckpt-dir", "--ckpt_dir"],
    "memory": ["--memory"],
    "speed": ["--speed"],
}


@pytest.fixture
def generate() -> Any:
    return get_group(app).commands["generate"]


def test_every_field_with_a_help_text_is_an_option_once(generate: Any) -> None:
    described = [
        option.name
        for name in ENGINE_OPTIONS
        for option in list_engine_options(name)
        if "help" in option.metadata
    ]
    parameters = {parameter.name: parameter.opts for parameter in generate.params}
    assert sorted(described) == sorted(SPELLINGS)
    assert {name: parameters[name] for name in described} == SPELLINGS
    assert not {"live", "device"} & parameters.keys()


def test_every_engine_can_be_named() -> None:
    assert [name.value for name in EngineName] == list(ENGINE_OPTIONS)


def test_an_option_that_is_not_given_stays_with_the_engine(generate: Any) -> None:
    assert all(parameter.default is None for parameter in generate.params if parameter.name in SPELLINGS)


def test_the_help_has_a_panel_for_every_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    text = CliRunner().invoke(app, ["generate", "--help"]).output
    assert "Engine: mesh" in text
    assert "Engine: dit (pip install 'liveavatar[dit]')" in text
    assert "liveavatar[whisper]" in text
    assert "only for --engine" not in text.lower()
    assert f"[default: {DitOptions().sample_steps}]" in text
    assert f"[default: {MeshOptions().speech}]" in text
