"""Mixtures of normal distributions over colours: how likely a colour is on a lip, and in an open mouth."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from liveavatar.mesh.geometry.arrays import Array, as_float32

_ATTEMPTS, _STEPS = 2, 20
"""Runs of k-means, and its most steps."""
_MIN_CLUSTER = 5
"""Colours that make a component."""
_MIN_VARIANCE = 9.0
"""Added to each variance: noise of a picture, in squared units of Lab."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ColourMixture:
    """Components with `weights` [k], `means` and diagonal `variances` [k, 3], in Lab."""

    weights: NDArray[np.float64]
    means: NDArray[np.float64]
    variances: NDArray[np.float64]

    @classmethod
    def fit_colours(cls, colours: Array, components: int) -> "ColourMixture":
        """Fit at most `components` to `colours` [n, 3], by k-means. The same colours give the same mixture."""
        cv2.setRNGSeed(0)
        count = min(components, len(colours))
        criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_MAX_ITER, _STEPS, 0.5)
        start = np.zeros((len(colours), 1), np.int32)
        _, labels, _ = cv2.kmeans(
            as_float32(colours), count, start, criteria, _ATTEMPTS, cv2.KMEANS_PP_CENTERS
        )
        groups = [colours[labels[:, 0] == label] for label in range(count)]
        kept = [group for group in groups if len(group) >= _MIN_CLUSTER] or [colours]
        return cls(
            weights=np.array([len(group) / len(colours) for group in kept]),
            means=np.array([group.mean(0) for group in kept], np.float64),
            variances=np.array([group.var(0) + _MIN_VARIANCE for group in kept], np.float64),
        )

    def add_components(self, weight: float, means: Array, deviations: Array) -> "ColourMixture":
        """With components of `weight` each at `means` [k, 3] with standard `deviations` [k, 3]."""
        return ColourMixture(
            weights=np.concatenate([self.weights, np.full(len(means), weight)]),
            means=np.vstack([self.means, means]),
            variances=np.vstack([self.variances, np.square(deviations)]),
        )

    def log_likelihood(self, colours: Array) -> Array:
        """Logarithm of the density at `colours` [..., 3], up to a constant: [...]."""
        away = colours[..., None, :] - self.means
        terms = np.log(self.weights) - 0.5 * np.log(self.variances).sum(-1)
        terms = terms - 0.5 * (away**2 / self.variances).sum(-1)
        highest = terms.max(-1, keepdims=True)
        return as_float32(highest[..., 0] + np.log(np.exp(terms - highest).sum(-1)))

    def measure_distance(self, colours: Array) -> Array:
        """Distance of `colours` [..., 3] from the nearest component, in standard deviations: [...]."""
        away = np.square(colours[..., None, :] - self.means) / self.variances
        return as_float32(np.sqrt(away.sum(-1).min(-1)))
