"""The training network computes what the shipped stream computes; examples and targets are as specified."""

import numpy as np
import pytest
from numpy.typing import NDArray

from liveavatar.speech import SpeechStream, SpeechTrack
from liveavatar.speech.features import MEL_BANDS, compute_log_mel, extract_windows, make_initial_context
from liveavatar.speech.models import articulation
from liveavatar.speech.models.articulation import (
    CLOSURE_CONTEXT_STEPS,
    PAIR_STEPS,
    RECEPTIVE_FIELD_PAIRS,
    ClosureClassifier,
)
from liveavatar.speech.models.quantised_weights import pack_weights, unpack_weights
from made_speech import open_voice_gate

torch = pytest.importorskip("torch")
from training.articulation import closure_classifier, dataset, kokoro, network, train  # noqa: E402  (needs torch)
from training.articulation.augment import Augmenter, make_room_tone  # noqa: E402
from training.articulation.corpus import Clip  # noqa: E402
from training.articulation.dataset import augment_example  # noqa: E402
from training.articulation.examples import (  # noqa: E402
    BILABIAL_COLUMN,
    COLUMN_COUNT,
    VISEME_COLUMNS,
    Example,
    align_closures,
    make_silence_targets,
)
from training.articulation.phones import phone_to_gestures  # noqa: E402
from training.articulation.targets import CLOSURE, make_targets  # noqa: E402


