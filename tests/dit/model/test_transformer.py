from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from liveavatar.dit.model.layers import KeyValue, sinusoidal_embedding
from liveavatar.dit.model.rope import block_positions, sink_positions
from liveavatar.dit.model.transformer import BlockInputs, DiT
from liveavatar.dit.plan.config import DitConfig
from liveavatar.dit.streaming.kv_cache import RingKVCache, RingShape
from liveavatar.errors import OptionError, WeightsError
from small_dit import COLUMNS, FOLDER, ROWS, golden, golden_metadata, max_error, small_config, small_dit

TOKENS = 3 * ROWS * COLUMNS
SINK = ROWS * COLUMNS * 5 // 2


def make_cache(model: DiT, steps: int = 1) -> RingKVCache:
    config = model.config
    shape = RingShape(
        layers=config.layers,
        steps=steps,
        blocks=4,
        block_tokens=TOKENS,
        sink_tokens=SINK,
        portrait_tokens=ROWS * COLUMNS,
        heads=config.heads,
        head_dim=config.head_dim,
    )
    return RingKVCache(shape, like=model.template_tensor)


class Run:
    """Draws the blocks of a golden file one after the other, at one noise level each, into one ring."""

    def __init__(self, model: DiT, data: dict[str, Tensor]) -> None:
        self.model = model
        self.data = data
        self.text = model.project_text(data["context"])
        self.sink = model.compute_sink(data["ref"], data["motion"], self.text)
        self.rings = make_cache(model)
        self.rings.set_sink(self.sink, model.compute_rope(sink_positions(30, ROWS, COLUMNS)))

    def block(self, number: int, timestep: float, distance: int, pose: Tensor | None = None) -> Tensor:
        audio = self.data[f"audio{number}"]
        return self.velocity(self.data[f"x{number}"], audio, number, timestep, distance, pose=pose)

    def velocity(
        self, x: Tensor, audio: Tensor, number: int, timestep: float, distance: int,
        pose: Tensor | None = None, mask: Tensor | None = None,
    ) -> Tensor:  # fmt: skip
        frame = 30 + max(0, 3 * number - (30 - distance))
        self.rings.move_portrait(self.model.compute_rope(block_positions(frame, 1, ROWS, COLUMNS)))
        rope = self.model.compute_rope(block_positions(3 * number, 3, ROWS, COLUMNS))
        inputs = BlockInputs(
            text=self.text, rope=rope, audio=self.model.encode_audio_block(audio), voice_mask=mask, pose=pose
        )
        modulation = self.model.compute_modulations([timestep])[0]
        out: Tensor = self.model(x[None], modulation, inputs, self.rings.prepare_layers(0, number))
        return out[0]


def numbers(name: str, key: str) -> Sequence[float]:
    values = golden_metadata(name)[key]
    assert isinstance(values, list)
    return values


@pytest.fixture(scope="module")
def model() -> DiT:
    return small_dit()


@pytest.fixture(scope="module")
def run(model: DiT) -> Run:
    return Run(model, golden("dit_kv"))


def test_the_sink_is_that_of_the_reference(run: Run) -> None:
    for layer, part in enumerate(run.sink):
        assert max_error(part.k, run.data[f"sink.cond_k.{layer}"]) < 1e-5
        assert max_error(part.v, run.data[f"sink.cond_v.{layer}"]) < 1e-5


def test_blocks_are_those_of_the_reference_while_the_ring_rolls_over(run: Run) -> None:
    distances = numbers("dit_kv", "relative_dist")
    for number, timestep in enumerate(numbers("dit_kv", "timesteps")):
        pose = run.data["cond_states"] if number % 2 else None
        outputs = run.block(number, timestep, int(distances[number]), pose)
        assert max_error(outputs, run.data[f"out{number}"]) < 1e-5
    ring = KeyValue(run.data["kv.k.2"], run.data["kv.v.2"])
    assert max_error(in_order(run.rings.prepare_layers(0, 6)[2].slots.k), ring.k) < 1e-5
    assert max_error(in_order(run.rings.prepare_layers(0, 6)[2].slots.v), ring.v) < 1e-5


