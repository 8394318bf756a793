"""Recipes of thirty people with open mouths, of every kind that portraits show.

Parted lips, a hint of incisors, smiles with all upper teeth, wide laughs, shouts; skins, ages, beards, moustaches,
lipstick, full and thin lips; faces of 80 to 800 pixels; turned by up to 35°.
"""

from dataclasses import dataclass, replace

from tools.heads.paint import Appearance
from tools.heads.people import Person
from tools.heads.recipes import CLOUDS, FLASH, LAMP, WINDOW

_FACE_HEIGHT = 1.48
"""From hairline to chin, decimetres."""
_PICTURE_HEIGHT = 2.8
"""Extent of the pictures, decimetres: head and shoulders."""


def _both_sides(**weights: float) -> dict[str, float]:
    """Weights of shapes that have a left and a right side."""
    return {name + side: weight for name, weight in weights.items() for side in ("Left", "Right")}


OPENINGS = {
    "parted": {"jawOpen": 0.12} | _both_sides(mouthLowerDown=0.12),
    "incisors": {"jawOpen": 0.14} | _both_sides(mouthUpperUp=0.38),
    "smile": {"jawOpen": 0.12} | _both_sides(mouthUpperUp=0.5, mouthLowerDown=0.45, mouthSmile=0.35, mouthStretch=0.2),
    "laugh": {"jawOpen": 0.5} | _both_sides(mouthUpperUp=0.6, mouthLowerDown=0.3, mouthSmile=0.5, mouthStretch=0.2),
    "shout": {"jawOpen": 0.9} | _both_sides(mouthUpperUp=0.45, mouthLowerDown=0.3, mouthStretch=0.5),
    "round": {"jawOpen": 0.35, "mouthFunnel": 0.4},
}  # fmt: skip
"""Kinds of open mouths."""

_CALM = _both_sides(eyeBlink=0.14)
_SMILING = _CALM | _both_sides(mouthSmile=0.3, cheekSquint=0.3)
_SMILES = ("smile", "laugh")
_FULL_LIPS = {"mouth/mouth-upperlip-volume-incr": 0.9, "mouth/mouth-lowerlip-volume-incr": 0.9,
              "mouth/mouth-upperlip-height-incr": 0.5, "mouth/mouth-lowerlip-height-incr": 0.4}  # fmt: skip
_THIN_LIPS = {"mouth/mouth-upperlip-height-decr": 0.7, "mouth/mouth-lowerlip-height-decr": 0.6,
              "mouth/mouth-upperlip-volume-decr": 0.6}  # fmt: skip

