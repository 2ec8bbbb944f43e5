"""What lm-evaluation-harness 0.4.13 and EvalScope 1.14.1 leave behind and print, as recorded, is read as meant."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from tunesmith.daemon.worker.suites import output as printing
from tunesmith.daemon.worker.suites import results
from tunesmith.daemon.worker.suites.output import Output
from tunesmith.daemon.worker.suites.relay import Refused
from tunesmith.recipes.errors import EvaluationError

RECORDED = Path(__file__).parents[1] / "recorded" / "suites"


def recorded(name: str) -> Any:
    return json.loads((RECORDED / f"{name}.json").read_bytes())


def test_the_harness_tells_a_figure_with_its_standard_error() -> None:
    found = results.lm_eval(recorded("lm-eval"), "choices", "acc_norm")
    assert (found.metric, found.questions, found.figure.value, found.parts) == ("acc_norm", 20, 1.0, ())
    assert found.error == 0.0 and found.figure.low == pytest.approx(0.839, abs=1e-3), "20 of 20 are no proof of all"


def test_of_a_group_the_figure_is_the_groups_and_its_tasks_are_its_parts() -> None:
    found = results.lm_eval(recorded("lm-eval-group"), "both", "acc")
    assert (found.questions, found.figure.value) == (10, 0.1)
    assert [(part.name, part.value, part.questions) for part in found.parts] == [("first", 0.2, 5), ("second", 0.0, 5)]


def test_a_figure_behind_a_filter_is_found_by_its_whole_name_and_without_one_the_first_is_taken() -> None:
    said = recorded("lm-eval")
    said["results"]["choices"] = {
        "alias": "x",
        "exact_match,strict": 0.0,
        "exact_match_stderr,strict": "N/A",
        "exact_match,flexible-extract": 0.5,
    }
    found = results.lm_eval(said, "choices", "exact_match,flexible-extract")
    assert (found.metric, found.figure.value) == ("exact_match (flexible-extract)", 0.5)
    assert found.error == pytest.approx(math.sqrt(0.25 / 20))
    assert results.lm_eval(said, "choices", "").metric == "exact_match (strict)"
    for name, metric in (("choices", "acc"), ("other", "")):
        with pytest.raises(EvaluationError) as caught:
            results.lm_eval(said, name, metric)
        assert caught.value.code == "suite_failed"


def test_a_figure_that_is_no_share_has_the_normal_interval() -> None:
    found = results.found("perplexity", 100, 12.0, 0.5, ())
    assert (found.figure.low, found.figure.high) == (pytest.approx(11.02, abs=0.01), pytest.approx(12.98, abs=0.01))


def test_evalscope_tells_its_main_figure_or_the_one_that_is_asked_for() -> None:
    found = results.evalscope(recorded("evalscope-choices"), "general_mcq", "")
    assert (found.metric, found.questions, found.figure.value, found.unanswered) == ("accuracy", 60, 0.2, 0)
    said = recorded("evalscope-questions")
    assert results.evalscope(said, "general_qa", "").metric == "rouge.recall.l"
    asked = results.evalscope(said, "general_qa", "rouge.f1.l")
    assert asked.figure.value == pytest.approx(0.555, abs=1e-3)
    said["execution_summary"] |= {"succeeded": 58, "errored": 2}
    assert results.evalscope(said, "general_qa", "rouge.f1.l").unanswered == 2


@pytest.fixture
def output(tmp_path: Path) -> Output:
    path = tmp_path / "output.log"
    path.touch()
    return Output(path)


def printed(output: Output, text: str) -> None:
    with output.path.open("a") as file:
        file.write(text)
    output.look()


def test_the_bars_of_both_tools_say_how_far_they_are_and_stay_out_of_the_log(
    output: Output, capfd: pytest.CaptureFixture[str]
) -> None:
    printed(output, "Generating test split: 60 examples [00:00, 34516.29 examples/s]\nTokenizing:  50%|█| 3/6 [00:00<")
    assert (output.done, output.total) == (0, 0)
    printed(output, "00:00]\rRequesting API:   8%|▊         | 5/60 [00:03<00:28,  1.96it/s]\rRequesting API:  15%|█▌ ")
    assert (output.done, output.total) == (5, 60)
    printed(output, "       | 9/60 [00:03<00:17,  2.91it/s]\r")
    assert (output.done, output.total) == (9, 60)
    printed(
        output, "Evaluating[general_qa]:   2%|▏         | 1/80 [00:05<05:07,  5.21s/it]\x1b[A\r\x1b[32mhello\x1b[0m\n"
    )
    assert (output.done, output.total) == (1, 80)
    assert capfd.readouterr().err == "Generating test split: 60 examples [00:00, 34516.29 examples/s]\nhello\n"


def test_what_was_read_of_a_long_output_is_let_go_of(output: Output, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(printing, "FILE_BYTES", 200)
    printed(output, "x\n" * 100)
    assert output.path.stat().st_size == 0
    printed(output, "Requesting API: 100%|██████████| 60/60 [00:31<00:00,  1.88it/s]\n")
    assert output.done == 60


LM_EVAL_OFFLINE = """Traceback (most recent call last):
  File "load.py", line 1, in <module>
ConnectionError: Couldn't reach 'openai/gsm8k' on the Hub (OfflineModeIsEnabled)
"""
EVALSCOPE_OFFLINE = """    raise _DownloadDeadlineError("download")
modelscope_hub._download_control._DownloadDeadlineError: [E1001] download
"""


def test_why_there_is_no_result_is_told_with_a_way_on(output: Output) -> None:
    printed(output, "ValueError: No valid task\n")
    failed = output.why("GSM8K", "lm-eval", None)
    assert failed.code == "suite_failed" and "ValueError: No valid task" in failed.message
    for said in (LM_EVAL_OFFLINE, EVALSCOPE_OFFLINE):
        printed(output, said)
        missing = output.why("GSM8K", "lm-eval", None)
        assert missing.code == "suite_data" and "Offline: run it once" in missing.hint
    refused = output.why("GSM8K", "lm-eval", Refused("context_length_exceeded", "The text is too long"))
    assert refused.code == "suite_refused" and "The text is too long" in refused.message


def test_a_metric_that_evalscope_counts_as_0_because_it_could_not_compute_it_is_seen(output: Output) -> None:
    printed(output, "2026 - evalscope - ERROR: Error calculating metric BLEU: Resource 'punkt_tab' not found.\n")
    assert output.not_scored.startswith("BLEU")
