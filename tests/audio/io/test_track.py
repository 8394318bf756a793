"""One chooser of the sound track: by its number, or as players do; the same for the lips, the video and sync."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from audio.sounds import encode, noise
from liveavatar.audio.front_end import check_recording, read_speech
from liveavatar.audio.io.decode import open_audio
from liveavatar.errors import AudioError
from liveavatar.video.reader import find_sound_start, open_video
from liveavatar.video.sound_source import EncodedSound, open_sound_source

RATE = 16_000


def two_tracks(path: Path, default: int | None = None, starts: tuple[float, float] = (0, 0)) -> Path:
    """Two tracks of constant value, 0.1 and 0.2, which start at `starts` seconds; `default` (0 or 1) is flagged."""
    with av.open(str(path), "w") as output:
        tracks = [output.add_stream("pcm_s16le", rate=RATE, layout="mono") for _ in range(2)]
        for index, track in enumerate(tracks):
            flag = av.stream.Disposition.default if index == default else av.stream.Disposition.dub
            track.disposition = flag
        for index, track in enumerate(tracks):
            packet = av.Packet(np.full(RATE, 3277 * (index + 1), "<i2").tobytes())
            packet.stream, packet.time_base = track, Fraction(1, RATE)
            packet.pts = packet.dts = round(starts[index] * RATE)
            output.mux(packet)
    return path


def value(path: Path, track: int | None) -> float:
    with open_audio(path, track=track) as stream:
        return round(float(np.concatenate([chunk.samples for chunk in stream]).mean()), 2)


@pytest.mark.parametrize(
    ("default", "track", "expected"),
    [(None, None, 0.1), (0, None, 0.1), (1, None, 0.2), (1, 1, 0.1), (0, 2, 0.2), (None, 2, 0.2)],
)
def test_every_reader_takes_the_same_track(
    tmp_path: Path, default: int | None, track: int | None, expected: float
) -> None:
    path = two_tracks(tmp_path / "a.mkv", default, (0.4, 0.1))
    assert value(path, track) == expected
    start = find_sound_start(path, track)
    assert start == pytest.approx(0.4 if expected == 0.1 else 0.1, abs=0.002)
    sound = EncodedSound(path, track=track)
    assert round(float(next(sound._pieces).mean()), 2) == expected
    sound.close()
    report, chunks = read_speech(path, "as-is", track=track)
    assert round(float(np.concatenate(list(chunks))[4_000:12_000].mean()), 2) == expected
    assert (report.info.track, report.info.track_count) == (1 if expected == 0.1 else 2, 2)


@pytest.mark.parametrize("track", [None, 1, 2])
def test_a_copied_sound_is_of_the_same_track(tmp_path: Path, track: int | None) -> None:
    sounds = [encode(tmp_path / f"{i}.m4a", noise(44_100, 1, seed=i), 44_100, "aac") for i in range(2)]
    path = tmp_path / "a.m4a"
    with av.open(str(path), "w", format="mp4") as output:
        inputs = [av.open(str(sound)) for sound in sounds]
        copies = [output.add_stream_from_template(given.streams.audio[0]) for given in inputs]
        for given, copy in zip(inputs, copies, strict=True):
            for packet in given.demux(audio=0):
                if packet.dts is not None:
                    packet.stream = copy
                    output.mux(packet)
            given.close()
    source = open_sound_source(path, track)
    assert type(source).__name__ == "CopiedSound"
    with av.open(str(tmp_path / "out.mp4"), "w") as target:
        source.attach_to_output(target)
        copied = [bytes(packet) for packet in source.read_packets(Fraction(9))]
    source.close()
    with av.open(str(sounds[(track or 1) - 1])) as given:
        assert copied == [bytes(packet) for packet in given.demux(audio=0) if packet.size]


@pytest.mark.parametrize("track", [0, 3, -1])
def test_a_track_that_is_not_there_is_an_error(tmp_path: Path, track: int) -> None:
    path = two_tracks(tmp_path / "a.mkv")
    with pytest.raises(AudioError, match=rf"a.mkv has no sound track {track}; choose one from 1 to 2"):
        open_audio(path, track=track)
    with pytest.raises(AudioError, match=rf"a.mkv has no sound track {track}; choose one from 1 to 2"):
        find_sound_start(path, track)


def test_the_choice_is_said_and_can_be_made(tmp_path: Path) -> None:
    path = two_tracks(tmp_path / "a.mkv", default=1)
    report = check_recording(path)
    [finding] = [finding for finding in report.findings if finding.name == "tracks"]
    assert finding.sentence == "it has 2 sound tracks; number 2, which players play, is used (--track picks)"
    assert finding.sentence in report.fixes
    report = check_recording(path, track=1)
    [finding] = [finding for finding in report.findings if finding.name == "tracks"]
    assert (finding.level, finding.sentence) == ("ok", "of 2 sound tracks number 1 is used, as asked")


def test_a_video_knows_its_sound_tracks(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as output:
        pictures = output.add_stream("libx264", rate=25)
        pictures.width, pictures.height, pictures.pix_fmt = 64, 64, "yuv420p"
        tracks = [output.add_stream("pcm_s16le", rate=RATE, layout="mono") for _ in range(2)]
        output.mux(
            pictures.encode(av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24"))
        )
        output.mux(pictures.encode(None))
        for index, track in enumerate(tracks):
            packet = av.Packet(bytes(3200))
            packet.stream, packet.time_base = track, Fraction(1, RATE)
            packet.pts = packet.dts = index * 800
            output.mux(packet)
    with open_video(path, track=2) as video:
        assert (video.sound_track_count, video.sound_start) == (2, Fraction(50, 1000))
