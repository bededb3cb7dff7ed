"""How long `import finchain` takes in a fresh interpreter."""

from __future__ import annotations


class Import:
    """What a script waits for before its first line, and what it waits for with all that opening a ledger needs."""

    def timeraw_import(self) -> str:
        return "import finchain"

    def timeraw_import_all(self) -> str:
        return "from finchain import *"
