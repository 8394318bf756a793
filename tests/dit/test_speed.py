import pytest

from liveavatar.dit.options import DitOptions
from liveavatar.dit.speed import EXACT, Speed, resolve
from liveavatar.errors import OptionError


def test_a_cpu_computes_everything_one_by_one() -> None:
    assert resolve(Speed(), "cpu") == EXACT


def test_what_is_asked_for_is_kept() -> None:
    asked = Speed(compile=True, kv="fp8", vae_stream=True, wavefront=True)
    assert resolve(asked, "cpu") == Speed(
        compile=True, graphs=False, attention="torch", kv="fp8", vae_stream=True, wavefront=True
    )


def test_a_plan_is_said_in_one_line() -> None:
    assert str(EXACT) == ("compile off, graphs off, attention torch, kv bf16, vae stream off, wavefront off")
    assert "graphs auto" in str(Speed())


@pytest.mark.parametrize(
    ("asked", "streamed"),
    [
        (Speed(graphs=True), False),
        (Speed(attention="fa3"), False),
        (Speed(attention="fp8"), False),
    ],
)
def test_what_a_device_cannot_do_is_refused_by_name(asked: Speed, streamed: bool) -> None:
    with pytest.raises(OptionError):
        resolve(asked, "cpu", streamed=streamed)


def test_a_graph_is_not_recorded_of_what_comes_from_the_host() -> None:
    assert resolve(Speed(), "cuda:0", streamed=True).graphs is False
    assert resolve(Speed(), "cuda:0").graphs is True
    assert resolve(Speed(wavefront=True), "cuda:0").graphs is False
    with pytest.raises(OptionError, match="graph"):
        resolve(Speed(graphs=True), "cuda", streamed=True)


@pytest.mark.parametrize("wrong", [{"attention": "best"}, {"kv": "int3"}, {"attention": "fp8", "kv": "bf16"}])
def test_options_nobody_can_use_are_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(OptionError):
        Speed(**wrong)  # type: ignore[arg-type]


def test_fp8_attention_brings_fp8_rings() -> None:
    assert resolve(Speed(attention="auto"), "cuda").kv == "bf16"
    assert Speed(attention="fp8").kv is None


def test_a_speed_can_be_asked_for_by_name() -> None:
    assert DitOptions(speed="fp8-attention").pace == Speed(attention="fp8")
    assert DitOptions(speed="wavefront", live=False).pace.wavefront
    assert DitOptions(speed="wavefront", live=False, parity=True).pace == EXACT
    with pytest.raises(OptionError, match="wavefront"):
        DitOptions(speed="fast")
