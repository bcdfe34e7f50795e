"""Every method that the simulator answers, as data: parameters, when it may be called, how bad parameters are refused.

Names, types and what is required are facts of the v26.05 RPC schema; refusals and laxness were observed on a live
target, and where nothing was observed they follow the method's family.
"""

from __future__ import annotations

import errno
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from backends.spdk.simulator import errors
from backends.spdk.simulator.params import TYPES, Decoded, Fields, Undecodable, array_of, fields, one_of, string
from backends.spdk.simulator.wire import Call

BAD_BDEV: Final = (errors.INTERNAL_ERROR, "spdk_json_decode_object failed")
BAD_NVMF: Final = (errors.INVALID_PARAMS, "Invalid parameters")
BAD_RAID: Final = (errors.PARSE_ERROR, "spdk_json_decode_object failed")
BAD_EXAMINE: Final = (errors.INVALID_PARAMS, "spdk_json_decode_object failed")
BAD_NOTIFY: Final = (errors.INVALID_PARAMS, "Invalid argument")
BAD_CONFIG: Final = (errors.INVALID_PARAMS, "Invalid arguments")
BAD_CRYPTO: Final = (errors.PARSE_ERROR, "Failed to decode crypto disk create parameters.")

_ADDRESS: Final = fields("trtype:string! adrfam:string traddr:string! trsvcid:string", TYPES)
_NAMESPACE: Final = fields(
    "nsid:uint32 bdev_name:string! nguid:nguid eui64:eui64 uuid:uuid ptpl_file:string anagrpid:uint32"
    " no_auto_visible:boolean hide_metadata:boolean",
    TYPES,
)
_DIGESTS: Final = array_of(one_of("sha256", "sha384", "sha512"), 32)
_DHGROUPS: Final = array_of(one_of("null", "ffdhe2048", "ffdhe3072", "ffdhe4096", "ffdhe6144", "ffdhe8192"), 32)
_PASSTHRU: Final = fields(
    "identify_ctrlr:boolean identify_uuid_list:boolean get_log_page:boolean get_set_features:boolean sanitize:boolean"
    " security_send_recv:boolean fw_update:boolean nvme_mi:boolean vendor_specific:boolean",
    TYPES,
)
_TYPES: Final = {
    **TYPES,
    "anything": lambda value: value,
    "address": _ADDRESS.decode,
    "namespace": _NAMESPACE.decode,
    "passthru": _PASSTHRU.decode,
    "digests": _DIGESTS,
    "dhgroups": _DHGROUPS,
    "oncs": array_of(one_of("nvmcmps", "nvmdsmsv", "nvmwzsv", "reservs", "nvmcpys"), 16),
    "fuses": array_of(one_of("fcws"), 16),
    "names": array_of(string, 1024),
    "bases": array_of(string, 255),
}
_ANA: Final = "[optimized|non_optimized|inaccessible]"
_RAID_LEVEL: Final = "[raid0|0|raid1|1|raid5f|5f|concat]"


@dataclass(frozen=True, slots=True)
class Method:
    """How one method is called."""

    name: str
    fields: Fields
    refusal: tuple[int, str] = BAD_BDEV
    startup: bool = False  # may be called before the framework is initialised
    runtime: bool = True  # may be called after
    bare: str | None = None  # takes no parameters at all, and refuses even {} in these words
    reads: bool = False  # changes nothing
    choosy: bool = False  # parameters that are given must name something
    absent: bool = True  # where nothing is required, there may be no parameters at all

    def decode(self, call: Call) -> Decoded:
        """The call's parameters, or the method's own way to refuse them."""
        if call.params is None and self.absent and not self.fields.required:
            return {}
        if call.params is not None and self.bare is not None:
            raise errors.RpcError(errors.INVALID_PARAMS, self.bare)
        try:
            decoded = self.fields.decode(call.params)
        except Undecodable:
            raise errors.RpcError(*self.refusal) from None
        if self.choosy and not decoded:
            raise errors.failed(errno.EINVAL)
        return decoded


