"""All documents that are made from the code and from the wizard itself: `python docs/make.py [--check] [NAME ...]`.

With --check nothing is written; it ends with 1 where a document is not what would be made.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from making import commands, errors

HERE = Path(__file__).parent

PAGES: Mapping[str, Callable[[], str]] = {"commands.md": commands.markdown, "errors.md": errors.markdown}
PICTURES = "pictures"


def made(name: str) -> Iterator[tuple[Path, str]]:
    """A page; all pictures with the pages of the wizard that show them; or one picture by its name."""
    if name in PAGES:
        yield HERE / name, PAGES[name]()
        return
    from making import pictures, wizard

    taken = pictures.pictures() if name == PICTURES else pictures.pictures((name,))
    yield from ((one.file, one.svg) for one in taken)
    if name == PICTURES:
        yield from wizard.pages(taken)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", default=[*PAGES, PICTURES])
    parser.add_argument("--check", action="store_true")
    chosen = parser.parse_args()
    stale = []
    for path, text in (found for name in chosen.names for found in made(name)):
        if not path.exists() or path.read_text("utf-8") != text:
            stale.append(str(path.relative_to(HERE)))
        if not chosen.check:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, "utf-8")
    print("\n".join(f"{'is stale' if chosen.check else 'written'}: {name}" for name in stale) or "all as made")
    return 1 if chosen.check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