def in_order(slots: Tensor) -> Tensor:
    """The ring of an even step lies before the sink, its slots from the last to the first."""
    ring = slots[:, :-SINK]
    return torch.cat(list(reversed(torch.split(ring, TOKENS, dim=1))), dim=1)


def test_two_voices_are_those_of_the_reference(model: DiT) -> None:
    run = Run(model, golden("dit_kv"))
    distances = numbers("dit_kv", "relative_dist")
    for number, timestep in enumerate(numbers("dit_kv", "timesteps")):
        run.block(number, timestep, int(distances[number]), run.data["cond_states"] if number % 2 else None)
    two = golden("dit_two_actors")
    mask = two["mask"][:, :3].flatten(1)
    outputs = run.velocity(two["x"], two["audio"], 7, 857.6923217773438, 30, mask=mask)
    assert max_error(outputs, two["out"]) < 1e-5


def test_bfloat16_rounds_where_the_reference_does() -> None:
    run = Run(small_dit().bfloat16(), golden("dit_bf16"))
    assert torch.equal(run.sink[0].k, run.data["sink.cond_k.0"])
    for number, timestep in enumerate(numbers("dit_bf16", "timesteps")):
        outputs, expected = run.block(number, timestep, 30), run.data[f"out{number}"].float()
        assert max_error(outputs.bfloat16(), expected) <= 2**-5  # one place of bfloat16 at the largest values
        assert float((outputs - expected).norm() / expected.norm()) < 6e-3


def test_one_voice_with_a_full_mask_equals_no_mask(model: DiT) -> None:
    data = golden("dit_kv")
    masks = (None, torch.ones(1, TOKENS))
    outputs = [Run(model, data).velocity(data["x0"], data["audio0"], 0, 1000.0, 30, mask=m) for m in masks]
    assert torch.equal(*outputs)


def test_no_audio_injects_nothing(model: DiT) -> None:
    run = Run(model, golden("dit_kv"))
    inputs = BlockInputs(
        text=run.text, rope=model.compute_rope(block_positions(0, 3, ROWS, COLUMNS)), audio=()
    )
    output = model(
        run.data["x0"][None], model.compute_modulations([1000.0])[0], inputs, run.rings.prepare_layers(0, 0)
    )
    assert max_error(output[0], run.data["out0"]) > 0.1


def test_a_prompt_longer_than_text_len_is_truncated(model: DiT) -> None:
    prompt = torch.randn(40, 32, generator=torch.Generator().manual_seed(2))
    long, short = model.project_text(prompt), model.project_text(prompt[: model.config.text_len])
    assert torch.equal(long[0].k, short[0].k)


def test_the_full_size_has_the_tensors_of_the_checkpoint() -> None:
    with torch.device("meta"):
        model = DiT(DitConfig())
    expected = {}
    for line in (FOLDER / "dit14b_keys.txt").read_text().splitlines():
        name, shape, count = line.split("\t")
        for index in range(int(count[1:])):
            expected[name.replace(".N.", f".{index}.")] = shape
    assert {name: str(list(value.shape)) for name, value in model.state_dict().items()} == expected
    assert sum(p.numel() for p in model.parameters()) == 16_295_755_609


def test_sinusoids_of_a_noise_level_start_with_cosines() -> None:
    sinusoids = sinusoidal_embedding(torch.tensor([0.0, 1000.0]), 256)
    assert sinusoids[0].tolist() == [1.0] * 128 + [0.0] * 128
    assert sinusoids[1, 0] == pytest.approx(torch.tensor(1000.0, dtype=torch.float64).cos().item())


def test_a_checkpoint_of_another_kind_is_refused() -> None:
    with pytest.raises(WeightsError, match="adain_mode"):
        DitConfig.from_json({"adain_mode": "cross_attn"})


@pytest.mark.parametrize("wrong", [{"heads": 7}, {"layers": 12}])
def test_an_impossible_shape_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(OptionError):
        DitConfig(**wrong)  # type: ignore[arg-type]


def test_the_golden_shape_is_read_from_its_json() -> None:
    assert small_config().inject == (0, 2)
    assert small_config().head_dim == 16
