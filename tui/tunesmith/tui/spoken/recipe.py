"""Step 5 in plain lines: a plan, any value of it, what it needs; the start."""

from __future__ import annotations

from pathlib import Path

from tunesmith.recipes.errors import RecipeError, nearest
from tunesmith.tui import plan_text
from tunesmith.tui.draft import Draft
from tunesmith.tui.forecast_text import bytes_range, missing, summary, time_range
from tunesmith.tui.planning import Planning
from tunesmith.tui.spoken.asking import Asker
from tunesmith.tui.texts import t

PRESET, START, CHANGE, SHOW, SAVE = "preset", "start", "change", "show", "save"


def recipe(ask: Asker, draft: Draft, planning: Planning) -> bool:
    """Whether it is to be started although it does not fit."""
    choose_plan(ask, draft, planning)
    while True:
        force = False
        try:
            found = planning.forecast(draft.spec())
        except RecipeError as error:
            ask.fault(error)
            change(ask, draft)
            continue
        if found is not None:
            ask.say(*summary(*found))
            force = not found[1].holds
        options = [
            (START, t("forecast.anyway_yes") if force else t("keys.start")),
            (CHANGE, t("spoken.change")),
            (SHOW, t("keys.yaml")),
            (SAVE, t("keys.save")),
        ]
        match ask.choose(t("recipe.title"), options, CHANGE if force else START, t("spoken.recipe_why")):
            case "start" if force and found is not None:
                question = t("forecast.anyway_question", what=missing(found[1]))
                if ask.sure(question, t("forecast.anyway_yes"), t("forecast.anyway_no"), t("spoken.recipe_why")):
                    return True
            case "start":
                return False
            case "change":
                change(ask, draft)
            case "show":
                ask.say(yaml(draft))
            case "save":
                save(ask, draft)


def choose_plan(ask: Asker, draft: Draft, planning: Planning) -> None:
    try:
        plans = planning.recommend()
    except RecipeError:
        return  # a wrong value: it is named next
    if plans is None or not plans.plans:
        ask.say(t("forecast.unknown"))
        return
    if plans.refusal is not None:
        ask.say(f"{t('spoken.warning')} {plan_text.reason(plans.refusal)}")
    options = [(PRESET, t("forecast.preset"))] if draft.of_starter and not draft.plan else []
    for plan in plans.plans:
        verdict = t(f"forecast.{plan.fit.verdict}")
        memory, time = bytes_range(*plan.forecast.range), time_range(*plan.forecast.seconds_range)
        options.append((plan.key, f"{t(f'forecast.{plan.key}')}: {verdict}, {memory}, {time}"))
    default = draft.plan or (PRESET if options[0][0] == PRESET else plans.recommended or options[0][0])
    chosen = ask.choose(t("spoken.plan_question"), options, default, t("recipe.lead"))
    if chosen != PRESET:
        draft.follow(chosen, plans.plan(chosen).spec)


def change(ask: Asker, draft: Draft) -> None:
    """One value, as `training.epochs=2`; a wrong one is said and not kept."""
    values = {value.key: value for value in draft.values()}
    every = "\n".join(f"{key}={draft.text(value)}. {value.label}: {value.explanation}" for key, value in values.items())
    typed = ask.text(t("spoken.change_question"), "", every)
    key, equals, text = (part.strip() for part in typed.partition("="))
    if not typed:
        return
    if not equals or key not in values:
        ask.say(t("spoken.no_value", text=typed), nearest(key, values))
        return
    before = dict(draft.typed)
    draft.set(values[key], text)
    if (error := draft.error(values[key])) is not None:
        draft.typed = before
        ask.fault(error)


def yaml(draft: Draft) -> str:
    from tunesmith.recipes.spec import to_yaml

    return to_yaml(draft.spec())


def save(ask: Asker, draft: Draft) -> None:
    """An existing file is replaced only by who insists."""
    path = Path(ask.text(t("recipe.save_title"), f"{draft.spec().name}.yaml", t("recipe.save_hint"))).expanduser()
    if path.exists() and not ask.sure(
        t("recipe.save_exists", path=path), t("spoken.replace"), t("spoken.keep"), t("recipe.save_hint")
    ):
        return
    try:
        path.write_text(yaml(draft), "utf-8")
    except OSError as error:
        ask.say(t("recipe.save_failed", path=path, error=error.strerror), t("recipe.save_failed_hint"))
        return
    ask.say(t("recipe.saved", path=path.absolute()))
