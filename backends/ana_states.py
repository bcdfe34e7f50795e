"""The ANA states of a listener, group by group, and in words."""

from __future__ import annotations

from collections.abc import Sequence

ANA_STATES = ("optimized", "non_optimized", "inaccessible")  # best first; what SPDK can set


def ana_text(states: Sequence[str]) -> str:
    """The ANA states of groups 1, 2 … in words: `optimized`, or `1-2 optimized, 3-32 inaccessible`."""
    if len(set(states)) == 1:
        return states[0]
    first = [at for at, state in enumerate(states) if at == 0 or states[at - 1] != state]
    runs = zip(first, [*first[1:], len(states)], strict=True)
    return ", ".join(f"{_groups(start + 1, end)} {states[start]}" for start, end in runs)


def _groups(first: int, last: int) -> str:
    return str(first) if first == last else f"{first}-{last}"


def ana_states(text: str, groups: int) -> tuple[str, ...]:
    """The states of so many groups, from the words of `ana_text`. Raises ValueError for other words."""
    runs = [part.rpartition(" ") for part in text.split(", ")]
    found: list[str] = []
    for numbers, _, state in runs:
        first, _, last = numbers.partition("-")
        found += [state] * (int(last or first) - int(first) + 1 if first else groups)
    return tuple(found)
