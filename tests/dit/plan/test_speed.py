import pytest

from liveavatar.dit.plan.options import DitOptions
from liveavatar.dit.plan.speed import EXACT_SPEED, SpeedOptions
from liveavatar.errors import OptionError


def test_settings_are_described_in_one_line() -> None:
    assert str(EXACT_SPEED) == (
        "compile off, graphs off, attention torch, kv bf16, vae stream off, wavefront off"
    )
    assert "graphs auto" in str(SpeedOptions())


@pytest.mark.parametrize("wrong", [{"attention": "best"}, {"kv": "int3"}, {"attention": "fp8", "kv": "bf16"}])
def test_contradictory_options_are_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(OptionError):
        SpeedOptions(**wrong)  # type: ignore[arg-type]


def test_a_speed_preset_has_a_name() -> None:
    assert DitOptions(speed="fp8-attention").speed_options == SpeedOptions(attention="fp8")
    assert DitOptions(speed="wavefront", live=False).speed_options.wavefront
    assert DitOptions(speed="wavefront", live=False, parity=True).speed_options == EXACT_SPEED
    with pytest.raises(OptionError, match="wavefront"):
        DitOptions(speed="fast")
