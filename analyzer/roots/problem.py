"""Why a root is not, or not wholly, what a cluster would get."""

from __future__ import annotations

from dataclasses import dataclass

from analyzer.finding import Location
from analyzer.roots.tree import Misfit, Origin, TooMuch


@dataclass(frozen=True, order=True, slots=True)
class Problem:
    """Something in a root that cannot be applied (`broken`), or only elsewhere: with a network, or a program."""

    location: Location
    message: str
    broken: bool
    help: str = ""
    grave: bool = False  # something of ours may be in what was not seen


class Unrenderable(Exception):
    """A root cannot be rendered any further, in words."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


def place_of(origin: Origin, *, key: bool = False) -> Location:
    """Where that is, with the line itself."""
    written = origin.document.written(origin.path, key=key)
    return Location(written.file or origin.file, written.place.line, written.place.column, text=written.text)


def problem_of(error: Unrenderable | Misfit) -> Problem:
    if isinstance(error, Unrenderable):
        return error.problem
    if isinstance(error, TooMuch):
        message = "so much is made of what kustomizations say that nobody could read it; from here on nothing is"
        return Problem(place_of(error.origin), message, broken=True, help="say the same with fewer patches or copies")
    message = "this should be a mapping or a list: a kustomization puts something into it"
    return Problem(place_of(error.origin), message, broken=True)


def broken(origin: Origin, message: str, advice: str = "") -> Unrenderable:
    """What `kustomize build` would refuse, too."""
    return Unrenderable(Problem(place_of(origin), message, broken=True, help=advice))
