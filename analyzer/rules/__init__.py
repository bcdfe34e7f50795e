"""The rules, one module and one page each. A rule takes part when it stands in this list."""

from analyzer.rules import (
    cross_target_reference,
    dangling_reference,
    data_loss_without_removal,
    device_used_twice,
    duplicate_host_nqn,
    duplicate_item,
    duplicate_key,
    duplicate_nqn,
    duplicate_nsid,
    duplicate_resource,
    immutable_field_change,
    invalid_policy,
    invalid_resource,
    invalid_yaml,
    namespace_not_allowed,
    nqn_outside_prefix,
    pool_overcommitted,
    reference_cycle,
    removal_of_declared,
    unknown_field,
    unknown_kind,
    unreadable_file,
    volume_exported_twice,
    volume_shrink,
)

RULES = (
    # what cannot be read, or not be taken at its word
    unreadable_file.RULE,
    invalid_policy.RULE,
    invalid_yaml.RULE,
    duplicate_key.RULE,
    unknown_kind.RULE,
    invalid_resource.RULE,
    unknown_field.RULE,
    # who is who, and who refers to whom
    duplicate_resource.RULE,
    duplicate_item.RULE,
    dangling_reference.RULE,
    reference_cycle.RULE,
    namespace_not_allowed.RULE,
    # what a target could not do, or hosts would misunderstand
    duplicate_nqn.RULE,
    duplicate_host_nqn.RULE,
    duplicate_nsid.RULE,
    nqn_outside_prefix.RULE,
    volume_exported_twice.RULE,
    device_used_twice.RULE,
    cross_target_reference.RULE,
    pool_overcommitted.RULE,
    # what a change would do
    data_loss_without_removal.RULE,
    removal_of_declared.RULE,
    immutable_field_change.RULE,
    volume_shrink.RULE,
)
