"""A finished run evaluated again in plain lines: by what it is, each value asked for, and what that needs."""

from __future__ import annotations

from tunesmith.recipes.errors import TunesmithError
from tunesmith.recipes.spec import JobSpec
from tunesmith.tui.benchmark_needs import asking, needs, seconds_range
from tunesmith.tui.evaluating import Evaluable, look_at_files
from tunesmith.tui.evaluation_form import BENCHMARKS, KINDS, ROWS, EvaluationForm
from tunesmith.tui.forecast_text import of_job
from tunesmith.tui.forms import SCORES, SUITES, Value
from tunesmith.tui.planning import Planning
from tunesmith.tui.spoken.asking import Asker
from tunesmith.tui.texts import t
from tunesmith.tui.widgets.name_choices import OFFERED

START, CHANGE = "start", "change"


def evaluate(ask: Asker, found: Evaluable, planning: Planning) -> JobSpec:
    """The job that a person wants. Raises Back, Quit."""
    form = EvaluationForm(found)
    kinds = [(kind, t(f"evaluate.kind_{kind}")) for kind in KINDS]
    while True:
        form.kind = ask.choose(t("evaluate.kind"), kinds, form.kind, t("evaluate.help_kind"))
        if form.kind == ROWS:
            hint = f"{t('evaluate.help_data')} {t('evaluate.data_placeholder')}"
            form.data = ask.text(t("evaluate.data"), form.data, hint)
        for value in form.asked():
            one_value(ask, form, value)
        try:
            spec = form.spec()
            look_at_files(spec)
        except TunesmithError as error:
            ask.fault(error)
            continue
        say_needs(ask, form, spec, planning)
        options = ((START, t("evaluate.key")), (CHANGE, t("spoken.change")))
        if ask.choose(t("spoken.evaluate_question"), options, START, t("evaluate.help_kind")) == START:
            return spec


def one_value(ask: Asker, form: EvaluationForm, value: Value) -> None:
    """Asked again while it is wrong."""
    why = form.explanation(value)
    if value.key in (SUITES, SCORES):
        why += "\n" + "\n".join(f"{name}: {blurb}" for name, blurb in OFFERED[value.key][1]())
    while True:
        if value.choices:
            text = ask.choose(value.label, [(one, one) for one in value.choices], form.text(value), why)
        else:
            text = ask.text(value.label, form.text(value), why)
        form.set(value, text)
        error = form.error(value)
        if error is None:
            return
        ask.fault(error)


def say_needs(ask: Asker, form: EvaluationForm, spec: JobSpec, planning: Planning) -> None:
    found = planning.forecast_here(spec, form.found.facts, form.found.rows(form.data.strip()))
    stage = None
    if form.kind == BENCHMARKS and spec.benchmark is not None:
        ask.say(*needs(spec.benchmark, None if found is None else found[0], planning.home))
        stage = None if found is None else asking(found[0])
    if found is not None:
        ask.say(*of_job(*found, found[0].seconds_range if stage is None else seconds_range(stage)))
