import pytest
import torch
from torch import Tensor

from drawn import SEEDS, draw_into
from liveavatar.dit.codecs.vae import VAE
from liveavatar.dit.model.transformer import DiT
from liveavatar.dit.parity.whole_file import REFERENCE_SINK_DISTANCE, draw_reference_clips
from liveavatar.dit.plan.config import SKIPPED_PICTURES, StreamConfig, VAEConfig
from liveavatar.dit.streaming.conditioning import Conditioning
from liveavatar.dit.streaming.latents import LatentStream
from liveavatar.dit.streaming.video import VideoStream, encode_portrait
from small_dit import golden, max_error, small_dit

GOLDEN = golden("e2e_offline")
CONFIG = StreamConfig(sink_distance=REFERENCE_SINK_DISTANCE)
SEED = 420
ENOUGH = 181
"""Pictures of past that give the same as the reference's 365, in half the time."""


@pytest.fixture(scope="module")
def dit() -> DiT:
    return small_dit()


@pytest.fixture(scope="module")
def vae() -> VAE:
    model = VAE(VAEConfig(width=6))
    draw_into(model, SEEDS["vae"])
    return model


@pytest.fixture(scope="module")
def portrait() -> Tensor:
    return GOLDEN["ref_image_uint8"].permute(2, 0, 1)[None].float() / 127.5 - 1


def columns(block: int) -> Tensor:
    return GOLDEN["audio_emb"][..., 12 * block : 12 * block + 12]


def check_video(video: Tensor, expected: dict[str, Tensor]) -> None:
    """A sample of frames, which the golden file keeps in half precision, and the mean of every frame."""
    assert video.shape[2] == expected["video_nframes"]
    sample = video[0, :, expected["video_frames_idx"]][..., ::2, ::2]
    assert max_error(sample, expected["video_frames_half"]) < 2.5e-4
    assert max_error(video[0].mean(dim=(0, 2, 3)), expected["video_frame_means"]) < 1e-6


@pytest.mark.slow
@pytest.mark.parametrize("online", [False, True], ids=["offline", "online"])
def test_a_whole_file_is_that_of_the_reference(dit: DiT, vae: VAE, portrait: Tensor, online: bool) -> None:
    made = draw_reference_clips(
        dit, vae, portrait, GOLDEN["context"], GOLDEN["audio_emb"],
        config=CONFIG, seed=SEED, online=online, past_pictures=ENOUGH,
    )  # fmt: skip
    check_video(torch.cat(list(made), dim=2), golden("e2e_online") if online else GOLDEN)


def test_every_step_of_the_offline_run_is_that_of_the_reference(dit: DiT) -> None:
    text = dit.project_text(GOLDEN["context"])
    sink = dit.compute_sink(GOLDEN["ref_latents_first"], GOLDEN["motion_latents_tail"], text)
    stream = LatentStream(dit, Conditioning(text=text, sink=sink, height=8, width=16), CONFIG, SEED)
    for block in range(8):
        for step, latent in enumerate(stream.denoise_block(block, columns(block))):
            if step < 3:
                assert max_error(latent[0], GOLDEN[f"call{4 + 4 * block + step + 1:02d}.x"]) < 1e-5


@pytest.mark.slow
def test_the_stream_is_that_of_the_reference_on_several_gpus(dit: DiT, vae: VAE, portrait: Tensor) -> None:
    expected = golden("e2e_pipeline")
    still = encode_portrait(dit, vae, portrait, GOLDEN["context"])
    assert max_error(still.past_latents, expected["motion_latents"]) < 1e-5
    assert max_error(still.past_latents[:, :, :1], expected["ref_latents_first"]) < 1e-5
    stream = VideoStream(dit, still, CONFIG, SEED, renew_sink=True)
    blocks = [stream.draw_block(block, columns(block)) for block in range(8)]
    video = torch.cat([block.video for block in blocks if block is not None], dim=2)
    check_video(video[:, :, SKIPPED_PICTURES:], expected)


def test_every_step_on_several_gpus_is_that_of_the_reference(dit: DiT) -> None:
    expected = golden("e2e_pipeline")
    text = dit.project_text(GOLDEN["context"])
    sinks = [
        dit.compute_sink(expected[f"ref_latents_{which}"], expected["motion_latents"], text)
        for which in ("first", "last")
    ]
    stream = LatentStream(dit, Conditioning(text=text, sink=sinks[0], height=8, width=16), CONFIG, SEED)
    for block in range(8):
        if block == CONFIG.clip_blocks:
            stream.set_sink(sinks[1])
        for step, latent in enumerate(stream.denoise_block(block, columns(block)), start=1):
            if step < 4:
                assert max_error(latent[0], expected[f"step{step}.block{block}.x"]) < 1e-5
