"""JSON schemas of what the studio takes and gives."""

from dataclasses import fields
from typing import Any

from liveavatar.server.studio.orders import FRAME_SIZES, RenderOrder

_TEXT: dict[str, Any] = {"type": "string"}
_NUMBER: dict[str, Any] = {"type": "number"}

UPLOAD_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "id": _TEXT,
        "name": _TEXT,
        "bytes": {"type": "integer"},
        "check": {
            "type": "object",
            "properties": {
                "level": {"enum": ["ok", "warn", "bad"]},
                "findings": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "properties": dict.fromkeys(("name", "level", "sentence", "remedy", "place"), _TEXT),
                    },
                },
                "mended": {"type": "array", "items": _TEXT, "description": "speech: what is repaired"},
                "seconds": _NUMBER,
                "columns": {
                    "type": "array",
                    "description": "speech: lowest and highest amplitude, and 1 where somebody speaks",
                    "items": {"type": "array", "items": _NUMBER},
                },
                "boxes": {
                    "type": "object",
                    "description": "portrait: left, top, width and height of parts, as shares of the picture",
                },
            },
        },
    },
}
"""A portrait or a recording, with what was found in it."""

TEXT_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["text"],
    "properties": {"text": _TEXT, "voice": _TEXT | {"default": "auto"}},
}
"""What POST /api/speeches/text takes."""

ORDER_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["portrait", "speech", "consent"],
    "additionalProperties": False,
    "properties": {
        **{option.name: {"type": "string"} for option in fields(RenderOrder)},
        "consent": {"const": True, "description": "the person in the picture agreed"},
        "size": _TEXT | {"examples": list(FRAME_SIZES)},
        "seed": {"type": "integer", "minimum": 0},
        "quality": {"enum": ["draft", "good", "best"]},
        "language": {"enum": ["auto", "en", "zh"], "description": "of the visible label"},
        "options": {"type": "object", "description": "those of the engine that GET /api/studio lists"},
    },
}
"""What POST /api/jobs takes."""

JOB_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "id": _TEXT,
        "state": {"enum": ["waiting", "running", "done", "failed", "cancelled"]},
        "ahead": {"type": "integer", "description": "jobs before this one"},
        "stage": {"enum": ["", "portrait", "speech", "frames", "lips"]},
        "share": _NUMBER | {"description": "of the stage that is done, 0…1"},
        "created": _NUMBER,
        "started": {"type": ["number", "null"]},
        "ended": {"type": ["number", "null"]},
        "video": {"type": ["object", "null"], "description": "there as soon as it can be watched"},
        "error": {"type": ["object", "null"]},
        "order": {"type": "object"},
        "names": {"type": "object"},
    },
}
"""A job as its owner sees it."""
