"""Environments of their own for tools whose requirements would disturb ours: made on demand, whole or not used, shared.

One lies beside ours: it takes from there whatever suits its requirements, torch above all, whose build is the one for
this machine, and has only the rest itself. When ours changes it is another environment, which is made anew.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import MappingProxyType

import msgspec

from tunesmith.daemon import disk
from tunesmith.daemon.api.environments import is_whole
from tunesmith.daemon.api.home import Home
from tunesmith.daemon.api.locks import locked
from tunesmith.daemon.worker.environments import installing
from tunesmith.daemon.worker.environments.installing import Tell, Tool
from tunesmith.recipes.words import say

AGAIN_S = 2.0
DIGITS = 12  # of the hash that names one


class Environment(msgspec.Struct, frozen=True):
    folder: Path

    def python(self, *arguments: str) -> list[str]:
        """A command: neither PYTHONPATH nor the folder of a script is looked into, only what the environment has."""
        return [str(self.folder / "bin" / "python"), installing.ALONE, *arguments]


# 150 MB, measured.
_LLM_COMPRESSOR = Tool(
    "llm-compressor", Path(__file__).with_name("llm-compressor.txt"), 300_000_000, "leave awq, gptq and fp8 out"
)
# 49 MB, measured. Much of what it asks for, such as build tools, is of kernels that are not used here.
_GPTQMODEL = Tool(
    "gptqmodel", Path(__file__).with_name("gptqmodel.txt"), 150_000_000, "export gptq and awq instead", closed=True,
    builds_with="a C compiler, Python's headers and PCRE2 (Debian: build-essential, python3-dev, libpcre2-dev)",
)  # fmt: skip
_SUITES = "score answers of your own rows: `tunesmith eval RUN --data FILE --scores exact_match`"
# 83 and 181 MB, measured. Their own requirements are of hundreds of suites, most of which nobody runs here.
_LM_EVAL = Tool("lm-eval", Path(__file__).with_name("lm-eval.txt"), 150_000_000, _SUITES, closed=True)
_EVALSCOPE = Tool("evalscope", Path(__file__).with_name("evalscope.txt"), 300_000_000, _SUITES, closed=True)
_ALL = (_LLM_COMPRESSOR, _GPTQMODEL, _LM_EVAL, _EVALSCOPE)
TOOLS: Mapping[str, Tool] = MappingProxyType({tool.key: tool for tool in _ALL})


@contextmanager
def opened(tool: Tool, home: Home, tell: Tell, check: Callable[[], None]) -> Iterator[Environment]:
    """The tool's environment, made if it is not there, and kept while it is used.

    `tell` hears what goes on meanwhile, `check` is asked a few times a second and may raise to give up. Raises
    MachineError (code tool_not_installed).
    """
    told = once(tell, check)
    environment = Environment(home.environments / f"{tool.key}-{fingerprint(tool)}")
    lock = lock_of(environment.folder)
    while True:
        with locked(lock, lambda process: told(waiting(tool, process)), shared=True):
            if is_whole(environment.folder):
                yield environment
                return
        with locked(lock, lambda process: told(waiting(tool, process))):
            if not is_whole(environment.folder):
                disk.refuse_full(home.root, tool.bytes, f"{tool.key} takes")
                installing.make(tool, environment.folder, home.wheels, told)
                remove_others(tool, environment.folder)


def once(tell: Tell, check: Callable[[], None]) -> Tell:
    """`tell`, at once for what is new, else now and then; each time after `check`."""
    last, when = "", 0.0

    def told(what: str) -> None:
        nonlocal last, when
        check()
        now = time.monotonic()
        if what != last or now - when > AGAIN_S:
            last, when = what, now
            tell(what)

    return told


def fingerprint(tool: Tool) -> str:
    """Of all that an environment depends on: its requirements, this Python, and the packages that it is lent."""
    lent = installing.lent()
    packages = sorted(path.name for folder in lent for path in folder.glob("*.dist-info"))
    known = [tool.requirements.read_text("utf-8"), sys.version, sys.base_prefix, *map(str, lent), *packages]
    return hashlib.sha256("\0".join(known).encode()).hexdigest()[:DIGITS]


def waiting(tool: Tool, process: str) -> str:
    if not process:
        return say("tool_waits", "{tool}: another job is installing it", tool=tool.key)
    return say("tool_waits_for", "{tool}: process {process} is installing it", tool=tool.key, process=process)


def lock_of(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.lock")


class _InUse(Exception):
    pass


def remove_others(tool: Tool, kept: Path) -> None:
    """The tool's environments beside another state of ours, but for those that something uses at this moment."""

    def give_up(process: str) -> None:
        raise _InUse

    for folder in kept.parent.iterdir():
        if re.fullmatch(rf"{re.escape(tool.key)}-[0-9a-f]{{{DIGITS}}}", folder.name) and folder != kept:
            with suppress(_InUse), locked(lock_of(folder), give_up):
                installing.unmark(folder)
                shutil.rmtree(folder)
