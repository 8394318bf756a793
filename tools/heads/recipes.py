"""Recipes of the people that are drawn."""

from tools.heads.paint import Appearance
from tools.heads.people import Person
from tools.heads.shade import Light

WINDOW = Light(key=(-0.7, 0.35, 0.6), colour=(1.0, 0.96, 0.9), sky=(0.24, 0.26, 0.3))
LAMP = Light(key=(0.8, 0.5, 0.5), colour=(1.1, 0.92, 0.72), sky=(0.16, 0.17, 0.22))
CLOUDS = Light(key=(0.1, 0.9, 0.7), colour=(0.6, 0.62, 0.66), sky=(0.5, 0.53, 0.58), soft=0.15)
FLASH = Light(key=(0.05, 0.2, 1.0), colour=(1.0, 1.0, 1.0), sky=(0.22, 0.22, 0.23), soft=0.01)

_CALM = {"eyeBlinkLeft": 0.16, "eyeBlinkRight": 0.16}
_SMILE = _CALM | {"mouthSmileLeft": 0.3, "mouthSmileRight": 0.3}
PEOPLE = {
    "ada": Person(
        origin="caucasian",
        sex="female",
        appearance=Appearance(skin=(226, 180, 160), hair=(92, 58, 34), iris=(70, 105, 120), makeup=0.6),
        targets={"head/head-oval": 0.5, "nose/nose-scale-horiz-decr": 0.4},
        shapes=_SMILE,
        light=WINDOW,
        long_hair=True,
        wall=(150, 160, 150),
    ),
    "kofi": Person(
        origin="african",
        sex="male",
        appearance=Appearance(
            skin=(112, 72, 52), hair=(20, 16, 15), iris=(50, 32, 22), cloth=(190, 188, 180)
        ),
        targets={"head/head-square": 0.4},
        light=CLOUDS,
        wall=(90, 120, 140),
        yaw=-18,
    ),
    "mei": Person(
        origin="asian",
        sex="female",
        appearance=Appearance(
            skin=(232, 192, 164), hair=(24, 20, 22), iris=(52, 34, 26), makeup=0.3, cloth=(150, 60, 62)
        ),
        targets={"head/head-round": 0.5},
        light=FLASH,
        wall=(190, 180, 170),
        yaw=10,
        pitch=-5,
        long_hair=True,
    ),
    "omar": Person(
        origin="caucasian",
        sex="male",
        appearance=Appearance(skin=(188, 138, 106), hair=(34, 26, 22), beard=1.0, cloth=(58, 66, 58)),
        targets={"nose/nose-hump-incr": 0.5, "chin/chin-width-incr": 0.4},
        light=WINDOW,
        wall=(110, 100, 90),
        yaw=5,
    ),
    "rosa": Person(
        origin="caucasian",
        sex="female",
        age="old",
        appearance=Appearance(
            skin=(218, 168, 146), hair=(186, 182, 178), age=1.0, iris=(86, 96, 96), cloth=(96, 80, 116)
        ),
        targets={"head/head-fat-incr": 0.3},
        light=LAMP,
        wall=(80, 70, 66),
        glasses=True,
    ),
    "chen": Person(
        origin="asian",
        sex="male",
        age="old",
        appearance=Appearance(
            skin=(206, 160, 128), hair=(120, 116, 112), age=0.8, bald=True, cloth=(40, 46, 60)
        ),
        light=CLOUDS,
        wall=(140, 150, 130),
        yaw=-30,
        pitch=4,
    ),
    "nia": Person(
        origin="african",
        sex="female",
        appearance=Appearance(
            skin=(150, 100, 74), hair=(26, 18, 16), makeup=0.8, iris=(60, 40, 26), cloth=(214, 170, 60)
        ),
        targets={"head/head-invertedtriangular": 0.4},
        shapes=_SMILE,
        light=LAMP,
        wall=(60, 84, 92),
        yaw=34,
        glasses=True,
    ),
    "liam": Person(
        origin="caucasian",
        sex="male",
        age="child",
        appearance=Appearance(
            skin=(238, 196, 176), hair=(168, 120, 70), iris=(86, 120, 150), cloth=(70, 110, 160)
        ),
        light=FLASH,
        wall=(160, 190, 210),
        pitch=6,
    ),
}