_PALE = Appearance(skin=(236, 192, 174), hair=(150, 96, 52), iris=(84, 116, 140))
_FAIR = Appearance(skin=(222, 176, 152), hair=(70, 46, 32), iris=(80, 96, 70))
_TAN = Appearance(skin=(190, 140, 108), hair=(32, 26, 24), cloth=(74, 88, 70))
_BROWN = Appearance(skin=(148, 98, 72), hair=(24, 18, 16), cloth=(196, 160, 70))
_DARK = Appearance(skin=(100, 64, 48), hair=(18, 15, 14), cloth=(186, 184, 176))
_DEEP = Appearance(skin=(78, 50, 40), hair=(14, 12, 12), cloth=(150, 70, 60))
_GREY = Appearance(skin=(214, 164, 142), hair=(182, 178, 174), age=1.0, tooth=(206, 190, 158))


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenMouth:
    """A person whose mouth is open: the kind of its opening, and how many pixels the face is high."""

    person: Person
    kind: str
    face: int

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the picture."""
        side = 2 * round(self.face * _PICTURE_HEIGHT / _FACE_HEIGHT / 2)
        return side, side


def _open_mouth(kind: str, face: int, person: Person, amount: float = 1.0) -> OpenMouth:
    opening = {name: amount * weight for name, weight in OPENINGS[kind].items()}
    shapes = (_SMILING if kind in _SMILES else _CALM) | person.shapes
    recipe = replace(person, shapes=shapes, opening=opening, height=_PICTURE_HEIGHT)
    return OpenMouth(person=recipe, kind=kind, face=face)


def _woman(looks: Appearance, origin: str = "caucasian", **more: object) -> Person:
    return Person(**{"origin": origin, "sex": "female", "appearance": looks, "light": WINDOW} | more)  # type: ignore[arg-type]


def _man(looks: Appearance, origin: str = "caucasian", **more: object) -> Person:
    return _woman(looks, origin, **{"sex": "male", "light": CLOUDS} | more)


def _child(looks: Appearance, origin: str = "caucasian", **more: object) -> Person:
    return _woman(looks, origin, **{"age": "child", "light": FLASH} | more)


_LIPSTICK = (168, 28, 44)

MOUTHS = {
    "parted-1": _open_mouth("parted", 200, _woman(_FAIR, long_hair=True)),
    "parted-2": _open_mouth("parted", 120, _child(_PALE, yaw=12)),
    "parted-3": _open_mouth("parted", 320, _man(_DEEP, "african", targets=_FULL_LIPS)),
    "parted-4": _open_mouth("parted", 80, _woman(replace(_TAN, lipstick=_LIPSTICK), "asian", light=FLASH)),
    "parted-5": _open_mouth("parted", 160, _man(replace(_GREY, bald=True), age="old", targets=_THIN_LIPS, yaw=-22)),
    "parted-6": _open_mouth("parted", 240, _man(replace(_TAN, beard=1.0), light=LAMP), 1.5),
    "incisors-1": _open_mouth("incisors", 200, _woman(_BROWN, "african", long_hair=True, targets=_FULL_LIPS)),
    "incisors-2": _open_mouth("incisors", 140, _child(_FAIR, "asian", sex="male", pitch=-6)),
    "incisors-3": _open_mouth("incisors", 260, _man(replace(_FAIR, moustache=1.0), yaw=14)),
    "incisors-4": _open_mouth("incisors", 90, _woman(replace(_GREY), age="old", targets=_THIN_LIPS, light=LAMP)),
    "incisors-5": _open_mouth("incisors", 400, _woman(replace(_PALE, lipstick=(196, 70, 92)), long_hair=True), 1.3),
    "incisors-6": _open_mouth("incisors", 180, _man(replace(_DARK, beard=0.45), "african", yaw=-30)),
    "smile-1": _open_mouth("smile", 200, _woman(_TAN, "asian", long_hair=True, light=FLASH)),
    "smile-2": _open_mouth("smile", 300, _man(_FAIR, targets=_THIN_LIPS, yaw=8)),
    "smile-3": _open_mouth("smile", 120, _woman(replace(_GREY), age="old", glasses=True)),
    "smile-4": _open_mouth("smile", 160, _child(_BROWN, "african", sex="male")),
    "smile-5": _open_mouth("smile", 500, _man(replace(_TAN, beard=1.0), light=WINDOW, yaw=-16)),
    "smile-6": _open_mouth("smile", 220, _woman(replace(_DARK, lipstick=(150, 24, 52)), "african", targets=_FULL_LIPS)),
    "smile-7": _open_mouth("smile", 100, _man(replace(_DEEP, moustache=1.0), "african", light=LAMP)),
    "smile-8": _open_mouth("smile", 180, _woman(_PALE, yaw=35, long_hair=True)),
    "laugh-1": _open_mouth("laugh", 200, _woman(_FAIR, long_hair=True, pitch=-8)),
    "laugh-2": _open_mouth("laugh", 280, _man(replace(_TAN, beard=1.0), "asian", light=LAMP)),
    "laugh-3": _open_mouth("laugh", 140, _child(_PALE, sex="male", yaw=-15), 1.2),
    "laugh-4": _open_mouth("laugh", 90, _woman(_DEEP, "african", light=FLASH)),
    "laugh-5": _open_mouth("laugh", 800, _woman(replace(_GREY), age="old", light=CLOUDS)),
    "laugh-6": _open_mouth("laugh", 170, _man(replace(_BROWN, moustache=1.0), yaw=28), 1.2),
    "shout-1": _open_mouth("shout", 200, _man(_FAIR, light=FLASH)),
    "shout-2": _open_mouth("shout", 150, _child(_TAN, "asian")),
    "shout-3": _open_mouth("shout", 240, _man(replace(_DARK, beard=1.0), "african", yaw=-10)),
    "round-1": _open_mouth("round", 190, _woman(replace(_BROWN, lipstick=_LIPSTICK), yaw=18, targets=_FULL_LIPS)),
}  # fmt: skip
"""Thirty open mouths by name."""
