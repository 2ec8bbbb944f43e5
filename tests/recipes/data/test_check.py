"""A check accounts for every row, says what is wrong with the data, and leaves no half-written file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tunesmith.recipes.data.checking.check import Options, check
from tunesmith.recipes.data.checking.report import Finding, Report
from tunesmith.recipes.errors import DataError

Row = dict[str, Any]


def chat(question: str, answer: str, **more: Any) -> Row:
    messages = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return {"messages": messages, **more}


def written(path: Path, *rows: Row | str) -> str:
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return str(path)


def checked(*files: str, **options: Any) -> Report:
    *growing, last = check(Options(files=files, processes=1, **options))
    assert all(not report.finished for report in growing)
    assert last.finished
    assert last.rows_read == last.rows_kept + last.rows_rejected
    return last


def finding(report: Report, code: str) -> Finding:
    return next(finding for finding in report.findings if finding.code == code)


def codes(report: Report) -> list[str]:
    return [finding.code for finding in report.findings]


def test_good_data_is_usable_and_has_nothing_to_report(tmp_path: Path) -> None:
    report = checked(written(tmp_path / "a.jsonl", chat("Hi", "Hello"), chat("Bye", "See you")))
    assert (report.rows_read, report.rows_kept, report.shape) == (2, 2, "messages")
    assert report.usable and report.findings == () and report.formats == {"jsonl": 1}
    assert report.tokens is None and report.packing is None and report.fully_masked is None
    assert [sample.line for sample in report.samples] == [1, 2]


def test_bad_rows_are_counted_by_reason_and_all_written_down(tmp_path: Path) -> None:
    rejected = tmp_path / "rejected.jsonl"
    file = written(tmp_path / "a.jsonl", chat("Hi", "Hello"), "{broken", chat("Hi", ""), "[1]", "{broken")
    report = checked(file, rejected=str(rejected))
    assert report.rows_kept == 1 and report.usable
    assert {reason.code: reason.rows for reason in report.reasons} == {"not_json": 2, "no_content": 1, "not_object": 1}
    lines = [json.loads(line) for line in rejected.read_text("utf-8").splitlines()]
    assert [(line["file"], line["line"]) for line in lines] == [(file, 2), (file, 3), (file, 4), (file, 5)]
    assert all(line["reason"] for line in lines)
    assert finding(report, "rejected").rows == 4
    assert report.rejected_file == str(rejected)


def test_an_earlier_file_of_rejected_rows_is_replaced_and_goes_when_nothing_is_rejected(tmp_path: Path) -> None:
    rejected = tmp_path / "rejected.jsonl"
    bad = written(tmp_path / "a.jsonl", chat("Hi", "Hello"), "{")
    checked(bad, rejected=str(rejected))
    checked(bad, rejected=str(rejected))
    assert len(rejected.read_text("utf-8").splitlines()) == 1
    assert checked(written(tmp_path / "b.jsonl", chat("Hi", "Hello")), rejected=str(rejected)).rejected_file is None
    assert not rejected.exists()


def test_a_file_of_the_person_is_never_overwritten_with_rejected_rows(tmp_path: Path) -> None:
    mine = written(tmp_path / "mine.jsonl", {"dear": "diary"})
    bad = written(tmp_path / "a.jsonl", "{")
    with pytest.raises(DataError, match="no file of rejected rows"):
        checked(bad, rejected=mine)
    with pytest.raises(DataError, match="one of the files to check"):
        checked(bad, rejected=bad)
    assert json.loads(Path(mine).read_text("utf-8")) == {"dear": "diary"}


def test_rejected_rows_of_an_earlier_check_are_no_data(tmp_path: Path) -> None:
    file = written(tmp_path / "a.jsonl", chat("Hi", "Hello"), "{")
    checked(file, rejected=str(tmp_path / "a.jsonl.rejected.jsonl"))
    report = checked(str(tmp_path))
    assert report.files == (file,)
    assert "earlier check" in report.notices[0].text


def test_a_check_that_is_closed_early_leaves_nothing(tmp_path: Path) -> None:
    file = written(tmp_path / "a.jsonl", "{", *[chat(str(number), "Hello") for number in range(20_000)])
    reports = check(Options(files=(file,), rejected=str(tmp_path / "r.jsonl"), processes=1))
    assert not next(reports).finished
    reports.close()  # type: ignore[attr-defined]
    assert [path.name for path in tmp_path.iterdir()] == ["a.jsonl"]


def test_reports_grow_and_each_of_them_adds_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tunesmith.recipes.data.checking.check.REPORT_EVERY_S", 0.0)
    file = written(tmp_path / "a.jsonl", *[chat(str(number), "Hello " * 40) for number in range(12_000)], "{")
    reports = list(check(Options(files=(file,), processes=1)))
    assert len(reports) > 2
    assert all(report.rows_read == report.rows_kept + report.rows_rejected for report in reports)
    assert sorted(report.rows_read for report in reports) == [report.rows_read for report in reports]
    assert reports[-1].rows_read == 12_001


@pytest.mark.parametrize("content", ["", "\n\n", "{\n[\nnull\n"])
def test_files_without_one_usable_row_have_a_report_all_the_same(tmp_path: Path, content: str) -> None:
    (tmp_path / "a.jsonl").write_text(content, "utf-8")
    report = checked(str(tmp_path / "a.jsonl"))
    assert report.shape is None and report.rows_kept == 0 and not report.usable
    assert report.findings[0].level == "error"


def test_rows_of_no_known_shape_are_all_rejected_with_what_to_map(tmp_path: Path) -> None:
    report = checked(written(tmp_path / "a.jsonl", {"q": "Hi", "reply": "Hello"}, "{", {"q": "Bye", "reply": "Ciao"}))
    assert (report.rows_read, report.rows_rejected, report.shape) == (3, 3, None)
    assert not report.usable
    assert "--map" in finding(report, "no_shape").hint


def test_a_mapping_makes_such_rows_usable(tmp_path: Path) -> None:
    file = written(tmp_path / "a.jsonl", {"q": "Hi", "reply": "Hello"})
    report = checked(file, mapping={"q": "query", "reply": "response"})
    assert (report.shape, report.rows_kept) == ("query_response", 1)
    with pytest.raises(DataError, match="No row has a column 'r'"):
        checked(file, mapping={"r": "response"})


def test_copies_are_counted_across_files(tmp_path: Path) -> None:
    one = written(tmp_path / "a.jsonl", chat("Hi", "Hello"), chat("Hi", "Hello", id=7))
    other = written(tmp_path / "b.jsonl", chat("Hi", "Hello"), chat("Bye", "Ciao"))
    report = checked(one, other)
    assert report.duplicates == 2
    assert finding(report, "duplicates").level == "warning"


def test_rows_of_the_evaluation_data_are_found(tmp_path: Path) -> None:
    train = written(tmp_path / "a.jsonl", chat("Hi", "Hello"), chat("Bye", "Ciao"), chat("Who?", "Me"))
    held_out = written(tmp_path / "b.jsonl", chat("Hi", "Hello"), chat("Bye", "So long"))
    report = checked(train, evaluation=(held_out,))
    assert (report.overlap, report.same_question) == (1, 1)
    assert checked(train).overlap is None


def test_labels_of_kto_are_counted_and_a_rare_one_is_told(tmp_path: Path) -> None:
    rows = [{"prompt": f"{number}?", "completion": "Yes", "label": number > 0} for number in range(20)]
    report = checked(written(tmp_path / "a.jsonl", *rows))
    assert (report.shape, report.labels) == ("kto", {"True": 19, "False": 1})
    assert finding(report, "rare_label").rows == 1


def test_the_figures_of_a_model(tmp_path: Path, starter_tokenizer_folder: Path) -> None:
    rows = [chat(f"Question {number}", "word " * number) for number in range(1, 41)]
    report = checked(written(tmp_path / "a.jsonl", *rows), model=str(starter_tokenizer_folder))
    tokens, packing = report.tokens, report.packing
    assert tokens is not None and packing is not None
    assert 0 < tokens.p50 < tokens.p95 <= tokens.p99 <= tokens.max
    assert 0 < tokens.trained < tokens.total
    assert sum(bar.rows for bar in report.histogram) == 40
    assert 0 < packing.rows < 40 and packing.max_length == tokens.max
    assert report.fully_masked == 0 and report.cut == 0


def test_rows_past_the_limit_are_refused_unless_they_are_dropped_or_cut(
    tmp_path: Path, starter_tokenizer_folder: Path
) -> None:
    file = written(tmp_path / "a.jsonl", chat("Hi", "Hello"), chat("Long", "word " * 300))
    model = str(starter_tokenizer_folder)
    refused = checked(file, model=model, max_length=100)
    assert refused.cut == 1 and not refused.usable and refused.rows_kept == 2
    assert finding(refused, "over_long").level == "error"
    dropped = checked(file, model=model, max_length=100, over_long="drop")
    assert dropped.cut == 1 and dropped.usable and dropped.rows_kept == 1
    cut = checked(file, model=model, max_length=100, over_long="cut_right")
    assert cut.cut == 1 and cut.usable and cut.rows_kept == 2
    assert cut.packing is not None and cut.packing.max_length == 100


def test_a_row_of_which_nothing_is_learned_is_told_and_all_of_them_are_an_error(
    tmp_path: Path, starter_tokenizer_folder: Path
) -> None:
    masked = chat("word " * 300, "Hello")
    model = str(starter_tokenizer_folder)
    options = {"model": model, "max_length": 60, "over_long": "cut_right"}
    some = checked(written(tmp_path / "a.jsonl", chat("Hi", "Hello"), masked), **options)
    assert some.fully_masked == 1 and some.usable
    assert finding(some, "fully_masked").level == "warning"
    every = checked(written(tmp_path / "b.jsonl", masked, masked), **options)
    assert every.fully_masked == 2 and not every.usable
    assert "all_masked" in codes(every)


def test_many_processes_find_what_one_does(tmp_path: Path) -> None:
    rows = [chat(str(number % 9000), "Hello " * 60) for number in range(10_000)]
    file = written(tmp_path / "a.jsonl", *rows, "{", chat("Hi", ""))
    (*_, several) = check(Options(files=(file,), processes=2))
    alone = checked(file)
    for name in ("rows_read", "rows_kept", "reasons", "rejected", "duplicates", "samples", "findings"):
        assert getattr(several, name) == getattr(alone, name)
    assert alone.duplicates == 1000


def test_a_file_that_begins_with_a_broken_line_loses_only_that_line(tmp_path: Path) -> None:
    for broken in ("{", "{broken", '{"messages": [', "garbage", "[1", ""):
        report = checked(written(tmp_path / "a.jsonl", broken, chat("Hi", "Hello"), chat("Bye", "Ciao")))
        assert (report.rows_read, report.rows_kept) == (3 if broken else 2, 2), broken
