"""Marks of whole videos: written by a rendering, read back by FFmpeg, by C2PA's own reader and by `inspect_marks`."""

import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import c2pa
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audio.sounds import write_wav
from liveavatar.avatar import Avatar
from liveavatar.errors import EngineError, OptionError, VideoError
from liveavatar.provenance import certificate as certificate_module
from liveavatar.provenance import credentials as credentials_module
from liveavatar.provenance import inspection as inspection_module
from liveavatar.provenance.credentials import find_manifest, read_credentials
from liveavatar.provenance.inspection import MarkReport, inspect_marks, list_mark_findings
from liveavatar.provenance.policy import DigitalSourceType
from liveavatar.video.remux import shift_sound
from liveavatar.video.writer import VideoWriter
from provenance.certificates import write_certificate
from provenance.findings import FOUND, NOT_FOUND
from provenance.grey_actor import GreyActor

OFFLINE = {"verify": {"remote_manifest_fetch": False, "ocsp_fetch": False}}


@pytest.fixture(autouse=True)
def no_watermark(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The search takes seconds: it finds nothing, except in the tests of it."""
    if "slow" not in request.keywords:
        monkeypatch.setattr(inspection_module, "detect_watermark", lambda _path: NOT_FOUND)


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    sound = 0.1 * np.random.default_rng(0).standard_normal((32_000, 1)).astype(np.float32)
    return write_wav(tmp_path_factory.mktemp("sound") / "a.wav", sound, 16_000)


@pytest.fixture(scope="module")
def video(recording: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video with all marks."""
    output = tmp_path_factory.mktemp("video") / "a.mp4"
    result = Avatar(GreyActor()).render(recording, output, audio_policy="as-is", producer="Studio 北")
    assert result.marks.is_self_made
    return output


def read_ffmpeg_tags(path: Path) -> dict[str, str]:
    with av.open(path) as container:
        return container.metadata


def read_manifest(path: Path) -> tuple[str, dict[str, object]]:
    """The state and the active manifest, by C2PA's own reader."""
    context = c2pa.Context(c2pa.Settings.from_dict(OFFLINE))
    with c2pa.Reader(str(path), context=context) as reader:
        return str(reader.get_validation_state()), dict(reader.get_active_manifest() or {})


def test_ffmpeg_reads_the_aigc_tag(video: Path) -> None:
    tags = read_ffmpeg_tags(video)
    tag = json.loads(tags["AIGC"])
    assert (tag["Label"], tag["ContentProducer"]) == ("1", "Studio 北")
    assert tags["comment"].startswith("Made with liveavatar")


def test_the_index_stays_in_front_and_everything_plays(video: Path) -> None:
    content = video.read_bytes()
    assert content.find(b"moov") < content.find(b"mdat")
    with av.open(video) as container:
        assert sum(1 for _ in container.decode(video=0)) == 50
    with av.open(video) as container:
        assert sum(frame.samples for frame in container.decode(audio=0)) >= 32_000


def test_the_reader_of_c2pa_finds_the_signed_manifest(video: Path) -> None:
    state, manifest = read_manifest(video)
    assert state == "Valid"
    assert '"c2pa.created"' in json.dumps(manifest)
    assert "/compositeWithTrainedAlgorithmicMedia" in json.dumps(manifest)


def test_all_marks_are_found_and_the_certificate_is_said_to_be_self_made(video: Path) -> None:
    report = inspect_marks(video)
    assert (report.is_marked, report.is_own, report.verdict) == (True, True, "marked by liveavatar")
    assert report.contradictions == ()
    sentences = {finding.name: finding.sentence for finding in list_mark_findings(report)}
    assert sentences["content credentials"].startswith("valid, made by an untrusted self-made certificate")


def test_two_videos_have_different_numbers_and_certificates(
    recording: Path, video: Path, tmp_path: Path
) -> None:
    Avatar(GreyActor()).render(recording, tmp_path / "b.mp4", audio_policy="as-is")
    reports = [inspect_marks(path) for path in (video, tmp_path / "b.mp4")]
    assert len({report.aigc.produce_id for report in reports if report.aigc}) == 2
    serials = {json.dumps(read_manifest(report.video)[1]["signature_info"]) for report in reports}
    assert len(serials) == 2


def test_the_users_certificate_signs(recording: Path, tmp_path: Path) -> None:
    files = write_certificate(tmp_path)
    avatar = Avatar(GreyActor(), source_type=DigitalSourceType.TRAINED)
    result = avatar.render(
        recording,
        tmp_path / "a.mp4",
        audio_policy="as-is",
        certificate=files.certificate,
        certificate_key=files.key,
    )
    assert (result.marks.signer, result.marks.is_self_made) == ("Studio North", False)
    found = read_credentials(tmp_path / "a.mp4")
    assert (found.state, found.signer, found.source_types) == (
        "valid",
        "Studio North",
        ("trainedAlgorithmicMedia",),
    )


def test_an_unusable_certificate_is_refused_before_the_recording_is_read(tmp_path: Path) -> None:
    files = write_certificate(tmp_path, first_day=-9, last_day=-1)
    with pytest.raises(OptionError, match="expired"):
        Avatar(GreyActor()).render(
            tmp_path / "missing.wav",
            tmp_path / "a.mp4",
            certificate=str(files.certificate),
            certificate_key=str(files.key),
        )
    assert not (tmp_path / "a.mp4").exists()


def test_a_partial_video_has_all_marks(recording: Path, tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"partial\.mp4"):
        Avatar(GreyActor(fail_at=20)).render(recording, tmp_path / "a.mp4", audio_policy="as-is")
    assert [path.name for path in tmp_path.iterdir()] == ["a.partial.mp4"]
    report = inspect_marks(tmp_path / "a.partial.mp4")
    assert (report.verdict, report.credentials.state) == ("marked by liveavatar", "valid")


def test_without_the_extra_a_video_is_not_signed_and_that_is_said(
    recording: Path, video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(certificate_module, "find_spec", lambda _name: None)
    result = Avatar(GreyActor()).render(recording, tmp_path / "a.mp4", audio_policy="as-is")
    assert (
        "no content credentials (not installed: pip install 'liveavatar[credentials]')"
        in result.marks.sentence
    )
    assert not find_manifest(tmp_path / "a.mp4")
    assert inspect_marks(tmp_path / "a.mp4").verdict == "marked by liveavatar"
    assert read_credentials(video).state == "unchecked"
    files = write_certificate(tmp_path)
    with pytest.raises(OptionError, match="needs the package c2pa-python; pip install"):
        Avatar(GreyActor()).render(
            recording, tmp_path / "b.mp4", certificate=files.certificate, certificate_key=files.key
        )


def test_a_failing_signature_leaves_nothing(
    recording: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise c2pa.C2paError("Signature: no luck")

    monkeypatch.setattr(credentials_module, "_sign_stream", fail)
    with pytest.raises(Exception, match="the video cannot be signed: no luck"):
        Avatar(GreyActor()).render(recording, tmp_path / "a.mp4", audio_policy="as-is")
    assert list(tmp_path.iterdir()) == []


def test_a_shifted_copy_keeps_its_tags_and_drops_the_broken_signature(video: Path, tmp_path: Path) -> None:
    for name in ("copy.mp4", "copy.mov", "copy.mkv"):
        shift_sound(video, tmp_path / name, 0.1)
        report, source = inspect_marks(tmp_path / name), inspect_marks(video)
        assert (report.aigc, report.comment, report.verdict) == (
            source.aigc,
            source.comment,
            "marked by liveavatar",
        )
        assert report.credentials.state == "none"


def edit_picture(content: bytes) -> bytes:
    position = content.find(b"mdat") + 300
    return content[:position] + bytes([content[position] ^ 1]) + content[position + 1 :]


def break_manifest(content: bytes) -> bytes:
    return content.replace(b"jumd", b"jumx")


@pytest.mark.parametrize(
    ("change", "state", "verdict"),
    [
        (edit_picture, "edited", "marked, and the marks contradict each other"),
        (break_manifest, "invalid", "marked by liveavatar"),
    ],
)
def test_a_change_after_signing_is_noticed(
    video: Path, tmp_path: Path, change: Callable[[bytes], bytes], state: str, verdict: str
) -> None:
    changed = tmp_path / "a.mp4"
    changed.write_bytes(change(video.read_bytes()))
    report = inspect_marks(changed)
    assert (report.credentials.state, report.verdict) == (state, verdict)
    assert {finding.name: finding.level for finding in list_mark_findings(report)}[
        "content credentials"
    ] == "bad"


@pytest.mark.parametrize(
    "store",
    [
        None,
        [],
        {"manifests": 3, "active_manifest": [], "validation_status": "x"},
        {
            "active_manifest": "a",
            "manifests": {"a": {"assertions": [4, {"label": "c2pa.actions", "data": "x"}]}},
        },
        {"active_manifest": "a", "manifests": {"a": {"claim_generator_info": [None], "signature_info": "x"}}},
    ],
)
def test_a_report_of_unusual_parts_is_read(store: object) -> None:
    found = credentials_module._build_finding(store)
    assert (found.state, found.source_types) == ("invalid", ())


@settings(max_examples=60)
@given(data=st.data())
def test_damaged_manifests_never_crash(
    video: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    content = bytearray(video.read_bytes())
    start = content.find(b"jumb")
    for _ in range(data.draw(st.integers(1, 8))):
        content[start + data.draw(st.integers(-40, 2900))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("damaged") / "a.mp4"
    path.write_bytes(content)
    assert read_credentials(path).state in {"none", "valid", "edited", "invalid"}


def write_tagged_video(path: Path, tags: dict[str, str]) -> Path:
    with VideoWriter(path, Fraction(25), (64, 64), metadata=tags) as writer:
        writer.write(np.zeros((64, 64, 3), np.uint8))
    return path


def inspect_tags(folder: Path, **tags: str) -> MarkReport:
    return inspect_marks(write_tagged_video(folder / "a.mp4", tags))


def test_no_marks_marks_of_others_and_contradictions(tmp_path: Path) -> None:
    assert inspect_tags(tmp_path).verdict == "no mark found"
    assert inspect_tags(tmp_path, AIGC="nonsense").verdict == "no mark found"
    other = inspect_tags(tmp_path, AIGC='{"Label": "1", "ContentProducer": "Other"}', comment="by hand")
    assert other.verdict == "marked by another program"
    assert "producer Other" in list_mark_findings(other)[0].sentence
    denied = inspect_tags(
        tmp_path,
        AIGC='{"Label": "0", "ContentProducer": "Other"}',
        comment="Made with liveavatar: this person was animated by a program.",
    )
    assert denied.verdict == "marked, and the marks contradict each other"
    assert denied.contradictions[0] == (
        "the AIGC tag does not say that a program made it (label 0), unlike the comment"
    )
    assert list_mark_findings(denied)[0].level == "warn"


def test_a_watermark_contradicts_a_tag_that_denies_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inspection_module, "detect_watermark", lambda _path: FOUND)
    assert inspect_tags(tmp_path).verdict == "marked by liveavatar"
    denied = inspect_tags(tmp_path, AIGC='{"Label": "0"}')
    assert denied.verdict == "marked, and the marks contradict each other"
    assert denied.contradictions[0].endswith("(label 0), unlike the watermark")
    assert "that of liveavatar; by chance in fewer than 1 of" in list_mark_findings(denied)[-1].sentence


@pytest.mark.slow
def test_a_watermark_is_found_in_a_shifted_copy(recording: Path, tmp_path: Path) -> None:
    Avatar(GreyActor((256, 256))).render(recording, tmp_path / "a.mp4", audio_policy="as-is")
    shift_sound(tmp_path / "a.mp4", tmp_path / "b.mp4", 0.1)
    report = inspect_marks(tmp_path / "b.mp4")
    assert report.watermark.is_found
    assert list_mark_findings(report)[-1].level == "ok"


@pytest.mark.parametrize(
    ("tag", "sentence"),
    [
        ({"Label": "1"}, "made by a program, no producer"),
        ({"Label": 1, "ContentProducer": None, "ProduceID": "7"}, "made by a program, no producer, number 7"),
        ({"ContentProducer": "Other"}, "no label, producer Other"),
        ({}, "no label, no producer"),
    ],
    ids=str,
)
def test_a_tag_with_missing_parts_is_described_without_gaps(
    tmp_path: Path, tag: dict[str, object], sentence: str
) -> None:
    finding = list_mark_findings(inspect_tags(tmp_path, AIGC=json.dumps(tag)))[0]
    assert finding.sentence == f"says: {sentence}; anybody can write or remove it"


def test_names_in_a_file_are_shown_in_one_short_line(tmp_path: Path) -> None:
    tag = json.dumps({"Label": "1", "ContentProducer": "\x1b[31m\n" + 500 * "x"})
    sentence = list_mark_findings(inspect_tags(tmp_path, AIGC=tag))[0].sentence
    assert sentence.isprintable()
    assert len(sentence) < 300


@pytest.mark.parametrize("content", [b"", b"no video " * 100, b"#EXTM3U\nhttp://example.com/a.mp4\n"])
def test_what_is_no_video_is_one_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(content)
    with pytest.raises(VideoError):
        inspect_marks(path)


def test_sound_alone_is_no_video(recording: Path) -> None:
    with pytest.raises(VideoError, match="has no pictures"):
        inspect_marks(recording)


@pytest.mark.parametrize("size", [0, 3, 7, 2**32 - 1])
def test_boxes_of_impossible_sizes_end_the_search(tmp_path: Path, size: int) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes((size.to_bytes(4) + b"free") * 50_000)
    assert not find_manifest(path)
