"""Values of which there are very many. The type checker keeps them frozen; at run time nothing has to.

A frozen dataclass sets each field through `object.__setattr__`, which makes one of many fields three times as slow to
make. Where a hundred thousand are made in a second, that is most of what they cost.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dataclasses import dataclass as value
else:
    from dataclasses import dataclass

    def value(*, frozen: bool, slots: bool) -> object:
        """As `dataclasses.dataclass`, for what is frozen and has slots: compared and hashed by content."""
        if not (frozen and slots):
            raise TypeError("a value is frozen and has slots; anything else is a dataclass")
        return dataclass(slots=True, unsafe_hash=True)


__all__ = ["value"]
