"""The live page in a real browser: a face appears, is heard, and falls silent when it is told to."""

import json
import logging
import time
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from server.chromium import CHROMIUM, Page, open_page
from server.test_page import connect_session, read_figure, run_server

REPORT = "document.querySelector('.stage-card').readReport()"
_LOG = logging.getLogger(__name__)

WITHOUT_CODECS = "delete window.VideoDecoder"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium: apt-get install chromium"),
]


def write_tone(path: Path) -> None:
    """Five seconds of a tone that has no pause."""
    rate = 24_000
    tone = 0.3 * np.sin(2 * np.pi * 440 * np.arange(5 * rate) / rate)
    with wave.open(str(path), "wb") as sound:
        sound.setparams((1, 2, rate, 0, "NONE", ""))
        sound.writeframes(np.rint(tone * 32767).astype("<i2").tobytes())


def begin_session(page: Page, address: str, picture: Path) -> None:
    """Go to the live page, give it a portrait, agree and begin."""
    page.open(f"{address}#live")
    page.wait_for("document.querySelector('#live-start')")
    assert page.evaluate("document.querySelector('#live-start').disabled")  # no portrait, and nobody agreed
    page.drop_file("#page-live .portrait", picture)
    page.wait_for("document.querySelector('#page-live .portrait .picture img').naturalWidth > 0")
    assert page.evaluate("document.querySelector('#live-start').disabled")  # nobody agreed yet
    page.click("#live-consent")
    page.click("#live-start")
    page.wait_for(f"{REPORT}.shown > 10")


def read_canvas(page: Page) -> Any:
    """The colours of a coarse copy of the picture."""
    return page.evaluate(
        "(() => { const small = document.createElement('canvas'); small.width = small.height = 8;"
        "const brush = small.getContext('2d'); brush.drawImage(document.querySelector('.stage canvas'), 0, 0, 8, 8);"
        "return [...brush.getImageData(0, 0, 8, 8).data] })()"
    )


def test_a_face_speaks_is_interrupted_and_its_session_ends_with_the_browser(
    tmp_path: Path, picture_bytes: bytes
) -> None:
    picture, speech = tmp_path / "face.jpg", tmp_path / "tone.wav"
    picture.write_bytes(picture_bytes)
    write_tone(speech)
    with run_server(tmp_path / "server") as (_, address):
        port = int(address.rstrip("/").rpartition(":")[2])
        with connect_session(port) as (_, token):
            with open_page() as page:
                begin_session(page, address, picture)
                assert len(set(read_canvas(page))) > 10  # a picture, not one colour
                page.drop_file(".stage-card", speech)
                page.wait_for(f"{REPORT}.onset.length > 0")  # it is heard, and its picture was shown
                page.press("Escape")
                page.wait_for(f"{REPORT}.interrupt.length > 0")  # it is silent
                page.click(".emotions label:nth-of-type(3)")
                shown = page.evaluate(f"{REPORT}.shown")
                page.wait_for(f"{REPORT}.shown > {shown} + 10")  # it lives on
                assert page.evaluate("document.querySelector('.controls .problem')") is None
                log_measurements(page.evaluate(REPORT))
                assert read_figure(port, token, "liveavatar_live_sessions") == 1
                assert page.problems == []
            left = time.monotonic()
            while read_figure(port, token, "liveavatar_live_sessions"):
                time.sleep(0.05)
            _LOG.info("the session ended %.2f s after the browser", time.monotonic() - left)


def test_a_browser_without_decoders_is_told_so(tmp_path: Path) -> None:
    with run_server(tmp_path / "server") as (_, address), open_page() as page:
        page.call("Page.addScriptToEvaluateOnNewDocument", source=WITHOUT_CODECS)
        page.open(f"{address}#live")
        page.wait_for("document.querySelector('#page-live .lost').textContent.includes('WebCodecs')")
        assert page.evaluate("document.querySelector('#live-start')") is None


def log_measurements(report: dict[str, Any]) -> None:
    """What the page measured; `pytest --log-cli-level=info` shows it."""
    skews = sorted(report.pop("skew"))
    _LOG.info("%s", json.dumps(report | {"median_skew": skews[len(skews) // 2]}))
