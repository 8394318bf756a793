"""The background behind the person, completed from patches of the background beside it.

What a moving head uncovers must look like a background, with grain and edges that go on, not like a blur of it. Every
pixel of a strip behind the silhouette is given an offset to a known pixel whose surroundings look the same. Patches are
compared, and colours voted, as in Wexler, Shechtman, Irani, "Space-Time Completion of Video", IEEE TPAMI 29(3), 2007;
offsets are found by propagation and random search as in Barnes et al., "PatchMatch", SIGGRAPH 2009. The search runs on
a reduced picture and copies at full size, so what is copied stays sharp. It starts from the mirror image over the
silhouette, and distant patches cost more than near ones.
"""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from liveavatar.frames import Picture
from liveavatar.mesh.geometry.arrays import Array, as_float32
from liveavatar.mesh.geometry.boxes import clip_box, slice_box
from liveavatar.mesh.render.infill import infill_colours

Mask = NDArray[np.bool_]
Indices = NDArray[np.signedinteger[Any]]

_UNIT_PIXELS = (14, 28)
"""Pixels of the interocular distance on the levels of the search, coarse to fine."""
_ROUNDS = (5, 3)
"""Rounds of search and voting on each level."""
_PATCH_RADIUS = 2
_STRIP_DEPTH = 0.45
"""Depth of the strip behind the silhouette, interocular units: more than a head uncovers."""
_SOURCE_REACH = 0.9
"""Largest distance of what is copied from the strip, interocular units."""
_DISTANCE_COST = 2500.0
"""Cost of an offset of one interocular unit, in squared grey levels summed over the three colours."""
_TRUST_DEPTH, _MIN_TRUST = 0.25, 0.05
"""Depth behind the silhouette at which a pixel counts 1/e of a known one, interocular units, and its least weight."""
_PROPAGATION_STEPS = (4, 2, 1, 1)
_SEAM_BLUR, _SEAM_DEPTH, _MAX_SEAM_CORRECTION = 0.04, 0.3, 25.0
"""Correction of tones at the silhouette: blur along it and depth behind it, interocular units; most grey levels."""
_FADE_DEPTH = 0.1
"""Over this last part of the strip copies become the smooth infill, interocular units."""
_REGION = (4.2, 4.2, 5.2)
"""Extent of the region around the face that motion can uncover: to the sides, up, down; interocular units."""
_SEED = 0


def infill_background(rgb: Picture, known: Mask, centre: tuple[float, float], unit: float) -> Picture:
    """`rgb` [h, w, 3] where `known` [h, w]; elsewhere what may stand behind the person.

    `centre` (x, y) is the middle of the face, `unit` the interocular distance, in pixels. What is too far behind the
    silhouette or too far from the face to be seen is infilled smoothly.
    """
    smooth = infill_colours(rgb, as_float32(known))
    x, y = centre
    sides, up, down = (extent * unit for extent in _REGION)
    height, width = known.shape
    box = clip_box((x - sides, y - up, x + sides, y + down), (width, height))
    part, seen = slice_box(smooth, box), slice_box(np.asarray(known, np.uint8), box) > 0
    if seen.any() and not seen.all():
        part[:] = _complete_strip(slice_box(rgb, box), seen, part, unit)
    return smooth


