"""Only formats that hold sound or pictures themselves are opened: no playlist, script or device, and not for ever."""

import ctypes
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import av
import pytest
from av.format import ContainerFormat

from audio.sounds import encode, noise, write_wav
from liveavatar.audio.io import container
from liveavatar.audio.io.container import MEDIA_OPTIONS, SOUND_FORMATS, VIDEO_FORMATS, open_media_file
from liveavatar.audio.io.decode import open_audio
from liveavatar.errors import AudioError, VideoError

IN_OPEN = 0x20  # of inotify(7)
HELD = {*SOUND_FORMATS, *VIDEO_FORMATS}


def demuxers() -> dict[str, tuple[str, ...]]:
    """Every demuxer of this FFmpeg by its name, with the suffixes of its files."""
    found = {}
    for name in av.formats_available:
        with suppress(ValueError):
            found[name] = tuple(sorted(ContainerFormat(name, "r").extensions))
    return found


def scripts(secret: Path, path: Path) -> dict[str, bytes]:
    """Texts that name another file, themselves or nothing, or describe sound."""
    media = f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{secret}\n"
    texts = {
        "playlist": media + "#EXT-X-ENDLIST\n",
        "endless": media.replace(str(secret), "absent.ts"),
        "itself": f"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n{path}\n" * 9,
        "ffconcat": f"ffconcat version 1.0\nfile {secret.name}\nfile '{secret}'\n",
        "sbg": "SBaGen\n-SE\nx: 300+10/50\n00:00 x\n00:10 x\n",
        "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 5004 RTP/AVP 0\n",
        "dash": f'<?xml version="1.0"?><MPD type="static"><Period><AdaptationSet><BaseURL>{secret}</BaseURL>'
        '<Representation id="0" bandwidth="1"/></AdaptationSet></Period></MPD>',
    }
    return {name: text.encode() for name, text in texts.items()}


@pytest.fixture
def count_openings() -> Iterator[Callable[[Path], Callable[[], int]]]:
    """Watches a folder; the result counts how often its files were opened since the last call."""
    if sys.platform != "linux":
        pytest.skip("inotify is Linux's")
    libc = ctypes.CDLL(None, use_errno=True)
    watch = libc.inotify_init1(os.O_NONBLOCK)

    def watch_folder(folder: Path) -> Callable[[], int]:
        assert libc.inotify_add_watch(watch, os.fsencode(folder), IN_OPEN) >= 0

        def count() -> int:
            with suppress(BlockingIOError):
                return len(os.read(watch, 1 << 16))
            return 0

        return count

    yield watch_folder
    os.close(watch)


def test_every_demuxer_of_ffmpeg_is_refused_or_holds_its_sound(
    tmp_path: Path, count_openings: Callable[[Path], Callable[[], int]]
) -> None:
    """Each demuxer by its name gets each script, and each script has every suffix: none opens the file it names."""
    (tmp_path / "secret").mkdir()
    secret = write_wav(tmp_path / "secret" / "secret.ts", noise(16_000, 0.5), 16_000)
    openings = count_openings(secret.parent)
    folder = tmp_path / "given"
    folder.mkdir()
    all_demuxers = demuxers()
    assert len(all_demuxers) > 200
    for name, script in scripts(secret, folder / "itself.mp3").items():
        path = folder / f"{name}.mp3"
        path.write_bytes(script)
        for demuxer in all_demuxers:
            opened = None
            with suppress(av.error.FFmpegError, ValueError):
                opened = av.open(f"file:{path}", format=demuxer, options=MEDIA_OPTIONS, timeout=5)
            if opened is not None:
                opened.close()
                assert HELD & set(ContainerFormat(demuxer, "r").name.split(",")), demuxer
        for suffix in {suffix for suffixes in all_demuxers.values() for suffix in suffixes}:
            renamed = path.rename(folder / f"{name}.{suffix}")
            with suppress(AudioError):
                open_audio(renamed, silence_invalid=True).close()
            path = renamed
    assert openings() == 0
    secret.read_bytes()
    assert openings() > 0, "the watch works"


@pytest.mark.parametrize("name", ["playlist", "endless", "itself", "ffconcat", "sbg", "sdp", "dash"])
@pytest.mark.parametrize("suffix", ["m3u8", "mp3", "wav", "mp4", "mpd", "sbg", "sdp", "ffconcat"])
def test_a_script_is_no_sound_and_no_video(tmp_path: Path, name: str, suffix: str) -> None:
    path = tmp_path / f"{name}.{suffix}"
    secret = write_wav(tmp_path / "secret.wav", noise(16_000, 0.5), 16_000)
    path.write_bytes(scripts(secret, path)[name])
    with pytest.raises(AudioError, match="is damaged, or not a sound file; convert it"):
        open_audio(path)
    with pytest.raises(VideoError, match="is damaged, or not a video; convert it"):
        open_media_file(path, VideoError)


def test_opening_has_a_deadline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_wav(tmp_path / "a.wav", noise(16_000, 0.5), 16_000)
    monkeypatch.setattr(container, "OPEN_TIMEOUT_SECONDS", 1e-9)
    with pytest.raises(AudioError, match="cannot be read in time"):
        open_audio(path)


def test_reading_has_a_deadline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = encode(tmp_path / "a.wav", noise(16_000, 60), 16_000, "pcm_f32le")
    monkeypatch.setattr(container, "READ_TIMEOUT_SECONDS", 1e-9)
    with pytest.raises(AudioError, match="cannot be read in time"), open_audio(path) as stream:
        list(stream)


def test_a_range_of_a_file_is_opened_alone(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "a: ,b.wav", noise(16_000, 0.5), 16_000)
    size = path.stat().st_size
    path.write_bytes(path.read_bytes() + path.read_bytes()[: size // 2])
    with open_media_file(path, AudioError, byte_range=range(size, size + size // 2)) as part:
        assert part.format.name == "wav"
        assert sum(packet.size for packet in part.demux()) == size // 2 - 44


@pytest.mark.parametrize("error_type", [AudioError, VideoError])
def test_a_large_file_of_zeros_is_refused_at_once(
    tmp_path: Path, error_type: type[AudioError] | type[VideoError]
) -> None:
    """As a download that never began; the file is sparse."""
    path = tmp_path / "a.mp3"
    with path.open("wb") as file:
        file.truncate(1 << 32)
    with pytest.raises(error_type, match="begins with zeros only"):
        open_media_file(path, error_type)
