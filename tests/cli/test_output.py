"""What users name is printed as it is, never read as markup."""

from pathlib import Path

import pytest

from liveavatar.cli.commands.doctor import print_installation
from liveavatar.cli.output import error_to_object, print_finding, print_message, print_unreadable
from liveavatar.cli.progress import show_stage
from liveavatar.errors import AudioError
from liveavatar.report import Finding

NAME = "[red]a[/red] [bold] :smile:.wav"


def test_a_message_has_its_label_and_its_text(capsys: pytest.CaptureFixture[str]) -> None:
    print_message(f"wrote {NAME}")
    print_message(NAME, "failed:", "red")
    assert capsys.readouterr().err == f"wrote {NAME}\nfailed: {NAME}\n"


def test_a_long_message_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    print_message("word " * 200, "fixed:", "green")
    assert capsys.readouterr().err.count("\n") == 1


def test_a_finding_that_is_ok_is_not_printed(capsys: pytest.CaptureFixture[str]) -> None:
    print_finding(Finding(name="level", level="ok", sentence="fine"))
    print_finding(Finding(name="level", level="warn", sentence="it is quiet", remedy=f"prepare {NAME}"))
    assert capsys.readouterr().err == f"warn: it is quiet; prepare {NAME}\n"


def test_an_unreadable_file(capsys: pytest.CaptureFixture[str]) -> None:
    error = AudioError(f"{NAME} is empty", "record again")
    print_unreadable(Path(NAME), error)
    assert capsys.readouterr().out == f"{NAME}  unreadable\n  {NAME} is empty; record again\n"
    assert error_to_object(Path(NAME), error) == {
        "file": NAME, "error": f"{NAME} is empty", "remedy": "record again",
    }  # fmt: skip


def test_a_stage_of_any_text_runs() -> None:
    with show_stage("[/red]") as show_progress:
        show_progress("[/bold] half")


def test_a_folder_with_brackets_in_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    print_installation({"machine": {"cache": {"value": "/home/[red]"}}})
    assert "/home/[red]" in capsys.readouterr().out
