"""What a living head does besides articulating: it sways, nods, looks, blinks and breathes.

Everything is simulated on one clock of 100 ticks a second and read off at the times of the frames, so the
same seed and the same speech give the same motion at any frame rate. Memory is constant.

Sizes and rhythms, where they come from:
- head: slow (mostly under 1 Hz), larger and livelier while speaking, beats on stressed syllables
  (Hadar et al. 1983, "Kinematics of head movements accompanying speech"; Munhall et al. 2004);
- blinks: log-normal intervals, 17 a minute at rest and 26 in conversation (Bentivoglio et al. 1997), some at
  the ends of phrases (Nakano & Kitazawa 2010) and with large shifts of gaze (Evinger et al. 1994);
- saccades: duration 21 ms + 2.2 ms per degree (Carpenter 1988); eyes turn against the head and stay on the
  viewer;
- breath: 12 to 18 a minute; while speaking quick and deep in the pauses, slow while the voice lasts.
"""

import math
from dataclasses import dataclass, fields
from fractions import Fraction
from random import Random

TICKS = 100
"""Steps of the simulation in a second."""
DT = 1 / TICKS
LARGEST = math.radians(6)
"""No angle of the head goes beyond this, whatever the amount."""
FASTEST = math.radians(0.9)
"""No angle of the head changes more than this within 1/25 s at amount 1."""

_DEGREE = math.pi / 180


@dataclass(frozen=True, slots=True)
class HeadPose:
    """Where the head is and what eyes, brows and chest do. Zeros everywhere are the portrait as it is.

    Angles are in radians: `yaw` to the right of the picture, `pitch` down, `roll` clockwise; gaze likewise,
    relative to the head. Shifts go right and down, in distances of the outer eye corners. `blink_left` is the
    subject's left eye, on the right of the picture; 1 is shut. `brow` raises, `squint` narrows, `breath` is
    how full the chest is; all within 0…1.
    """

    yaw: float
    pitch: float
    roll: float
    shift_x: float
    shift_y: float
    blink_left: float
    blink_right: float
    gaze_x: float
    gaze_y: float
    brow: float
    squint: float
    breath: float


class Motion:
    """The motion of one head. `step` is called once for each frame, in order."""

    def __init__(self, fps: Fraction, seed: int, amount: float = 1.0) -> None:
        """`amount` scales everything but the blinks; 0 is a head that only blinks."""
        self._fps = fps
        self._amount = amount
        self._life = _Life(seed)
        self._frame = 0
        self._ticks = 0
        self._before = self._now = (0.0,) * len(fields(HeadPose))

    def step(self, energy: float, pitch: float, emphasis: float, speaking: float) -> HeadPose:
        """The pose at the start of the next frame, given the speech during it.

        Args:
            energy: loudness, 0…1.
            pitch: semitones above the voice's own middle.
            emphasis: stress, 0…1.
            speaking: how sure it is that there is speech, 0…1.
        """
        time = Fraction(self._frame * TICKS) / self._fps
        voice = _Voice(energy=energy, pitch=pitch, emphasis=emphasis, speaking=speaking)
        while self._ticks < time:
            self._before, self._now = self._now, self._life.tick(voice, self._amount)
            self._ticks += 1
        self._frame += 1
        share = float(1 - (self._ticks - time))
        return HeadPose(*(a + share * (b - a) for a, b in zip(self._before, self._now, strict=True)))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Voice:
    """The speech at one moment, as `Motion.step` gets it."""

    energy: float
    pitch: float
    emphasis: float
    speaking: float


