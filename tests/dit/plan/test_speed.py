import pytest

from liveavatar.dit.performance.resolve_speed import resolve_speed
from liveavatar.dit.plan.options import DitOptions
from liveavatar.dit.plan.speed import EXACT_SPEED, SpeedOptions
from liveavatar.errors import OptionError


def test_a_cpu_computes_everything_one_by_one() -> None:
    assert resolve_speed(SpeedOptions(), "cpu") == EXACT_SPEED


def test_what_is_asked_for_is_kept() -> None:
    asked = SpeedOptions(compile=True, kv="fp8", vae_stream=True, wavefront=True)
    assert resolve_speed(asked, "cpu") == SpeedOptions(
        compile=True, graphs=False, attention="torch", kv="fp8", vae_stream=True, wavefront=True
    )


def test_a_plan_is_said_in_one_line() -> None:
    assert str(EXACT_SPEED) == (
        "compile off, graphs off, attention torch, kv bf16, vae stream off, wavefront off"
    )
    assert "graphs auto" in str(SpeedOptions())


@pytest.mark.parametrize(
    ("asked", "streamed"),
    [
        (SpeedOptions(graphs=True), False),
        (SpeedOptions(attention="fa3"), False),
        (SpeedOptions(attention="fp8"), False),
    ],
)
def test_what_a_device_cannot_do_is_refused_by_name(asked: SpeedOptions, streamed: bool) -> None:
    with pytest.raises(OptionError):
        resolve_speed(asked, "cpu", offloaded=streamed)


def test_a_graph_is_not_recorded_of_what_comes_from_the_host() -> None:
    assert resolve_speed(SpeedOptions(), "cuda:0", offloaded=True).graphs is False
    assert resolve_speed(SpeedOptions(), "cuda:0").graphs is True
    assert resolve_speed(SpeedOptions(wavefront=True), "cuda:0").graphs is False
    with pytest.raises(OptionError, match="graph"):
        resolve_speed(SpeedOptions(graphs=True), "cuda", offloaded=True)


@pytest.mark.parametrize("wrong", [{"attention": "best"}, {"kv": "int3"}, {"attention": "fp8", "kv": "bf16"}])
def test_options_nobody_can_use_are_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(OptionError):
        SpeedOptions(**wrong)  # type: ignore[arg-type]


def test_fp8_attention_brings_fp8_rings() -> None:
    assert resolve_speed(SpeedOptions(attention="auto"), "cuda").kv == "bf16"
    assert SpeedOptions(attention="fp8").kv is None


def test_a_speed_can_be_asked_for_by_name() -> None:
    assert DitOptions(speed="fp8-attention").speed_options == SpeedOptions(attention="fp8")
    assert DitOptions(speed="wavefront", live=False).speed_options.wavefront
    assert DitOptions(speed="wavefront", live=False, parity=True).speed_options == EXACT_SPEED
    with pytest.raises(OptionError, match="wavefront"):
        DitOptions(speed="fast")
