"""What `liveavatar doctor --engine dit` says: whether Live Avatar would run on a card, and how fast."""

from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from liveavatar.dit import cards, requirements
from liveavatar.dit.cards import Card, Forecast
from liveavatar.dit.memory import Plan
from liveavatar.dit.options import DitOptions
from liveavatar.errors import EngineError
from liveavatar.weights.bundles import find_bundle
from liveavatar.weights.hub import lacking

BASIS = "by arithmetic, at half of the card's rate; nothing was measured"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """A card, here or asked about, and what becomes of the engine on it. `card` is None if its rates are unknown."""

    name: str
    memory: int
    here: bool
    card: Card | None
    plan: Plan | None
    problem: str
    forecast: Forecast | None


def outlooks(gpu: str | None, options: DitOptions) -> list[Outlook]:
    """One for every card of this machine, or for the one that is asked about."""
    if gpu is not None:
        card = cards.find_card(gpu)
        return [_outlook(card.name, int(card.memory * 2**30), card, options, here=False)]
    return [
        _outlook(
            name, memory, cards.known_card(name) or cards.measured_card(name, memory), options, here=True
        )
        for name, memory in requirements.gpu_memory()
    ]


def _outlook(name: str, memory: int, card: Card | None, options: DitOptions, *, here: bool) -> Outlook:
    plan, problem = None, ""
    try:
        plan = requirements.plan_for(memory, options, requirements.host_memory() if here else None)
    except EngineError as error:
        problem = str(error)
    told = (
        cards.forecast(card, plan, options.stream(), requirements.USUAL_SIZE)
        if card is not None and plan is not None
        else None
    )
    return Outlook(name=name, memory=memory, here=here, card=card, plan=plan, problem=problem, forecast=told)


def as_object(found: list[Outlook], options: DitOptions) -> dict[str, object]:
    """Everything for machines. Bytes and seconds."""
    return {
        "engine": "dit",
        "size": list(requirements.USUAL_SIZE),
        "steps": options.sample_steps,
        "basis": BASIS,
        "cards": [_card_object(outlook) for outlook in found],
        "missing_packages": requirements.missing_packages(),
        "host_memory": requirements.host_memory(),
        "disk_needed": _disk_needed(),
        "disk_free": requirements.free_disk(),
    }


def _card_object(outlook: Outlook) -> dict[str, object]:
    plan, told = outlook.plan, outlook.forecast
    return {
        "name": outlook.name,
        "here": outlook.here,
        "memory": outlook.memory,
        "rung": plan and plan.rung.name,
        "streamed_blocks": plan and plan.streamed,
        "gpu_bytes": plan and plan.memory.total,
        "host_bytes": plan and plan.memory.host,
        "fps": told and round(told.fps, 1),
        "block_seconds": told and round(told.block, 2),
        "first_frame_seconds": told and round(told.first_frame, 1),
        "limit": told and told.limit,
        "problem": outlook.problem,
    }


def _disk_needed() -> int:
    bundle = find_bundle(requirements.BUNDLE)
    return bundle.size if lacking(bundle) else 0


def show(found: list[Outlook], options: DitOptions) -> None:
    """The same as a table."""
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    width, height = requirements.USUAL_SIZE
    table.add_row("Live Avatar", f"{width}x{height}, {options.sample_steps} steps, {BASIS}")
    if not found:
        table.add_row("card", "[yellow]no NVIDIA card here[/]; ask about one: liveavatar doctor --gpu 4090")
    for outlook in found:
        for name, said in _rows(outlook):
            table.add_row(name, said)
    for name, said in _machine_rows():
        table.add_row(name, said)
    Console().print(table)


def _rows(outlook: Outlook) -> list[tuple[str, str]]:
    where = "in this machine" if outlook.here else "asked about"
    rows = [("card", f"{outlook.name}, {outlook.memory / 2**30:.0f} GiB, {where}")]
    plan, told = outlook.plan, outlook.forecast
    if plan is None:
        return [*rows, ("  fits", f"[red]no[/]: {outlook.problem}")]
    rows.append(("  fits", f"[green]yes[/], {plan.line}"))
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
        ("  speed", f"{fast}; a block of 12 takes {told.block:.1f} s, most of it for {told.limit}"),
        (
            "  first",
            f"picture {told.first_frame:.1f} s after the portrait is given, once everything is loaded",
        ),
    ]


def _machine_rows() -> list[tuple[str, str]]:
    needed, free = _disk_needed(), requirements.free_disk()
    colour = "green" if free > needed else "red"
    disk = (
        f"[{colour}]{needed / 1e9:.0f} GB to fetch[/], {free / 1e9:.0f} GB free"
        if needed
        else "weights are here"
    )
    return [
        ("memory", f"this machine has {requirements.host_memory() / 1e9:.0f} GB"),
        ("disk", disk),
        ("packages", requirements.missing_packages() or "[green]there[/]"),
    ]
