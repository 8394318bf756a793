"""A conversation's delays: end of a turn to first sound of the answer, onset to interruption.

    python -m benchmarks.conversation.latency [--turns 6]

The answers run in real time: sentences of the voice hibari go in 20 ms at a time, as from a microphone, into a session
of the mesh engine with one viewer. An instant responder stands in for the language model, whose own time comes on top.
The onsets are in the time of the sound, so they are the same on every machine.
"""

import argparse
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median

import matplotlib as mpl
import numpy as np
from benchmarks.machine import describe_machine, results_path, write_results
from benchmarks.voices.speech import ENGLISH

import liveavatar
from liveavatar.audio.dsp.resample import Resampler
from liveavatar.avatar import Avatar
from liveavatar.conversation.conversation import Conversation
from liveavatar.conversation.events import ConversationEvent, ListeningStopped
from liveavatar.conversation.history import Message
from liveavatar.conversation.local_parts import VoiceSpeaker, WhisperRecogniser
from liveavatar.conversation.partner import EchoPartner, Partner, SpokenPartner
from liveavatar.conversation.runner import ConversationRunner
from liveavatar.ears import EndOfTurn, TurnDetector
from liveavatar.ears.turns import SpeechStarted
from liveavatar.frames import Samples
from liveavatar.live.messages import SegmentStarted
from liveavatar.live.runner import SessionRunner
from liveavatar.live.session import LiveOptions, LiveSession
from liveavatar.live.viewers import Viewer
from liveavatar.timeline import SAMPLE_RATE
from liveavatar.voices import open_voice

CHUNK = SAMPLE_RATE // 50
SILENCE = np.zeros(2 * SAMPLE_RATE, np.float32)


class InstantResponder:
    """Answers the same at once."""

    def stream_answer(self, _messages: Sequence[Message]) -> Iterator[str]:
        """One short sentence and a longer one."""
        yield "That is a good question. I would have to think about it for a while before I answer."


def speak_sentence(text: str) -> Samples:
    """A sentence at 16 kHz."""
    clauses = list(open_voice("hibari").speak(text))
    resampler = Resampler(clauses[0].rate, SAMPLE_RATE)
    sound = np.concatenate([clause.samples for clause in clauses])
    return resampler.resample_chunk(sound, last=True)


def measure_onsets(sentences: Sequence[Samples]) -> list[float]:
    """Seconds of sound from the onset of each sentence to the moment at which an answer is interrupted."""
    delays = []
    for sound in sentences:
        onset = int(np.flatnonzero(np.abs(sound) > 0.02 * np.abs(sound).max())[0])
        detector, heard = TurnDetector(lambda _: 0.0), 0
        detector.push(SILENCE)
        for start in range(0, len(sound), CHUNK):
            heard = min(len(sound), start + CHUNK)
            if any(isinstance(event, SpeechStarted) for event in detector.push(sound[start:heard])):
                break
        delays.append((heard - onset) / SAMPLE_RATE)
    return delays


def measure_answers(avatar: Avatar, partner: Partner, sentences: Sequence[Samples]) -> list[float]:
    """Seconds on the wall from the last sound of each turn to the first sound of its answer."""
    session, started = LiveSession(avatar.actor, LiveOptions()), list[float]()
    viewer = Viewer(on_ready=lambda: note_start(viewer, started))
    session.add_viewer(viewer)
    ends: list[float] = []

    def note_event(event: ConversationEvent) -> None:
        if isinstance(event, ListeningStopped):
            ends.append(event.seconds)

    model = EndOfTurn()
    model.predict(SILENCE)
    conversation = Conversation(session, TurnDetector(model.predict), partner, note_event)
    runner, ears = SessionRunner(session), ConversationRunner(conversation)
    runner.start()
    ears.start()
    begun, heard, delays = time.monotonic(), 0, list[float]()
    for sound in sentences:
        ends.clear()
        started.clear()
        heard = play_sound(ears, np.concatenate([sound, np.tile(SILENCE, 6)]), begun, heard)
        if len(ends) == len(started) == 1:  # a turn that ended early is two
            delays.append(started[0] - begun - ends[0])
    ears.stop()
    runner.stop()
    return delays


def note_start(viewer: Viewer, started: list[float]) -> None:
    """Note when an answer is first heard; called by the thread of the session."""
    for message in viewer.take_messages():
        if isinstance(message, SegmentStarted):
            started.append(time.monotonic())


def play_sound(ears: ConversationRunner, sound: Samples, begun: float, heard: int) -> int:
    """Send sound at its own pace; returns the samples that were sent since `begun`."""
    for start in range(0, len(sound), CHUNK):
        chunk = sound[start : start + CHUNK]
        heard += len(chunk)
        time.sleep(max(0.0, begun + heard / SAMPLE_RATE - time.monotonic()))
        ears.push_sound(chunk, SAMPLE_RATE)
    return heard


def describe_delays(name: str, delays: list[float]) -> str:
    """A row of the table."""
    if not delays:
        return f"| {name} | | | 0 |"
    values = [round(1000 * delay) for delay in sorted(delays)]
    return f"| {name} | {median(values):.0f} ms | {values[0]} to {values[-1]} ms | {len(values)} |"


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=len(ENGLISH))
    turns = parser.parse_args().turns
    load = os.getloadavg()[0]
    sentences = [speak_sentence(text) for text in ENGLISH[:turns]]
    portrait = Path(mpl.get_data_path()) / "sample_data" / "grace_hopper.jpg"
    avatar = liveavatar.open(portrait, size=(256, 256))
    spoken = SpokenPartner(WhisperRecogniser(), InstantResponder(), VoiceSpeaker("hibari"))
    spoken_delays = measure_answers(avatar, spoken, sentences)
    rows = [
        describe_delays("onset to interruption, time of the sound", measure_onsets(sentences)),
        describe_delays(
            "end of a turn to the answer, echo", measure_answers(avatar, EchoPartner(), sentences)
        ),
        describe_delays("the same, Whisper base and hibari", spoken_delays),
    ]
    text = "\n".join(
        [
            "# A conversation, without a network", "",
            f"{describe_machine()}; mesh engine, 256x256, 25 frames a second; the load average was {load:.1f} when it",
            "began, so wall times are pessimistic. An instant responder stands in for the language model. Written",
            "by `benchmarks.conversation.latency`; `n` counts the turns that were heard as one.",
            "", "| delay | median | range | n |", "| --- | --- | --- | --- |", *rows, "",
        ]
    )  # fmt: skip
    write_results(results_path(__file__), text)
    print(text)


if __name__ == "__main__":
    main()
