"""Recordings in twelve more languages, aligned with their transcripts by our own network.

Debian: asterisk-core-sounds-{es,fr,it,ru} and -g722, asterisk-prompt-it-menardi-wav (telephone prompts, one speaker
each), tuxpaint-stamps-default (short descriptions of pictures, by volunteers), fillets-ng-data-{cs,nl} (dialogues of a
game, by actors) and gcin-voice (all syllables of Mandarin, by two speakers). pocketsphinx supports only English, so
espeak-ng gives the phones and the network their times.
"""

import gzip
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from pypinyin.constants import PINYIN_DICT  # type: ignore[import-not-found, unused-ignore]
from pypinyin.contrib.tone_convert import to_tone3  # type: ignore[import-not-found, unused-ignore]
from pypinyin.style.bopomofo import BopomofoConverter  # type: ignore[import-not-found, unused-ignore]
from training.articulation.corpus import Clip
from training.articulation.english import read_recording
from training.articulation.realign import MIN_LOG_LIKELIHOOD, Predictor, realign_clip
from training.articulation.synth_espeak import Espeak

from liveavatar.timeline import SAMPLE_RATE

PROMPTS = Path("/usr/share/asterisk/sounds")
TEXTS = Path("/usr/share/doc")
STAMPS = Path("/usr/share/tuxpaint/stamps")
SPEAKERS = {
    "es_MX_f_Allison": "es-419", "fr_CA_f_June": "fr", "it_IT_m_Carlo": "it", "it_IT_f_Menardi": "it",
    "ru_RU_f_IvrvoiceRU": "ru",
}  # fmt: skip
"""Folders of prompts, and espeak-ng's name of the language."""

STAMP_LANGUAGES = {
    "fr": "fr", "ru": "ru", "ro": "ro", "ca": "ca", "bg": "bg", "es": "es", "be": "be", "el": "el", "da": "da",
}  # fmt: skip
FILLETS = Path("/usr/share/games/fillets-ng")
FILLETS_LANGUAGES = ("cs", "nl")
SYLLABLES = Path("/usr/share/gcin-voice/ogg")
SYLLABLE_SPEAKERS = {"3": 24, "5": 116}
"""The most clips of each speaker."""

CLIP_SYLLABLES, PAUSE_SECONDS = 10, 0.25
"""Syllables in a clip, and seconds of silence between them."""

HELD_OUT = {"people:stamps-el": "valid", "people:syllables-3": "test"}
"""Speakers that are not trained on: for choosing thresholds ("valid") or for testing."""

MIN_SECONDS, MAX_SECONDS = 0.5, 20.0
"""Limits of a clip's duration."""

MIN_PHONES = 3
"""In a clip."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """Files to join with pauses, their text, its language in espeak-ng, and the speaker."""

    paths: tuple[Path, ...]
    text: str
    language: str
    speaker: str


def list_prompts() -> Iterator[Recording]:
    """The prompts of all SPEAKERS, without tones and other sounds that are not speech."""
    for folder, language in SPEAKERS.items():
        name = f"core-sounds-{folder[:2]}"
        listed = gzip.decompress((TEXTS / f"asterisk-{name}" / f"{name}.txt.gz").read_bytes())
        for line in listed.decode("utf-8", "ignore").splitlines():
            key, _, text = line.partition(": ")
            for path in (PROMPTS / folder).glob(f"{key}.*"):
                if text and "[" not in text:
                    yield Recording(paths=(path,), text=text, language=language, speaker=f"people:{folder}")


def list_stamps() -> Iterator[Recording]:
    """The descriptions of Tux Paint's stamps."""
    for path in sorted(STAMPS.rglob("*_desc_??.ogg")):
        stem, _, short = path.stem.rpartition("_desc_")
        texts = path.with_name(f"{stem}.txt")
        if short in STAMP_LANGUAGES and texts.exists():
            listed = texts.read_text(encoding="utf-8", errors="ignore")
            found = re.search(rf"^{short}\.utf8=(.+)$", listed, re.MULTILINE)
            if found:
                yield Recording(
                    paths=(path,),
                    text=found[1],
                    language=STAMP_LANGUAGES[short],
                    speaker=f"people:stamps-{short}",
                )