def _method(  # noqa: PLR0913  # a row of the table
    name: str,
    params: str = "",
    refusal: tuple[int, str] = BAD_BDEV,
    *,
    lax: bool = False,
    startup: bool = False,
    runtime: bool = True,
    bare: str | None = None,
    reads: bool = False,
    choosy: bool = False,
    absent: bool = True,
) -> Method:
    return Method(name, fields(params, _TYPES, lax=lax), refusal, startup, runtime, bare, reads, choosy, absent)


_FRAMEWORK: Final = (
    _method("spdk_get_version", startup=True, bare="spdk_get_version method requires no parameters", reads=True),
    _method("rpc_get_methods", "current:boolean include_aliases:boolean", BAD_NVMF, startup=True, reads=True),
    _method("spdk_kill_instance", "sig_name:[SIGINT|SIGTERM|SIGQUIT|SIGHUP|SIGKILL|SIGUSR1]!", BAD_NVMF),
    _method("framework_start_init", startup=True, runtime=False, bare="framework_start_init requires no parameters"),
    _method("framework_wait_init", startup=True, lax=True, reads=True),
    _method("framework_get_subsystems", bare="'framework_get_subsystems' requires no arguments", reads=True),
    _method("framework_get_config", "name:string! with_batches:boolean", BAD_CONFIG, reads=True),
    _method("framework_get_reactors", bare="`framework_get_reactors` requires no arguments", reads=True),
    _method("framework_get_scheduler", bare="'rpc_get_scheduler' requires no arguments", reads=True),
    _method("sock_get_default_impl", bare="sock_get_default_impl requires no parameters", reads=True, startup=True),
    _method("accel_get_opc_assignments", bare="accel_get_opc_assignments requires no parameters", reads=True),
    _method("accel_get_module_info", bare="accel_get_module_info requires no parameters", reads=True),
    _method("iobuf_get_stats", lax=True, reads=True),
    _method("env_dpdk_get_mem_stats", bare="env_dpdk_get_mem_stats doesn't accept any parameters.\n", reads=True),
    _method("nbd_start_disk", "bdev_name:string! nbd_device:string", BAD_NVMF),
    _method("nbd_stop_disk", "nbd_device:string!", BAD_NVMF),
    _method("nbd_get_disks", "nbd_device:string", BAD_NVMF, reads=True),
    _method("notify_get_types", bare="No parameters required", reads=True),
    _method("notify_get_notifications", "id:uint64 max:uint64", BAD_NOTIFY, reads=True),
)