def _complete_strip(rgb: Picture, known: Mask, smooth: Picture, unit: float) -> Picture:
    """`smooth` with copies of patches in the strip behind the silhouette."""
    random = np.random.default_rng(_SEED)
    height, width = known.shape
    estimate = offsets = None
    for unit_pixels, rounds in zip(_UNIT_PIXELS, _ROUNDS, strict=True):
        scale = min(1.0, unit_pixels / unit)
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        level = _Level.from_picture(rgb, known, size, scale * unit)
        if level is None:
            continue
        if estimate is None or offsets is None:
            offsets, mirrored = level.mirror_offsets()
            estimate = as_float32(cv2.resize(smooth, size, interpolation=cv2.INTER_AREA))
            estimate = level.vote_colours(estimate, offsets, as_float32(mirrored))
        else:
            offsets = level.enlarge_offsets(offsets)
            estimate = as_float32(cv2.resize(estimate, size, interpolation=cv2.INTER_LINEAR))
            estimate = level.vote_colours(estimate, offsets, np.zeros(len(level.targets), np.float32))
        for _ in range(rounds):
            costs = level.improve_offsets(estimate, offsets, random)
            likeness = np.exp(-costs / (2 * (np.percentile(costs, 75) + 1))) + 1e-6
            estimate = level.vote_colours(estimate, offsets, as_float32(likeness))
    if offsets is None:
        return smooth
    return _paste_copies(rgb, known, smooth, offsets, unit)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Level:
    """A reduced picture, and what is searched in it.

    `colours` [h, w, 3], `known` [h, w] and `sources` [h, w], whose patches may be copied, are pictures. Of `targets`
    [n, 2] (y, x), the pixels whose patch touches the hole, `target_rows` [h, w] gives the row, or -1. `patches` [m, p]
    are those of the sources, found by `patch_rows` [h, w]; `weights` [n, p] are those of the target's pixels. `trust`
    [h, w] falls behind the silhouette.
    """

    colours: Array
    known: Mask
    sources: Mask
    targets: Indices
    target_rows: Indices
    patches: Array
    patch_rows: Indices
    weights: Array
    trust: Array
    unit: float

    @classmethod
    def from_picture(cls, rgb: Picture, known: Mask, size: tuple[int, int], unit: float) -> "_Level | None":
        """Reduce a picture to `size`; None if it has no patch to copy."""
        colours = as_float32(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA))
        share = cv2.resize(as_float32(known), size, interpolation=cv2.INTER_AREA)
        small = np.asarray(share > 0.99)
        depth = _measure_depth(small)
        is_target = _touch_patches(~small) & (depth < _STRIP_DEPTH * unit)
        framed = np.pad(small, _PATCH_RADIUS)  # patches do not reach over the frame
        whole = ~_touch_patches(~framed)[_PATCH_RADIUS:-_PATCH_RADIUS, _PATCH_RADIUS:-_PATCH_RADIUS]
        sources = whole & (_measure_depth(is_target) < _SOURCE_REACH * unit)
        if not sources.any() or not is_target.any():
            return None
        targets, at = np.argwhere(is_target), np.argwhere(sources)
        trust = np.maximum(np.exp(-depth / (_TRUST_DEPTH * unit)), _MIN_TRUST).astype(np.float32)
        weights = _cut_patches(trust[..., None], targets)
        weights /= weights.sum(1, keepdims=True)
        return cls(
            colours=colours,
            known=small,
            sources=sources,
            targets=targets,
            target_rows=_number_pixels(small.shape, targets),
            patches=_cut_patches(colours, at),
            patch_rows=_number_pixels(small.shape, at),
            weights=np.repeat(weights, 3, axis=1),
            trust=trust,
            unit=unit,
        )

    def mirror_offsets(self) -> tuple[Indices, Mask]:
        """Offsets to the mirror image over the silhouette, [h, w, 2], and which targets have them, [n].

        The others get offsets to the nearest source.
        """
        silhouette = _find_nearest(self.known)[tuple(self.targets.T)]
        mirrored = 2 * silhouette - self.targets
        found = self._move_to_sources(mirrored)
        return self._place_offsets(found), np.asarray((found == mirrored).all(1))

    def enlarge_offsets(self, offsets: Indices) -> Indices:
        """Offsets of a coarser level at this one's size."""
        height, width = self.known.shape
        ratio = (height / offsets.shape[0], width / offsets.shape[1])
        large = cv2.resize(as_float32(offsets), (width, height), interpolation=cv2.INTER_NEAREST) * ratio
        return self._place_offsets(
            self._move_to_sources(self.targets + np.rint(large).astype(np.int64)[tuple(self.targets.T)])
        )

    def improve_offsets(self, estimate: Array, offsets: Indices, random: np.random.Generator) -> Array:
        """One round of search for patches that look like `estimate`; changes `offsets`. Costs of the targets, [n]."""
        wanted = _cut_patches(estimate, self.targets)
        found = self.targets + offsets[tuple(self.targets.T)]
        costs = self._measure_costs(found, wanted, np.arange(len(found)))
        for step in _PROPAGATION_STEPS:
            for direction in ((-step, 0), (step, 0), (0, -step), (0, step)):
                beside = self._look_up(self.target_rows, self.targets + direction)
                self._accept_better(found[beside] - direction, beside >= 0, wanted, found, costs)
        reach = _SOURCE_REACH * self.unit
        while reach >= 1:
            jumps = random.integers(-int(reach), int(reach) + 1, found.shape)
            self._accept_better(found + jumps, np.ones(len(found), np.bool_), wanted, found, costs)
            reach /= 2
        offsets[:] = self._place_offsets(found)
        return costs

    def vote_colours(self, estimate: Array, offsets: Indices, votes: Array) -> Array:
        """`estimate` with each pixel of the hole the mean of what all patches over it would copy there, [h, w, 3].

        `votes` [n] are the weights of the targets; where all are 0 the estimate stays.
        """
        height, width = self.known.shape
        found = self.targets + offsets[tuple(self.targets.T)]
        weight = self.trust[tuple(self.targets.T)] * votes
        total = np.zeros((height + 2 * _PATCH_RADIUS, width + 2 * _PATCH_RADIUS, 4), np.float32)
        for shift in _list_patch_shifts():
            source = np.clip(found + shift, 0, (height - 1, width - 1))
            colour = self.colours[tuple(source.T)]
            total[tuple((self.targets + shift + _PATCH_RADIUS).T)] += np.column_stack(
                [colour * weight[:, None], weight]
            )
        inner = total[_PATCH_RADIUS:-_PATCH_RADIUS, _PATCH_RADIUS:-_PATCH_RADIUS]
        voted = inner[..., :3] / np.maximum(inner[..., 3:], 1e-9)
        result = np.where((inner[..., 3:] > 0) & ~self.known[..., None], voted, estimate)
        return as_float32(np.where(self.known[..., None], self.colours, result))

    def _accept_better(
        self, candidates: Indices, possible: Mask, wanted: Array, found: Indices, costs: Array
    ) -> None:
        """Replace `found` by `candidates` where these are sources and cost less."""
        possible = possible & (self._look_up(self.patch_rows, candidates) >= 0)
        rows = np.flatnonzero(possible & (candidates != found).any(1))
        new = self._measure_costs(candidates[rows], wanted, rows)
        better = new < costs[rows]
        rows = rows[better]
        found[rows], costs[rows] = candidates[rows], new[better]

    def _measure_costs(self, found: Indices, wanted: Array, rows: Indices) -> Array:
        """How unlike the targets `rows` the patches at `found` [k, 2] are, and how far from them: [k]."""
        difference = self.patches[self.patch_rows[tuple(found.T)]] - wanted[rows]
        unlike = np.einsum("ij,ij,ij->i", difference, difference, self.weights[rows])
        distance = np.square((found - self.targets[rows]) / self.unit).sum(1)
        return as_float32(unlike + _DISTANCE_COST * distance)

    def _look_up(self, rows: Indices, pixels: Indices) -> Indices:
        """`rows` [h, w] at `pixels` [n, 2]; -1 outside of the picture."""
        height, width = rows.shape
        inside = np.clip(pixels, 0, (height - 1, width - 1))
        return np.where((inside == pixels).all(1), rows[tuple(inside.T)], -1)

    def _move_to_sources(self, pixels: Indices) -> Indices:
        """`pixels` [n, 2], with the source nearest to the target in place of those that are none."""
        is_source = self._look_up(self.patch_rows, pixels) >= 0
        return np.where(is_source[:, None], pixels, _find_nearest(self.sources)[tuple(self.targets.T)])

    def _place_offsets(self, found: Indices) -> Indices:
        """The offsets of the targets to the pixels `found` [n, 2], [h, w, 2]; 0 elsewhere."""
        offsets = np.zeros((*self.known.shape, 2), np.int64)
        offsets[tuple(self.targets.T)] = found - self.targets
        return offsets


