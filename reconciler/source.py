"""The Git repository: fetched into a bare copy in the state directory, so that a good revision outlives the remote.

libgit2 is told when to give up; it waits for ever by itself.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pygit2
from pygit2.enums import CredentialType, FetchPrune, SortMode
from pygit2.remotes import TransferProgress

from reconciler.config import ConfigError, SourceConfig, guard_secret, read_secret

ASIDE = "refs/holdfast/aside"  # a commit that was asked about, and is not followed
HEAD = "refs/holdfast/head"
LARGEST = 1 << 30  # bytes that one fetch may bring


class SourceError(Exception):
    """The remote could not be read: unreachable, refused, or without such a branch. What runs goes on running."""


@dataclass
class GitSource:
    """Follows one branch or tag of one remote."""

    config: SourceConfig
    copy: Path  # bare repository
    _repository: pygit2.Repository | None = field(default=None, repr=False)

    def fetch(self) -> str:
        """Bring what is new; the commit id at the branch or tag. Raises SourceError."""
        milliseconds = int(self.config.timeout * 1000)
        pygit2.settings.server_connect_timeout = milliseconds
        pygit2.settings.server_timeout = milliseconds
        try:
            return self._fetch(self._open())
        except (pygit2.GitError, OSError, ValueError, ConfigError) as error:
            raise SourceError(f"{self.config.url}: {error}") from error

    def bring(self, revision: str) -> None:
        """Have a commit at hand at which a branch, or what else the remote names, stands. Raises SourceError."""
        try:
            remote = self._open().remotes.create_anonymous(self.config.url)
            heads = remote.list_heads(callbacks=_Callbacks(self.config))
            found = sorted(head.name for head in heads if head.name and str(head.oid) == revision)
            if not found:
                raise SourceError(f"{self.config.url}: no branch is at {revision[:12]}; push it first")
            remote = self._open().remotes.create_anonymous(self.config.url)
            remote.fetch([f"+{found[0]}:{ASIDE}"], callbacks=_Callbacks(self.config), prune=FetchPrune.NO_PRUNE)
        except (pygit2.GitError, OSError, ValueError, ConfigError) as error:
            raise SourceError(f"{self.config.url}: {error}") from error

    def between(self, older: str, newer: str) -> list[str]:
        """Ids of the commits after `older` up to `newer`, newest first; none when `older` is not known here."""
        repository = self._open()
        if not older or older not in repository:
            return []
        walker = repository.walk(pygit2.Oid(hex=newer), SortMode.TOPOLOGICAL)
        walker.hide(pygit2.Oid(hex=older))
        return [str(commit.id) for commit in walker]

    def _fetch(self, repository: pygit2.Repository) -> str:
        """Ask what the remote has, and fetch it when it is new."""
        url, tag = self.config.url, self.config.tag
        ref = f"refs/tags/{tag}" if tag else f"refs/heads/{self.config.branch}"
        if "://" not in url and Path(url).is_absolute() and not Path(url).exists():
            raise SourceError(f"{url}: there is no such folder")
        remote = repository.remotes.create_anonymous(url)
        there = {head.name: head.oid for head in remote.list_heads(callbacks=_Callbacks(self.config))}
        if ref not in there:
            name = f"tag {tag}" if tag else f"branch {self.config.branch}"
            raise SourceError(f"{url}: {f'there is no {name}' if there else 'the repository is empty'}")
        known = repository.references.get(HEAD)
        if known is None or known.target != there[ref]:
            remote = repository.remotes.create_anonymous(url)
            remote.fetch([f"+{ref}:{HEAD}"], callbacks=_Callbacks(self.config), prune=FetchPrune.NO_PRUNE)
        return str(repository.references[HEAD].peel(pygit2.Commit).id)

    def _open(self) -> pygit2.Repository:
        if self._repository is None:
            if not (self.copy / "HEAD").exists():
                pygit2.init_repository(str(self.copy), bare=True)
            self._repository = pygit2.Repository(str(self.copy))
            # To other hosts. (libgit2 1.9 crashes on an answer that both redirects and asks for credentials.)
            self._repository.config["http.followRedirects"] = "false"
        return self._repository


class _Callbacks(pygit2.RemoteCallbacks):
    """Credentials, offered once: a server that asks again has refused them."""

    def __init__(self, config: SourceConfig) -> None:
        super().__init__()
        self._config, self._asked = config, 0

    def credentials(
        self, url: str, username_from_url: str | None, allowed_types: CredentialType
    ) -> pygit2.Username | pygit2.UserPass | pygit2.Keypair:
        self._asked += 1
        if self._asked > 2:  # a user name alone may be asked for first
            raise ValueError("the server refuses the credentials")
        user = self._config.username or username_from_url or "git"
        if allowed_types & CredentialType.SSH_KEY and self._config.ssh_key:
            guard_secret(self._config.ssh_key)
            return pygit2.Keypair(user, None, self._config.ssh_key, "")
        if allowed_types & CredentialType.USERPASS_PLAINTEXT and self._config.password_file:
            if _server(url) != _server(self._config.url):
                raise ValueError(f"the server sends us on to {_server(url)}, which does not get the password")
            return pygit2.UserPass(user, read_secret(self._config.password_file))
        if allowed_types & CredentialType.USERNAME:
            return pygit2.Username(user)
        raise ValueError("credentials are asked for, and [source] names none of that kind")

    def certificate_check(self, certificate: None, valid: bool, host: bytes) -> bool:  # noqa: ARG002, FBT001  # pygit2's
        """As ssh and browsers do it. pygit2 by itself would let every SSH host key pass."""
        if not valid:
            name, https = host.decode(errors="replace"), self._config.url.startswith("https:")
            key = f"the certificate of {name} is not valid"
            raise ValueError(key if https else f"the key of {name} is not the one in this user's ~/.ssh/known_hosts")
        return True

    def transfer_progress(self, stats: TransferProgress) -> None:
        if stats.received_bytes > LARGEST:
            raise ValueError(f"more than {LARGEST} bytes in one fetch")


def _server(url: str) -> str:
    """Scheme, host and port of a URL."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
