//! The built-in rules, one for each operation of [`ROUTES`](crate::ROUTES), and what they are made of.

/// A rule that holds unless the operator's file has one of the same name.
#[derive(Clone, Copy, Debug)]
pub struct DefaultRule {
    /// Its name: an operation, or a rule for other rules to use.
    pub operation: &'static str,
    /// oslo.policy's language.
    pub check: &'static str,
}

/// The rule that makes `is_admin:True` hold.
pub(super) const CONTEXT_IS_ADMIN: &str = "context_is_admin";

const fn owner(operation: &'static str) -> DefaultRule {
    DefaultRule {
        operation,
        check: "rule:admin_or_owner",
    }
}

/// All of them.
pub const DEFAULTS: &[DefaultRule] = &[
    DefaultRule {
        operation: CONTEXT_IS_ADMIN,
        check: "role:admin",
    },
    DefaultRule {
        operation: "admin_api",
        check: "is_admin:True",
    },
    DefaultRule {
        operation: "admin_or_owner",
        check: "is_admin:True or project_id:%(project_id)s",
    },
    DefaultRule {
        operation: "versions:version_list",
        check: "@",
    },
    owner("workload:workload_type_list"),
    owner("workload:workload_type_show"),
    owner("workload:workload_list"),
    owner("workload:workload_show"),
    owner("workload:workload_create"),
    owner("workload:workload_modify"),
    owner("workload:workload_delete"),
    owner("workload:workload_unlock"),
    owner("workload:workload_snapshot"),
    owner("snapshot:snapshot_list"),
    owner("snapshot:snapshot_show"),
    owner("snapshot:snapshot_delete"),
    owner("snapshot:snapshot_cancel"),
    owner("snapshot:snapshot_restore"),
    owner("snapshot:snapshot_verify"),
    owner("restore:restore_list"),
    owner("restore:restore_show"),
    owner("restore:restore_delete"),
    owner("restore:restore_cancel"),
    owner("workload:trust_list"),
    owner("workload:trust_show"),
    owner("workload:trust_create"),
    owner("workload:trust_delete"),
];
