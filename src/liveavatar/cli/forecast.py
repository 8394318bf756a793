"""What `liveavatar doctor --engine dit` says: whether Live Avatar would run on a card, and how fast."""

from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from liveavatar.dit.plan import cards, requirements
from liveavatar.dit.plan.cards import Card, SpeedForecast
from liveavatar.dit.plan.memory import MemoryPlan
from liveavatar.dit.plan.options import DitOptions
from liveavatar.errors import EngineError
from liveavatar.weights.bundles import find_weight_bundle
from liveavatar.weights.hub import find_missing_weights

PREDICTION_BASIS = "by arithmetic, at half of the card's rate; nothing was measured"


@dataclass(frozen=True, slots=True, kw_only=True)
class CardPrediction:
    """A card, here or asked about, and what becomes of the engine on it. `card` is None if its rates are unknown."""

    name: str
    memory: int
    is_present: bool
    card: Card | None
    plan: MemoryPlan | None
    problem: str
    forecast: SpeedForecast | None


def predict_cards(gpu: str | None, options: DitOptions) -> list[CardPrediction]:
    """One for every card of this machine, or for the one that is asked about."""
    if gpu is not None:
        card = cards.find_card(gpu)
        return [_predict_card(card.name, int(card.memory_gib * 2**30), card, options, is_present=False)]
    return [
        _predict_card(
            name, memory, cards.match_card(name) or cards.derive_card(name, memory), options, is_present=True
        )
        for name, memory in requirements.list_gpus()
    ]


def _predict_card(
    name: str, memory: int, card: Card | None, options: DitOptions, *, is_present: bool
) -> CardPrediction:
    plan, problem = None, ""
    try:
        plan = requirements.plan_card_memory(
            memory, options, requirements.host_memory() if is_present else None
        )
    except EngineError as error:
        problem = str(error)
    told = (
        cards.forecast_speed(card, plan, options.to_stream_config(), requirements.DEFAULT_SIZE)
        if card is not None and plan is not None
        else None
    )
    return CardPrediction(
        name=name, memory=memory, is_present=is_present, card=card, plan=plan, problem=problem, forecast=told
    )


def predictions_to_object(predictions: list[CardPrediction], options: DitOptions) -> dict[str, object]:
    """Everything for machines. Bytes and seconds."""
    return {
        "engine": "dit",
        "size": list(requirements.DEFAULT_SIZE),
        "steps": options.sample_steps,
        "basis": PREDICTION_BASIS,
        "cards": [_prediction_to_object(outlook) for outlook in predictions],
        "missing_packages": requirements.describe_missing_packages(),
        "host_memory": requirements.host_memory(),
        "disk_needed": _count_missing_bytes(),
        "disk_free": requirements.free_disk_bytes(),
    }


def _prediction_to_object(prediction: CardPrediction) -> dict[str, object]:
    plan, told = prediction.plan, prediction.forecast
    return {
        "name": prediction.name,
        "here": prediction.is_present,
        "memory": prediction.memory,
        "rung": plan and plan.profile.name,
        "streamed_blocks": plan and plan.offloaded_blocks,
        "gpu_bytes": plan and plan.estimate.gpu_total,
        "host_bytes": plan and plan.estimate.host,
        "fps": told and round(told.fps, 1),
        "block_seconds": told and round(told.block_seconds, 2),
        "first_frame_seconds": told and round(told.first_frame_seconds, 1),
        "limit": told and told.bottleneck,
        "problem": prediction.problem,
    }


def _count_missing_bytes() -> int:
    bundle = find_weight_bundle(requirements.BUNDLE)
    return bundle.size if find_missing_weights(bundle) else 0


def print_prediction_table(predictions: list[CardPrediction], options: DitOptions) -> None:
    """The same as a table."""
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    width, height = requirements.DEFAULT_SIZE
    table.add_row("Live Avatar", f"{width}x{height}, {options.sample_steps} steps, {PREDICTION_BASIS}")
    if not predictions:
        table.add_row("card", "[yellow]no NVIDIA card here[/]; ask about one: liveavatar doctor --gpu 4090")
    for outlook in predictions:
        for name, said in _prediction_rows(outlook):
            table.add_row(name, said)
    for name, said in _machine_rows():
        table.add_row(name, said)
    Console().print(table)


def _prediction_rows(prediction: CardPrediction) -> list[tuple[str, str]]:
    where = "in this machine" if prediction.is_present else "asked about"
    rows = [("card", f"{prediction.name}, {prediction.memory / 2**30:.0f} GiB, {where}")]
    plan, told = prediction.plan, prediction.forecast
    if plan is None:
        return [*rows, ("  fits", f"[red]no[/]: {prediction.problem}")]
    rows.append(("  fits", f"[green]yes[/], {plan.summary}"))
    if told is None:
        return [
            *rows,
            ("  speed", "nothing is known of this card's rates; measure: python -m benchmarks.dit"),
        ]
    fast = f"about {told.fps:.1f} pictures a second" + (
        ", real time" if told.fps >= 25 else " (25 is real time)"
    )
    return [
        *rows,
        (
            "  speed",
            f"{fast}; a block of 12 takes {told.block_seconds:.1f} s, most of it for {told.bottleneck}",
        ),
        (
            "  first",
            f"picture {told.first_frame_seconds:.1f} s after the portrait is given, once everything is loaded",
        ),
    ]


def _machine_rows() -> list[tuple[str, str]]:
    needed, free = _count_missing_bytes(), requirements.free_disk_bytes()
    colour = "green" if free > needed else "red"
    disk = (
        f"[{colour}]{needed / 1e9:.0f} GB to fetch[/], {free / 1e9:.0f} GB free"
        if needed
        else "weights are here"
    )
    return [
        ("memory", f"this machine has {requirements.host_memory() / 1e9:.0f} GB"),
        ("disk", disk),
        ("packages", requirements.describe_missing_packages() or "[green]there[/]"),
    ]
