//! One suite for both databases: each check takes a `Datastore` and runs on SQLite in a file and on a
//! MariaDB of the tests' own. A check that is not listed here is an unused function, and so a warning.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "clippy knows tests by their attribute only, and the checks are called by those"
)]

mod build;
mod connect;
mod database;
mod fenced;
mod flow;
mod lease;
mod restore;
mod service;
mod snapshot;
mod snapshot_chain;
mod snapshot_delete;
mod snapshot_verify;
mod trust;
mod volume_anchor;
mod workload;
mod workload_delete;
mod workload_lock;

macro_rules! checks {
    ($($module:ident { $($check:ident),+ $(,)? })+) => {
        mod sqlite {
            $(mod $module {$(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $check() {
                    let database = crate::database::Database::sqlite().await;
                    crate::$module::$check(database.store.clone()).await;
                }
            )+})+
        }
        mod mariadb {
            $(mod $module {$(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $check() {
                    let database = crate::database::Database::mariadb().await;
                    crate::$module::$check(database.store.clone()).await;
                }
            )+})+
        }
    };
}

checks! {
    workload {
        a_new_workload_reads_back_as_it_was_written,
        a_server_belongs_to_one_workload_only,
        of_two_workloads_that_want_a_server_at_once_one_gets_it,
        an_unknown_type_and_a_used_id_are_refused,
        a_list_shows_one_project_or_all,
        a_change_replaces_members_and_metadata_as_a_whole,
        a_change_that_claims_a_foreign_server_changes_nothing,
        both_built_in_types_are_there,
        what_is_unknown_is_not_found,
        outside_of_flows_only_legal_states_are_reached,
    }
    workload_lock {
        one_flow_at_a_time_holds_the_lock,
        members_stay_while_a_flow_works,
        an_owner_can_unlock_and_no_second_operation_begins,
        a_flow_that_cannot_put_it_right_leaves_an_error,
    }
    workload_delete {
        a_deleted_workload_frees_its_servers_and_is_gone,
        one_with_snapshots_stays,
        one_that_is_worked_on_stays,
        a_failed_deletion_can_be_asked_for_again,
    }
    snapshot {
        a_request_writes_the_snapshot_and_its_flow,
        a_second_one_is_refused_while_one_runs,
        of_many_requests_at_once_one_wins,
        a_slot_is_filled_once_even_by_many_schedulers_at_once,
        only_an_available_workload_is_protected,
        it_tells_how_far_it_is,
        its_topology_may_be_large_and_is_replaced,
        published_it_frees_the_workload_and_twice_is_once,
        failed_or_cancelled_it_says_why_and_frees_the_workload,
        only_legal_states_are_reached,
        a_list_is_filtered_and_oldest_first,
    }
    snapshot_chain {
        an_incremental_builds_on_the_newest_available,
        a_deleted_one_stays_in_the_chain_while_it_is_needed,
        one_that_failed_is_still_told_among_those_that_were_to_build_on_it,
        incrementals_are_counted_since_the_last_full_one_whatever_was_merged,
    }
    snapshot_delete {
        a_deleted_snapshot_is_gone_and_its_workload_free,
        one_operation_at_a_time,
        a_failed_deletion_leaves_it_restorable_or_in_error,
        only_a_settled_one_is_deleted,
        what_retention_takes_next_keeps_the_workload_locked,
        what_retention_cannot_have_lets_the_workload_go,
    }
    snapshot_verify {
        what_a_verification_finds_stays_with_the_snapshot,
        a_verification_that_fails_leaves_what_was_known,
        nothing_else_works_on_the_workload_meanwhile,
    }
    restore {
        a_request_makes_the_snapshot_restoring,
        of_many_requests_at_once_one_wins,
        only_an_available_snapshot_is_restored,
        published_one_click_it_puts_the_new_servers_in_place_of_the_old,
        published_without_members_it_leaves_them,
        failed_it_gives_the_snapshot_back,
        its_record_is_deleted_when_it_has_settled,
        a_list_is_filtered_and_oldest_first,
    }
    volume_anchor {
        new_anchors_supersede_the_old_until_those_are_gone,
        a_repeated_step_supersedes_nothing_of_its_own,
        cleared_all_are_superseded,
    }
    flow {
        the_oldest_is_claimed_first,
        of_many_claimers_each_flow_has_one,
        a_claim_ends_with_its_lease_unless_it_is_renewed,
        released_it_is_claimed_by_the_next,
        finished_it_is_claimed_by_nobody,
        its_log_is_kept_in_order_across_claims,
        it_is_asked_to_stop_by_any_of_its_names,
        it_is_found_by_what_it_works_on,
    }
    fenced {
        an_overtaken_engine_writes_nothing,
        a_released_and_a_finished_claim_write_nothing,
        a_claim_does_only_what_its_kind_may,
        an_overtaken_engine_that_writes_at_the_same_time_changes_nothing,
    }
    trust {
        a_trust_is_found_by_user_and_by_name,
        a_new_one_replaces_the_old_of_the_same_user,
        a_forgotten_one_is_gone,
    }
    service {
        a_heartbeat_makes_one_row_a_program,
        many_first_heartbeats_at_once_make_one_row,
    }
    lease {
        it_has_one_holder_until_it_runs_out,
        of_many_who_want_it_one_gets_it,
        its_own_holder_gets_it_again_and_the_old_grant_is_void,
        released_it_is_free_at_once,
    }
}