_BDEV: Final = (
    _method(
        "bdev_set_options",
        "bdev_io_pool_size:uint32 bdev_io_cache_size:uint32 bdev_auto_examine:boolean iobuf_small_cache_size:uint32"
        " iobuf_large_cache_size:uint32",
        BAD_NVMF,
        startup=True,
        runtime=False,
    ),
    _method("bdev_get_bdevs", "name:string timeout:uint64", reads=True),
    _method("bdev_get_iostat", "names:names per_channel:boolean reset_mode:[all|maxmin|error|none]", reads=True),
    _method("bdev_examine", "name:string!", BAD_EXAMINE),
    _method("bdev_wait_for_examine", bare="bdev_wait_for_examine requires no parameters", reads=True),
    _method(
        "bdev_set_qos_limit",
        "name:string! rw_ios_per_sec:uint64 rw_mbytes_per_sec:uint64 r_mbytes_per_sec:uint64 w_mbytes_per_sec:uint64",
    ),
    _method(
        "bdev_malloc_create",
        "name:string block_size:uint32! num_blocks:uint64! uuid:uuid optimal_io_boundary:uint32 md_size:uint32"
        " md_interleave:boolean dif_type:int32 dif_is_head_of_md:boolean physical_block_size:uint32"
        " dif_pi_format:uint32 numa_id:int32",
    ),
    _method("bdev_malloc_delete", "name:string!"),
    _method(
        "bdev_null_create",
        "name:string! block_size:uint32! num_blocks:uint64! uuid:uuid physical_block_size:uint32 md_size:uint32"
        " dif_type:int32 dif_pi_format:uint32 dif_is_head_of_md:boolean preferred_write_granularity:uint32"
        " preferred_write_alignment:uint32 optimal_write_size:uint32 preferred_unmap_granularity:uint32"
        " preferred_unmap_alignment:uint32",
    ),
    _method("bdev_null_resize", "name:string! new_size:uint64!"),
    _method("bdev_null_delete", "name:string!"),
    _method(
        "bdev_aio_create",
        "name:string! filename:string! block_size:uint32 readonly:boolean fallocate:boolean uuid:uuid nowait:boolean",
    ),
    _method("bdev_aio_rescan", "name:string!"),
    _method("bdev_aio_delete", "name:string!"),
    _method("bdev_uring_create", "name:string! filename:string! block_size:uint32 uuid:uuid"),
    _method("bdev_uring_rescan", "name:string!"),
    _method("bdev_uring_delete", "name:string!"),
    _method("bdev_passthru_create", "name:string! base_bdev_name:string! uuid:uuid"),
    _method("bdev_passthru_delete", "name:string!"),
    _method(
        "bdev_delay_create",
        "name:string! base_bdev_name:string! uuid:uuid avg_read_latency:uint64! p99_read_latency:uint64!"
        " avg_write_latency:uint64! p99_write_latency:uint64!",
    ),
    _method("bdev_delay_delete", "name:string!"),
    _method(
        "bdev_delay_update_latency",
        "delay_bdev_name:string! latency_type:[avg_read|p99_read|avg_write|p99_write]! latency_us:uint64!",
    ),
    _method(
        "bdev_nvme_attach_controller",
        "name:string! trtype:string! traddr:string! adrfam:string trsvcid:string subnqn:string hostnqn:string"
        " multipath:[disable|failover|multipath] ctrlr_loss_timeout_sec:int32 reconnect_delay_sec:uint32"
        " fast_io_fail_timeout_sec:uint32",
    ),
    _method(
        "bdev_nvme_detach_controller",
        "name:string! trtype:string traddr:string adrfam:string trsvcid:string subnqn:string",
    ),
    _method("bdev_nvme_get_controllers", "name:string", reads=True),
    _method("bdev_nvme_set_multipath_policy", "name:string! policy:[active_passive|active_active]! selector:string"),
)

_LVOL: Final = (
    _method(
        "bdev_lvol_create_lvstore",
        "bdev_name:string! lvs_name:string! cluster_sz:uint32 clear_method:string num_md_pages_per_cluster_ratio:uint32"
        " md_page_size:uint32",
    ),
    _method("bdev_lvol_rename_lvstore", "old_name:string! new_name:string!"),
    _method("bdev_lvol_grow_lvstore", "uuid:string lvs_name:string", absent=False),
    _method("bdev_lvol_delete_lvstore", "uuid:string lvs_name:string", absent=False),
    _method("bdev_lvol_get_lvstores", "uuid:string lvs_name:string", reads=True, choosy=True),
    _method(
        "bdev_lvol_create",
        "lvol_name:string! size_in_mib:uint64! thin_provision:boolean uuid:string lvs_name:string clear_method:string",
    ),
    _method("bdev_lvol_get_lvols", "lvs_uuid:string lvs_name:string", reads=True, choosy=True),
    _method("bdev_lvol_resize", "name:string! size_in_mib:uint64!"),
    _method("bdev_lvol_rename", "old_name:string! new_name:string!"),
    _method("bdev_lvol_set_read_only", "name:string!"),
    _method("bdev_lvol_delete", "name:string!"),
    _method("bdev_lvol_snapshot", "lvol_name:string! snapshot_name:string!"),
    _method("bdev_lvol_clone", "snapshot_name:string! clone_name:string!"),
    _method("bdev_lvol_clone_bdev", "bdev:string! lvs_name:string! clone_name:string!"),
    _method("bdev_lvol_inflate", "name:string!"),
    _method("bdev_lvol_decouple_parent", "name:string!"),
    _method("bdev_lvol_set_parent", "lvol_name:string! parent_name:string!"),
    _method("bdev_lvol_set_parent_bdev", "lvol_name:string! parent_name:string!"),
    _method("bdev_lvol_start_shallow_copy", "src_lvol_name:string! dst_bdev_name:string!"),
    _method("bdev_lvol_check_shallow_copy", "operation_id:uint32!"),
)

