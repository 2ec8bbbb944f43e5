"""The saved chats of a run at a terminal: the talk is kept as it goes, earlier ones are listed and go on."""

from __future__ import annotations

import time

from tunesmith.recipes.errors import TunesmithError
from tunesmith.tui import saved_chats
from tunesmith.tui.chat_sides import Sides
from tunesmith.tui.cli import render
from tunesmith.tui.cli.tool_text import call_text, result_prompt
from tunesmith.tui.conversation import Turn
from tunesmith.tui.explained import sentences
from tunesmith.tui.plain import one_line, plain
from tunesmith.tui.saved_chats import Found, Listed
from tunesmith.tui.texts import t

QUESTION_CHARACTERS = 60  # of a first question, so that a line stays one on most terminals


class Kept:
    """`keeps` is False for one question and for pipes, of which nothing is written."""

    def __init__(self, sides: Sides, *, keeps: bool) -> None:
        self._sides, self._keeps = sides, keeps
        self._unwritable = ""
        self._listed: Listed | None = None  # as it was shown: a number means that one also when another was saved since

    def save(self) -> None:
        """What cannot be written is said once, and the talk goes on."""
        if not self._keeps or not self._sides.keep():
            return
        try:
            self._sides.keeper.write()
            self._unwritable = ""
        except TunesmithError as error:
            if error.message != self._unwritable:
                self._unwritable = error.message
                render.err().print(f"{t('talk.not_kept')} {sentences(error)}", style="yellow")

    def where(self) -> str:
        return saved_chats.kept_text(self._sides.home, self._sides.job_id)

    def listing(self) -> str:
        """Newest first, the one that goes on marked in words, damaged ones by name."""
        found = self._listed = self._read()
        lines = [f"{number:>3}  {self._line(one)}" for number, one in enumerate(found.chats, 1)]
        if not lines:
            lines = [t("saved_chats.none")]
        else:
            lines.append(t("talk.open_how"))
        return "\n".join([*lines, *saved_chats.damaged_texts(found), self.where()])

    def _line(self, one: Found) -> str:
        began = time.strftime("%Y-%m-%d %H:%M", time.localtime(one.chat.began))
        question = one_line(one.chat.first_question)
        if len(question) > QUESTION_CHARACTERS:
            question = f"{question[: QUESTION_CHARACTERS - 1]}…"
        this = f"  ({t('talk.this_one')})" if one.path == self._sides.keeper.path else ""
        return f"{began}  {question}{this}"

    def open(self, number: str) -> str:
        """The one of that number in the list; what there is to say then."""
        found = self._listed or self._read()
        if not (number.isascii() and number.isdigit() and 1 <= int(number) <= len(found.chats)):
            return self.listing() if not number else f"{t('talk.no_such', number=one_line(number))}\n{self.listing()}"
        path = found.chats[int(number) - 1].path
        # It may have been gone on with since it was listed, here or in the wizard.
        newest = next((one for one in self._read().chats if one.path == path), None)
        if newest is None:
            return f"{t('talk.gone', number=number)}\n{self.listing()}"
        return self._go_on(newest)

    def open_newest(self) -> str:
        """What there is to say then, also where there is none."""
        found = self._read()
        said = [self._go_on(found.chats[0])] if found.chats else [t("talk.none_to_continue", id=self._sides.job_id)]
        return "\n".join([*saved_chats.damaged_texts(found), *said])

    def _read(self) -> Listed:
        return saved_chats.listed(self._sides.home, self._sides.job_id)

    def _go_on(self, found: Found) -> str:
        self._sides.begin(found)
        return "\n".join([self._head(found), *self._last_words()])

    def _head(self, found: Found) -> str:
        question = one_line(found.chat.first_question)[:QUESTION_CHARACTERS]
        mode = t(f"chat.mode_{found.chat.mode}")
        return f"{t('chat.continued', question=question)} ({mode}, {t('talk.questions', count=found.chat.questions)})"

    def _last_words(self) -> list[str]:
        """The last question of each model shown, and what it said."""
        lines: list[str] = []
        for base in self._sides.shown:
            turns = self._sides.said[base]
            at = next((place for place in range(len(turns) - 1, -1, -1) if turns[place].role == "user"), None)
            if at is None:
                continue
            if f"> {plain(turns[at].text)}" not in lines:
                lines.append(f"> {plain(turns[at].text)}")
            who = f"{t('chat.base' if base else 'chat.tuned')}: " if len(self._sides.shown) > 1 else ""
            lines += [f"{who}{line}" for turn in turns[at + 1 :] for line in _said(turn)]
        return lines


def _said(turn: Turn) -> list[str]:
    """What was said in words, its calls, and whether it came to its end."""
    if turn.role == "tool":
        return [f"{result_prompt(turn.calls, 0)}{plain(turn.text)}"] if turn.calls else []
    ended = {"stopped": t("chat.stopped"), "failed": plain(turn.note)}.get(turn.state, "")
    return list(filter(None, [plain(turn.text), *map(call_text, turn.calls), f"({ended})" if ended else ""]))
