"""Options that a target shows and that change nothing here: the defaults of v26.05."""

from __future__ import annotations

from typing import Final

from schemas.resources import Json

SCHEDULER: Final[dict[str, Json]] = {"name": "static"}
SOCK: Final[dict[str, Json]] = {
    "recv_buf_size": 2097152,
    "send_buf_size": 2097152,
    "enable_recv_pipe": True,
    "enable_quickack": False,
    "enable_placement_id": 0,
    "enable_zerocopy_send_server": True,
    "enable_zerocopy_send_client": False,
    "zerocopy_threshold": 0,
    "tls_version": 0,
    "enable_ktls": False,
}
SOCK_IMPLEMENTATIONS: Final = {"ssl": SOCK | {"recv_buf_size": 4096, "send_buf_size": 4096}, "posix": SOCK}
IOBUF: Final[dict[str, Json]] = {
    "small_pool_count": 8192,
    "large_pool_count": 1024,
    "small_bufsize": 8192,
    "large_bufsize": 135168,
    "enable_numa": False,
}
IOBUF_STATS: Final[dict[str, Json]] = {"cache": 0, "main": 0, "retry": 0, "cache_size": 0}
ACCEL: Final[dict[str, Json]] = {
    "small_cache_size": 128,
    "large_cache_size": 16,
    "task_count": 2048,
    "sequence_count": 2048,
    "buf_count": 2048,
}
OPERATIONS: Final = (
    "copy",
    "fill",
    "dualcast",
    "compare",
    "crc32c",
    "copy_crc32c",
    "compress",
    "decompress",
    "encrypt",
    "decrypt",
    "xor",
    "dif_verify",
    "dif_verify_copy",
    "dif_generate",
    "dif_generate_copy",
    "dix_generate",
    "dix_verify",
)
MODULES: Final[dict[str, tuple[str, ...]]] = {"error": ("crc32c",), "software": OPERATIONS}
BDEV: Final[dict[str, Json]] = {
    "bdev_io_pool_size": 65535,
    "bdev_io_cache_size": 256,
    "bdev_auto_examine": True,
    "iobuf_small_cache_size": 128,
    "iobuf_large_cache_size": 16,
}
BDEV_NVME: Final[dict[str, Json]] = {
    "action_on_timeout": "none",
    "timeout_us": 0,
    "timeout_admin_us": 0,
    "keep_alive_timeout_ms": 10000,
    "arbitration_burst": 0,
    "low_priority_weight": 0,
    "medium_priority_weight": 0,
    "high_priority_weight": 0,
    "nvme_adminq_poll_period_us": 10000,
    "nvme_ioq_poll_period_us": 0,
    "io_queue_requests": 0,
    "delay_cmd_submit": True,
    "transport_retry_count": 4,
    "bdev_retry_count": 3,
    "transport_ack_timeout": 0,
    "ctrlr_loss_timeout_sec": 0,
    "reconnect_delay_sec": 0,
    "fast_io_fail_timeout_sec": 0,
    "disable_auto_failback": False,
    "generate_uuids": False,
    "transport_tos": 0,
    "nvme_error_stat": False,
    "rdma_srq_size": 0,
    "io_path_stat": False,
    "allow_accel_sequence": False,
    "rdma_max_cq_size": 0,
    "rdma_cm_event_timeout_ms": 0,
    "dhchap_digests": ["sha256", "sha384", "sha512"],
    "dhchap_dhgroups": ["null", "ffdhe2048", "ffdhe3072", "ffdhe4096", "ffdhe6144", "ffdhe8192"],
    "rdma_umr_per_io": False,
    "tcp_connect_timeout_ms": 0,
    "enable_flush": False,
    "multipath_opts": {"policy": "active_passive"},
}
BDEV_NVME_HOTPLUG: Final[dict[str, Json]] = {"period_us": 100000, "enable": False}
