"""All documents that are made from the code and from the wizard itself: `python docs/make.py [--check] [NAME ...]`.

With --check nothing is written; it ends with 1 where a document is not what would be made.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from making import commands, errors

PAGES: Mapping[str, Callable[[], str]] = {"commands.md": commands.markdown, "errors.md": errors.markdown}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", default=list(PAGES))
    parser.add_argument("--check", action="store_true")
    chosen = parser.parse_args()
    stale = []
    for name in chosen.names:
        made, path = PAGES[name](), HERE / name
        if not path.exists() or path.read_text("utf-8") != made:
            stale.append(name)
        if not chosen.check:
            path.write_text(made, "utf-8")
    print("\n".join(f"{'is stale' if chosen.check else 'written'}: {name}" for name in stale) or "all as made")
    return 1 if chosen.check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
