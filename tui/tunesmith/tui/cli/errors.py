"""The border of the command line: every exception becomes a sentence, a hint and an exit code."""

from __future__ import annotations

import io
import os
import sys

import typer

PERSON, OURS, INTERRUPTED = 1, 2, 130
DETACHED = "detached"  # code of the error that leaves a job running behind an interrupted command


def guarded(app: typer.Typer, arguments: list[str]) -> int:
    """Run the command and return its exit code: 0, 1 for the person's error, 2 for ours and for wrong usage."""
    as_json = "--json" in arguments
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that knows no Chinese must not end a command
    try:
        result = typer.main.get_command(app)(args=arguments, prog_name="tunesmith", standalone_mode=False)
        sys.stdout.flush()
        return result if isinstance(result, int) else 0
    except typer.Abort:
        return report("interrupted", "Interrupted", "", INTERRUPTED, as_json)
    except typer.TyperException as error:
        return usage(error, as_json)
    except BrokenPipeError:
        # The reader (head, less) has enough; a second flush at exit would complain again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PERSON
    except Exception as error:  # noqa: BLE001 - the last border: log the traceback, show a sentence
        from tunesmith.recipes.errors import TunesmithError

        if isinstance(error, TunesmithError):
            exit_code = {DETACHED: INTERRUPTED, "internal": OURS}.get(error.code, PERSON)
            return report(error.code, error.message, error.hint, exit_code, as_json)
        return internal(error, as_json)


def usage(error: typer.TyperException, as_json: bool) -> int:
    """A wrong option or argument: typer's own words, and an error object where one was asked for."""
    exit_code = int(getattr(error, "exit_code", OURS))
    describe = getattr(error, "format_message", None)
    message = str(describe() if describe else error).strip()
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "tunesmith"
    return report("usage", message, f"Try `{command} --help`.", exit_code, as_json)


def internal(error: Exception, as_json: bool) -> int:
    """A fault of ours: the traceback goes to a log in the home, the person gets its path."""
    from tunesmith.tui import fault_log

    try:
        hint = f"The details are in {fault_log.keep(error, 'cli.log')}; please report them."
    except OSError as unwritable:
        hint = f"The details could not be logged ({unwritable}); `tunesmith doctor` checks the set-up."
    return report("internal", f"Tunesmith failed: {type(error).__name__}: {error}", hint, OURS, as_json)


def report(code: str, message: str, hint: str, exit_code: int, as_json: bool) -> int:
    """`message` and `hint` on standard error; with --json also the error object as standard output's last line."""
    from rich.text import Text

    from tunesmith.tui.cli.render import err, print_json
    from tunesmith.tui.plain import plain

    console = err()
    label = "stopped" if exit_code == INTERRUPTED else "error"
    console.print(Text.assemble((f"{label}: ", "bold red"), plain(message)), soft_wrap=True)
    if hint:
        console.print(Text.assemble((" hint: ", "bold cyan"), plain(hint)), soft_wrap=True)
    if as_json:
        print_json({"error": {"code": code, "message": message, "hint": hint}})
    return exit_code
