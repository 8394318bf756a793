"""The `AIGC` tag: a metadata key with a JSON object that says that a program generated the content (GB 45438-2025)."""

import json
import uuid
from dataclasses import dataclass

AIGC_KEY = "AIGC"

DEFAULT_PRODUCER = "liveavatar"

_GENERATED_LABELS = {"1", "2", "3"}
"""Values of `Label`: generated, possibly generated, suspected to be generated."""
_NEW_LABEL = "1"
_MAX_TAG_LENGTH = 8192


@dataclass(frozen=True, slots=True, kw_only=True)
class AigcTag:
    """What an `AIGC` tag says."""

    label: str
    producer: str
    produce_id: str
    propagator: str

    @property
    def is_generated(self) -> bool:
        """Whether it says that the content is made by a program, or may be."""
        return self.label in _GENERATED_LABELS


def build_aigc_tag(producer: str = DEFAULT_PRODUCER) -> str:
    """The tag of a new video, as JSON. Its ProduceID is new each time; who spreads the video adds the propagator."""
    values = {
        "Label": _NEW_LABEL,
        "ContentProducer": producer,
        "ProduceID": str(uuid.uuid4()),
        "ReservedCode1": "",
        "ContentPropagator": "",
        "PropagateID": "",
        "ReservedCode2": "",
    }
    return json.dumps(values, ensure_ascii=False)


def parse_aigc_tag(text: str) -> AigcTag | None:
    """Read a tag by whomever; None if it is no JSON object or longer than 8192 characters."""
    try:
        values = json.loads(text) if len(text) <= _MAX_TAG_LENGTH else None
    except (ValueError, RecursionError):
        return None
    if not isinstance(values, dict):
        return None
    label, producer, produce_id, propagator = (
        "" if values.get(name) is None else str(values[name])
        for name in ("Label", "ContentProducer", "ProduceID", "ContentPropagator")
    )
    return AigcTag(label=label, producer=producer, produce_id=produce_id, propagator=propagator)