class _Life:
    """All processes of one head, a tick at a time. Each has its own random numbers: none disturbs another."""

    def __init__(self, seed: int) -> None:
        self._phrase = _Phrase()
        self._head = _Head(seed)
        self._gaze = _Gaze(Random(f"{seed} gaze"))
        self._blinks = _Blinks(Random(f"{seed} blinks"))
        self._breath = _Breath(Random(f"{seed} breath"))
        self._squint = _Spring(0.4)

    def tick(self, voice: _Voice, amount: float) -> tuple[float, ...]:
        """The numbers of the next `HeadPose`, in its order."""
        self._phrase.tick(voice.speaking)
        breath = amount * self._breath.tick(self._phrase)
        yaw, pitch, roll, aside, down, brow = (amount * part for part in self._head.tick(voice, self._phrase))
        yaw, pitch, roll = _limit(yaw), _limit(pitch - 0.2 * _DEGREE * breath), _limit(roll)
        look_x, look_y, jump = self._gaze.tick(self._phrase)
        left, right = self._blinks.tick(voice.speaking, _urge(self._phrase, jump))
        gaze = (amount * look_x - yaw, amount * look_y - pitch)
        squint = amount * 0.5 * self._squint.tick(voice.emphasis)
        shift = (aside, down - 0.003 * breath)
        return (
            yaw,
            pitch,
            roll,
            *shift,
            left,
            right,
            *gaze,
            min(brow, 1.0),
            min(squint, 1.0),
            min(breath, 1.0),
        )


def _limit(angle: float) -> float:
    """Nearly the angle itself while it is small, never beyond LARGEST."""
    return LARGEST * math.tanh(angle / LARGEST)


def _urge(phrase: "_Phrase", jump: float) -> float:
    """Chance that a blink starts now: at the end of a phrase, or with a shift of gaze by `jump` radians."""
    return max(0.45 if phrase.ended else 0.0, 0.5 if jump > 2 * _DEGREE else 0.0)


def _smooth(share: float) -> float:
    """0 to 1 with a soft start and a soft end."""
    share = min(max(share, 0.0), 1.0)
    return share * share * (3 - 2 * share)


class _Spring:
    """Follows a target without overshoot: a critically damped spring of `hertz`."""

    def __init__(self, hertz: float) -> None:
        self._rate = 2 * math.pi * hertz
        self._decay = math.exp(-self._rate * DT)
        self.value = self._speed = 0.0

    def tick(self, target: float) -> float:
        """The exact solution one tick later, the target held."""
        distance = self.value - target
        carried = (self._speed + self._rate * distance) * DT
        self._speed = (self._speed - self._rate * carried) * self._decay
        self.value = target + (distance + carried) * self._decay
        return self.value


class _Sway:
    """Smooth noise of unit size below `hertz`: an Ornstein-Uhlenbeck process followed by a spring."""

    def __init__(self, random: Random, hertz: float) -> None:
        slow, fast = math.pi * hertz, 2 * math.pi * hertz
        self._random = random
        self._keep = math.exp(-slow * DT)
        # A spring of rate w leaves w(a + 2w) / 2(a + w)² of the variance of a process that forgets at rate a.
        self._kick = math.sqrt((1 - self._keep**2) * 2 * (slow + fast) ** 2 / (fast * (slow + 2 * fast)))
        self._drive = 0.0
        self._spring = _Spring(hertz)

    def tick(self) -> float:
        """The next value; the first ones grow from 0."""
        self._drive = self._keep * self._drive + self._kick * self._random.gauss(0, 1)
        return self._spring.tick(self._drive)


class _Beat:
    """A pulse of given height: up softly within `rise` seconds, back within `fall`; one at a time."""

    def __init__(self, rise: float, fall: float) -> None:
        self._rise, self._fall = rise, fall
        self._age, self._height = math.inf, 0.0

    @property
    def busy(self) -> bool:
        """Whether the last one is still under way."""
        return self._age < self._rise + self._fall

    def start(self, height: float) -> None:
        """Begin a pulse now."""
        self._age, self._height = 0.0, height

    def tick(self) -> float:
        """The pulse one tick later."""
        self._age += DT
        return self._height * (
            _smooth(self._age / self._rise) - _smooth((self._age - self._rise) / self._fall)
        )


class _Phrase:
    """Runs of speech and the pauses between them."""

    def __init__(self) -> None:
        self.speaking = self.started = self.ended = False
        self._against = 0.0  # seconds for which the voice has contradicted `speaking`

    def tick(self, speaking: float) -> None:
        """Speech for 60 ms starts a phrase, 250 ms without end one; `started`, `ended` hold for a tick."""
        self._against = self._against + DT if (speaking > 0.5) != self.speaking else 0.0
        turned = self._against > (0.25 if self.speaking else 0.06)
        self.started, self.ended = turned and not self.speaking, turned and self.speaking
        self.speaking ^= turned


