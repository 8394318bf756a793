"""Sync-C and Sync-D, the scores of SyncNet (Chung and Zisserman, "Out of time", 2016).

Network, features and scoring are those of the public `syncnet_v2.model`, which the user provides. Faces are found by
our detector instead of S3FD, so that values may differ a little from published ones.
"""

from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from liveavatar.errors import OptionError, VideoError, WeightsError
from liveavatar.files import describe_path, require_regular_file
from liveavatar.frames import Picture, Samples
from liveavatar.sync.audio_track import stream_mono_audio
from liveavatar.sync.face_tracker import FaceTracker
from liveavatar.sync.mfcc import compute_mfcc
from liveavatar.timeline import SAMPLE_RATE
from liveavatar.video.reader import open_video

if TYPE_CHECKING:
    from torch import Tensor, nn

SYNCNET_FPS = 25
WINDOW_FRAMES, WINDOW_STEPS = 5, 20
"""Pictures and steps of cepstra in one embedding, 0.2 s."""
SCORED_SECONDS = 5
"""The reference scores so much of a video, from its beginning."""
MAX_SHIFT_FRAMES = 15
"""Largest shift of sound against lips, in either direction."""

_CROP_SIDE = 224
_CROP_MARGIN = 0.4
_PADDING_GREY = 110
_MEDIAN_FRAMES = 13  # of the median filter over the face's place and size
_BATCH_SIZE = 10
_CHECKPOINT_REMEDY = "name the public syncnet_v2.model"


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncNetScore:
    """`confidence` is Sync-C, higher is better; `distance` is Sync-D, lower is better; `offset_ms` is positive if the
    lips come after the sound."""

    confidence: float
    distance: float
    offset_ms: float


