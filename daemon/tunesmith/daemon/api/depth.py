"""How deep JSON nests, found out without recursion and before it is decoded."""

from __future__ import annotations

import re

_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_AS_ONE_KIND = bytes.maketrans(b"{}", b"[]")


def deeper_than(data: bytes | bytearray, levels: int) -> bool:
    """Whether brackets in JSON nest deeper: the innermost pairs are removed, level by level."""
    if data.count(b"[") + data.count(b"{") <= levels:
        return False
    brackets = _STRING.sub(b"", data).translate(_AS_ONE_KIND, _NOT_BRACKETS)
    for _ in range(levels):
        brackets = brackets.replace(b"[]", b"")
        if not brackets:
            return False
    return True