class _Accents:
    """Finds stressed syllables: emphasis that rises through a threshold, once until it has fallen again."""

    def __init__(self) -> None:
        self._armed = True

    def tick(self, emphasis: float) -> bool:
        """Whether one begins now."""
        found = self._armed and emphasis > 0.4
        self._armed = not found and (self._armed or emphasis < 0.25)
        return found


class _Posture:
    """The pose that the head returns to; it changes every few seconds, best between phrases."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._targets = (0.0, 0.0, 0.0, 0.0)
        self._springs = [_Spring(0.22) for _ in self._targets]
        self._left = random.uniform(1.0, 2.5)

    def tick(self, phrase: _Phrase) -> list[float]:
        """Yaw, pitch, roll in radians and the sideways shift."""
        self._left -= DT * (0.4 if phrase.speaking else 1.0)
        if self._left < 0 or (phrase.ended and self._random.random() < 0.6):
            self._shift()
        return [spring.tick(target) for spring, target in zip(self._springs, self._targets, strict=True)]

    def _shift(self) -> None:
        yaw, pitch, roll = (self._draw(size * _DEGREE) for size in (1.3, 0.6, 0.8))
        self._targets = (yaw, pitch, roll + 0.3 * yaw, 0.15 * yaw + self._draw(0.004))
        self._left = self._random.lognormvariate(math.log(5), 0.5)

    def _draw(self, size: float) -> float:
        """Normal, without its tails."""
        return min(max(self._random.gauss(0, size), -2 * size), 2 * size)


class _Head:
    """Turns, tilts and shifts of the head, and the brows that go with its beats."""

    def __init__(self, seed: int) -> None:
        random = Random(f"{seed} head")
        self._posture = _Posture(Random(f"{seed} posture"))
        self._sways = [_Sway(Random(f"{seed} sway {axis}"), 0.55) for axis in range(5)]
        self._random = random
        self._liveliness = _Spring(0.6)
        self._melody = _Spring(0.7)
        self._accents = _Accents()
        self._nod, self._raise = _Beat(0.18, 0.40), _Beat(0.22, 0.55)

    def tick(self, voice: _Voice, phrase: _Phrase) -> tuple[float, float, float, float, float, float]:
        """Yaw, pitch, roll, shift to the right, shift down, and how far the brows are raised."""
        if self._accents.tick(voice.emphasis) and not self._nod.busy:
            self._stress(voice.emphasis)
        lively = 0.3 + self._liveliness.tick(voice.speaking * (0.35 + 0.65 * voice.energy))
        yaw, pitch, roll, aside = (min(0.3 + lively, 1.0) * value for value in self._posture.tick(phrase))
        sway = [lively * noise.tick() for noise in self._sways]
        melody = self._melody.tick(voice.speaking * voice.pitch)
        nod = self._nod.tick()
        return (
            yaw + 0.9 * _DEGREE * sway[0],
            pitch + _DEGREE * (0.6 * sway[1] - 0.1 * melody) + nod,
            roll + _DEGREE * (0.45 * sway[2] + 0.25 * sway[0]),
            aside + 0.004 * sway[3] + 0.1 * _DEGREE * sway[0],
            0.003 * sway[4] + 0.15 * nod,
            self._raise.tick() + 0.02 * max(melody, 0.0),
        )

    def _stress(self, emphasis: float) -> None:
        """Mark a stressed syllable: mostly with a nod, sometimes with the brows, often with both."""
        if self._random.random() < 0.75:
            self._nod.start(self._random.uniform(0.5, 1.5) * min(0.5 + emphasis, 1.0) * _DEGREE)
        if self._random.random() < 0.4 and not self._raise.busy:
            self._raise.start(self._random.uniform(0.3, 0.8))


class _Gaze:
    """Fixations and the saccades between them; where the eyes look relative to the viewer, in radians."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._from = self._to = (0.0, 0.0)
        self._age, self._duration = math.inf, DT
        self._left = random.uniform(0.5, 1.5)
        self._away = False

    def tick(self, phrase: _Phrase) -> tuple[float, float, float]:
        """To the right, down, and the size of the saccade that starts now."""
        jump = 0.0
        self._left -= DT
        self._age += DT
        if self._left < 0 or (phrase.started and self._random.random() < 0.2):
            jump = self._saccade(large=not self._away and self._random.random() < 0.1)
        share = _smooth(self._age / self._duration)
        (x0, y0), (x1, y1) = self._from, self._to
        return x0 + share * (x1 - x0), y0 + share * (y1 - y0), jump

    def _saccade(self, *, large: bool) -> float:
        """Most go to a spot next to the last one; a large one looks aside, and the next comes back."""
        size = self._random.uniform(2.5, 5.0) if large else min(self._random.expovariate(1 / 0.4), 1.5)
        angle = self._random.uniform(-math.pi, math.pi)
        self._from = self._to
        self._to = (size * _DEGREE * math.cos(angle), 0.6 * size * _DEGREE * math.sin(angle))
        jump = math.dist(self._from, self._to)
        self._age, self._duration = 0.0, 0.021 + 0.0022 * jump / _DEGREE
        median = 0.6 if large else 1.0
        self._left = min(max(self._random.lognormvariate(math.log(median), 0.6), 0.3), 3.0)
        self._away = large
        return jump


