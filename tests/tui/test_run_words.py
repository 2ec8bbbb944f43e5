"""What is said of a run: in another language by its code, in English and for what nobody knows as it came."""

from __future__ import annotations

import pytest
from histories import START

from tunesmith.daemon.api import events as e
from tunesmith.daemon.api import wording
from tunesmith.recipes.data.checking.findings import FINDINGS
from tunesmith.recipes.data.reasons import REASONS
from tunesmith.recipes.data.rows import FileNotice, RejectedRow
from tunesmith.recipes.errors import MachineError
from tunesmith.recipes.words import (
    Said,
    of_error,
    of_file,
    of_finding,
    of_resource,
    of_row,
    of_stage,
    of_subject,
    reasons,
    say,
)  # fmt: skip
from tunesmith.tui import texts
from tunesmith.tui.cli.computing_text import path_text
from tunesmith.tui.run_words import inexact_text, notice_text, rejected_texts, said_text, verification_text
from tunesmith.tui.widgets.feed import item

NOT_A_NUMBER = say("not_a_number", "Step {step}: loss or gradient is not a number.", step=7)
DEVICE = say("cuda_kernel", "a CUDA kernel; this device is {device}", device="cpu")


def test_english_is_what_the_worker_wrote() -> None:
    assert notice_text(wording.notice("warning", NOT_A_NUMBER)) == NOT_A_NUMBER


def test_a_notice_is_said_in_the_persons_language_on_screen() -> None:
    texts.use("zh")
    said = item(wording.notice("warning", NOT_A_NUMBER)).plain
    assert said == "! 第 7 步：损失或梯度不是数值。"


def test_a_notice_of_another_version_stays_as_it_came() -> None:
    texts.use("zh")
    assert notice_text(e.Notice(time=START, level="info", text="Old.")) == "Old."
    assert notice_text(e.Notice(time=START, level="info", text="New.", code="of_a_newer_daemon")) == "New."
    fewer = e.Notice(time=START, level="info", text="Step 7.", code="not_a_number")
    assert notice_text(fewer) == "第 … 步：损失或梯度不是数值。"


def test_a_language_that_nobody_has_written_shows_english(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(texts, "_language", "pt")
    assert said_text(NOT_A_NUMBER.said) == NOT_A_NUMBER


def test_reasons_within_a_path_are_said_one_by_one() -> None:
    texts.use("zh")
    slower = [say("of_backend", "{name}: {why}", name="flash-attn 2", why=DEVICE), "a library's own words"]
    path = wording.path("attention", "SDPA per segment", reasons(slower), fastest=False)
    assert "flash-attn 2：这是 CUDA 内核；此设备是 cpu；a library's own words" in path_text(path).plain


def test_an_error_within_a_sentence_is_explained_and_kept() -> None:
    texts.use("zh")
    error = MachineError("weights are not what they were", code="corrupt")
    said = said_text(say("fetched_again", "{error}. It is fetched again.", error=of_error(error)).said)
    assert said.endswith("(原文：weights are not what they were)。将重新获取。") and not said.startswith("weights")


@pytest.mark.parametrize("language", [language for language in texts.LANGUAGES if language != "en"])
def test_whatever_is_explained_elsewhere_is_found_there(language: str) -> None:
    texts.use(language)
    found = [of_finding(code, "Odd.", 3) for code in FINDINGS]
    found += [of_row(RejectedRow("a.jsonl", 3, "Odd.", code, {})) for code in REASONS]
    notices = ("utf16", "utf32", "bom", "cp1252", "damaged", "cr", "crlf", "unnamed", "separator", "beside")
    found += [of_file(FileNotice("folder/a.csv", "Odd.", code, {"line": 2})) for code in notices]
    found += [of_stage(name) for name in e.STAGES] + [of_subject(name) for name in ("base", "tuned", "gguf")]
    found += [of_resource(what, "odd") for what in ("device", "host", "disk")]
    assert [one.said.code for one in found if said_text(one.said) == one] == []
    assert said_text(found[len(FINDINGS)].said).startswith("a.jsonl:3: ")


def test_rows_left_out_exports_that_failed_and_inexact_resumes_are_said_too() -> None:
    texts.use("zh")
    row = of_row(RejectedRow("a.jsonl", 3, "no token to learn from", "nothing_trained")).said
    checked = e.DataChecked(time=START, file="a.jsonl", rows_read=1, rows_kept=0, rows_rejected=1,
                            rejected=(row.text,), rejected_said=(row,))  # fmt: skip
    assert list(rejected_texts(checked)) == [f"a.jsonl:3: {texts.t('data.nothing_trained')}"]
    other = say("other_now", "{name} was {before} and is {now}", name="threads", before="2", now="4").said
    resumed = e.Resumed(
        time=START, step=3, attempt=2, exact=False, reasons=(other.text,) * 2, reasons_said=(other,) * 2
    )
    assert inexact_text(resumed) == "threads 原为 2，现为 4；threads 原为 2，现为 4"
    failed = e.Verified(
        time=START, key="gguf:q2_k", passed=False, kl_divergence=1.0, top1_agreement=0.5, tokens_compared=9,
        prompt_equal=True, token_ids_equal=True, kl_limit=0.1, why="it cuts text into other tokens", hint="Wait.",
        why_said=Said("it cuts text into other tokens", "other_tokens"),
    )  # fmt: skip
    assert verification_text(failed) == "它把文本切成了不同的词元。Wait."
