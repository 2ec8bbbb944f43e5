"""JSON text of any length on a bounded buffer: one value after the other, or past a value without holding it."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from typing import Any

from tunesmith.recipes.data.files.json_rows import BLANK, DECODER, TEXT_KEPT, decoded, too_long
from tunesmith.recipes.data.files.limits import Limits
from tunesmith.recipes.data.reasons import BadRow

NOT_BLANK = re.compile(r"[^ \t\n\r]")
TOKEN = re.compile(r'["\[\]{}]')
REST_OF_TEXT = re.compile(r'(?:[^"\\]++|\\.)*+', re.DOTALL)
SCALAR_END = re.compile(r"[,\]}\s]")
LEAST = 2**18  # characters taken at once


class Scan:
    """Where the end of a value lies, found from brackets and quotation marks alone; goes on over pieces of text."""

    def __init__(self) -> None:
        self.depth = 0
        self.quoted = False
        self.begun = False
        self.damaged = False  # a line ended within quotation marks, so what is a text cannot be told any more

    def end(self, text: str, at: int) -> int | None:
        """Where the value that starts at `at`, or goes on there, ends; None when it goes on behind `text`."""
        begun, self.begun = self.begun, at < len(text)
        if self.depth == 0 and not self.quoted and (begun or text[at : at + 1] not in ("[", "{", '"')):
            found = SCALAR_END.search(text, at if begun else at + 1)  # a first character that is no JSON counts, too
            return None if found is None else found.start()
        while at < len(text):
            if self.quoted:
                if rest := REST_OF_TEXT.match(text, at):
                    self.damaged = self.damaged or "\n" in rest[0]
                    at = rest.end()
                if text[at : at + 1] != '"':  # the end, or a backslash whose character is still to come
                    return None
                self.quoted = False
            elif (found := TOKEN.search(text, at)) is None:
                return None
            else:
                at = found.start()
                self.quoted = found[0] == '"'
                self.depth += (found[0] in "[{") - (found[0] in "]}")
            at += 1
            if self.depth <= 0 and not self.quoted:
                return at
        return None


class Buffer:
    """`text` from `at` on is what is not yet read; bytes that are not UTF-8 stand in it as lone surrogates."""

    def __init__(self, pieces: Iterator[bytes], limits: Limits, least: int = LEAST) -> None:
        self.text = ""
        self.at = 0
        self.ended = False
        self.limits = limits
        self._least = least
        self._pieces = pieces
        self._decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")

    def more(self) -> None:
        """Takes as much again as is unread, so that trying once more each time stays linear. Raises BadRow."""
        parts = [self.text[self.at :]]
        size = len(parts[0])
        wanted = min(max(2 * size, size + self._least), self.limits.row_bytes + self._least)
        self.text, self.at = parts[0], 0
        try:
            while size < wanted and not self.ended:
                piece = next(self._pieces, b"")
                self.ended = not piece
                parts.append(self._decoder.decode(piece, final=self.ended))
                size += len(parts[-1])
        finally:
            self.text = "".join(parts)

    def peek(self) -> str:
        """The next character that is not blank, where reading stands then; "" at the end."""
        while (found := NOT_BLANK.search(self.text, self.at)) is None:
            if self.ended:
                self.at = len(self.text)
                return ""
            self.at = max(self.at, len(self.text) - 1000)  # an indentation stays, endless blanks do not
            self.more()
        self.at = found.start()
        return found[0]

    def take(self) -> tuple[str, Any]:
        """The text of the value that starts here, and the value or why it is none (BadRow); reading goes on behind.

        Raises BadRow `broken_off` when the text ends before the value does.
        """
        longest = self.limits.row_bytes
        while True:
            try:
                value, end = DECODER.raw_decode(self.text, self.at)
            except (ValueError, RecursionError):
                if (found := self.end_of_broken()) is not None:
                    text = self.text[self.at : found]
                    self.at = found
                    return text, why_broken(text)
                if self.ended:
                    raise BadRow("broken_off", error="a value is not closed") from None
            else:
                if end < len(self.text) or self.ended:
                    text = self.text[self.at : end]
                    self.at = end
                    return (text, value) if len(text) <= longest else (text[:TEXT_KEPT], too_long(self.limits))
            if len(self.text) - self.at > longest:
                text = self.text[self.at : self.at + TEXT_KEPT]
                self.skip()
                return text, too_long(self.limits)
            self.more()

    def end_of_broken(self) -> int | None:
        """Where the value that starts here ends, although it is not valid; None when that cannot be seen yet."""
        scan = Scan()
        end = scan.end(self.text, self.at)
        alike = self.next_line_alike() if scan.damaged else None
        return end if alike is None else alike

    def next_line_alike(self) -> int | None:
        """Where the line before the next one that starts an object just as this value does ends."""
        line = self.text.rfind("\n", 0, self.at)
        indent = self.text[line + 1 : self.at]
        if line < 0 or indent.strip(BLANK):
            return None
        place = self.text.find(f"\n{indent}{{", self.at)
        return None if place < 0 else place

    def skip(self) -> None:
        """Past the value that starts here, however long. Raises BadRow `broken_off`."""
        scan = Scan()
        while (end := scan.end(self.text, self.at)) is None:
            if self.ended:
                raise BadRow("broken_off", error="a value is not closed")
            # A backslash at the end belongs to the character after it.
            tail = len(self.text) - len(self.text.rstrip("\\"))
            self.at = len(self.text) - tail % 2
            self.more()
        self.at = end


def why_broken(text: str) -> BadRow:
    """What is wrong with a value that could not be decoded."""
    try:
        decoded(text.rstrip(BLANK + ","))
    except BadRow as error:
        return error
    return BadRow("not_json", error="it is not separated from what follows")
