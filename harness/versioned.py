"""Files of JSON that say by a key which file they are, and by its value which version of it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from . import __version__
from .errors import UsageError
from .plain import from_plain


@dataclass(frozen=True, kw_only=True)
class FileForm:
    """A kind of file: ``called`` what people call it, with its ``version`` under the key ``marker``; ``kind`` is the
    class of what stands in it, ``instead`` what to name where another file was named."""

    called: str
    marker: str
    version: int
    kind: type
    instead: str

    def read(self, text: str, name: str) -> Any:
        """What stands in the file called ``name``, of class ``kind``. Raises UsageError in one line for a file that is
        none, that is of another version, or in which something is wrong or missing."""
        try:
            data = json.loads(text)
        except json.JSONDecodeError as error:
            raise UsageError(f"{name} is no {self.called}: it is not JSON ({error.msg}, line {error.lineno})") from None
        if not isinstance(data, dict) or self.marker not in data:
            raise UsageError(f"{name} is no {self.called}: it lacks {self.marker!r}; name {self.instead}")
        if data[self.marker] != self.version:
            raise UsageError(
                f"{name} is a {self.called} of version {data[self.marker]}, and this sagafuzz ({__version__}) reads "
                f"version {self.version}; run the campaign again to write a new one"
            )
        try:
            return from_plain(self.kind, data)
        except UsageError as error:
            raise UsageError(f"{name} is no whole {self.called}: {error}") from None
