"""The training loop of all stages with gradients: AdamW, a rate that falls at the end, an average of the weights.

The random numbers of a step depend on the seed and its number alone. So a run that was killed goes on from its last
checkpoint with the numbers of a run that was not.
"""

import copy
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from training.dit.stage import RunFolder

Model = TypeVar("Model", bound=nn.Module)

_AVERAGE_DECAY = 0.998
_SMOOTHING = 0.03  # of the loss in the log


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingOptions:
    """How long to train, at which rate, and how often to write."""

    steps: int = 2000
    rate: float = 1.2e-3
    rise: int = 100
    seed: int = 0
    log_every: int = 50
    save_every: int = 250


def train_model(
    model: Model, draw_loss: Callable[[torch.Generator], Tensor], run: RunFolder, options: TrainingOptions
) -> Model:
    """Train `model` from its weights, or go on; returns the running average of the weights."""
    average = copy.deepcopy(model).requires_grad_(False)
    optimiser = make_optimiser(model, options.rate)
    done = _restore(run, model, average, optimiser)
    started, mean_loss = time.monotonic(), float("nan")
    for step in range(done, options.steps):
        for group in optimiser.param_groups:
            group["lr"] = schedule_rate(step, options)
        loss = draw_loss(seed_step(options.seed, step))
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad()
        update_average(average, model, step)
        new = loss.item()
        mean_loss = new if np.isnan(mean_loss) else mean_loss + _SMOOTHING * (new - mean_loss)
        last = step + 1 == options.steps
        if last or (step + 1) % options.log_every == 0:
            row = {"step": step + 1, "loss": mean_loss, "rate": schedule_rate(step, options)}
            run.append_log(row | {"cpu_s": read_cpu_seconds(), "wall_s": time.monotonic() - started})
        if last or (step + 1) % options.save_every == 0:
            run.save_checkpoint({
                "step": step + 1, "model": model.state_dict(), "average": average.state_dict(),
                "optimiser": optimiser.state_dict(),
            })  # fmt: skip
            run.plot_log(["loss", "rate"])
    return average


def _restore(run: RunFolder, model: nn.Module, average: nn.Module, optimiser: torch.optim.Optimizer) -> int:
    """Load the last checkpoint, if there is one; returns the steps done."""
    state = run.load_checkpoint()
    if state is None:
        return 0
    model.load_state_dict(state["model"])
    average.load_state_dict(state["average"])
    optimiser.load_state_dict(state["optimiser"])
    return int(state["step"])


def make_optimiser(model: nn.Module, rate: float) -> torch.optim.AdamW:
    """AdamW; norms, biases and modulations do not decay."""
    decaying: list[nn.Parameter] = []
    others: list[nn.Parameter] = []
    for name, parameter in model.named_parameters():
        (decaying if parameter.ndim >= 2 and "modulation" not in name else others).append(parameter)
    groups = [{"params": decaying, "weight_decay": 0.01}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, rate, betas=(0.9, 0.98))


def schedule_rate(step: int, options: TrainingOptions, *, fall: float = 0.3) -> float:
    """A learning rate that rises, stays, and falls to nearly zero over the last `fall` of the steps."""
    rising = min(1.0, (step + 1) / options.rise)
    falling = min(1.0, (options.steps - step) / max(1.0, fall * options.steps))
    return options.rate * rising * max(0.02, falling)


def seed_step(seed: int, step: int) -> torch.Generator:
    """The random numbers of one training step."""
    state = np.random.SeedSequence([seed, step]).generate_state(1)
    return torch.Generator().manual_seed(int(state[0]))


@torch.no_grad()
def update_average(average: nn.Module, model: nn.Module, step: int) -> None:
    """Move the running average of the weights towards `model`; faster at the start."""
    share = 1 - min(_AVERAGE_DECAY, (1 + step) / (10 + step))
    for target, source in zip(average.parameters(), model.parameters(), strict=True):
        target.lerp_(source, share)


def read_cpu_seconds() -> float:
    """CPU seconds that this process took so far."""
    times = os.times()
    return times.user + times.system
