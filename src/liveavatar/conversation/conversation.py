"""Turns in, answers aloud: hears a microphone, answers each turn once, and stops when somebody speaks.

```
conversation.hear_sound(samples)    one thread: finds turns; whoever begins to speak interrupts at once
conversation.advance()              another thread: reads and answers turns, a step at a time; parts may block
conversation.add_text(text)         any thread: a typed turn
conversation.stop_answer()          any thread
```

The history belongs to the thread that answers. It gets what was heard of an answer when the session has said so; only
then the next turn is read. So at any moment it is a conversation that both have witnessed.
"""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from threading import Lock

from liveavatar.conversation.events import (
    AnswerFinished,
    AnswerStarted,
    AnswerStatus,
    AnswerText,
    ConversationEvent,
    ListeningStarted,
    ListeningStopped,
    PartFailed,
    WordsRecognised,
)
from liveavatar.conversation.history import AnswerScript, History
from liveavatar.conversation.partner import Partner, SpeechPiece, Turn
from liveavatar.ears.turns import SpeechStarted, TurnDetector, TurnEnded
from liveavatar.errors import LiveAvatarError, SessionClosed, SpeechQueueFull
from liveavatar.frames import Samples
from liveavatar.live.messages import SegmentFinished, SegmentStarted
from liveavatar.live.segments import SpeechSegment
from liveavatar.live.session import LiveSession
from liveavatar.live.viewers import EventViewer
from liveavatar.timeline import SAMPLE_RATE

MAX_WAITING_TURNS = 8
"""Older ones are dropped: nobody waits for their answers."""

_ONSET_SAMPLES = 512
"""Sound is heard in pieces of 32 ms, so that an onset interrupts before the rest of a chunk is heard."""
_LEAD_SAMPLES = 5_120
"""Of the sound before a turn, at most: see `TurnEnded`."""
_TAIL_SAMPLES = 3_200
"""Of the pause after it, kept: soft ends, which are found early."""


@dataclass(slots=True, eq=False)
class Exchange:
    """A turn and what is made of it."""

    turn: Turn
    segment: SpeechSegment | None = None
    is_cancelled: bool = False


