"""launchctl as far as an agent needs it; calls in $FAKE_MANAGER/calls, what is loaded as LABEL.loaded beside it."""

from __future__ import annotations

import os
import plistlib
import sys
from pathlib import Path

STATE = Path(os.environ["FAKE_MANAGER"])


def main() -> int:
    with (STATE / "calls").open("a") as calls:
        calls.write(" ".join(["launchctl", *sys.argv[1:]]) + "\n")
    if (STATE / "away").exists():
        print("Could not find domain for", file=sys.stderr)
        return 113
    verb, target, *rest = sys.argv[1:]
    domain, _, label = target.rpartition("/") if target.count("/") == 2 else (target, "", "")
    if domain.startswith("gui/") and (STATE / "no-screen").exists():
        print("Could not find domain for", file=sys.stderr)
        return 113
    loaded = STATE / f"{label}.loaded"
    match verb, rest:
        case "print", [] if not label:
            return 0
        case "print", []:
            if not loaded.exists():
                print(f'Could not find service "{label}" in domain', file=sys.stderr)
                return 113
            print(f"{target} = {{\n\tstate = running\n}}")
        case "enable", []:
            pass
        case "bootstrap", [file]:
            found = plistlib.loads(Path(file).read_bytes())
            loaded = STATE / f"{found['Label']}.loaded"
            if loaded.exists():
                print("Bootstrap failed: 5: Input/output error", file=sys.stderr)
                return 5
            loaded.write_text(domain)
        case "bootout", []:
            loaded.unlink()
            print("Boot-out failed: 36: Operation now in progress", file=sys.stderr)
            return 36
        case "kickstart", []:
            return 0 if loaded.exists() else 113
        case _:
            print("Unrecognized subcommand", file=sys.stderr)
            return 64
    return 0


if __name__ == "__main__":
    sys.exit(main())
