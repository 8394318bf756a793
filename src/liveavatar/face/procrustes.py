"""Weighted Procrustes analysis: the similarity transform that best lays one set of points over another."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class SimilarityTransform:
    """`target ≈ translation + scale · rotation @ source`.

    `error` is the weighted mean squared distance that remains, divided by the square of `scale`.
    """

    rotation: Points
    scale: float
    translation: Points
    error: float


def fit_similarity(source: Points, target: Points, weights: Points) -> SimilarityTransform:
    """The transform with the least weighted squared error from `source` [n, 3] to `target` [n, 3].

    `weights` [n] are not negative and not all zero. Source: Umeyama, "Least-squares estimation of transformation
    parameters between two point patterns", IEEE TPAMI 13(4), 1991, equations 40 to 42.
    """
    share = (weights / weights.sum())[:, None]
    source_mean, target_mean = (share * source).sum(axis=0), (share * target).sum(axis=0)
    centred, goal = source - source_mean, target - target_mean
    left, values, right = np.linalg.svd((share * goal).T @ centred)
    signs = np.array([1.0, 1.0, np.linalg.det(left @ right)])  # a rotation, never a reflection
    rotation = (left * signs) @ right
    scale = float((values * signs).sum() / (share * centred**2).sum())
    residual = (share * (goal - scale * centred @ rotation.T) ** 2).sum() / scale**2
    translation = target_mean - scale * rotation @ source_mean
    return SimilarityTransform(rotation=rotation, scale=scale, translation=translation, error=float(residual))
