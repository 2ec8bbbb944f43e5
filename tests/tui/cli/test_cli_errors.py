"""Whatever goes wrong is a sentence and a way out, with the exit code that says whose it was."""

from __future__ import annotations

from typing import Any

import pytest
import typer

from tunesmith.daemon.api.home import Home
from tunesmith.tui.cli.errors import guarded


def test_wrong_usage_is_exit_code_two_and_an_object_if_asked(tunesmith: Any) -> None:
    ran = tunesmith("jobs", "show", "--json")
    assert ran.code == 2
    assert ran.json["error"]["code"] == "usage" and "RUN" in ran.json["error"]["message"]
    assert "tunesmith jobs show --help" in ran.json["error"]["hint"]


def test_an_unknown_command_offers_the_nearest(tunesmith: Any) -> None:
    ran = tunesmith("quikstart")
    assert ran.code == 2
    assert "quickstart" in ran.err and ran.out == ""


def test_a_missing_recipe_is_the_persons_error(tunesmith: Any) -> None:
    ran = tunesmith("run", "nowhere.yaml", "--json")
    assert ran.code == 1
    assert ran.json["error"]["code"] == "recipe" and "nowhere.yaml" in ran.json["error"]["message"]


def test_a_setting_without_a_value_is_the_persons_error(tunesmith: Any) -> None:
    assert tunesmith("run", "starter", "--set", "rank", "--json").json["error"]["code"] == "recipe"


def test_json_chat_without_a_message_at_all_is_an_error(tunesmith: Any) -> None:
    ran = tunesmith("chat", "last", "--json")
    assert ran.code == 2 and ran.json["error"]["code"] == "usage"


def test_status_and_stop_start_no_daemon(tunesmith: Any, home: Home) -> None:
    assert tunesmith("daemon", "status").code == 1
    assert tunesmith("daemon", "stop", "--json").json == {"running": False, "stopped": False}
    assert not home.socket.exists()


@pytest.mark.parametrize("as_json", [False, True])
def test_a_fault_of_ours_is_logged_and_never_shown_as_a_traceback(
    home: Home, capsys: pytest.CaptureFixture[str], as_json: bool
) -> None:
    app = typer.Typer()

    @app.command()
    def broken(as_json: bool = typer.Option(False, "--json")) -> None:
        raise ZeroDivisionError("by nought")

    assert guarded(app, ["--json"] if as_json else []) == 2
    out, err = capsys.readouterr()
    assert "by nought" in err and "Traceback" not in err
    assert ('"code":"internal"' in out) == as_json
    assert "Traceback" in (home.root / "cli.log").read_text("utf-8")


def test_version_and_schema_are_one_object(tunesmith: Any) -> None:
    assert tunesmith("version", "--json").json["version"]
    assert "JobSpec" in tunesmith("recipe", "schema", "--json").json["$defs"]
