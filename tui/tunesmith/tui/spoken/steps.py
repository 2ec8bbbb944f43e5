"""Steps 1 to 3 in plain lines: machine, goal, model; all that is chosen goes into the Draft."""

from __future__ import annotations

from tunesmith.recipes.errors import TunesmithError
from tunesmith.recipes.units import bytes_text
from tunesmith.tui import local_models, model_check
from tunesmith.tui.draft import GIVEN, OWN, Draft
from tunesmith.tui.forecast_text import badge_text
from tunesmith.tui.machine_text import processor
from tunesmith.tui.planning import Planning
from tunesmith.tui.screens.goal import said
from tunesmith.tui.screens.machine import figure, meaning, told
from tunesmith.tui.screens.model import facts_content
from tunesmith.tui.spoken.asking import Asker
from tunesmith.tui.texts import t
from tunesmith.tui.widgets.model_catalogue import about, fetched, line, matches

STARTER, CATALOGUE = "starter", "catalogue"
MODELS_SHOWN = 20  # a longer list is narrowed by a word


def machine(ask: Asker, draft: Draft, planning: Planning) -> str | None:
    """STARTER when the starter is to be run at once."""
    planning.look()
    if (found := planning.machine) is not None:
        for device in found.devices:
            if device.kind != "cpu":
                ask.say(f"{device.kind.upper()}: {figure(device)}. {meaning(device, found)}")
        trains = t("machine.cpu_trains") if found.device.kind == "cpu" else t("machine.cpu_helps")
        free, total = bytes_text(found.memory_free_bytes), bytes_text(found.memory_bytes)
        ask.say(f"{t('machine.cpu')}: {processor(found)}. {trains}")
        ask.say(f"{t('machine.memory')}: {t('machine.free_of', free=free, total=total)}.")
        disk = t("machine.free", free=bytes_text(found.disk_free_bytes))
        ask.say(f"{t('machine.disk')}: {disk}. {t('machine.disk_means')}")
        ask.say(*map(told, found.warnings) if found.warnings else (t("machine.all_well"),))
    options = (("on", t("keys.go_on")), (STARTER, t("keys.starter")))
    chosen = ask.choose(t("spoken.machine_question"), options, "on", t("spoken.machine_why"))
    return STARTER if chosen == STARTER else None


def goal(ask: Asker, draft: Draft, planning: Planning) -> None:
    from tunesmith.recipes.methods import cards

    options = [
        (key, f"{said(f'goal.{key}_title', card.title)}. {said(f'goal.{key}_blurb', card.blurb)}")
        for key, card in cards().items()
    ]
    why = "\n".join(
        f"{card.key.upper()}. {t('goal.wants')}: {said(f'goal.shape_{card.data_shape}', '')}\n{card.example}"
        for card in cards().values()
    )
    draft.method = ask.choose(t("goal.title"), options, draft.method, f"{t('goal.lead')}\n{why}")


def model(ask: Asker, draft: Draft, planning: Planning) -> None:
    """Asked again until the model can be trained."""
    options = [
        (GIVEN, f"{t('model.starter_title')}. {t('model.starter_detail')}"),
        (OWN, f"{t('model.own_title')}. {t('model.own_detail')}"),
        (CATALOGUE, f"{t('model.catalogue_title')}. {t('model.catalogue_detail')}"),
    ]
    chosen = ask.choose(t("model.title"), options, draft.model, f"{t('model.lead')} {t('spoken.model_why')}")
    if chosen == GIVEN:
        draft.model = GIVEN
        return
    while True:
        if chosen == CATALOGUE:
            source = from_catalogue(ask, planning)
        else:
            source = ask.text(t("spoken.model_question"), draft.model_folder, t("spoken.model_why"))
        draft.model, draft.model_folder = OWN, source
        planning.forget_model()
        try:
            if (asked := model_check.no_folder(source)) is not None:
                ask.say(model_check.way_to(asked, planning.home))
            else:
                ask.say(facts_content(model_check.check(source)))
        except TunesmithError as error:
            ask.fault(error)
            continue
        if (facts := planning.facts()) is not None:
            ask.say(*badge_text(planning.badge(facts), planning.place()))
        return


def from_catalogue(ask: Asker, planning: Planning) -> str:
    """What a recipe says to mean the one that was chosen."""
    from tunesmith.recipes.models.catalogue import catalogue

    badges = planning.badges()
    while True:
        typed = ask.text(t("spoken.filter_question"), "", t("model.filter"))
        found = [entry for entry in catalogue() if matches(entry, typed)][:MODELS_SHOWN]
        if not found:
            ask.say(t("model.none_found"))
            continue
        options = []
        for entry in found:
            badge = badges.get(entry.key)
            fits = f", {t(f'forecast.{badge.verdict}')}" if badge is not None else ""
            name = line(entry, None, here=False, wide=False).plain.strip()
            options.append((entry.key, f"{name}: {about(entry)[0].plain}{fits}"))
        key = ask.choose(t("model.title"), options, found[0].key, t("spoken.catalogue_why"))
        entry = next(entry for entry in found if entry.key == key)
        folder = local_models.find(entry, planning.home)
        if folder is None:
            ask.say(t("model.hub_fetched", bytes=bytes_text(fetched(entry))))
        return local_models.source_of(entry, folder, planning.home)
