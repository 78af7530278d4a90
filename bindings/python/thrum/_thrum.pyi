"""The flat layer; SWIG makes it from the headers."""

from typing import Any

def __getattr__(name: str) -> Any: ...
