"""`liveavatar doctor --engine dit`: whether Live Avatar runs on a card, and how fast."""

from dataclasses import dataclass

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from liveavatar.dit.plan.cards import Card, SpeedForecast, derive_card, find_card, forecast_speed, match_card
from liveavatar.dit.plan.config import MODEL_FPS
from liveavatar.dit.plan.memory import DEFAULT_SIZE, MemoryPlan
from liveavatar.dit.plan.options import DitOptions
from liveavatar.dit.plan.requirements import (
    BUNDLE,
    describe_missing_packages,
    free_disk_bytes,
    host_memory,
    list_gpus,
    plan_card_memory,
)
from liveavatar.errors import EngineError
from liveavatar.weights.bundles import find_weight_bundle
from liveavatar.weights.hub import find_missing_weights

PREDICTION_BASIS = "by arithmetic, at half of the card's rate; nothing was measured"


@dataclass(frozen=True, slots=True, kw_only=True)
class CardPrediction:
    """A card of this machine, or one that was named, and how the engine runs on it.

    `memory` is in bytes. `card` is None if the rates are unknown. `plan` is None if the engine does not fit; `problem`
    says why.
    """

    name: str
    memory: int
    is_present: bool
    card: Card | None
    plan: MemoryPlan | None
    problem: str
    forecast: SpeedForecast | None


def predict_cards(gpu: str | None, options: DitOptions) -> list[CardPrediction]:
    """A prediction for the card called `gpu`, or for every card of this machine if that is None.

    Raises:
        OptionError: the card called `gpu` is not in the list.
    """
    if gpu is not None:
        card = find_card(gpu)
        return [_predict_card(card.name, int(card.memory_gib * 2**30), card, options, is_present=False)]
    return [
        _predict_card(name, size, match_card(name) or derive_card(name, size), options, is_present=True)
        for name, size in list_gpus()
    ]


def _predict_card(
    name: str, memory: int, card: Card | None, options: DitOptions, *, is_present: bool
) -> CardPrediction:
    plan, problem, forecast = None, "", None
    try:
        plan = plan_card_memory(memory, options, host_memory() if is_present else None)
    except EngineError as error:
        problem = str(error)
    if card is not None and plan is not None:
        forecast = forecast_speed(card, plan, options.to_stream_config(), DEFAULT_SIZE)
    return CardPrediction(
        name=name,
        memory=memory,
        is_present=is_present,
        card=card,
        plan=plan,
        problem=problem,
        forecast=forecast,
    )


def predictions_to_object(predictions: list[CardPrediction], options: DitOptions) -> dict[str, object]:
    """The predictions as one JSON object. Bytes and seconds."""
    return {
        "engine": "dit",
        "size": list(DEFAULT_SIZE),
        "steps": options.sample_steps,
        "basis": PREDICTION_BASIS,
        "cards": [_prediction_to_object(prediction) for prediction in predictions],
        "missing_packages": describe_missing_packages(),
        "host_memory": host_memory(),
        "disk_needed": _count_missing_bytes(),
        "disk_free": free_disk_bytes(),
    }


def _prediction_to_object(prediction: CardPrediction) -> dict[str, object]:
    plan, forecast = prediction.plan, prediction.forecast
    return {
        "name": prediction.name,
        "here": prediction.is_present,
        "memory": prediction.memory,
        "rung": plan and plan.profile.name,
        "streamed_blocks": plan and plan.offloaded_blocks,
        "gpu_bytes": plan and plan.estimate.gpu_total,
        "host_bytes": plan and plan.estimate.host,
        "fps": forecast and round(forecast.fps, 1),
        "block_seconds": forecast and round(forecast.block_seconds, 2),
        "first_frame_seconds": forecast and round(forecast.first_frame_seconds, 1),
        "limit": forecast and forecast.bottleneck,
        "problem": prediction.problem,
    }


def _count_missing_bytes() -> int:
    bundle = find_weight_bundle(BUNDLE)
    return bundle.size if find_missing_weights(bundle) else 0


def print_prediction_table(predictions: list[CardPrediction], options: DitOptions) -> None:
    """The predictions as a table on stdout."""
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    width, height = DEFAULT_SIZE
    table.add_row("Live Avatar", f"{width}x{height}, {options.sample_steps} steps, {PREDICTION_BASIS}")
    if not predictions:
        table.add_row("card", "[yellow]no NVIDIA card here[/]; ask about one: liveavatar doctor --gpu 4090")
    for prediction in predictions:
        for row in _prediction_rows(prediction):
            table.add_row(*row)
    for row in _machine_rows():
        table.add_row(*row)
    Console().print(table)


def _prediction_rows(prediction: CardPrediction) -> list[tuple[str, str]]:
    where = "in this machine" if prediction.is_present else "asked about"
    rows = [("card", f"{escape(prediction.name)}, {prediction.memory / 2**30:.0f} GiB, {where}")]
    plan, forecast = prediction.plan, prediction.forecast
    if plan is None:
        return [*rows, ("  fits", f"[red]no[/]: {escape(prediction.problem)}")]
    rows.append(("  fits", f"[green]yes[/], {plan.summary}"))
    if forecast is None:
        unknown = "nothing is known of this card's rates; measure: python -m benchmarks.dit.speed"
        return [*rows, ("  speed", unknown)]
    real_time = ", real time" if forecast.fps >= MODEL_FPS else f" ({MODEL_FPS} is real time)"
    speed = f"about {forecast.fps:.1f} pictures a second{real_time}"
    block = f"a block of {forecast.stream.block_pictures} takes {forecast.block_seconds:.1f} s"
    first = f"picture {forecast.first_frame_seconds:.1f} s after the portrait, with the models loaded"
    return [
        *rows,
        ("  speed", f"{speed}; {block}, most of it for {forecast.bottleneck}"),
        ("  first", first),
    ]


def _machine_rows() -> list[tuple[str, str]]:
    needed, free = _count_missing_bytes(), free_disk_bytes()
    colour = "green" if free > needed else "red"
    fetch = f"[{colour}]{needed / 1e9:.0f} GB to fetch[/], {free / 1e9:.0f} GB free"
    return [
        ("memory", f"this machine has {host_memory() / 1e9:.0f} GB"),
        ("disk", fetch if needed else "weights are here"),
        ("packages", escape(describe_missing_packages()) or "[green]there[/]"),
    ]