def _copy_pixels(rgb: Picture, known: Mask, offsets: Indices, pixels: Indices) -> tuple[Array, Array]:
    """What the offsets of a level copy to `pixels` [n, 2], [n, 3], and its share, [n].

    A pixel mixes what the four nodes around it would copy: where they agree it is sharp, where not there is no seam.
    """
    (height, width), (rows, columns) = known.shape, offsets.shape[:2]
    moves = np.rint(offsets * as_float32([height / rows, width / columns])).astype(np.int32)
    has_offset = np.asarray(offsets.any(2)).ravel()
    y, x = (np.ascontiguousarray(axis, np.int32) for axis in pixels.T)
    at_row, at_column = ((y + 0.5) * (rows / height) - 0.5), ((x + 0.5) * (columns / width) - 0.5)
    first_row, first_column = np.floor(at_row).astype(np.int32), np.floor(at_column).astype(np.int32)
    down, right = as_float32(at_row - first_row), as_float32(at_column - first_column)
    coloured = np.dstack([rgb, np.asarray(known, np.uint8)]).reshape(-1, 4)
    total = np.zeros((len(pixels), 4), np.float32)
    for lower, further in ((0, 0), (0, 1), (1, 0), (1, 1)):
        node = np.clip(first_row + lower, 0, rows - 1) * columns + np.clip(
            first_column + further, 0, columns - 1
        )
        source_y, source_x = y + moves[..., 0].take(node), x + moves[..., 1].take(node)
        usable = (source_y >= 0) & (source_y < height) & (source_x >= 0) & (source_x < width)
        usable &= has_offset.take(node)
        colour = coloured.take((source_y * width + source_x) * usable, axis=0)
        weight = usable * colour[:, 3] * (down if lower else 1 - down) * (right if further else 1 - right)
        colour[:, 3] = 1
        total += weight[:, None] * colour
    return as_float32(total[:, :3] / np.maximum(total[:, 3:], 1e-6)), total[:, 3]