_NVMF: Final = (
    _method(
        "nvmf_set_config",
        "admin_cmd_passthru:passthru poll_groups_mask:string discovery_filter:string dhchap_digests:digests"
        " dhchap_dhgroups:dhgroups dup_host_policy:[allow|restrict_per_listener]",
        BAD_NVMF,
        startup=True,
        runtime=False,
    ),
    _method("nvmf_set_max_subsystems", "max_subsystems:uint32!", BAD_NVMF, startup=True, runtime=False),
    _method("nvmf_set_crdt", "crdt1:uint16 crdt2:uint16 crdt3:uint16", BAD_NVMF, startup=True, runtime=False),
    _method(
        "nvmf_create_target",
        "name:string! max_subsystems:uint32 discovery_filter:uint32 dup_host_policy:uint32",
        BAD_NVMF,
    ),
    _method("nvmf_delete_target", "name:string!", BAD_NVMF),
    _method("nvmf_get_targets", bare="nvmf_get_targets has no parameters.", reads=True),
    _method(
        "nvmf_create_transport",
        "trtype:string! tgt_name:string max_queue_depth:uint16 max_io_qpairs_per_ctrlr:uint16"
        " in_capsule_data_size:uint32 max_io_size:uint32 io_unit_size:uint32 max_aq_depth:uint32"
        " num_shared_buffers:uint32 buf_cache_size:uint32 iobuf_small_cache_size:uint32 iobuf_large_cache_size:uint32"
        " zcopy:boolean c2h_success:boolean dif_insert_or_strip:boolean sock_priority:uint32 control_msg_num:uint16"
        " abort_timeout_sec:uint32 acceptor_poll_rate:uint32 ack_timeout:uint32 data_wr_pool_size:uint32"
        " disable_command_passthru:boolean kas:uint16 min_kato:uint32 masked_oncs:oncs masked_fuses:fuses",
        BAD_NVMF,
        lax=True,
    ),
    _method("nvmf_get_transports", "tgt_name:string trtype:string", BAD_NVMF, reads=True),
    _method(
        "nvmf_create_subsystem",
        "nqn:string! tgt_name:string serial_number:string model_number:string max_namespaces:uint32"
        " allow_any_host:boolean ana_reporting:boolean min_cntlid:uint16 max_cntlid:uint16 max_discard_size_kib:uint64"
        " max_write_zeroes_size_kib:uint64 dmrsl:uint32 wzsl:uint8 passthrough:boolean enable_nssr:boolean",
        BAD_NVMF,
    ),
    _method("nvmf_delete_subsystem", "nqn:string! tgt_name:string", BAD_NVMF),
    _method("nvmf_get_subsystems", "nqn:string tgt_name:string", BAD_NVMF, reads=True),
    _method("nvmf_subsystem_add_ns", "nqn:string! namespace:namespace! tgt_name:string", BAD_NVMF, lax=True),
    _method("nvmf_subsystem_remove_ns", "nqn:string! nsid:uint32! tgt_name:string", BAD_NVMF),
    _method("nvmf_subsystem_set_ns_ana_group", "nqn:string! nsid:uint32! anagrpid:uint32! tgt_name:string", BAD_NVMF),
    _method("nvmf_ns_add_host", "nqn:string! nsid:uint32! host:string! tgt_name:string", BAD_NVMF),
    _method("nvmf_ns_remove_host", "nqn:string! nsid:uint32! host:string! tgt_name:string", BAD_NVMF),
    _method(
        "nvmf_subsystem_add_listener",
        f"nqn:string! tgt_name:string listen_address:address! secure_channel:boolean ana_state:{_ANA} sock_impl:string",
        BAD_NVMF,
        lax=True,
    ),
    _method("nvmf_subsystem_remove_listener", "nqn:string! tgt_name:string listen_address:address!", BAD_NVMF),
    _method(
        "nvmf_subsystem_listener_set_ana_state",
        f"nqn:string! tgt_name:string listen_address:address! ana_state:{_ANA}! anagrpid:uint32",
        BAD_NVMF,
    ),
    _method("nvmf_subsystem_get_listeners", "nqn:string! tgt_name:string", BAD_NVMF, reads=True),
    _method(
        "nvmf_subsystem_add_host",
        "nqn:string! host:string! tgt_name:string psk:anything dhchap_key:string dhchap_ctrlr_key:string",
        BAD_NVMF,
        lax=True,
    ),
    _method("nvmf_subsystem_remove_host", "nqn:string! host:string! tgt_name:string timeout_ms:uint64", BAD_NVMF),
    _method(
        "nvmf_subsystem_set_keys",
        "nqn:string! host:string! tgt_name:string dhchap_key:string dhchap_ctrlr_key:string",
        BAD_NVMF,
    ),
    _method("nvmf_subsystem_allow_any_host", "nqn:string! allow_any_host:boolean! tgt_name:string", BAD_NVMF),
    _method("nvmf_subsystem_get_controllers", "nqn:string! tgt_name:string", BAD_NVMF, reads=True),
    _method("nvmf_subsystem_get_qpairs", "nqn:string! tgt_name:string", BAD_NVMF, reads=True),
    _method(
        "nvmf_discovery_add_referral",
        "tgt_name:string address:address! secure_channel:boolean subnqn:string",
        BAD_NVMF,
        lax=True,
    ),
    _method("nvmf_discovery_remove_referral", "tgt_name:string address:address! subnqn:string", BAD_NVMF),
    _method("nvmf_discovery_get_referrals", "tgt_name:string", BAD_NVMF, reads=True),
    _method("nvmf_get_stats", "tgt_name:string", BAD_NVMF, reads=True),
)

