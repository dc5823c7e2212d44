//! The one schema that both databases have. Names and columns are those of the contract where the
//! table exists there, common columns first (architecture D16); what is ours has names of its own.

diesel::table! {
    workload_types (id) {
        created_at -> Timestamp,
        updated_at -> Timestamp,
        deleted_at -> Nullable<Timestamp>,
        deleted -> Bool,
        version -> Text,
        id -> Text,
        display_name -> Text,
        display_description -> Text,
        is_public -> Bool,
        status -> Text,
    }
}

diesel::table! {
    workloads (id) {
        created_at -> Timestamp,
        updated_at -> Timestamp,
        deleted_at -> Nullable<Timestamp>,
        deleted -> Bool,
        version -> Text,
        id -> Text,
        user_id -> Text,
        project_id -> Text,
        display_name -> Text,
        display_description -> Text,
        workload_type_id -> Text,
        source_platform -> Nullable<Text>,
        status -> Text,
        error_msg -> Nullable<Text>,
        jobschedule -> Text,
        availability_zone -> Nullable<Text>,
        locked_by_flow -> Nullable<Text>,
        revision -> BigInt,
    }
}

diesel::table! {
    workload_vms (id) {
        created_at -> Timestamp,
        updated_at -> Timestamp,
        deleted_at -> Nullable<Timestamp>,
        deleted -> Bool,
        version -> Text,
        id -> Text,
        workload_id -> Text,
        vm_id -> Text,
        vm_name -> Text,
        status -> Text,
        position -> Integer,
    }
}

diesel::table! {
    workload_metadata (id) {
        created_at -> Timestamp,
        updated_at -> Timestamp,
        deleted_at -> Nullable<Timestamp>,
        deleted -> Bool,
        version -> Text,
        id -> Text,
        workload_id -> Text,
        key -> Text,
        value -> Text,
    }
}

diesel::table! {
    snapshots (id) {
        created_at -> Timestamp,
        updated_at -> Timestamp,
        deleted_at -> Nullable<Timestamp>,
        deleted -> Bool,
        version -> Text,
        id -> Text,
        workload_id -> Text,
        user_id -> Text,
        project_id -> Text,
        snapshot_type -> Text,
        display_name -> Text,
        display_description -> Text,
        status -> Text,
        host -> Nullable<Text>,
        size -> BigInt,
        uploaded_size -> BigInt,
        restore_size -> BigInt,
        progress_percent -> Integer,
        progress_msg -> Nullable<Text>,
        warning_msg -> Nullable<Text>,
        error_msg -> Nullable<Text>,
        finished_at -> Nullable<Timestamp>,
        time_taken -> BigInt,
        due_at -> Nullable<Timestamp>,
        backing_snapshot_id -> Nullable<Text>,
        is_kept_for_chain -> Bool,
        target_id -> Nullable<Text>,
        incrementals_since_full -> Integer,
        verified_at -> Nullable<Timestamp>,
        damage_msg -> Nullable<Text>,
    }
}

diesel::table! {
    snapshot_vms (id) {
        created_at -> Timestamp,
        updated_at -> Timestamp,
        deleted_at -> Nullable<Timestamp>,
        deleted -> Bool,
        version -> Text,
        id -> Text,
        snapshot_id -> Text,
        vm_id -> Text,
        vm_name -> Text,
        status -> Text,
        position -> Integer,
    }
}

diesel::table! {
    restores (id) {
        created_at -> Timestamp,
        updated_at -> Timestamp,
        deleted_at -> Nullable<Timestamp>,
        deleted -> Bool,
        version -> Text,
        id -> Text,
        snapshot_id -> Text,
        user_id -> Text,
        project_id -> Text,
        restore_type -> Text,
        display_name -> Text,
        display_description -> Text,
        status -> Text,
        host -> Nullable<Text>,
        size -> BigInt,
        uploaded_size -> BigInt,
        progress_percent -> Integer,
        progress_msg -> Nullable<Text>,
        warning_msg -> Nullable<Text>,
        error_msg -> Nullable<Text>,
        finished_at -> Nullable<Timestamp>,
        time_taken -> BigInt,
        restore_options -> Text,
    }
}

diesel::table! {
    restored_vms (id) {
        created_at -> Timestamp,
        updated_at -> Timestamp,
        deleted_at -> Nullable<Timestamp>,
        deleted -> Bool,
        version -> Text,
        id -> Text,
        restore_id -> Text,
        vm_id -> Text,
        vm_name -> Text,
        status -> Text,
        original_vm_id -> Text,
        position -> Integer,
    }
}

diesel::table! {
    settings (name, project_id) {
        created_at -> Timestamp,
        updated_at -> Timestamp,
        deleted_at -> Nullable<Timestamp>,
        deleted -> Bool,
        version -> Text,
        name -> Text,
        project_id -> Text,
        user_id -> Text,
        value -> Text,
        description -> Text,
        category -> Text,
        #[sql_name = "type"]
        setting_type -> Text,
        public -> Bool,
        hidden -> Bool,
        status -> Text,
    }
}

diesel::table! {
    setting_metadata (id) {
        created_at -> Timestamp,
        updated_at -> Timestamp,
        deleted_at -> Nullable<Timestamp>,
        deleted -> Bool,
        version -> Text,
        id -> Text,
        settings_name -> Text,
        settings_project_id -> Text,
        key -> Text,
        value -> Text,
    }
}

diesel::table! {
    services (id) {
        created_at -> Timestamp,
        updated_at -> Timestamp,
        deleted_at -> Nullable<Timestamp>,
        deleted -> Bool,
        version -> Text,
        id -> Text,
        host -> Text,
        binary -> Text,
        disabled -> Bool,
        disabled_reason -> Nullable<Text>,
        last_seen_at -> Timestamp,
    }
}

diesel::table! {
    snapshot_topologies (snapshot_id) {
        snapshot_id -> Text,
        topology -> Text,
    }
}

diesel::table! {
    claimed_servers (server_id) {
        server_id -> Text,
        workload_id -> Text,
    }
}

diesel::table! {
    volume_anchors (volume_snapshot_id) {
        volume_snapshot_id -> Text,
        workload_id -> Text,
        volume_id -> Text,
        snapshot_id -> Text,
        is_superseded -> Bool,
    }
}

diesel::table! {
    flows (id) {
        id -> Text,
        request -> Text,
        kind -> Text,
        workload_id -> Text,
        subject_id -> Text,
        project_id -> Text,
        status -> Text,
        lease_holder -> Nullable<Text>,
        lease_expires_at -> Nullable<Timestamp>,
        epoch -> BigInt,
        attempt_count -> Integer,
        write_count -> BigInt,
        is_cancel_requested -> Bool,
        dag -> Nullable<Text>,
        outcome -> Nullable<Text>,
        created_at -> Timestamp,
        updated_at -> Timestamp,
    }
}

diesel::table! {
    flow_events (flow_id, seq) {
        flow_id -> Text,
        seq -> BigInt,
        event -> Text,
        created_at -> Timestamp,
    }
}

diesel::table! {
    leases (name) {
        name -> Text,
        holder -> Nullable<Text>,
        epoch -> BigInt,
        expires_at -> Timestamp,
    }
}

diesel::joinable!(restores -> snapshots (snapshot_id));

diesel::allow_tables_to_appear_in_same_query!(restores, snapshots);