def _paste_copies(rgb: Picture, known: Mask, smooth: Picture, offsets: Indices, unit: float) -> Picture:
    """The finished background: copies with the tones of the known pixels beside them, `smooth` deep behind."""
    depth = _measure_depth(known)
    margin = 2 * _PATCH_RADIUS * known.shape[0] / offsets.shape[0]
    pixels = np.argwhere((depth < _STRIP_DEPTH * unit) & (_measure_depth(~known) < margin)).astype(np.int32)
    at = tuple(pixels.T)
    copies, share = _copy_pixels(rgb, known, offsets, pixels)
    edge = known[at] & (share > 0.5)
    correction = _measure_seam(
        rgb[at][edge] - copies[edge], pixels[edge], known.shape, offsets.shape[:2], unit
    )
    fading = np.exp(-depth[at] / (_SEAM_DEPTH * unit))[:, None]
    # No tone beyond both the copy and its surroundings: a correction must not make a rim of its own.
    around = as_float32(smooth[at])
    corrected = np.clip(
        copies + correction[at] * fading, np.minimum(copies, around), np.maximum(copies, around)
    )
    weight = np.clip(2 * share, 0, 1) * np.clip(
        (_STRIP_DEPTH * unit - depth[at]) / (_FADE_DEPTH * unit), 0, 1
    )
    background = smooth.copy()
    background[at] = np.rint(around + weight[:, None] * (corrected - around)).astype(np.uint8)
    background[known] = rgb[known]
    return background


def _measure_seam(
    errors: Array, pixels: Indices, shape: tuple[int, ...], nodes: tuple[int, ...], unit: float
) -> Array:
    """What copies lack at known `pixels` [n, 2] beside the silhouette, [n, 3], spread over a picture: [*shape, 3].

    Computed on as many `nodes` (rows, columns), as it is smooth.
    """
    if not len(pixels):
        return np.zeros((*shape, 3), np.float32)
    node = np.ravel_multi_index(
        tuple((pixels * as_float32(nodes) / as_float32(shape)).astype(np.int64).T), nodes
    )
    bounded = np.clip(errors, -_MAX_SEAM_CORRECTION, _MAX_SEAM_CORRECTION)
    sums = [np.bincount(node, values, nodes[0] * nodes[1]) for values in (*bounded.T, np.ones(len(node)))]
    blurred = cv2.GaussianBlur(
        as_float32(sums).T.reshape(*nodes, 4), (0, 0), _SEAM_BLUR * unit * nodes[0] / shape[0]
    )
    mean = blurred[..., :3] / np.maximum(blurred[..., 3:], 1e-4)
    spread = infill_colours(np.rint(128 + mean).astype(np.uint8), as_float32(blurred[..., 3] > 0.1))
    return as_float32(cv2.resize(spread, (shape[1], shape[0]), interpolation=cv2.INTER_LINEAR)) - 128


def _touch_patches(pixels: Mask) -> Mask:
    """The pixels whose patch contains any of `pixels`."""
    side = 2 * _PATCH_RADIUS + 1
    return np.asarray(cv2.dilate(np.asarray(pixels, np.uint8), np.ones((side, side), np.uint8)) > 0)


def _cut_patches(values: Array, pixels: Indices) -> Array:
    """The patches of `values` [h, w, c] around `pixels` [n, 2], as rows of c values a pixel, [n, p·c]."""
    framed = np.pad(values, ((_PATCH_RADIUS,) * 2, (_PATCH_RADIUS,) * 2, (0, 0)), mode="edge")
    at = pixels + _PATCH_RADIUS
    return np.hstack([framed[tuple((at + shift).T)] for shift in _list_patch_shifts()])


def _list_patch_shifts() -> list[tuple[int, int]]:
    steps = range(-_PATCH_RADIUS, _PATCH_RADIUS + 1)
    return [(down, right) for down in steps for right in steps]


def _number_pixels(shape: tuple[int, ...], pixels: Indices) -> Indices:
    """The row in `pixels` [n, 2] of each pixel, [h, w]; -1 for others."""
    rows = np.full(shape, -1, np.int64)
    rows[tuple(pixels.T)] = np.arange(len(pixels))
    return rows


def _measure_depth(outside: Mask) -> Array:
    """Distance of each pixel from the pixels `outside`, [h, w]; 0 in them."""
    return as_float32(cv2.distanceTransform(np.asarray(~outside, np.uint8), cv2.DIST_L2, 5))


def _find_nearest(pixels: Mask) -> Indices:
    """The nearest of `pixels` to each pixel, (y, x): [h, w, 2]."""
    labels = cv2.distanceTransformWithLabels(
        np.asarray(~pixels, np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )[1]
    at = np.argwhere(pixels)
    places = np.zeros((int(labels.max()) + 1, 2), np.int64)
    places[labels[pixels]] = at
    return np.asarray(places[labels])