def score_syncnet(video: Path, network: Any, track: int | None = None) -> SyncNetScore:
    """Score the first five seconds of a video with the network of `load_syncnet`; `track` as in `open_video`.

    Raises:
        VideoError, AudioError: the video cannot be read, or shows no face for long enough.
    """
    pictures, sound = extract_face_crops(video), read_first_sound(video, track)
    return compute_syncnet_score(
        network, pictures, compute_mfcc(sound), min(len(pictures), len(sound) // (SAMPLE_RATE // SYNCNET_FPS))
    )


def build_syncnet() -> Any:
    """The network with random weights: a half for lips and one for sound, each with an embedding of 1024 numbers."""
    nn = _import_torch().nn
    aud = [*_make_layer(nn.Conv2d, 1, 64, 3, padding=1), nn.MaxPool2d(1, 1),
           *_make_layer(nn.Conv2d, 64, 192, 3, padding=1), nn.MaxPool2d(3, (1, 2)),
           *_make_layer(nn.Conv2d, 192, 384, 3, padding=1),
           *_make_layer(nn.Conv2d, 384, 256, 3, padding=1),
           *_make_layer(nn.Conv2d, 256, 256, 3, padding=1), nn.MaxPool2d(3, 2),
           *_make_layer(nn.Conv2d, 256, 512, (5, 4))]  # fmt: skip
    lip = [*_make_layer(nn.Conv3d, 3, 96, (5, 7, 7), stride=(1, 2, 2)), nn.MaxPool3d((1, 3, 3), (1, 2, 2)),
           *_make_layer(nn.Conv3d, 96, 256, (1, 5, 5), stride=(1, 2, 2), padding=(0, 1, 1)),
           nn.MaxPool3d((1, 3, 3), (1, 2, 2), padding=(0, 1, 1)),
           *chain.from_iterable(_make_layer(nn.Conv3d, 256, 256, (1, 3, 3), padding=(0, 1, 1)) for _ in range(3)),
           nn.MaxPool3d((1, 3, 3), (1, 2, 2)),
           *_make_layer(nn.Conv3d, 256, 512, (1, 6, 6))]  # fmt: skip
    halves = {"netcnnaud": nn.Sequential(*aud), "netfcaud": _make_head(nn), "netcnnlip": nn.Sequential(*lip),
              "netfclip": _make_head(nn)}  # fmt: skip
    return nn.ModuleDict(halves).eval()


def embed_lips(network: Any, pictures: "Tensor") -> "Tensor":
    """Pictures [n, 3 BGR, 5, 224, 224] of 0…255 to [n, 1024]."""
    return network["netfclip"](network["netcnnlip"](pictures).flatten(1))  # type: ignore[no-any-return]


def embed_sound(network: Any, cepstra: "Tensor") -> "Tensor":
    """Cepstra [n, 1, 13, 20] to [n, 1024]."""
    return network["netfcaud"](network["netcnnaud"](cepstra).flatten(1))  # type: ignore[no-any-return]


def load_syncnet(checkpoint: Path) -> Any:
    """The network with the weights of a `syncnet_v2.model`.

    Raises:
        OptionError: PyTorch is not installed.
        WeightsError: the checkpoint cannot be read or is another network's.
    """
    require_regular_file(checkpoint, WeightsError, "checkpoint")
    network, name = build_syncnet(), describe_path(checkpoint)
    try:
        state = _import_torch().load(checkpoint, map_location="cpu", weights_only=True)
        keys = network.load_state_dict(state, strict=False)
    except (OSError, EOFError, RuntimeError, TypeError, UnpicklingError) as error:
        reason = str(error).splitlines()[0][:80]
        raise WeightsError(f"{name} is not SyncNet's checkpoint ({reason})", _CHECKPOINT_REMEDY) from error
    missing = [name for name in keys.missing_keys if not name.endswith("num_batches_tracked")]
    if missing or keys.unexpected_keys:
        key = [*missing, *keys.unexpected_keys][0]
        raise WeightsError(f"{name} is another network's: {key} does not fit", _CHECKPOINT_REMEDY)
    return network


def compute_syncnet_score(
    network: Any, pictures: NDArray[np.uint8], cepstra: NDArray[np.float64], frame_count: int
) -> SyncNetScore:
    """Score pictures [m, 224, 224, 3 BGR] at 25 fps against cepstra [steps, 13] over `frame_count` frames.

    The distance of the embeddings is averaged over all windows of 0.2 s, for each shift. Sync-D is the smallest mean,
    Sync-C the difference between the median of the means and the smallest.

    Raises:
        VideoError: there are fewer than six frames.
    """
    torch = _import_torch()
    count = frame_count - WINDOW_FRAMES
    if count < 1:
        raise VideoError("the face is not visible long enough for SyncNet", "use a video of at least 0.5 s")
    with torch.inference_mode():
        lips = torch.cat(
            [embed_lips(network, _make_lip_batch(pictures, i, count)) for i in range(0, count, _BATCH_SIZE)]
        )
        sound = torch.cat(
            [embed_sound(network, _make_sound_batch(cepstra, i, count)) for i in range(0, count, _BATCH_SIZE)]
        )
        padded = torch.nn.functional.pad(sound, (0, 0, MAX_SHIFT_FRAMES, MAX_SHIFT_FRAMES))
        shifts = range(2 * MAX_SHIFT_FRAMES + 1)
        distance = torch.nn.functional.pairwise_distance
        means = torch.stack([distance(lips, padded[k : k + count]).mean() for k in shifts])
    best = int(means.argmin())
    return SyncNetScore(
        confidence=float(means.median() - means[best]),
        distance=float(means[best]),
        offset_ms=(MAX_SHIFT_FRAMES - best) * 1000 / SYNCNET_FPS,
    )


def extract_face_crops(video: Path) -> NDArray[np.uint8]:
    """Crops of the face in the first seconds, 25 a second, [m, 224, 224, 3], BGR; they end where the face is lost."""
    pictures: list[Picture] = []
    boxes: list[tuple[float, float, float]] = []
    tracker = FaceTracker()
    with open_video(video) as file:
        due, start = 0, None
        for frame in file:
            start = frame.time if start is None else start
            landmarks = tracker.track_landmarks(frame.rgb)
            while due < SCORED_SECONDS * SYNCNET_FPS and (frame.time - start) * SYNCNET_FPS >= due:
                if landmarks is None:
                    return _crop_smoothed_faces(pictures, boxes)
                low, high = landmarks[:468, :2].min(axis=0), landmarks[:468, :2].max(axis=0)
                boxes.append((*((low + high) / 2).tolist(), float((high - low).max()) / 2))
                pictures.append(frame.rgb)
                due += 1
            if due == SCORED_SECONDS * SYNCNET_FPS:
                break
    return _crop_smoothed_faces(pictures, boxes)


def read_first_sound(video: Path, track: int | None = None) -> Samples:
    """The sound of the first seconds at 16 kHz mono; sample 0 is at the first picture. `track` as in `open_video`.

    Raises:
        VideoError: there are no pictures or no sound.
    """
    with open_video(video, track) as file:
        first = next(iter(file), None)
        begin = file.sound_start
    if first is None or begin is None:
        raise VideoError(f"{video.name} has no pictures or no sound", "choose a video of a talking face")
    delay = round((begin - first.time) * SAMPLE_RATE)
    count, skipped = SCORED_SECONDS * SAMPLE_RATE, max(0, -delay)
    chunks = [np.zeros(max(0, delay), np.float32)]
    for samples in stream_mono_audio(video, track):
        chunks.append(samples)
        if sum(map(len, chunks)) >= count + skipped:
            break
    return np.concatenate(chunks)[skipped:][:count]


def _crop_smoothed_faces(
    pictures: list[Picture], boxes: list[tuple[float, float, float]]
) -> NDArray[np.uint8]:
    """Squares around the median-filtered places of the face; they reach further below the face than above."""
    if not pictures:
        return np.empty((0, _CROP_SIDE, _CROP_SIDE, 3), np.uint8)
    half = _MEDIAN_FRAMES // 2
    places = np.pad(np.array(boxes), ((half, half), (0, 0)), mode="edge")
    smooth = np.median(np.lib.stride_tricks.sliding_window_view(places, _MEDIAN_FRAMES, axis=0), axis=-1)
    return np.stack([_crop_square(rgb, *place) for rgb, place in zip(pictures, smooth.tolist(), strict=True)])


def _crop_square(rgb: Picture, x: float, y: float, half: float) -> Picture:
    border = int(half * (1 + 2 * _CROP_MARGIN))
    grey = (_PADDING_GREY,) * 3
    padded = cv2.copyMakeBorder(rgb, border, border, border, border, cv2.BORDER_CONSTANT, value=grey)
    top, left = int(y + border - half), int(x + border - half * (1 + _CROP_MARGIN))
    side = int(half * 2 * (1 + _CROP_MARGIN))
    square = padded[max(0, top) : top + side, max(0, left) : left + side, ::-1]
    return np.asarray(cv2.resize(np.ascontiguousarray(square), (_CROP_SIDE, _CROP_SIDE)), np.uint8)


def _make_lip_batch(pictures: NDArray[np.uint8], first: int, count: int) -> "Tensor":
    runs = [
        pictures[k : k + WINDOW_FRAMES].transpose(3, 0, 1, 2)
        for k in range(first, min(first + _BATCH_SIZE, count))
    ]
    return _import_torch().from_numpy(np.stack(runs).astype(np.float32))  # type: ignore[no-any-return]


def _make_sound_batch(cepstra: NDArray[np.float64], first: int, count: int) -> "Tensor":
    step = WINDOW_STEPS // WINDOW_FRAMES
    runs = [
        cepstra[k * step : k * step + WINDOW_STEPS].T[None]
        for k in range(first, min(first + _BATCH_SIZE, count))
    ]
    return _import_torch().from_numpy(np.stack(runs).astype(np.float32))  # type: ignore[no-any-return]


def _make_layer(
    convolution: Any, channels: int, filters: int, size: Any, **options: Any
) -> "list[nn.Module]":
    nn = _import_torch().nn
    norm = nn.BatchNorm2d if convolution is nn.Conv2d else nn.BatchNorm3d
    return [convolution(channels, filters, size, **options), norm(filters), nn.ReLU()]


def _make_head(nn: Any) -> "nn.Module":
    parts = [nn.Linear(512, 512), nn.BatchNorm1d(512), nn.ReLU(), nn.Linear(512, 1024)]
    return nn.Sequential(*parts)  # type: ignore[no-any-return]


def _import_torch() -> Any:
    """PyTorch, imported only when SyncNet runs.

    Raises:
        OptionError: it is not installed.
    """
    try:
        import torch
    except ImportError:
        raise OptionError("SyncNet needs PyTorch", "run: pip install 'liveavatar[dit]'") from None
    return torch
