import pytest

from liveavatar.dit.performance.resolve_speed import resolve_speed
from liveavatar.dit.plan.speed import EXACT_SPEED, SpeedOptions
from liveavatar.errors import OptionError


def test_a_cpu_gets_the_exact_speed() -> None:
    assert resolve_speed(SpeedOptions(), "cpu") == EXACT_SPEED


def test_explicit_settings_are_kept() -> None:
    asked = SpeedOptions(compile=True, kv="fp8", vae_stream=True, wavefront=True)
    assert resolve_speed(asked, "cpu") == SpeedOptions(
        compile=True, graphs=False, attention="torch", kv="fp8", vae_stream=True, wavefront=True
    )


@pytest.mark.parametrize(
    ("asked", "streamed"),
    [
        (SpeedOptions(graphs=True), False),
        (SpeedOptions(attention="fa3"), False),
        (SpeedOptions(attention="fp8"), False),
    ],
)
def test_what_a_device_cannot_do_is_refused(asked: SpeedOptions, streamed: bool) -> None:
    with pytest.raises(OptionError):
        resolve_speed(asked, "cpu", offloaded=streamed)


def test_graphs_are_not_recorded_with_offloaded_weights() -> None:
    assert resolve_speed(SpeedOptions(), "cuda:0", offloaded=True).graphs is False
    assert resolve_speed(SpeedOptions(), "cuda:0").graphs is True
    assert resolve_speed(SpeedOptions(wavefront=True), "cuda:0").graphs is False
    with pytest.raises(OptionError, match="graph"):
        resolve_speed(SpeedOptions(graphs=True), "cuda", offloaded=True)


def test_fp8_attention_needs_an_fp8_cache() -> None:
    assert resolve_speed(SpeedOptions(attention="auto"), "cuda").kv == "bf16"
    assert SpeedOptions(attention="fp8").kv is None