def list_fillets() -> Iterator[Recording]:
    """The dialogues of Fish Fillets NG, in Czech and Dutch."""
    for language in FILLETS_LANGUAGES:
        for script in sorted(FILLETS.glob(f"script/*/dialogs_{language}.lua")):
            pattern = r'dialogId\("([^"]+)".*?dialogStr\("(.*?)"\)'
            for name, text in re.findall(pattern, script.read_text(encoding="utf-8"), re.DOTALL):
                path = FILLETS / "sound" / script.parent.name / language / f"{name}.ogg"
                if path.exists():
                    yield Recording(
                        paths=(path,), text=text, language=language, speaker=f"people:fishes-{language}"
                    )


def list_syllables() -> Iterator[Recording]:
    """All syllables of Mandarin, CLIP_SYLLABLES at a time. Folders are named in Zhuyin, with the neutral tone as 1."""
    zhuyin, pinyin_names = BopomofoConverter(), {}
    for syllable in {name for names in PINYIN_DICT.values() for name in names.split(",")}:
        plain = zhuyin.to_bopomofo(syllable).translate(str.maketrans("˙ˊˇˋ", "1234"))
        pinyin_names[plain] = to_tone3(syllable, neutral_tone_with_five=True)
    for speaker, max_clips in SYLLABLE_SPEAKERS.items():
        paths = sorted(
            path for path in SYLLABLES.glob(f"*/{speaker}.ogg") if path.parent.name in pinyin_names
        )
        clip_count = len(paths) // CLIP_SYLLABLES
        for i in range(min(max_clips, clip_count)):
            chosen = tuple(paths[i::clip_count][:CLIP_SYLLABLES])
            text = " ".join(pinyin_names[path.parent.name] for path in chosen)
            yield Recording(
                paths=chosen, text=text, language="cmn-latn-pinyin", speaker=f"people:syllables-{speaker}"
            )


def spell_phones(espeak: Espeak, recording: Recording) -> list[str]:
    """The phones of a recording in IPA, with "" for a possible pause around every word."""
    plain = re.sub(r"[^\w'’]+", " ", recording.text)
    phones = [""]
    for word in espeak.text_to_ipa(plain, recording.language).split():
        phones += [phone for phone in (part.strip("ˈˌː ") for part in word.split("_")) if phone]
        phones.append("")
    return phones


def make_unaligned_clip(espeak: Espeak, recording: Recording) -> Clip:
    """Join the files of a recording into a clip, its phones spread evenly."""
    pause = np.zeros(round(PAUSE_SECONDS * SAMPLE_RATE), np.float32)
    parts = [part for path in recording.paths for part in (pause, read_recording(path))]
    samples, phones = np.concatenate(parts[1:]), spell_phones(espeak, recording)
    even = np.linspace(0, len(samples), len(phones) + 1).astype(int).tolist()
    return Clip(
        speaker=recording.speaker, language=recording.language[:2].replace("cm", "zh"), samples=samples,
        phones=list(zip(phones, even[:-1], even[1:], strict=True)),
    )  # fmt: skip


def list_readings(recording: Recording) -> Iterator[Recording]:
    """The possible texts of a recording: some readers of Tux Paint's stamps leave out the article."""
    yield recording
    _, _, rest = recording.text.partition(" ")
    if rest and "stamps" in recording.speaker:
        yield replace(recording, text=rest)


def align_best_reading(clips: list[Clip], predictor: Predictor) -> tuple[Clip, float]:
    """Align several texts with the same sound; returns the likeliest clip and its mean log likelihood."""
    predicted = predictor(clips[0].samples)
    return max(
        (realign_clip(clip, lambda _: predicted, None) for clip in clips), key=lambda aligned: aligned[1]
    )


def make_clips(predictor: Predictor) -> Iterator[Clip]:
    """Yield the clips within the limits whose words fit their sound."""
    espeak = Espeak()
    for recording in (*list_prompts(), *list_stamps(), *list_fillets(), *list_syllables()):
        candidates = [make_unaligned_clip(espeak, reading) for reading in list_readings(recording)]
        phone_count = sum(bool(phone) for phone, _, _ in candidates[0].phones)
        if phone_count >= MIN_PHONES and MIN_SECONDS < len(candidates[0].samples) / SAMPLE_RATE < MAX_SECONDS:
            aligned, likelihood = align_best_reading(candidates, predictor)
            if likelihood > MIN_LOG_LIKELIHOOD:
                yield aligned
