"""The page that lists what drift cannot be seen is what the schemas say.

`HOLDFAST_WRITE_PAGES=1 pytest tests/docs` writes it anew.
"""

from __future__ import annotations

import os
from pathlib import Path

from schemas.kinds import our_kinds

PAGE = Path(__file__).parents[2] / "docs/drift.md"
HEAD = """\
# What drift can be seen

Whatever a manifest declares is compared with what the target shows, at every look, and a difference is a drift: shown
by `holdfast drift`, put right or only reported as `driftPolicy` says (`holdfast explain Volume.driftPolicy`). What is
said of a field (annotation `holdfast.dev/drift-ignore`) counts before what its resource says (`spec.driftPolicy`), that
before its kind's policy (`driftPolicies` in `.holdfast.yaml`), that before its Target's, and that before `driftPolicy`
in `.holdfast.yaml`. Objects that are not ours are shown as `Foreign` and left alone.

Some fields never reach a target, and some a target keeps and shows nowhere. These are all of them; of every other field
a test changes the live value and sees the drift found. `holdfast explain KIND.FIELD` says the same of each.

| kind | field | why its drift cannot be seen |
|---|---|---|
"""


def page() -> str:
    rows = [
        f"| {kind.name} | `{str(field).removeprefix('spec.')}` | {field.schema['x-unobservable']} |"
        for kind in our_kinds().values()
        for field in kind.fields.values()
        if "x-unobservable" in field.schema
    ]
    return HEAD + "\n".join(rows) + "\n"


def test_the_page_is_what_the_schemas_say() -> None:
    """Guards the list: nothing is left out, and nothing stands there that can be seen."""
    if os.environ.get("HOLDFAST_WRITE_PAGES"):
        PAGE.parent.mkdir(exist_ok=True)
        PAGE.write_text(page())
    assert PAGE.read_text() == page()
