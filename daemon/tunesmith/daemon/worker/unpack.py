"""`python -m tunesmith.daemon.worker.unpack HOME`: the starter model for a command that needs it before any run.

Standard output's last line is the error as JSON when it fails.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tunesmith.daemon import publish
from tunesmith.daemon.api.home import Home, private_folder
from tunesmith.daemon.worker import fetch, starter
from tunesmith.recipes.errors import TunesmithError
from tunesmith.recipes.spec import STARTER


def unpack(home: Home) -> Path:
    """The folder of the starter model, made where it is missing. Raises ModelError, MachineError."""
    final = home.models / STARTER
    if not final.exists():
        file = fetch.starter_gguf()
        fetch.refuse_full_disk(private_folder(home.root), fetch.STARTER_BYTES)
        with publish.staging(final) as staged:
            starter.write(file, staged, lambda done: None)
            publish.publish_folder(staged, final)
    return final


if __name__ == "__main__":
    import msgspec

    try:
        unpack(Home(Path(sys.argv[1])))
    except TunesmithError as error:
        print(msgspec.json.encode(error.body()).decode())
        sys.exit(1)
