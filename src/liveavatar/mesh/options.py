"""Options of the mesh engine."""

from dataclasses import dataclass, field

from liveavatar.errors import OptionError
from liveavatar.mesh.emotions import parse_emotion
from liveavatar.mesh.motion.gaze import GAZE_STYLES
from liveavatar.speech.stream import check_articulation_model


@dataclass(frozen=True, slots=True, kw_only=True)
class MeshOptions:
    """Options of the engine; on the command line too (`engine.py` describes the metadata).

    Raises:
        OptionError: `motion` is outside 0…2, `expression` outside 0…1, or there is no such emotion, gaze or
            articulation model.
    """

    motion: float = field(
        default=1.0, metadata={"help": "Scale of the motion of head, shoulders and gaze, 0…2."}
    )
    expression: float = field(default=1.0, metadata={"help": "Scale of the mouth's opening, 0…1."})
    emotion: str = field(
        default="neutral",
        metadata={
            "help": "The face while it speaks: neutral, warm, happy, serious, sad or surprised, and how much of it, "
            "from 0 to 1: happy:0.6.",
            "instead": "describe the face in --prompt",
        },
    )
    gaze: str = field(
        default="natural",
        metadata={
            "help": "Where the eyes look: natural, at the viewer and rarely aside; or camera, always at the viewer."
        },
    )
    speech: str = field(
        default="small",
        metadata={
            "help": "Articulation model: small, or whisper, which is more accurate and slower "
            "(pip install 'liveavatar[whisper]')."
        },
    )

    def __post_init__(self) -> None:
        for name, value, most in (("motion", self.motion, 2), ("expression", self.expression, 1)):
            if not 0 <= value <= most:
                raise OptionError(f"{name} {value} is outside 0…{most}", f"use --{name} 0.5, say")
        parse_emotion(self.emotion)
        if self.gaze not in GAZE_STYLES:
            raise OptionError(f"there is no gaze {self.gaze!r}", f"choose {' or '.join(GAZE_STYLES)}")
        check_articulation_model(self.speech)
