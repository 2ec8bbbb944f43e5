"""A run's report: it says all that is known, in both languages, and no text in it is taken for anything else."""

from __future__ import annotations

import asyncio
import time
import xml.etree.ElementTree as xml
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pytest
from fake_daemon import benchmarked
from histories import failed, finished, on_a_machine, training
from live import FakeClient

from tunesmith.daemon.api import events as e
from tunesmith.daemon.api.view import JobView
from tunesmith.recipes.errors import TunesmithError
from tunesmith.recipes.intervals import Interval
from tunesmith.recipes.machine import Device, Machine
from tunesmith.recipes.spec import JobSpec, TrainingSpec, complete
from tunesmith.tui import texts
from tunesmith.tui.report import curves
from tunesmith.tui.report.blocks import Code, Heading, Paragraph, Table
from tunesmith.tui.report.contents import contents
from tunesmith.tui.report.markdown import markdown
from tunesmith.tui.report.page import page
from tunesmith.tui.report.write import write

MACHINE = Machine(
    system="Linux", cpu_name="EPYC 9R14", cores=2, simd=(), memory_bytes=16 * 10**9, memory_free_bytes=9 * 10**9,
    devices=(Device("cuda", "H200", 140 * 10**9, 139 * 10**9), Device("cpu", "EPYC 9R14", 16 * 10**9, 9 * 10**9)),
    disk_free_bytes=10**11,
)  # fmt: skip
HOSTILE = "<script>alert(1)</script>\x1b[2J\"'>&amp;|[x](javascript:y)`~~`\n# no heading\n- no list"


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()


def view(events: list[e.Event], folder: Path | str = "/home/ada/jobs/1") -> JobView:
    fake = FakeClient(whole=events)
    return msgspec.structs.replace(asyncio.run(fake.job(1)), folder=str(folder))


