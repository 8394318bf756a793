"""`liveavatar serve`: a page on this machine on which portraits speak."""

import logging
import threading
import webbrowser
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from liveavatar.cli.commands.generate import CertificateFile, CertificateKeyFile, Label, Producer, Watermark
from liveavatar.cli.output import print_message
from liveavatar.cli.process.paths import PATH_METAVAR, parse_path
from liveavatar.errors import OptionError
from liveavatar.provenance.aigc import DEFAULT_PRODUCER
from liveavatar.provenance.label.visible_label import AUTO_LABEL
from liveavatar.provenance.policy import MarkPolicy, check_mark_policy

_PACKAGES = (
    "starlette",
    "uvicorn",
    "websockets",
    "prometheus_client",
    "python_multipart",
    "matplotlib",
    "httpx2",
)


def serve(
    host: Annotated[
        str, typer.Option(help="Where to listen; more than this machine needs a token.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0 is any free one.")] = 8642,
    open_page: Annotated[bool, typer.Option("--open/--no-open", help="Open the page in a browser.")] = True,
    token: Annotated[
        str | None,
        typer.Option(
            envvar="LIVEAVATAR_TOKEN",
            help="What visitors must know, 16 characters or more.",
            show_default=False,
        ),
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(
            help="A name by which visitors reach the server, such as that of a proxy.", show_default=False
        ),
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option(
            help="Where uploads and videos are kept.",
            parser=parse_path,
            metavar=PATH_METAVAR,
            show_default=False,
        ),
    ] = None,
    keep_hours: Annotated[float, typer.Option(help="When uploads and videos are deleted.")] = 24.0,
    converse: Annotated[
        str | None,
        typer.Option(
            help="Live faces answer: echo repeats what it hears; auto recognises it, asks the language model of "
            "LIVEAVATAR_LLM_URL, and speaks.",
            metavar="echo|auto",
            show_default=False,
        ),
    ] = None,
    endpoints: Annotated[
        Path | None,
        typer.Option(
            help="A TOML file that names the services of a conversation.",
            parser=parse_path,
            metavar=PATH_METAVAR,
            show_default=False,
        ),
    ] = None,
    label: Label = AUTO_LABEL,
    watermark: Watermark = True,
    certificate: CertificateFile = None,
    certificate_key: CertificateKeyFile = None,
    producer: Producer = DEFAULT_PRODUCER,
) -> None:
    """Open a page on this machine: drop a portrait and speech, watch the video. Nothing is sent anywhere else.

    Ctrl-C or SIGTERM ends it: a video in the making gets 30 seconds, or is made at the next start.
    """
    require_serve_packages()
    from liveavatar.server.run import run_server
    from liveavatar.server.settings import ServerSettings, find_default_folder

    marks = MarkPolicy(
        label=label,
        watermark=watermark,
        certificate=certificate,
        certificate_key=certificate_key,
        producer=producer,
    )
    check_mark_policy(marks)
    settings = ServerSettings(
        host=host,
        port=port,
        token=token,
        host_names=tuple(allow_host or ()),
        folder=folder or find_default_folder(),
        keep_hours=keep_hours,
        marks=marks,
        converse=converse,
        endpoints_file=endpoints,
    )

    def show_address(address: str) -> None:
        print(address, flush=True)
        print_message("Ctrl-C ends it")
        if open_page:
            threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()

    logging.getLogger("httpx2").setLevel(logging.WARNING)  # it logs each request to an endpoint
    run_server(settings, show_address)


def require_serve_packages() -> None:
    """Refuse to start without the packages of the extra.

    Raises:
        OptionError: one is missing.
    """
    missing = [name for name in _PACKAGES if find_spec(name) is None]
    if missing:
        raise OptionError(f"{missing[0]} is not installed", "run: pip install 'liveavatar[serve]'")