_KEYS: Final = (
    _method("keyring_file_add_key", "name:string! path:string!", BAD_NOTIFY, lax=True),
    _method("keyring_file_remove_key", "name:string!", BAD_NOTIFY),
    _method("keyring_get_keys", lax=True, reads=True),
    _method(
        "accel_crypto_key_create",
        "cipher:[AES_CBC|AES_XTS]! key:string! key2:string"
        " tweak_mode:[SIMPLE_LBA|JOIN_NEG_LBA_WITH_LBA|INCR_512_FULL_LBA|INCR_512_UPPER_LBA] name:string!",
        BAD_RAID,
    ),
    _method("accel_crypto_key_destroy", "key_name:string!", BAD_RAID),
    _method("accel_crypto_keys_get", "key_name:string", BAD_RAID, reads=True),
    _method(
        "bdev_crypto_create",
        "base_bdev_name:string! name:string! crypto_pmd:string key:string cipher:string key2:string key_name:string",
        BAD_CRYPTO,
    ),
    _method("bdev_crypto_delete", "name:string!", BAD_NVMF),
)

_RAID: Final = (
    _method(
        "bdev_raid_create",
        f"name:string! strip_size_kb:uint32 raid_level:{_RAID_LEVEL}! base_bdevs:bases! uuid:uuid superblock:boolean",
        BAD_RAID,
    ),
    _method(
        "bdev_raid_set_options",
        "process_window_size_kb:uint32 process_max_bandwidth_mb_sec:uint32",
        BAD_RAID,
        startup=True,
    ),
    _method("bdev_raid_delete", "name:string! clear_sb:boolean", BAD_RAID),
    _method("bdev_raid_get_bdevs", "category:[online|configuring|offline|all]!", BAD_RAID, reads=True),
    _method("bdev_raid_add_base_bdev", "raid_bdev:string! base_bdev:string!", BAD_BDEV),
    _method("bdev_raid_remove_base_bdev", "name:string!", BAD_RAID),
)

METHODS: Final[Mapping[str, Method]] = {
    method.name: method for method in (*_FRAMEWORK, *_BDEV, *_LVOL, *_NVMF, *_KEYS, *_RAID)
}
