"""How long `import finchain` takes in a fresh interpreter."""

from __future__ import annotations


class Import:
    """Everything that a script waits for before its first line."""

    def timeraw_import(self) -> str:
        return "import finchain"