def sound(length: int) -> NDArray[np.float32]:
    random = np.random.default_rng(length)
    swell = np.repeat(random.uniform(0, 0.3, length // 4000 + 1), 4000)[:length]
    return np.asarray(swell * random.normal(size=length), np.float32)


@pytest.fixture(scope="module")
def weights() -> network.Weights:
    """Random weights after a round trip through 8 bits."""
    fresh = {name: tensor.detach().numpy() for name, tensor in network.init_weights(0).items()}
    return {name: torch.from_numpy(rows) for name, rows in unpack_weights(pack_weights(fresh)).items()}


@pytest.mark.parametrize("length", [1, 159, 1600, 16_123, 32_000])
def test_a_stream_equals_the_training_network(
    weights: network.Weights, length: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = {name: tensor.numpy() for name, tensor in weights.items()}
    rows |= {
        "lips.weight": np.linspace(-1, 1, CLOSURE_CONTEXT_STEPS * 21, dtype=np.float32)[:, None],
        "lips.bias": np.zeros(1),
    }
    monkeypatch.setattr(articulation, "load_articulation_weights", lambda: rows)
    open_voice_gate(monkeypatch)  # the network is compared, and noise is no voice
    stream = SpeechStream()
    speech = SpeechTrack.join_runs([stream.push(sound(length)), stream.flush()])
    expected = network.predict(weights, sound(length))
    visemes, controls = ClosureClassifier().refine_controls(expected[:, :21])
    np.testing.assert_allclose(speech.visemes, visemes, atol=1e-4)
    np.testing.assert_allclose(speech.controls, controls, atol=1e-3)


def test_the_closure_classifier_finds_the_informative_input() -> None:
    random = np.random.default_rng(0)
    rows = random.normal(3.0, 2.0, (4000, 2)).astype(np.float32)
    closed = (random.random(4000) < 1 / (1 + np.exp(6 - 2 * rows[:, 0]))).astype(np.float32)
    fitted = closure_classifier.fit_closure_classifier(rows, closed)
    logits = torch.from_numpy(rows) @ fitted["lips.weight"][:, 0] + fitted["lips.bias"]
    assert abs(float(fitted["lips.weight"][1, 0])) < 0.1 < 1.0 < float(fitted["lips.weight"][0, 0])
    assert float(((logits > 0) == (torch.from_numpy(rows)[:, 0] > 3)).float().mean()) > 0.85


def test_closure_data_has_a_label_for_every_row() -> None:
    clip = Clip(
        speaker="nobody", language="en", samples=sound(16_100), phones=[("p", 4800, 6400), ("", 6400, 16_100)]
    )
    rows, closed = closure_classifier.make_closure_data(
        [clip],
        lambda samples: np.full((-(-len(samples) // 160), COLUMN_COUNT), 0.5, np.float32),
        np.random.default_rng(0),
    )
    assert rows.shape == (len(closed), 21 * CLOSURE_CONTEXT_STEPS)
    closed_steps = np.flatnonzero(closed[:101])
    assert (closed_steps[0], closed_steps[-1]) == (29, 36)
    np.testing.assert_array_equal(
        closed.reshape(-1, 101), np.tile(closed[:101], (1 + closure_classifier.DEGRADED_COPIES, 1))
    )


def test_bands_of_features_and_noise_floor_are_stretched_together() -> None:
    ramp = np.tile(np.arange(48, dtype=np.float32), 3)
    moved = train.stretch_bands(np.tile(ramp, (2, 5, 1)), np.random.default_rng(1))
    for window in moved:
        share = window[0, 10] / 10
        assert 0.9 <= share <= 1.1
        np.testing.assert_allclose(window[:, :40], np.tile(share * ramp[:40], (5, 1)), rtol=1e-4)
        np.testing.assert_array_equal(window[:, :48], window[:, 48:96])
        np.testing.assert_array_equal(window[:, :48], window[:, 96:])
    assert not np.array_equal(moved[0], moved[1])


def test_the_longest_source_name_gives_the_weight() -> None:
    empty = np.zeros(0, np.float32)
    examples = [
        Example(speaker=speaker, samples=empty, targets=np.zeros((0, 0), np.float16), lead_samples=0)
        for speaker in ("people:syllables-5", "people:stamps-fr", "kokoro:af_sky")
    ]
    expected = [train.SOURCE_WEIGHTS[source] for source in ("people:syllables", "people", "kokoro")]
    assert train.weigh_examples(examples).tolist() == expected


def test_weights_are_averaged() -> None:
    ends = [{"x": torch.full((2, 2), value)} for value in (1.0, 4.0, 4.0)]
    np.testing.assert_array_equal(train.average_weights(*ends)["x"], np.full((2, 2), 3.0, np.float32))


def test_a_stream_start_precedes_an_example(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dataset, "STREAM_START_SHARE", 1.0)
    monkeypatch.setattr(dataset, "SPEECHLESS_SHARE", 0.0)
    example = Example(
        speaker="x", samples=sound(16_000), targets=np.ones((100, COLUMN_COUNT), np.float16), lead_samples=0
    )
    sequence = dataset.draw_sequence([example], np.ones(1), 1, np.random.default_rng(0))
    past = PAIR_STEPS * RECEPTIVE_FIELD_PAIRS
    first = sequence.features[past : past + 1, :MEL_BANDS].astype(np.float32)
    np.testing.assert_array_equal(
        sequence.features[:past], make_initial_context(first, past).astype(np.float16)
    )
    np.testing.assert_array_equal(sequence.targets[:past], make_silence_targets(past))
    assert (sequence.targets[past:] == 1).all()


@pytest.mark.parametrize(
    ("accent", "ipa", "expected"),
    [
        ("en-us", "stˈɑːɹ", "stˈɑɹ"),
        ("en-gb", "stˈɑː", "stˈɑː"),
        ("en-us", "t^ʃˈɜːt^ʃ", "ʧˈɜɹʧ"),
        ("en-gb", "nˈi^ə hˈe^ə ɡˈə^ʊ", "nˈɪə hˈɛː ɡˈQ"),
    ],
)
def test_kokoro_spells_american_and_british_vowels(accent: str, ipa: str, expected: str) -> None:
    assert kokoro.ipa_to_letters(ipa, accent) == expected


@pytest.mark.parametrize(("before", "expected"), [("", 44), ("ɑ", 50)])
def test_lips_close_early_for_a_stop_after_a_pause(before: str, expected: int) -> None:
    phones = [(before, 0, 8000), ("p", 8000, 9600), ("ɑ", 9600, 16_000)]
    targets = make_targets(Clip(speaker="nobody", language="en", samples=sound(16_000), phones=phones))
    closed = targets.controls[:, CLOSURE] >= 0.9 * targets.controls[:, CLOSURE].max()
    assert abs(int(np.flatnonzero(closed)[0]) - expected) <= 1


def predict_lips(*lips: tuple[int, int, float]) -> NDArray[np.float32]:
    """A hundred steps of silence with bilabials: (first step, end, probability)."""
    steps = make_silence_targets(100).astype(np.float32)
    for first, last, probability in lips:
        steps[first:last, 0], steps[first:last, BILABIAL_COLUMN] = 1 - probability, probability
    return steps


def test_labels_decide_whether_lips_close_and_the_teacher_when() -> None:
    labels = predict_lips((20, 26, 1.0), (70, 76, 1.0)).astype(np.float16)
    aligned = align_closures(predict_lips((23, 29, 0.9), (45, 50, 0.3), (55, 60, 0.8), (70, 76, 0.2)), labels)
    lips = aligned[:, BILABIAL_COLUMN]
    np.testing.assert_allclose(lips[23:29], 0.9, rtol=1e-6)  # where the teacher has it, 3 steps late
    assert not lips[20:23].any()
    assert not lips[40:65].any()  # not in the labels
    np.testing.assert_array_equal(lips[70:76], 1.0)  # in the labels, though the teacher misses it
    np.testing.assert_allclose(aligned[:, VISEME_COLUMNS].sum(axis=1), 1.0, rtol=1e-5)


def test_the_rhyme_of_dong_ends_with_one_nasal() -> None:
    assert [gesture.viseme for gesture in phone_to_gestures("onɡ5")] == ["oh", "nn"]


def test_room_tone_has_the_spectrum_of_a_pause() -> None:
    random = np.random.default_rng(0)
    room = 0.01 * np.convolve(random.normal(0, 1, 32_000), [0.5, 0.5], "same").astype(np.float32)
    speech = np.where(np.arange(32_000) % 16_000 < 8_000, sound(32_000), 0).astype(np.float32)
    room_tone = make_room_tone(room + speech, 8_000, random)
    lead, pause = (
        compute_log_mel(extract_windows(part)).mean(axis=0) for part in (room_tone, room[8_000:16_000])
    )
    np.testing.assert_allclose(lead[2:], pause[2:], atol=4.0)


def test_before_an_example_the_mouth_rests() -> None:
    targets = np.concatenate([make_silence_targets(20), np.full((80, COLUMN_COUNT), 0.5, np.float16)])
    example = Example(speaker="x", samples=sound(16_000), targets=targets, lead_samples=0)
    pauses = []
    for seed in range(12):
        sequence = augment_example(
            example, Augmenter(random=np.random.default_rng(seed), others=[sound(9_000)])
        )
        pauses.append(int(np.argmax(sequence.targets[:, 0] == 0.5)))
        np.testing.assert_array_equal(sequence.targets[: pauses[-1]], make_silence_targets(pauses[-1]))
        assert (sequence.targets[pauses[-1] :] == 0.5).all()
    assert min(pauses) < 24
    assert max(pauses) > 40
