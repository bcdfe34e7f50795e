"""Whose signature a commit bears. The one place where ssh-keygen and gpg are run; neither is asked over the network.

Names and addresses in commits are never looked at: a key is all that counts. Whatever is not a good signature by a key
of the given subjects is unverified, and why is said in words.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from analyzer.authority.rights import Subject
from analyzer.git import CommitObject

DEADLINE: Final = 10.0  # seconds that one look at a signature may take
NAMESPACE: Final = "git"  # what ssh signatures of commits are made for; those of other things do not count
MAX_SIGNATURE: Final = 64 * 1024  # bytes
_SSH = b"-----BEGIN SSH SIGNATURE-----"
_PGP = b"-----BEGIN PGP SIGNATURE-----"  # detached ones; a signed message brings a text of its own
_VALID = re.compile(r"^\[GNUPG:\] VALIDSIG ([0-9A-F]{40}) .*?([0-9A-F]{40})?$", re.MULTILINE)
_STATUS = re.compile(r"^\[GNUPG:\] (\w+)", re.MULTILINE)
_GPG_TROUBLES: Final = {
    "BADSIG": "its signature does not fit it: it was changed, or the signature is another commit's",
    "REVKEYSIG": "its key was revoked",
    "EXPKEYSIG": "its key has expired",
    "EXPSIG": "its signature has expired",
    "NO_PUBKEY": "its key is not in the keyring of this machine (`gpg --import`)",
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """The fingerprint of the key that made a good signature; or why there is none."""

    signer: str = ""
    because: str = ""


@dataclass(frozen=True, slots=True)
class _Ran:
    code: int
    out: str
    failed: str = ""  # why there is no answer


def verify(commit: CommitObject, known: Sequence[Subject]) -> Verdict:
    """Whether a commit is signed with the key of one of these subjects."""
    signature = commit.signature.strip()
    if not signature:
        return Verdict(because="it is not signed")
    if len(signature) > MAX_SIGNATURE:
        return Verdict(because="its signature is larger than any")
    if signature.startswith(_SSH):
        return _ssh(commit, [subject for subject in known if subject.ssh_key])
    if signature.startswith(_PGP):
        return _gpg(commit, {subject.signer for subject in known if not subject.ssh_key})
    return Verdict(because="its signature is neither one of SSH nor of OpenPGP")


def _ssh(commit: CommitObject, known: Sequence[Subject]) -> Verdict:
    """Ask ssh-keygen about each key by itself: a principal is one fingerprint, and one key bears it."""
    tool = shutil.which("ssh-keygen")
    if tool is None:
        return Verdict(because="ssh-keygen (OpenSSH 8.2 or newer) is not installed here")
    with tempfile.TemporaryDirectory(prefix="holdfast-") as folder:
        allowed, signature = Path(folder, "allowed"), Path(folder, "signature")
        lines = (f'{subject.signer} namespaces="{NAMESPACE}" {subject.ssh_key}\n' for subject in known)
        allowed.write_text("".join(lines), encoding="utf-8")
        signature.write_bytes(commit.signature)
        found = _run([tool, "-Y", "find-principals", "-s", str(signature), "-f", str(allowed)], b"")
        signer = next((line for line in found.out.splitlines() if line in {s.signer for s in known}), "")
        if found.failed or not signer:
            return Verdict(because=found.failed or "it is signed with a key that no AccessPolicy names")
        about = ["-n", NAMESPACE, "-I", signer, "-s", str(signature), "-f", str(allowed)]
        judged = _run([tool, "-Y", "verify", *about], commit.signed)
    if judged.failed:
        return Verdict(because=judged.failed)
    return Verdict(signer) if judged.code == 0 else Verdict(because=_GPG_TROUBLES["BADSIG"])


def _gpg(commit: CommitObject, known: set[str]) -> Verdict:
    tool = shutil.which("gpg")
    if tool is None:
        return Verdict(because="gpg is not installed here")
    with tempfile.TemporaryDirectory(prefix="holdfast-") as folder:
        signature = Path(folder, "signature")
        signature.write_bytes(commit.signature)
        options = ["--batch", "--no-tty", "--no-auto-key-retrieve", "--trust-model", "always", "--status-fd", "1"]
        judged = _run([tool, *options, "--verify", str(signature), "-"], commit.signed)
    if judged.failed:
        return Verdict(because=judged.failed)
    said = _STATUS.findall(judged.out)
    trouble = next((words for word, words in _GPG_TROUBLES.items() if word in said), "")
    if trouble or judged.code != 0 or said.count("GOODSIG") != 1:
        return Verdict(because=trouble or "gpg does not find its signature good")
    signer = next((key for match in _VALID.findall(judged.out) for key in match if key in known), "")
    return Verdict(signer) if signer else Verdict(because="it is signed with a key that no AccessPolicy names")


def _run(command: Sequence[str], given: bytes) -> _Ran:
    """Run a tool to its end, without a shell, a terminal or a language of its own."""
    try:
        ran = subprocess.run(  # noqa: S603  # a list of words, of which none comes from a repository
            command, input=given, capture_output=True, timeout=DEADLINE, check=False, env=_environment()
        )
    except subprocess.TimeoutExpired:
        return _Ran(-1, "", f"{Path(command[0]).name} did not answer within {DEADLINE:g} s")
    except OSError as error:
        return _Ran(-1, "", f"{Path(command[0]).name} cannot be run: {error.strerror}")
    return _Ran(ran.returncode, ran.stdout.decode("utf-8", "replace"))


def _environment() -> Mapping[str, str]:
    kept = ("PATH", "HOME", "GNUPGHOME", "TMPDIR")
    return {name: os.environ[name] for name in kept if name in os.environ} | {"LC_ALL": "C"}