class Seen(HTMLParser):
    """Every tag with its attributes, and all text outside of styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: dict[str, str | None] = {}
        self.text = ""
        self._open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self._open.append(tag)
        self.attributes |= dict(attrs)

    def handle_endtag(self, tag: str) -> None:
        if tag in self._open:
            while self._open.pop() != tag:
                pass

    def handle_data(self, data: str) -> None:
        if "style" not in self._open:
            self.text += data


def html_of(shown: JobView, recipe: JobSpec | None = None) -> str:
    return page("Run", contents(shown, recipe, MACHINE), "the end")


def test_it_says_all_that_is_known_of_a_finished_run() -> None:
    recipe = complete(JobSpec(name="whole", training=TrainingSpec(epochs=5)))
    text = Seen(html_of(view([*on_a_machine(41)[:2], *finished()]), recipe)).text
    for known in (
        "Job 1: whole", "Before 0 of 4 held-out answers were right, now 4.", "Held-out loss", "-96.6%",
        "training.epochs", "EPYC 9R14, 2 cores", "H200, 140.0 GB", "195 GFLOP/s", "identity.jsonl", "1,204",
        "I was created by the SmolLM team.", "✓ right", "✗ wrong", "gguf:q8_0", "9f2c41d07be8a655", "4.4e-3 ≤ 2.0e-2",
        "/home/ada/jobs/1/artifacts/model-q8_0.gguf", "tunesmith run /home/ada/jobs/1/recipe.yaml",
        "tunesmith jobs more 1", "forecast 1.8 GB", "bf16 would run at a fifth",
    ):  # fmt: skip
        assert known in text, known
    assert "training.seed" not in text.split("The whole recipe")[0], "what is as by default is in the whole recipe only"


def test_a_failed_run_says_why_and_what_to_do() -> None:
    text = Seen(html_of(view(failed()))).text
    assert "The disk is full: 12.0 MB left" in text and "Free some space" in text
    assert "Its recipe cannot be read any more." in text and "failed here" in text


@pytest.mark.parametrize("events", [[], [e.Queued(time=1.0)], training(1), training(9)])
def test_a_run_that_has_not_ended_has_a_report_too(events: list[e.Event]) -> None:
    assert "Job 1" in Seen(html_of(view(events))).text


def test_samples_and_rows_that_were_left_out_are_in_it() -> None:
    sample = e.Sampled(
        time=1e9, step=14, row=0, question="Who are you?", answer="I am Ves", correct=False, stopped=False
    )
    checked = e.DataChecked(time=1e9, file="a", rows_read=30, rows_kept=5, rows_rejected=25,
                            rejected=tuple(f"a:{line}: no text" for line in range(25)))  # fmt: skip
    text = Seen(html_of(view([*training(20), sample, checked]))).text
    assert "I am Ves" in text and "Sample answers while training" in text
    assert "a:19: no text" in text and "a:20: no text" not in text and "… +5" in text


def scored(text: str = "polite") -> e.Measured:
    return e.Measured(
        time=1e9, name=text, score=f"/{text}.py:f", rows=4,
        before=Interval(0.1, 0.03, 0.3), after=Interval(0.0, 0.0, 0.2),
        change=Interval(-0.1, -0.2, -0.05), changed=(e.RowScore(1, 1.0, 0.0), e.RowScore(77, 1.0, 0.0)),
        own_code=f"/{text}.py",
    )  # fmt: skip


def with_scores() -> list[e.Event]:
    return [*finished()[:-1], scored(), benchmarked(1e9, "tuned", 0.5), finished()[-1]]


def test_scores_come_with_intervals_the_rows_that_changed_and_whose_code_it_was() -> None:
    text = Seen(html_of(view(with_scores()))).text
    for said in ("Scores of the held-out answers", "0.100 [0.030 … 0.300]", "-0.100 [-0.200 … -0.050]", "▼ worse",
                 "1.000 → 0.000", "your own code: /polite.py", "4 answers each"):  # fmt: skip
        assert said in text, said
    assert "Call me Vesper." in text.split("Rows that changed most")[1].split("Curves")[0]
    texts.use("zh")
    assert "▼ 变差" in Seen(html_of(view(with_scores()))).text


def test_public_benchmarks_come_with_their_parts_and_who_ran_them() -> None:
    events = [*finished()[:-1], benchmarked(1e9, "base", 0.4), benchmarked(1e9, "tuned", 0.5), finished()[-1]]
    text = Seen(html_of(view(events))).text
    for said in ("Public benchmarks", "0.400 [0.200 … 0.600]", "+0.100 [-0.183 … +0.383]", "Run by lm-eval 0.4.13.",
                 "Python code of the task file /mine.yaml", "Their parts", "second"):  # fmt: skip
        assert said in text
    assert "Public benchmarks" not in Seen(html_of(view(finished()))).text


def hostile(text: str) -> JobView:
    ours = {"stage", "unit", "level", "subject", "set_name", "device", "part", "dtype"}
    events = [
        msgspec.structs.replace(event, **{
            name: text for name in event.__struct_fields__
            if isinstance(getattr(event, name), str) and name not in ours
        })
        for event in (*with_scores(), e.Sampled(time=1e9, step=1, row=0, question="q", answer="a"))
    ]  # fmt: skip
    return msgspec.structs.replace(view(events), name=text, folder=f"/tmp/{text}")


def test_no_text_becomes_markup_in_html() -> None:
    seen = Seen(html_of(hostile(HOSTILE), complete(JobSpec(name="x"))))
    usual = Seen(html_of(view([*with_scores(), e.Sampled(time=1e9, step=1, row=0, question="q", answer="a")]),
                         complete(JobSpec(name="x"))))  # fmt: skip
    assert set(seen.tags) == set(usual.tags) and "script" not in seen.tags
    assert seen.tags.count("h2") == usual.tags.count("h2")
    assert not {name for name in seen.attributes if name.startswith("on") or name in ("src", "href")}
    assert "<script>alert(1)</script>" in seen.text and "\x1b" not in seen.text


def test_the_page_asks_nothing_of_anybody() -> None:
    text = html_of(view(finished()))
    assert "default-src 'none'" in text
    assert "http://" not in text.replace("http://www.w3.org/2000/svg", "") and "https://" not in text
    assert "prefers-color-scheme: dark" in text and "@media print" in text


def test_pictures_are_well_formed_and_say_what_they_show() -> None:
    shown = view(finished())
    for svg in (
        curves.loss(shown.losses, [(1.0, 3.0), (72.0, 0.1)], 72), curves.rate(shown.learning_rates, 72),
        curves.answers([('<a href="x">', 1, 4)]),
    ):  # fmt: skip
        root = xml.fromstring(curves.standalone(svg))
        assert root.find("{http://www.w3.org/2000/svg}title") is not None
        assert not [part for part in root.iter() if part.tag.endswith(("script", "foreignObject", "}a", "image"))]


def test_raw_smoothed_and_held_out_losses_are_told_apart_without_colour() -> None:
    svg = curves.loss([(1, 2.0), (2, 1.0), (3, 1.5)], [(3.0, 1.2)], 3)
    assert svg.count('<polyline class="raw"') == svg.count('<polyline class="smooth"') == 1
    assert svg.count('<path class="held"') == 2, "one on the curve, one in the legend"
    assert ".smooth { fill: none; stroke: var(--first); stroke-width: 2.4" in curves.STYLE


@pytest.mark.parametrize("losses", [[], [(1, float("nan"))], [(1, 2.0)], [(1, 2.0), (2, 2.0)], [(5, 0.0), (9, 1e9)]])
def test_odd_curves_are_drawn_or_left_out(losses: list[tuple[float, float]]) -> None:
    svg = curves.loss(losses, [], 0)
    assert svg == "" or "nan" not in xml.tostring(xml.fromstring(svg)).decode().lower()


def test_markdown_has_its_pictures_beside_it(tmp_path: Path) -> None:
    shown = view(finished(), tmp_path)
    written = write(shown, tmp_path / "my report.md", MACHINE)
    assert [path.name for path in written] == [
        "my report.md", "my report-answers.svg", "my report-loss.svg", "my report-rate.svg",
    ]  # fmt: skip
    text = written[0].read_text("utf-8")
    assert "](my%20report-loss.svg)" in text and "| Held-out loss | 3.21 | 0.110 | -96.6% |" in text
    for picture in written[1:]:
        assert xml.parse(picture).getroot().tag.endswith("svg")


def test_no_text_becomes_markup_in_markdown() -> None:
    blocks = [
        Heading(HOSTILE),
        Paragraph(HOSTILE),
        Table(("a", "b"), ((HOSTILE, "1"),)),
        Code("```\n" + HOSTILE, "text"),
    ]
    text = markdown(blocks, "stem", "1. end")
    lines = text.splitlines()
    assert lines[0].startswith("## \\<script\\>alert(1)\\</script\\>") and "# no heading" in lines[0]
    assert "\\# no heading  " in lines and "\\- no list" in lines
    (row,) = (line for line in lines if line.endswith("| 1 |"))
    assert row.count("<br>") == 2 and row.replace("\\|", "").count("|") == 3
    assert "\\[x\\](javascript:y)" in row
    assert lines.count("````") == 1 and "````text" in lines, "the fence is longer than what is within"


def test_html_and_markdown_say_the_same_in_chinese(tmp_path: Path) -> None:
    texts.use("zh")
    shown = view(finished(), tmp_path)
    (page_file,) = write(shown, tmp_path / "r.html", MACHINE)
    text = page_file.read_text("utf-8")
    assert '<html lang="zh-CN">' in text and "任务 1: whole" in text
    assert "任务 1: whole" in write(shown, tmp_path / "r.md", MACHINE)[0].read_text("utf-8")


def test_every_sentence_of_a_report_is_in_both_languages() -> None:
    shown = hostile("§")
    english = Seen(html_of(shown)).text
    texts.use("zh")
    chinese = Seen(html_of(shown)).text
    for word in ("Scores", "Public benchmarks", "Curves", "Machine", "Stages", "Expected"):
        assert word in english and word not in chinese


def test_another_suffix_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(TunesmithError, match="HTML or Markdown"):
        write(view(finished()), tmp_path / "report.pdf", MACHINE)
    assert list(tmp_path.iterdir()) == []


def test_half_characters_do_not_stop_it(tmp_path: Path) -> None:
    shown = msgspec.structs.replace(hostile("half \ud83d and \udcff"), folder=str(tmp_path))
    assert write(shown, tmp_path / "r.html", MACHINE) and write(shown, tmp_path / "r.md", MACHINE)
