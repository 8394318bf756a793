"""The pass over a clip computes what the rings do; losses, gradients, going on; a tiny model from data to frames."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from training.dit import autoencoder, distil, export
from training.dit.clip_pass import ClipInputs, matrix_attention, predict_velocity
from training.dit.clips import find_clips, read_array, write_clip, write_portrait
from training.dit.data import draw_clip, open_teacher
from training.dit.flow import (
    FlowOptions,
    LatentClips,
    measure_flow_loss,
    train_flow,
)
from training.dit.initialise import build_transformer
from training.dit.losses import add_noise, draw_sigmas, measure_velocity_error, weigh_places
from training.dit.stage import open_run
from training.dit.trainer import TrainingOptions, schedule_rate, seed_step

from liveavatar.dit.checkpoint import package_weights
from liveavatar.dit.codecs.placed_autoencoder import split_places
from liveavatar.dit.model.attention import torch_attention
from liveavatar.dit.model.transformer import DiT
from liveavatar.dit.plan.config import DitConfig, PlacedConfig, StreamConfig
from liveavatar.dit.plan.options import DitOptions
from liveavatar.dit.session import DitEngine
from liveavatar.dit.streaming.conditioning import Conditioning
from liveavatar.dit.streaming.kv_cache import RingKVCache
from liveavatar.dit.streaming.latents import LatentStream
from liveavatar.dit.streaming.scheduler import compute_sigmas
from liveavatar.dit.streaming.wavefront import WavefrontStream
from liveavatar.face.portrait import Portrait
from liveavatar.frames import Samples

CONFIG = DitConfig(
    dim=32, heads=2, layers=2, ffn_dim=48, freq_dim=16, text_dim=8, text_len=1, channels=4,
    audio_dim=6, audio_layers=1, inject=(0, 1),
)  # fmt: skip
SIDE = 8
BLOCKS = 3


def make_model(seed: int = 0) -> DiT:
    """A tiny transformer, none of whose layers is zero."""
    model = build_transformer(CONFIG, seed)
    random = torch.Generator().manual_seed(seed)
    for name, weight in model.named_parameters():
        if not weight.any() and weight.ndim > 1:
            assert name.endswith("weight") or "padding" in name
            with torch.no_grad():
                weight.normal_(0, 0.1, generator=random)
    return model


def make_inputs(start: int = 0, clips: int = 1, seed: int = 3) -> ClipInputs:
    random = torch.Generator().manual_seed(seed)
    past = torch.randn(1, CONFIG.channels, 19, SIDE, SIDE, generator=random)
    features = torch.randn(clips, BLOCKS, 1, CONFIG.audio_dim, 12, generator=random)
    return ClipInputs(
        features=features, portrait=past[:, :, :1], past=past, prompt=torch.zeros(1, 8), start=start
    )


def make_conditioning(model: DiT, inputs: ClipInputs) -> Conditioning:
    text = model.project_text(inputs.prompt)
    sink = model.compute_sink(inputs.portrait, inputs.past, text)
    return Conditioning(text=text, sink=sink, height=SIDE, width=SIDE)


def make_clips(count: int = 3, frames: int = 12) -> LatentClips:
    """Random latents and features."""
    random = torch.Generator().manual_seed(7)
    return LatentClips(
        [torch.randn(CONFIG.channels, frames, SIDE, SIDE, generator=random) for _ in range(count)],
        [torch.randn(8 * frames, CONFIG.audio_dim, generator=random) for _ in range(count)],
        torch.randn(1, CONFIG.channels, 19, SIDE, SIDE, generator=random),
        torch.rand(CONFIG.channels, SIDE, SIDE, generator=random) + 0.5,
        prompt_width=8,
    )


@torch.no_grad()
def test_one_pass_over_a_clip_equals_the_rings_at_every_step() -> None:
    model, inputs = make_model(), make_inputs()
    config = StreamConfig(steps=3, clip_blocks=BLOCKS, sink_distance=(10, 10))
    stream = LatentStream(model, make_conditioning(model, inputs), config, seed=5)
    drawn = [list(stream.denoise_block(block, inputs.features[:, block])) for block in range(BLOCKS)]
    sigmas, latent = compute_sigmas(3), _noise_of(stream)
    for step in range(3):
        velocity = predict_velocity(model, latent, [sigmas[step]], inputs)
        latent = latent + (sigmas[step + 1] - sigmas[step]) * velocity
        ringed = torch.cat([block[step] for block in drawn], dim=2)
        assert float((latent - ringed).abs().max()) < 2e-5 * float(ringed.abs().max())


def _noise_of(stream: LatentStream) -> Tensor:
    return torch.cat([stream._context.block_noise(block).clone() for block in range(BLOCKS)], dim=2)


@torch.no_grad()
def test_a_clip_far_from_the_start_equals_a_stream_that_begins_there() -> None:
    model, inputs = make_model(), make_inputs(start=20)
    config = StreamConfig(steps=1, clip_blocks=BLOCKS, sink_distance=(10, 10))

    def make_cache(*arguments: object, **options: object) -> RingKVCache:
        return RingKVCache(*arguments, steps_per_sink=1, **options)  # type: ignore[arg-type]

    stream = WavefrontStream(model, make_conditioning(model, inputs), config, 5, make_cache)
    stream.restart_at(20)
    noise = torch.cat([stream._context.block_noise(20 + block).clone() for block in range(BLOCKS)], dim=2)
    drawn = [stream.push(inputs.features[:, 0])]
    portrait_moves = 60 - (
        30 - 10
    )  # latents of the stream before the first block, less what the portrait leads by
    assert portrait_moves == 40
    velocity = predict_velocity(model, noise, [1.0], inputs)
    first = (noise - velocity)[:, :, :3]
    assert drawn[0] is not None
    assert float((first - drawn[0]).abs().max()) < 2e-5 * float(first.abs().max())


@torch.no_grad()
def test_clips_in_a_batch_do_not_see_each_other() -> None:
    model, inputs = make_model(), make_inputs(clips=2)
    noisy = torch.randn(2, CONFIG.channels, 3 * BLOCKS, SIDE, SIDE)
    both = predict_velocity(model, noisy, [1.0, 0.5], inputs)
    alone = ClipInputs(
        features=inputs.features[1:], portrait=inputs.portrait, past=inputs.past, prompt=inputs.prompt
    )
    torch.testing.assert_close(
        both[1:], predict_velocity(model, noisy[1:], [0.5], alone), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("keys", [1, 5, 40])
def test_attention_by_matrices_is_attention(keys: int) -> None:
    q, k, v = torch.randn(2, 12, 2, 8), torch.randn(2, keys, 2, 8), torch.randn(2, keys, 2, 8)
    torch.testing.assert_close(matrix_attention(q, k, v), torch_attention(q, k, v))


def test_noise_and_loss_are_those_computed_by_hand() -> None:
    latent, noise = torch.full((1, 1, 1, 1, 2), 2.0), torch.tensor([[[[[1.0, -1.0]]]]])
    noisy = add_noise(latent, noise, torch.tensor([0.25]))
    assert noisy.flatten().tolist() == [0.75 * 2 + 0.25, 0.75 * 2 - 0.25]
    velocity = torch.tensor([[[[[0.0, -1.0]]]]])  # the path's is 1 - 2 = -1 and -1 - 2 = -3
    error = measure_velocity_error(velocity, latent, noise, torch.tensor([[[1.0, 0.5]]]))
    assert error.tolist() == [(1 * 1.0 + 4 * 0.5) / 2]


def test_a_perfect_velocity_has_no_loss_and_leads_to_the_latent() -> None:
    latent, noise = torch.randn(2, 4, 3, 8, 8), torch.randn(2, 4, 3, 8, 8)
    sigmas = torch.tensor([1.0, 0.3])
    velocity = noise - latent
    assert float(measure_velocity_error(velocity, latent, noise, torch.ones(4, 8, 8)).max()) == 0
    clean = add_noise(latent, noise, sigmas) - sigmas.view(-1, 1, 1, 1, 1) * velocity
    torch.testing.assert_close(clean, latent, atol=1e-5, rtol=0)


def test_most_noise_levels_are_those_of_the_four_steps() -> None:
    sigmas = draw_sigmas(4000, torch.Generator().manual_seed(0))
    assert float(sigmas.min()) > 0
    assert float(sigmas.max()) <= 1
    at_one = float((sigmas == 1).float().mean())
    assert at_one == pytest.approx(0.85 * 0.55, abs=0.03)
    assert len(set(sigmas.tolist())) > 300


def test_places_are_weighted_by_what_they_mean_in_pixels() -> None:
    weight = weigh_places(torch.tensor([[1.0, 2.0], [1.0, 2.0], [3.0, 2.0], [1.0, 0.0]]), grid=2)
    assert weight.shape == (2, 2, 2)
    assert float(weight.mean()) == pytest.approx(1)
    assert float(weight[0, 1, 0] / weight[0, 0, 0]) == pytest.approx(9)


def test_gradients_agree_with_finite_differences() -> None:
    model, clips = make_model(), make_clips()
    options = FlowOptions(training=TrainingOptions(), batch=2, blocks=2, half=False)

    def loss() -> Tensor:
        return measure_flow_loss(model, clips, options, seed_step(0, 1)).mean()

    loss().backward()  # type: ignore[no-untyped-call]
    for name in (
        "blocks.0.self_attn.q.weight", "blocks.1.ffn.0.weight", "patch_embedding.weight", "blocks.0.modulation",
        "casual_audio_encoder.encoder.conv1_local.conv.weight", "audio_injector.injector.0.k.weight",
        "frame_packer.proj.weight", "time_projection.1.weight", "head.head.weight",
    ):  # fmt: skip
        weight = model.get_parameter(name)
        assert weight.grad is not None
        direction = weight.grad / weight.grad.norm()
        slopes = []
        with torch.no_grad():
            for step in (0.01, -0.01):
                weight.add_(step * direction)
                slopes.append(float(loss()) / (2 * step))
                weight.sub_(step * direction)
        assert sum(slopes) == pytest.approx(float(weight.grad.norm()), rel=0.05), name


def test_a_run_that_went_on_equals_one_that_was_never_killed(tmp_path: Path) -> None:
    options = FlowOptions(
        training=TrainingOptions(steps=6, rise=2, save_every=2, log_every=2), batch=2, blocks=1
    )

    def train(folder: str, clips: LatentClips) -> dict[str, Tensor]:
        return train_flow(CONFIG, clips, open_run(tmp_path / folder), options).state_dict()

    whole = train("whole", make_clips())
    with pytest.raises(_Killed):
        train("killed", _KilledClips(make_clips(), batches=3))  # the checkpoint is of the second step
    again = train("killed", make_clips())
    assert all(torch.equal(whole[name], again[name]) for name in whole)
    rows = (tmp_path / "killed" / "log.csv").read_text().splitlines()
    assert [row.partition(",")[0] for row in rows] == ["step", "2", "4", "6"]
    assert (tmp_path / "killed" / "log.png").stat().st_size > 1000


class _Killed(Exception):  # noqa: N818
    """Ends a training run at once."""


class _KilledClips(LatentClips):
    """Clips after a few batches of which the run ends."""

    def __init__(self, clips: LatentClips, batches: int) -> None:
        super().__init__(clips.latents, clips.features, clips.past, clips.place_weights, clips.prompt_width)
        object.__setattr__(self, "_left", [batches])

    def draw_batch(self, options: FlowOptions, random: torch.Generator) -> tuple[Tensor, ClipInputs]:
        left: list[int] = object.__getattribute__(self, "_left")
        if not left[0]:
            raise _Killed
        left[0] -= 1
        return super().draw_batch(options, random)


def test_the_rate_rises_stays_and_falls() -> None:
    options = TrainingOptions(steps=100, rate=1.0, rise=10)
    rates = [schedule_rate(step, options) for step in range(100)]
    assert rates[:10] == pytest.approx([0.1 * step for step in range(1, 11)])
    assert set(rates[10:70]) == {1.0}
    assert rates[85] == pytest.approx(0.5)
    assert rates[-1] == pytest.approx(1 / 30)


def test_a_teacher_on_a_straight_path_is_consistent_already() -> None:
    model, clips = make_model(), make_clips()
    with torch.no_grad():
        model.head.head.weight.zero_()
        model.head.head.bias.fill_(0.7)
    options = FlowOptions(training=TrainingOptions(), batch=2, blocks=1, half=False)
    other = make_model()

    @torch.no_grad()
    def measure(student: DiT, step: int) -> float:
        return float(distil.measure_consistency(student, model, clips, options, seed_step(0, step)))

    assert max(measure(model, step) for step in range(4)) < 1e-10
    assert measure(other, 0) > 1e-3


def test_the_components_draw_what_they_were_fitted_to() -> None:
    random = np.random.default_rng(0)
    courses = random.standard_normal((40, 3)).astype(np.float32)
    shapes = random.standard_normal((3, 4 * 16 * 16 * 3)).astype(np.float32) * 0.05
    pictures = (courses @ shapes).reshape(40, 4, 16, 16, 3).transpose(0, 4, 1, 2, 3)
    groups = split_places(torch.from_numpy(np.ascontiguousarray(pictures)))[:, 0]
    fitted = autoencoder.fit_autoencoder(
        iter([groups[:25], groups[25:]]), PlacedConfig(grid=2, latent_channels=3)
    )
    latents = fitted.encode_groups(groups[None])
    drawn = fitted.decode_groups(latents)
    wanted = torch.from_numpy(pictures).permute(1, 0, 2, 3, 4).reshape(1, 3, 160, 16, 16)
    torch.testing.assert_close(drawn, wanted, atol=1e-3, rtol=0)
    basis = fitted.basis[0]
    torch.testing.assert_close(basis.T @ basis, torch.eye(3), atol=1e-5, rtol=0)


@pytest.mark.slow
def test_a_tiny_model_goes_from_data_to_frames(
    tmp_path: Path, portrait: Portrait, babble: Samples, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, fitted, run, assets = (tmp_path / name for name in ("data", "autoencoder", "flow", "assets"))
    for folder in (data, assets):
        folder.mkdir()
    teacher = open_teacher(portrait)
    for name in ("train-0", "test-0"):
        write_clip(data, name, draw_clip(teacher, portrait, babble, seed=0))
    write_portrait(data, portrait)
    assert find_clips(data) == ["test-0", "train-0"]
    assert len(read_array(data, "train-0", "features")) == 2 * len(read_array(data, "train-0", "pictures"))
    autoencoder.main([str(data), str(fitted), "--channels", "8"])
    for step in ("2", "4"):
        _train(["flow", str(data), str(fitted), str(run), "--steps", step, "--batch", "2"])
    distilled = tmp_path / "distilled"
    _train(
        [
            "distil",
            str(data),
            str(fitted),
            str(distilled),
            "--teacher",
            str(run),
            "--steps",
            "1",
            "--batch",
            "1",
        ]
    )
    output = assets / package_weights.SMALL_FILE
    export.main([str(data), str(fitted), str(distilled), str(output)])
    engine = DitEngine(DitOptions(preset="small", folder=assets, sample_steps=2))
    session = engine.open(portrait, None).session(Fraction(25), seed=0)
    session.push(babble[:8000])
    session.flush()
    frames = list(session.frames())
    assert len(frames) == 13
    assert frames[0].rgb.shape == portrait.rgb.shape
    assert np.abs(frames[-1].rgb.astype(int) - portrait.rgb).mean() < 40


def _train(arguments: list[str]) -> None:
    """Run a stage of training as on the command line."""
    from training.dit import flow

    {"flow": flow.main, "distil": distil.main}[arguments[0]](arguments[1:])
