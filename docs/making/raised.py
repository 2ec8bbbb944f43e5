"""Every error that the code can raise, found in its syntax trees: code, sentence and hint, where written out."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
PARTS = ("recipes", "daemon", "tui")
BLANK = "…"  # where a value stands
# Where a call has its code, its sentence and its hint; exceptions are those that descend from TunesmithError.
EXCEPTION = ("message", "hint", "code")
CALLS: Mapping[str, tuple[str, ...]] = {
    "ErrorBody": ("code", "message", "hint"), "ChatFailed": ("code", "message", "hint"),
    "DownloadFailed": ("code", "message", "hint"), "Refusal": ("status", "code"),
    "Failed": ("time", "code", "message", "hint"),
}  # fmt: skip
ROOTS = {"TunesmithError"}
# Codes that are no constants where they are raised: (file, expression) with all that it can be; nothing where the error
# of another place is handed on.
HANDED: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("chat.py", "code"): (),
    ("controls.py", "state"): ("cancelling", "pausing"),
    ("gate.py", "error.code"): (),
    ("data_sets.py", "f'unknown_{what}'"): ("unknown_shape", "unknown_language", "unknown_topic"),
    ("supervisor.py", "code"): ("folder_missing", "worker_start"),
    ("talk.py", "code"): (),
}


class Raised(NamedTuple):
    """`message` and `hint` have BLANK for values, and are empty where another function makes them."""

    code: str
    message: str
    hint: str
    place: str


class Kind(NamedTuple):
    """An exception class: the code that it has by itself, and what it takes."""

    code: str
    order: tuple[str, ...]


def raised() -> list[Raised]:
    """Raises ValueError where a code cannot be told from the source."""
    trees = {path: ast.parse(path.read_text("utf-8")) for part in PARTS for path in sorted((ROOT / part).rglob("*.py"))}
    exceptions = _exceptions(trees)
    constants: dict[str, list[ast.expr]] = {}
    for tree in trees.values():
        for name, values in _texts(ast.Module(tree.body, []), deep=False).items():
            if name.isupper():
                constants.setdefault(name, []).extend(values)
    return [found for path, tree in trees.items() for found in _in(path, tree, exceptions, constants)]


def _exceptions(trees: Mapping[Path, ast.Module]) -> dict[str, Kind]:
    """Exception classes of ours by name."""
    codes: dict[str, Kind] = {}
    classes = [node for tree in trees.values() for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    while True:
        before = len(codes)
        for node in classes:
            bases = [_name(base) for base in node.bases]
            if node.name not in ROOTS and not any(base in ROOTS or base in codes for base in bases):
                continue
            assigned = [item for item in node.body if isinstance(item, ast.Assign) and _name(item.targets[0]) == "code"]
            own = [item.value.value for item in assigned if isinstance(item.value, ast.Constant)]
            inherited = [codes[base] for base in bases if base in codes] or [Kind("error", EXCEPTION)]
            code = str(own[0]) if own else inherited[0].code
            codes[node.name] = Kind(code, _parameters(node) or inherited[0].order)
        if len(codes) == before:
            return codes


def _parameters(node: ast.ClassDef) -> tuple[str, ...]:
    """Of its own __init__; empty where it has none."""
    made = [item for item in node.body if isinstance(item, ast.FunctionDef) and item.name == "__init__"]
    return tuple(argument.arg for argument in made[0].args.args[1:]) if made else ()


def _in(
    path: Path, tree: ast.Module, exceptions: Mapping[str, Kind], constants: Mapping[str, list[ast.expr]]
) -> Iterator[Raised]:
    texts = {**constants, **_texts(tree)}
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = _name(node.func)
        order = exceptions[name].order if name in exceptions else CALLS.get(name)
        if order is None:
            continue
        given = dict(zip(order, node.args, strict=False)) | {word.arg: word.value for word in node.keywords if word.arg}
        message, hint = (_said(given.get(key), texts) for key in ("message", "hint"))
        place = f"{path.relative_to(ROOT)}:{node.lineno}"
        if "code" not in given:
            if name in exceptions:
                yield Raised(exceptions[name].code, message, hint, place)
            continue
        for code in _codes(given["code"], texts, place):
            yield Raised(code, message, hint, place)


def _codes(node: ast.expr, texts: Mapping[str, list[ast.expr]], place: str) -> Iterator[str]:
    """All that the expression may be; what is handed on from another error is told where that is made."""
    known = HANDED.get((place.rpartition("/")[2].partition(":")[0], ast.unparse(node)))
    if known is not None:
        yield from known
        return
    match node:
        case ast.Constant(value=str(code)):
            if code:
                yield code
        case ast.IfExp(body=yes, orelse=no):
            yield from _codes(yes, texts, place)
            yield from _codes(no, texts, place)
        case ast.Attribute(attr="code"):
            return
        case ast.Name(id=name) | ast.Attribute(attr=name) if name in texts:
            for value in texts[name]:
                yield from _codes(value, texts, place)
        case ast.Constant(value=None):
            return
        case _:
            raise ValueError(f"{place}: which code is {ast.unparse(node)}?")


def _texts(tree: ast.Module, *, deep: bool = True) -> dict[str, list[ast.expr]]:
    """What is assigned to each name anywhere in the file, defaults of parameters too; else only at its top."""
    found: dict[str, list[ast.expr]] = {}
    for node in ast.walk(tree) if deep else tree.body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                found.setdefault(name, []).append(value)
            case ast.Assign(targets=[ast.Tuple(elts=names)], value=ast.Tuple(elts=values)):
                for target, value in zip(names, values, strict=False):
                    found.setdefault(_name(target), []).append(value)
            case ast.FunctionDef(args=arguments) | ast.AsyncFunctionDef(args=arguments):
                named = [*arguments.posonlyargs, *arguments.args][-len(arguments.defaults) or len(arguments.args) :]
                for argument, value in zip(named, arguments.defaults, strict=False):
                    found.setdefault(argument.arg, []).append(value)
    return found


def _said(node: ast.expr | None, texts: Mapping[str, list[ast.expr]]) -> str:
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.Constant(value=int(number) | float(number)):
            return f"{number:,}"
        case ast.JoinedStr(values=parts):
            return "".join(_said(part, texts) for part in parts)
        case ast.FormattedValue(value=ast.Name(id=name)) if name.isupper():
            return _said(ast.Name(name), texts)
        case ast.FormattedValue():
            return BLANK
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _said(left, texts) + _said(right, texts)
        case ast.Name(id=name) if len(texts.get(name, ())) == 1:
            value = texts[name][0]
            return _said(value, texts) if isinstance(value, ast.Constant | ast.JoinedStr) else ""
        case _:
            return ""


def _name(node: ast.expr) -> str:
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(attr=name):
            return name
        case _:
            return ""