class Conversation:
    """One person's conversation with the face of a live session.

    `publish` is called by the threads of the conversation, and must return at once.
    """

    def __init__(
        self,
        session: LiveSession,
        detector: TurnDetector,
        partner: Partner,
        publish: Callable[[ConversationEvent], None],
    ) -> None:
        self.history = History()
        self._session, self._detector, self._partner, self._publish = session, detector, partner, publish
        self._viewer = EventViewer()
        session.add_viewer(self._viewer)
        self._lock = Lock()
        self._waiting: deque[Exchange] = deque()
        self._current: Exchange | None = None
        self._speaking: set[int] = set()  # segments that have started, anybody's, and not finished
        self._finished: dict[int, SegmentFinished] = {}
        self._item_count = 0
        self._heard_item = ""
        self._steps: Iterator[bool] = iter(())

    # What the thread of the microphone calls.

    def hear_sound(self, samples: Samples) -> None:
        """Hear float32 [n], 16 kHz mono. Any chunking gives the same turns."""
        for start in range(0, len(samples), _ONSET_SAMPLES):
            self._handle_turn_events(self._detector.push(samples[start : start + _ONSET_SAMPLES]))

    def end_turn(self) -> None:
        """The turn that is being heard, if any, is over."""
        self._handle_turn_events(self._detector.flush())

    def forget_turn(self) -> None:
        """The turn that is being heard, if any, is not to be answered."""
        self._detector.clear()

    def _handle_turn_events(self, events: list[SpeechStarted | TurnEnded]) -> None:
        for event in events:
            if isinstance(event, SpeechStarted):
                self.stop_answer()
                self._heard_item = self._name_item()
                seconds = event.start / SAMPLE_RATE
                self._publish(ListeningStarted(item=self._heard_item, seconds=seconds))
            else:
                self._publish(ListeningStopped(item=self._heard_item, seconds=event.end / SAMPLE_RATE))
                self._add_turn(Turn(item=self._heard_item, sound=trim_pause(event)))

    # What any thread may call.

    def add_text(self, text: str) -> str:
        """A typed turn: it interrupts as a spoken one does. Returns the name of its item."""
        self.stop_answer()
        item = self._name_item()
        self._add_turn(Turn(item=item, text=text))
        return item

    def stop_answer(self) -> bool:
        """Stop speaking, and answer no turn that has ended: whoever speaks goes on, or wants silence.

        Returns whether the session was interrupted: it is not while it is silent.
        """
        with self._lock:
            self._take_session_events()
            exchanges = [*self._waiting, *filter(None, [self._current])]
            for exchange in exchanges:
                exchange.is_cancelled = True
            has_segment = any(exchange.segment is not None for exchange in exchanges)
            speaks = bool(self._speaking) or has_segment or self._session.queued_seconds > 0
            if speaks:
                self._session.interrupt()
            return speaks

    def report_problem(self, problem: str) -> None:
        """Tell what went wrong."""
        self._publish(PartFailed(problem=problem))

    def close(self) -> None:
        """Leave the session. Further calls do nothing."""
        self._session.remove_viewer(self._viewer)

    def _name_item(self) -> str:
        with self._lock:
            self._item_count += 1
            return f"item_{self._item_count}"

    def _add_turn(self, turn: Turn) -> None:
        with self._lock:
            self._waiting.append(Exchange(turn))
            is_dropped = len(self._waiting) > MAX_WAITING_TURNS
            if is_dropped:
                self._waiting.popleft()
        if is_dropped:
            self.report_problem("turns come faster than they are read; the oldest was dropped")

    # What the thread that answers calls.

    def advance(self) -> bool:
        """Do the next step; False if there is nothing to do now."""
        progress = next(self._steps, None)
        if progress is not None:
            return progress
        with self._lock:
            self._current = self._waiting.popleft() if self._waiting else None
            exchange = self._current
        if exchange is None:
            return False
        self._steps = self._answer_turn(exchange)
        return True

    def _answer_turn(self, exchange: Exchange) -> Iterator[bool]:
        """Read and answer a turn. Yields whether there was progress."""
        turn = exchange.turn
        try:
            text = self._partner.read_turn(turn)
        except LiveAvatarError as error:
            self.report_problem(str(error))
            return
        yield True
        if self._partner.needs_words:
            self._publish(WordsRecognised(item=turn.item, text=text))
            self.history.add_message("user", text)
        if not (self._partner.needs_words and not text.strip()) and self._open_answer(exchange):
            yield from self._speak_answer(exchange)

    def _open_answer(self, exchange: Exchange) -> bool:
        """Open the segment of an answer, unless it was cancelled: nothing is said after an interruption."""
        with self._lock:
            if exchange.is_cancelled:
                return False
            try:
                exchange.segment = self._session.open_segment()
            except SessionClosed:
                return False
        self._publish(AnswerStarted(item=exchange.turn.item, segment=exchange.segment.number))
        return True

    def _speak_answer(self, exchange: Exchange) -> Iterator[bool]:
        assert exchange.segment is not None  # noqa: S101  (_open_answer)
        segment, script, status = exchange.segment, AnswerScript(), AnswerStatus.COMPLETED
        try:
            for piece in self._partner.answer_turn(exchange.turn, self.history.list_messages()):
                yield from self._push_piece(exchange, segment, script, piece)
                if exchange.is_cancelled:
                    break
        except LiveAvatarError as error:
            status = AnswerStatus.FAILED
            self.report_problem(str(error))
        segment.end()
        while (finished := self._find_finished(segment.number)) is None:
            yield False
        if finished.interrupted:
            status = AnswerStatus.CANCELLED
        heard = float(finished.heard)
        text = script.find_heard_text(heard if finished.interrupted else script.seconds)
        self.history.add_message("assistant", text)
        self._publish(AnswerFinished(segment=segment.number, status=status, text=text, heard_seconds=heard))

    def _push_piece(
        self, exchange: Exchange, segment: SpeechSegment, script: AnswerScript, piece: SpeechPiece
    ) -> Iterator[bool]:
        """Say a piece, waiting while too much speech waits."""
        if piece.text and not exchange.is_cancelled:
            self._publish(AnswerText(segment=segment.number, text=piece.text, start_seconds=script.seconds))
        if piece.text:
            script.add_text(piece.text)
        while not exchange.is_cancelled:
            try:
                exchange.is_cancelled |= not segment.push(piece.samples, piece.rate)
            except SpeechQueueFull:
                yield False
                continue
            except SessionClosed:  # another segment was opened after this one, by the client itself
                exchange.is_cancelled = True
            script.add_sound(len(piece.samples) / piece.rate, piece.is_pause)
            break
        yield True

    def _find_finished(self, segment: int) -> SegmentFinished | None:
        with self._lock:
            self._take_session_events()
            return self._finished.pop(segment, None)

    def _take_session_events(self) -> None:
        """Note which segments speak, and what was heard of the current answer. Needs the lock."""
        own = self._current.segment.number if self._current and self._current.segment else None
        for message in self._viewer.take_messages():
            if isinstance(message, SegmentStarted):
                self._speaking.add(message.segment)
            elif isinstance(message, SegmentFinished):
                self._speaking.discard(message.segment)
                if message.segment == own:
                    self._finished[message.segment] = message


def trim_pause(ended: TurnEnded) -> Samples:
    """The sound of a turn without most of the pause that ended it."""
    return ended.samples[: _LEAD_SAMPLES + ended.end - ended.start + _TAIL_SAMPLES]
