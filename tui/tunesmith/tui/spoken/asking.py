"""Questions in plain lines: a number or enter answers; `?` explains, `b` goes back, `q` quits."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from textual.content import Content

from tunesmith.tui.explained import Coded, told
from tunesmith.tui.plain import plain
from tunesmith.tui.texts import t

HELP, BACK, QUIT = "?", "b", "q"
LITERALLY = "\\"  # before an answer that would be one of these three
# What screens say with a sign is said in a word; signs beside words of the same meaning are left out.
SIGNS = {"✗": "spoken.error", "▲": "spoken.warning", "✓": "", "•": "", "→": "", "○": "", "●": "", "◆": "", "…": ""}


class Back(Exception):
    """The person wants the step before."""


class Quit(Exception):
    """The person leaves, or the answers have ended."""


class Asker:
    """`read` gives the next answer and raises EOFError after the last; `write` takes a line."""

    def __init__(self, read: Callable[[], str], write: Callable[[str], None]) -> None:
        self._read = read
        self._write = write

    def say(self, *texts: str | Content) -> None:
        """A line each, without controls; an empty text says nothing."""
        for text in texts:
            for line in plain(str(text) if isinstance(text, str) else text.plain).splitlines():
                if spoken := in_words(line):
                    self._write(spoken)

    def fault(self, error: Coded, word: str = "spoken.error") -> None:
        """What went wrong and what to do next."""
        message, hint = told(error)
        self.say(f"{t(word)} {message}", hint)

    def choose(self, question: str, options: Sequence[tuple[str, str]], default: str, why: str) -> str:
        """The key of one of `options` (key, text)."""
        keys = [key for key, _ in options]
        at = keys.index(default) + 1 if default in keys else 1
        while True:
            self.say(question)
            for number, (_, text) in enumerate(options, 1):
                self.say(f"{number}. {text}")
            self.say(t("spoken.choose", count=len(options), default=at))
            answer = self._answer(why)
            if answer is None:
                continue
            if not answer:
                return keys[at - 1]
            if answer.isascii() and answer.isdigit() and 1 <= int(answer) <= len(keys):
                return keys[int(answer) - 1]
            self.say(t("spoken.no_choice", answer=answer, count=len(keys)))

    def text(self, question: str, default: str, why: str) -> str:
        """What is typed; `default` for enter alone."""
        while True:
            self.say(question, t("spoken.type_default", default=default) if default else t("spoken.type"))
            answer = self._answer(why)
            if answer is not None:
                return answer.removeprefix(LITERALLY) or default

    def sure(self, question: str, yes: str, no: str, why: str) -> bool:
        """The safe answer is the default."""
        return self.choose(question, (("no", no), ("yes", yes)), "no", why) == "yes"

    def _answer(self, why: str) -> str | None:
        """None after an explanation: the question is asked again. Raises Back, Quit."""
        try:
            answer = self._read().strip()
        except EOFError:
            raise Quit from None
        match answer.lower():
            case "?" | "？":
                self.say(why)
                return None
            case "b":
                raise Back
            case "q":
                raise Quit
        return answer


def in_words(line: str) -> str:
    """The line with its leading sign as a word."""
    text = line.strip()
    if (key := SIGNS.get(text[:1])) is None:
        return text
    return f"{t(key)} {text[1:].strip()}" if key else text[1:].strip()
