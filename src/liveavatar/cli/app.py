"""All commands in one tree."""

import typer

from liveavatar.cli import audio, demo, doctor, generate, portrait, sync, weights

app = typer.Typer(
    name="liveavatar",
    help="One portrait and any speech in, a talking video out whose lips are on time.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(demo.demo)
app.command()(generate.generate)
app.command()(sync.sync)
app.command()(doctor.doctor)
app.add_typer(audio.app, name="audio")
app.add_typer(portrait.app, name="portrait")
app.add_typer(weights.app, name="weights")
