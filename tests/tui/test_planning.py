"""What the wizard gives the planner: the rows that were counted, the model that is named, the machine as it is."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
from planned import on_cpu, own

from tunesmith.daemon.api.home import Home
from tunesmith.recipes import starter
from tunesmith.recipes.data.checking import check
from tunesmith.recipes.data.checking.report import Report
from tunesmith.recipes.data.checking.statistics import Tokens
from tunesmith.recipes.planner import ASSUMED
from tunesmith.tui.draft import Draft
from tunesmith.tui.planning import STARTER_HELD_OUT, STARTER_ROWS, STARTER_TOKENS, Planning

TOKENS = Tokens(p50=90, p95=180, p99=300, max=400, mean=100.0, total=100_000, trained=40_000)
REPORT = Report(files=("rows.jsonl",), formats={"jsonl": 1}, rows_read=1000, rows_kept=1000, tokens=TOKENS)


def planning(folder: Path, draft: Draft | None = None) -> Planning:
    return Planning(Home(folder / "home"), draft or Draft.starter(), on_cpu(16, 10), live=False)


def test_what_is_known_of_the_starters_rows_is_what_they_have(tmp_path: Path, starter_tokenizer_folder: Path) -> None:
    for kind, rows in (("train", STARTER_ROWS), ("held_out", STARTER_HELD_OUT)):
        file = tmp_path / f"{kind}.jsonl"
        file.write_text("\n".join(map(json.dumps, starter.starter_rows(kind, Draft.starter().spec().data.persona))))
        *_, report = check.check(check.Options(files=(str(file),), model=str(starter_tokenizer_folder)))
        assert report.rows_kept == rows
        if kind == "train":
            assert report.tokens is not None
            assert [report.tokens.p50, report.tokens.p95, report.tokens.p99, report.tokens.max] == [*STARTER_TOKENS[:4]]
            assert (report.tokens.total, report.tokens.trained) == STARTER_TOKENS[-2:]


def test_the_starter_is_planned_before_its_model_is_unpacked(tmp_path: Path) -> None:
    found = planning(tmp_path)
    facts, rows = found.facts(), found.rows()
    assert facts is not None and 130e6 < facts.parameters < 140e6
    assert (rows.rows, rows.held_out, rows.longest, rows.known) == (STARTER_ROWS, STARTER_HELD_OUT, 88, True)


def test_rows_nobody_looked_at_are_assumed(tmp_path: Path) -> None:
    assert planning(tmp_path, own(tmp_path, "qwen2.5-0.5b-instruct")).rows() == ASSUMED


def test_of_rows_whose_tokens_nobody_could_count_the_number_is_known(tmp_path: Path) -> None:
    """The model that would count them is not on this machine yet."""
    found = planning(tmp_path, own(tmp_path, "qwen2.5-0.5b-instruct"))
    found.checked(msgspec.structs.replace(REPORT, rows_kept=60, tokens=None))
    rows = found.rows()
    assert (rows.rows, rows.held_out, rows.known) == (57, 3, False)
    assert (rows.longest, rows.mean) == (ASSUMED.longest, ASSUMED.mean)
    few = found.recommend()
    found.draft.data_file = "others.jsonl"
    many = found.recommend()
    assert few is not None and many is not None
    few_rows, many_rows = (plans.plan("balanced").spec.training.batch_size for plans in (few, many))
    assert few_rows < many_rows  # or a few rows would make a handful of steps, in which nothing is learned


def test_a_finished_check_counts_for_the_data_it_was_of(tmp_path: Path) -> None:
    found = planning(tmp_path, own(tmp_path, "qwen2.5-0.5b-instruct"))
    found.checked(REPORT)
    rows = found.rows()
    assert (rows.rows, rows.held_out, rows.longest, rows.mean, rows.known) == (950, 50, 400, 100.0, True)
    found.draft.typed["data.held_out_fraction"] = "0.2"
    assert (found.rows().rows, found.rows().held_out) == (800, 200)
    found.draft.data_file = "others.jsonl"
    assert found.rows() == ASSUMED


def test_a_folder_that_cannot_be_read_has_no_forecast(tmp_path: Path) -> None:
    draft = Draft.starter()
    draft.model, draft.model_folder = "own", str(tmp_path)
    found = planning(tmp_path, draft)
    assert found.facts() is None and found.forecast(draft.spec()) is None and found.recommend() is None


def test_all_of_the_catalogue_is_judged_for_what_is_free_now(tmp_path: Path) -> None:
    found = planning(tmp_path)
    badges = found.badges()
    assert len(badges) >= 139
    assert badges["qwen2.5-0.5b-instruct"].verdict == "fits" and badges["qwen2.5-72b-instruct"].verdict == "not"
    found.machine = None
    assert found.badges() == {}
