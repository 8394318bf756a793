"""Prepare a portrait's mouth in the fullest way whose drawing passes the self-check, else in plainer ones.

A mouth that is open in the picture is shut once, and opens with its own teeth. Where that looks wrong, its lips are
painted over, rendered teeth take the place of its own, and at last it opens less. A mouth kept as open as it is in the
picture was tried, too: whatever divides it into a still and a moving part cuts teeth in two.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from liveavatar.face.inspection.mouth_profile import measure_mouth_profile
from liveavatar.face.portrait import Portrait
from liveavatar.mesh.expression import build_expression, build_face_shapes
from liveavatar.mesh.geometry.glasses import choose_brow_share
from liveavatar.mesh.lips.shut_base import ShutBase, build_shut_base
from liveavatar.mesh.motion.head_pose import RESTING_POSE
from liveavatar.mesh.prepare import prepare_renderer
from liveavatar.mesh.render.face_renderer import FaceRenderer
from liveavatar.mesh.self_check import check_drawn_mouth
from liveavatar.report import Finding, find_worst_level


@dataclass(frozen=True, slots=True, kw_only=True)
class MouthWay:
    """A way to draw a mouth that is open in the picture; `opening` scales how far it goes."""

    sentence: str
    repair: bool
    own_teeth: bool
    opening: float = 1.0


MOUTH_WAYS = (
    MouthWay(sentence="", repair=False, own_teeth=True),
    MouthWay(sentence="the lips are partly painted over", repair=True, own_teeth=True),
    MouthWay(sentence="the teeth are not the picture's own", repair=False, own_teeth=False),
    MouthWay(
        sentence="the lips are partly painted over and the teeth not the picture's own",
        repair=True,
        own_teeth=False,
    ),
    MouthWay(
        sentence="the mouth opens half as far, its lips partly painted over and the teeth not the picture's own",
        repair=True,
        own_teeth=False,
        opening=0.5,
    ),
)
"""From the fullest to the plainest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedMouth:
    """A renderer whose mouth was drawn and looked at; `findings` say what is wrong, and which plainer way was taken."""

    renderer: FaceRenderer
    findings: tuple[Finding, ...]


CheckMouth = Callable[[Portrait, FaceRenderer], tuple[Finding, ...]]
"""What is wrong with the mouth that a renderer draws."""


def check_open_mouth(portrait: Portrait, renderer: FaceRenderer) -> tuple[Finding, ...]:
    """What is wrong with the drawn mouth of a portrait that does not show it shut."""
    if measure_mouth_profile(portrait.rgb, portrait.landmarks).state == "shut":
        return ()
    found = check_drawn_mouth(portrait, lambda mouth: renderer.render(build_expression(mouth, RESTING_POSE)))
    return tuple(finding for finding in found if finding.level != "ok")


def prepare_mouth(portrait: Portrait, check: CheckMouth = check_open_mouth) -> PreparedMouth:
    """The first of MOUTH_WAYS that is not bad; the one with the fewest bad findings if all are."""
    brow_share = choose_brow_share(portrait.rgb, portrait.landmarks)
    tried: list[PreparedMouth] = []
    for way, base in _iterate_bases(portrait):
        shapes = build_face_shapes(base.portrait.landmarks, base.reveal, brow_share)
        renderer = prepare_renderer(base, np.float32(way.opening) * shapes)
        findings = check(portrait, renderer)
        prepared = PreparedMouth(renderer=renderer, findings=(*_describe_way(way), *findings))
        if find_worst_level(findings) != "bad":
            return prepared
        tried.append(prepared)
    return min(tried, key=lambda one: sum(finding.level == "bad" for finding in one.findings))


def _iterate_bases(portrait: Portrait) -> Iterator[tuple[MouthWay, ShutBase]]:
    """Each way with its base; ways that change nothing are left out."""
    bases: dict[bool, ShutBase] = {}
    for way in MOUTH_WAYS:
        if way.repair not in bases:
            bases[way.repair] = build_shut_base(portrait, repair=way.repair)
        base = bases[way.repair]
        if base.portrait.rgb is portrait.rgb:  # it was shut
            yield MOUTH_WAYS[0], base
            return
        if way.own_teeth or base.teeth or way.opening < 1:
            yield way, base if way.own_teeth else replace(base, teeth=None, reveal=0 * base.reveal)


def _describe_way(way: MouthWay) -> Iterator[Finding]:
    if way.sentence:
        remedy = "look at the result, or use a picture with closed lips"
        yield Finding(name="plainer mouth", level="warn", sentence=way.sentence, remedy=remedy)