class _Blinks:
    """When the lids close, and how: fast down, slowly up."""

    CLOSING, SHUT, OPENING = 0.08, 0.03, 0.15

    def __init__(self, random: Random) -> None:
        self._random = random
        self._age = (
            0.0  # since the last blink began, seconds; as if there had just been one too shallow to see
        )
        self._depth, self._lag = 0.0, 0.0
        self._left = max(self._interval(), 1.0)

    def tick(self, speaking: float, urge: float) -> tuple[float, float]:
        """How far the left and the right eye are shut; `urge` is the chance of a blink right now."""
        self._left -= DT * (1 + 0.5 * speaking)
        self._age += DT
        pressed = urge > 0 and self._age > 1.0 and self._random.random() < urge
        if pressed or (self._left < 0 and self._age > self.CLOSING + self.SHUT + self.OPENING):
            self._start()
        return self._lid(self._age - max(self._lag, 0.0)), self._lid(self._age + min(self._lag, 0.0))

    def _start(self) -> None:
        self._age = 0.0
        self._depth = 1.0 if self._random.random() < 0.85 else self._random.uniform(0.6, 0.95)
        self._lag = self._random.uniform(-0.008, 0.008)
        self._left = 0.34 if self._random.random() < 0.05 else self._interval()

    def _interval(self) -> float:
        """Seconds from the start of one blink to that of the next, at rest."""
        return min(max(self._random.lognormvariate(math.log(4.1), 0.5), 0.9), 14.0)

    def _lid(self, age: float) -> float:
        closing = _smooth(age / self.CLOSING)
        opening = (age - self.CLOSING - self.SHUT) / self.OPENING
        return self._depth * (closing - _smooth(max(opening, 0.0) ** 0.8))


class _Breath:
    """How full the chest is, 0…1, breath after breath."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._from, self._to = 0.0, 0.0
        self._age, self._duration = 0.0, random.uniform(0.3, 1.0)
        self._full = False
        self._spring = _Spring(1.5)

    def tick(self, phrase: _Phrase) -> float:
        """The next value; whoever is short of breath uses a pause after speech for a quick deep one."""
        self._age += DT
        if phrase.ended and self._spring.value < 0.6:
            self._turn(to=self._random.uniform(0.75, 1.0), seconds=self._random.uniform(0.45, 0.7))
        elif self._age >= self._duration:
            self._next(phrase)
        return self._spring.tick(self._from + _smooth(self._age / self._duration) * (self._to - self._from))

    def _next(self, phrase: _Phrase) -> None:
        vary = self._random.lognormvariate(0, 0.12)
        if self._full:
            self._turn(to=self._random.uniform(0.0, 0.1), seconds=(4.0 if phrase.speaking else 2.5) * vary)
        else:
            deep, seconds = (0.6, 0.7) if phrase.speaking else (0.45, 1.5)
            self._turn(to=deep * self._random.uniform(0.8, 1.2), seconds=seconds * vary)

    def _turn(self, *, to: float, seconds: float) -> None:
        self._from, self._to = self._spring.value, to
        self._age, self._duration = 0.0, seconds
        self._full = to > self._from
