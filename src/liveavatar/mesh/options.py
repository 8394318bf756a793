"""Options of the mesh engine."""

from dataclasses import dataclass, field

from liveavatar.errors import OptionError
from liveavatar.mesh.emotions import EMOTIONS, parse_emotion
from liveavatar.mesh.motion.gaze import GAZE_STYLES
from liveavatar.speech.stream import ARTICULATION_MODELS, check_articulation_model

_MOTION_RANGE, _EXPRESSION_RANGE = (0.0, 2.0), (0.0, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class MeshOptions:
    """Options of the engine; on the command line too (`engine.py` describes the metadata).

    Raises:
        OptionError: `motion` is outside 0…2, `expression` outside 0…1, or there is no such emotion, gaze or
            articulation model.
    """

    motion: float = field(
        default=1.0,
        metadata={"help": "Scale of the motion of head, shoulders and gaze, 0…2.", "range": _MOTION_RANGE},
    )
    expression: float = field(
        default=1.0, metadata={"help": "Scale of the mouth's opening, 0…1.", "range": _EXPRESSION_RANGE}
    )
    emotion: str = field(
        default="neutral",
        metadata={
            "help": "The face while it speaks: neutral, warm, happy, serious, sad or surprised, and how much of it, "
            "from 0 to 1: happy:0.6.",
            "instead": "describe the face in --prompt",
            "choices": tuple(EMOTIONS),
        },
    )
    gaze: str = field(
        default="natural",
        metadata={
            "help": "Where the eyes look: natural, at the viewer and rarely aside; or camera, always at the viewer.",
            "choices": GAZE_STYLES,
        },
    )
    speech: str = field(
        default="small",
        metadata={
            "help": "Articulation model: small, or whisper, which is more accurate and slower "
            "(pip install 'liveavatar[whisper]').",
            "choices": tuple(ARTICULATION_MODELS),
            "packages": {"whisper": "ctranslate2"},
        },
    )

    def __post_init__(self) -> None:
        for name, value, (least, most) in (
            ("motion", self.motion, _MOTION_RANGE),
            ("expression", self.expression, _EXPRESSION_RANGE),
        ):
            if not least <= value <= most:
                raise OptionError(f"{name} {value} is outside {least:g}…{most:g}", f"use --{name} 0.5, say")
        parse_emotion(self.emotion)
        if self.gaze not in GAZE_STYLES:
            raise OptionError(f"there is no gaze {self.gaze!r}", f"choose {' or '.join(GAZE_STYLES)}")
        check_articulation_model(self.speech)
