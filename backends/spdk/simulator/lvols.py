"""Logical volume stores and what is in them: clusters, metadata pages, snapshots and clones.

The arithmetic is blobstore's. Without a data path nothing is ever written, so the allocated clusters of a volume are
always its first ones, and one number tells them all.
"""

from __future__ import annotations

import errno
import heapq
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from backends.spdk.simulator.bdevs import Bdev
from backends.spdk.simulator.errors import INVALID_PARAMS, failed
from backends.spdk.simulator.persistence import BLOCK, Journal, Record

PAGE: Final = 4096
MIB: Final = 1 << 20
DEFAULT_CLUSTER: Final = 4 * MIB
MASK_HEADER: Final = 5  # bytes before the bits of a bitmap on the device
EXTENTS: Final = 512  # clusters that one metadata page maps
NAME_BYTES: Final = 63  # a longer new name is refused; one that is renamed to is cut
MAX_CLUSTERS: Final = 1 << 32  # a volume with more is refused, its cluster table would not fit into memory
MAX_OPERATIONS: Final = 512  # in flight on one store


def cut(name: str) -> str:
    """What is left of a name that was not checked."""
    return name.encode()[:NAME_BYTES].decode(errors="ignore")


@dataclass(frozen=True, slots=True)
class Geometry:
    """How a device is divided: what metadata takes at its front is no longer there for data."""

    cluster_size: int
    page_size: int
    pages: int  # of metadata: one for each volume, and one for every 512 allocated clusters of one
    metadata_clusters: int

    @classmethod
    def of(cls, size: int, cluster_size: int, ratio: int, page_size: int) -> Geometry:
        """Raises what creating a store answers when the device cannot be divided so."""
        clusters = size // cluster_size
        pages = (ratio * clusters & 0xFFFFFFFF) // 100
        if pages == 0 or cluster_size % PAGE or cluster_size < page_size:
            raise failed(errno.EINVAL, INVALID_PARAMS)
        geometry = cls(cluster_size, page_size, pages, 0)
        used = 1 + 2 * geometry.mask_pages(pages) + geometry.mask_pages(max(pages, clusters)) + pages
        metadata = -(-used // (cluster_size // page_size))
        if metadata > clusters:
            raise failed(errno.ENOMEM, INVALID_PARAMS)
        return cls(cluster_size, page_size, pages, metadata)

    def mask_pages(self, bits: int) -> int:
        return -(-(MASK_HEADER + -(-bits // 8)) // self.page_size)

    @property
    def max_clusters(self) -> int:
        """As many as the bitmap that was reserved at creation can ever tell."""
        return (self.mask_pages(self.pages) * self.page_size - MASK_HEADER) * 8

    @property
    def max_growable_size(self) -> int:
        return self.max_clusters * self.cluster_size

    @property
    def region(self) -> int:
        """Bytes at the front of the device that hold metadata."""
        return self.metadata_clusters * self.cluster_size


class Pages:
    """The metadata pages of a store; the lowest free one is taken first, which orders volumes after a reload."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._next = 1  # page 0 is the store's own
        self._free: list[int] = []

    @property
    def free(self) -> int:
        return self._total - self._next + len(self._free)

    def claim(self) -> int:
        if not self.free:
            raise failed(errno.ENOMEM, INVALID_PARAMS)
        if self._free:
            return heapq.heappop(self._free)
        self._next += 1
        return self._next - 1

    def release(self, pages: list[int]) -> None:
        for page in pages:
            heapq.heappush(self._free, page)

    def adopt(self, pages: list[int]) -> None:
        """Pages found in use when a store is loaded."""
        used = {0, *pages}
        self._next = max(used) + 1
        self._free = sorted(set(range(self._next)) - used)


@dataclass(eq=False, slots=True)
class Lvol:
    """A volume, snapshot or clone. `content` is a token for its bytes: equal tokens, equal bytes."""

    name: str
    uuid: str
    page: int
    clusters: int
    thin: bool
    content: str
    allocated: int = 0
    read_only: bool = False
    parent: Lvol | None = None
    esnap: str | None = None  # UUID of the device that lies under an external-snapshot clone
    extents: list[int] = field(default_factory=list)
    clones: list[Lvol] = field(default_factory=list)
    was_parent: bool = False  # has, or had since the store was loaded, a clone: what is_snapshot means
    is_lost: bool = False  # cannot be loaded any more
    clusters_on_device: int | None = None  # where the device says otherwise
    bdev: Bdev | None = None
    is_busy: bool = False  # a snapshot, clone, resize, inflate or removal of it is under way

    @property
    def is_degraded(self) -> bool:
        """Lies on an external snapshot that is not there."""
        return self.bdev is None

    def adopt(self, clone: Lvol) -> None:
        """Become the parent of a clone."""
        clone.parent = self
        self.clones.append(clone)
        self.was_parent = True

    def orphan(self) -> None:
        """Leave the parent."""
        if self.parent is not None:
            self.parent.clones.remove(self)
            self.parent = None

    def to_record(self) -> Record:
        return {
            "name": self.name,
            "uuid": self.uuid,
            "page": self.page,
            "clusters": self.clusters if self.clusters_on_device is None else self.clusters_on_device,
            "thin": self.thin,
            "content": self.content,
            "allocated": self.allocated,
            "read_only": self.read_only,
            "parent": self.parent.page if self.parent else None,
            "esnap": self.esnap,
            "extents": self.extents,
            "is_lost": self.is_lost,
        }


@dataclass(eq=False, slots=True)
class Store:
    """An lvol store that is loaded."""

    uuid: str
    name: str
    base: Bdev
    geometry: Geometry
    total_clusters: int
    block_size: int  # of its volumes; the device's when the store was made
    journal: Journal | None = None  # None: on a device that nobody can read back
    lvols: dict[int, Lvol] = field(default_factory=dict)  # by page, in the order of creation
    names: dict[str, Lvol | None] = field(default_factory=dict)  # None: being created
    used_clusters: int = 0
    operations: int = 0
    pages: Pages = field(init=False)

    def __post_init__(self) -> None:
        self.pages = Pages(self.geometry.pages)

    @property
    def data_clusters(self) -> int:
        return self.total_clusters - self.geometry.metadata_clusters

    @property
    def free_clusters(self) -> int:
        return self.data_clusters - self.used_clusters

    def clusters_for(self, size: int) -> int:
        return -(-size // self.geometry.cluster_size)

    # Names

    @contextmanager
    def reserved(self, name: str) -> Iterator[None]:
        """Hold a name while its volume is being made: a second create of it fails at once."""
        self.names[name] = None
        try:
            yield
        finally:
            if name in self.names and self.names[name] is None:
                del self.names[name]

    @contextmanager
    def operation(self) -> Iterator[None]:
        """Blobstore has room for 512 operations at a time; the next fails with ENOMEM."""
        if self.operations >= MAX_OPERATIONS:
            raise failed(errno.ENOMEM, INVALID_PARAMS)
        self.operations += 1
        try:
            yield
        finally:
            self.operations -= 1

    # Volumes

    def add(self, name: str, uuid: str, content: str, clusters: int, *, thin: bool) -> Lvol:
        """A new volume; a thick one takes all its clusters now."""
        if thin and clusters > MAX_CLUSTERS:
            raise failed(errno.ENOMEM, INVALID_PARAMS)
        lvol = Lvol(name, uuid, self.pages.claim(), clusters, thin, content)
        try:
            self._allocate(lvol, 0 if thin else clusters)
        except BaseException:
            self.pages.release([lvol.page])
            raise
        self.lvols[lvol.page] = self.names[name] = lvol
        return lvol

    def resize(self, lvol: Lvol, clusters: int) -> None:
        """Volumes shrink without being asked twice. A thin one allocates nothing by growing."""
        if lvol.thin and clusters > MAX_CLUSTERS:
            raise failed(errno.ENOMEM, INVALID_PARAMS)
        if clusters != lvol.clusters:
            lvol.clusters_on_device = None
        grown = clusters if not lvol.thin else lvol.allocated
        self._allocate(lvol, min(max(grown, lvol.allocated), clusters))
        lvol.clusters = clusters

    def snapshot(self, lvol: Lvol, name: str, uuid: str) -> Lvol:
        """The snapshot gets the clusters and the parent; the volume becomes its thin clone."""
        taken = self.add(name, uuid, lvol.content, lvol.clusters, thin=True)
        taken.thin, taken.read_only, taken.esnap = lvol.thin, True, lvol.esnap
        taken.allocated, lvol.allocated = lvol.allocated, 0
        taken.extents, lvol.extents = lvol.extents, []
        parent = lvol.parent
        lvol.orphan()
        if parent is not None:
            parent.adopt(taken)
        taken.adopt(lvol)
        lvol.thin, lvol.esnap = True, None
        return taken

    def clone(self, lvol: Lvol, name: str, uuid: str) -> Lvol:
        made = self.add(name, uuid, lvol.content, lvol.clusters, thin=True)
        lvol.adopt(made)
        return made

    def fill(self, lvol: Lvol, allocated: int) -> None:
        """Copy clusters up from what lies below; ENOSPC before anything is done."""
        self._allocate(lvol, max(allocated, lvol.allocated))

    def remove(self, lvol: Lvol) -> None:
        """Forget a volume. A snapshot with one clone is merged into it."""
        for clone in list(lvol.clones):
            self._merge(lvol, clone)
        lvol.orphan()
        self.used_clusters -= lvol.allocated
        self.pages.release([lvol.page, *lvol.extents])
        self.forget(lvol)

    def forget(self, lvol: Lvol) -> None:
        """Out of the lists, whatever is still on the device. What it leaves there may come back beside a namesake."""
        del self.lvols[lvol.page]
        if self.names.get(lvol.name) is lvol:
            del self.names[lvol.name]

    def _merge(self, snapshot: Lvol, clone: Lvol) -> None:
        """The clone gets the clusters and extent pages that it has not got itself, and the grandparent.

        Observed: the size is the snapshot's after the next restart. What was made larger is cut off then, what was made
        smaller is gone.
        """
        if clone.clusters > snapshot.clusters and snapshot.allocated:
            clone.clusters_on_device = snapshot.clusters
        clone.is_lost |= clone.clusters < snapshot.clusters and snapshot.allocated > 0
        gained = max(0, min(snapshot.allocated, clone.clusters) - clone.allocated)
        pages = -(-(clone.allocated + gained) // EXTENTS) - len(clone.extents)
        keep = max(0, len(snapshot.extents) - pages)
        clone.extents += snapshot.extents[keep:]
        del snapshot.extents[keep:]
        clone.allocated += gained
        snapshot.allocated -= gained
        parent = snapshot.parent
        clone.orphan()
        clone.esnap = snapshot.esnap
        if parent is not None:
            snapshot.orphan()
            parent.adopt(clone)

    def _allocate(self, lvol: Lvol, allocated: int) -> None:
        """Give a volume so many clusters, and the pages that map them."""
        pages = -(-allocated // EXTENTS) - len(lvol.extents)
        if allocated - lvol.allocated > self.free_clusters or pages > self.pages.free:
            raise failed(errno.ENOSPC, INVALID_PARAMS)
        for _ in range(pages):
            lvol.extents.append(self.pages.claim())
        if pages < 0:
            self.pages.release(lvol.extents[pages:])
            del lvol.extents[pages:]
        self.used_clusters += allocated - lvol.allocated
        lvol.allocated = allocated

    def grow(self, size: int) -> None:
        """Take in what the device has grown by; ENOSPC beyond what the bitmap can tell."""
        clusters, geometry = size // self.geometry.cluster_size, self.geometry
        reserved = geometry.mask_pages(max(geometry.pages, self.total_clusters))
        if clusters < self.total_clusters or geometry.mask_pages(clusters) > reserved:
            raise failed(errno.ENOSPC, INVALID_PARAMS)
        self.total_clusters = clusters

    # What is on the device

    def erase(self) -> None:
        """Leave a blank device behind."""
        if self.journal is not None:
            self.journal.erase()

    def commit(self, *changed: Lvol, gone: Lvol | None = None) -> None:
        """Make a change of volumes durable, all of it or nothing."""
        self._write({"lvols": [lvol.to_record() for lvol in changed], "gone": gone.page if gone else None})

    def commit_self(self) -> None:
        """Make the store's own name and size durable."""
        self._write(self._record())

    def _write(self, record: Record) -> None:
        if self.journal is None:
            return
        try:
            self.journal.append(record, self.state)
        except OSError:
            raise failed(errno.EIO, INVALID_PARAMS) from None

    def state(self) -> Iterator[Record]:
        """Records that tell everything."""
        yield self._record()
        for lvol in self.lvols.values():
            yield {"lvols": [lvol.to_record()], "gone": None}

    def _record(self) -> Record:
        geometry = self.geometry
        return {
            "uuid": self.uuid,
            "name": self.name,
            "total_clusters": self.total_clusters,
            "block_size": self.block_size,
            "cluster_size": geometry.cluster_size,
            "page_size": geometry.page_size,
            "pages": geometry.pages,
            "metadata_clusters": geometry.metadata_clusters,
        }


def create(base: Bdev, uuid: str, name: str, geometry: Geometry, generation: Callable[[], int]) -> Store:
    """A new store on a device. Whatever the device held before is gone, silently."""
    store = Store(uuid, name, base, geometry, base.size // geometry.cluster_size, base.block_size)
    if base.media():
        try:
            store.journal = Journal.create(base.media, geometry.region, generation(), store.state())
        except OSError:
            raise failed(errno.EIO, INVALID_PARAMS) from None
    return store


def load(base: Bdev) -> Store | None:
    """The store that a device carries, with its volumes in the order of their metadata pages.

    Observed: none where the legs of a mirror differ, as each of them is read now and then.
    """
    fronts = {window.read(BLOCK, 0) for window in base.media()}
    found = Journal.open(base.media) if len(fronts) == 1 else None
    if found is None:
        return None
    journal, records = found
    head: Record = {}
    lvols: dict[int, Record] = {}
    for record in records:
        if "lvols" not in record:
            head = record
            continue
        lvols.pop(record["gone"], None)
        lvols |= {lvol["page"]: lvol for lvol in record["lvols"]}
    if not head or head["total_clusters"] * head["cluster_size"] > base.size:
        return None
    return _restore(base, journal, head, [lvols[page] for page in sorted(lvols)])


def _restore(base: Bdev, journal: Journal, head: Record, lvols: list[Record]) -> Store:
    geometry = Geometry(head["cluster_size"], head["page_size"], head["pages"], head["metadata_clusters"])
    store = Store(head["uuid"], head["name"], base, geometry, head["total_clusters"], head["block_size"], journal)
    for record in lvols:
        lvol = Lvol(**{**record, "parent": None})
        store.lvols[lvol.page] = store.names[lvol.name] = lvol
        store.used_clusters += lvol.allocated
    for record in lvols:
        if record["parent"] is not None:
            store.lvols[record["parent"]].adopt(store.lvols[record["page"]])
    store.pages.adopt([page for lvol in store.lvols.values() for page in (lvol.page, *lvol.extents)])
    return store
