-- The same tables as in ../../mysql; `src/schema.rs` is both.

CREATE TABLE IF NOT EXISTS workload_types (
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL,
    deleted_at TIMESTAMP NULL,
    deleted BOOLEAN NOT NULL,
    version TEXT NOT NULL,
    id TEXT NOT NULL PRIMARY KEY,
    display_name TEXT NOT NULL,
    display_description TEXT NOT NULL,
    is_public BOOLEAN NOT NULL,
    status TEXT NOT NULL
);

CREATE TABLE IF NOT EXISTS workloads (
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL,
    deleted_at TIMESTAMP NULL,
    deleted BOOLEAN NOT NULL,
    version TEXT NOT NULL,
    id TEXT NOT NULL PRIMARY KEY,
    user_id TEXT NOT NULL,
    project_id TEXT NOT NULL,
    display_name TEXT NOT NULL,
    display_description TEXT NOT NULL,
    workload_type_id TEXT NOT NULL,
    source_platform TEXT NULL,
    status TEXT NOT NULL,
    error_msg TEXT NULL,
    jobschedule TEXT NOT NULL,
    availability_zone TEXT NULL,
    locked_by_flow TEXT NULL,
    revision BIGINT NOT NULL,
    FOREIGN KEY (workload_type_id) REFERENCES workload_types (id)
);
CREATE INDEX IF NOT EXISTS workloads_project ON workloads (project_id);

CREATE TABLE IF NOT EXISTS workload_vms (
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL,
    deleted_at TIMESTAMP NULL,
    deleted BOOLEAN NOT NULL,
    version TEXT NOT NULL,
    id TEXT NOT NULL PRIMARY KEY,
    workload_id TEXT NOT NULL,
    vm_id TEXT NOT NULL,
    vm_name TEXT NOT NULL,
    status TEXT NOT NULL,
    "position" INTEGER NOT NULL,
    FOREIGN KEY (workload_id) REFERENCES workloads (id)
);
CREATE INDEX IF NOT EXISTS workload_vms_workload ON workload_vms (workload_id);

CREATE TABLE IF NOT EXISTS workload_metadata (
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL,
    deleted_at TIMESTAMP NULL,
    deleted BOOLEAN NOT NULL,
    version TEXT NOT NULL,
    id TEXT NOT NULL PRIMARY KEY,
    workload_id TEXT NOT NULL,
    "key" TEXT NOT NULL,
    value TEXT NOT NULL,
    FOREIGN KEY (workload_id) REFERENCES workloads (id)
);
CREATE INDEX IF NOT EXISTS workload_metadata_workload ON workload_metadata (workload_id);

CREATE TABLE IF NOT EXISTS snapshots (
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL,
    deleted_at TIMESTAMP NULL,
    deleted BOOLEAN NOT NULL,
    version TEXT NOT NULL,
    id TEXT NOT NULL PRIMARY KEY,
    workload_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    project_id TEXT NOT NULL,
    snapshot_type TEXT NOT NULL,
    display_name TEXT NOT NULL,
    display_description TEXT NOT NULL,
    status TEXT NOT NULL,
    host TEXT NULL,
    size BIGINT NOT NULL,
    uploaded_size BIGINT NOT NULL,
    restore_size BIGINT NOT NULL,
    progress_percent INTEGER NOT NULL,
    progress_msg TEXT NULL,
    warning_msg TEXT NULL,
    error_msg TEXT NULL,
    finished_at TIMESTAMP NULL,
    time_taken BIGINT NOT NULL,
    due_at TIMESTAMP NULL,
    backing_snapshot_id TEXT NULL,
    is_kept_for_chain BOOLEAN NOT NULL,
    target_id TEXT NULL,
    FOREIGN KEY (workload_id) REFERENCES workloads (id)
);
CREATE UNIQUE INDEX IF NOT EXISTS snapshots_due ON snapshots (workload_id, due_at);
CREATE INDEX IF NOT EXISTS snapshots_project ON snapshots (project_id);
CREATE INDEX IF NOT EXISTS snapshots_backing ON snapshots (backing_snapshot_id);

CREATE TABLE IF NOT EXISTS snapshot_vms (
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL,
    deleted_at TIMESTAMP NULL,
    deleted BOOLEAN NOT NULL,
    version TEXT NOT NULL,
    id TEXT NOT NULL PRIMARY KEY,
    snapshot_id TEXT NOT NULL,
    vm_id TEXT NOT NULL,
    vm_name TEXT NOT NULL,
    status TEXT NOT NULL,
    "position" INTEGER NOT NULL,
    FOREIGN KEY (snapshot_id) REFERENCES snapshots (id)
);
CREATE INDEX IF NOT EXISTS snapshot_vms_snapshot ON snapshot_vms (snapshot_id);

CREATE TABLE IF NOT EXISTS restores (
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL,
    deleted_at TIMESTAMP NULL,
    deleted BOOLEAN NOT NULL,
    version TEXT NOT NULL,
    id TEXT NOT NULL PRIMARY KEY,
    snapshot_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    project_id TEXT NOT NULL,
    restore_type TEXT NOT NULL,
    display_name TEXT NOT NULL,
    display_description TEXT NOT NULL,
    status TEXT NOT NULL,
    host TEXT NULL,
    size BIGINT NOT NULL,
    uploaded_size BIGINT NOT NULL,
    progress_percent INTEGER NOT NULL,
    progress_msg TEXT NULL,
    warning_msg TEXT NULL,
    error_msg TEXT NULL,
    finished_at TIMESTAMP NULL,
    time_taken BIGINT NOT NULL,
    restore_options TEXT NOT NULL,
    FOREIGN KEY (snapshot_id) REFERENCES snapshots (id)
);
CREATE INDEX IF NOT EXISTS restores_snapshot ON restores (snapshot_id);
CREATE INDEX IF NOT EXISTS restores_project ON restores (project_id);

CREATE TABLE IF NOT EXISTS restored_vms (
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL,
    deleted_at TIMESTAMP NULL,
    deleted BOOLEAN NOT NULL,
    version TEXT NOT NULL,
    id TEXT NOT NULL PRIMARY KEY,
    restore_id TEXT NOT NULL,
    vm_id TEXT NOT NULL,
    vm_name TEXT NOT NULL,
    status TEXT NOT NULL,
    original_vm_id TEXT NOT NULL,
    "position" INTEGER NOT NULL,
    FOREIGN KEY (restore_id) REFERENCES restores (id)
);
CREATE INDEX IF NOT EXISTS restored_vms_restore ON restored_vms (restore_id);

CREATE TABLE IF NOT EXISTS settings (
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL,
    deleted_at TIMESTAMP NULL,
    deleted BOOLEAN NOT NULL,
    version TEXT NOT NULL,
    name TEXT NOT NULL,
    project_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    value TEXT NOT NULL,
    description TEXT NOT NULL,
    category TEXT NOT NULL,
    "type" TEXT NOT NULL,
    "public" BOOLEAN NOT NULL,
    "hidden" BOOLEAN NOT NULL,
    status TEXT NOT NULL,
    PRIMARY KEY (name, project_id)
);
CREATE INDEX IF NOT EXISTS settings_owner ON settings (project_id, user_id);

CREATE TABLE IF NOT EXISTS setting_metadata (
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL,
    deleted_at TIMESTAMP NULL,
    deleted BOOLEAN NOT NULL,
    version TEXT NOT NULL,
    id TEXT NOT NULL PRIMARY KEY,
    settings_name TEXT NOT NULL,
    settings_project_id TEXT NOT NULL,
    "key" TEXT NOT NULL,
    value TEXT NOT NULL,
    FOREIGN KEY (settings_name, settings_project_id) REFERENCES settings (name, project_id)
);
CREATE INDEX IF NOT EXISTS setting_metadata_setting ON setting_metadata (settings_name, settings_project_id);

CREATE TABLE IF NOT EXISTS services (
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL,
    deleted_at TIMESTAMP NULL,
    deleted BOOLEAN NOT NULL,
    version TEXT NOT NULL,
    id TEXT NOT NULL PRIMARY KEY,
    host TEXT NOT NULL,
    "binary" TEXT NOT NULL,
    disabled BOOLEAN NOT NULL,
    disabled_reason TEXT NULL,
    last_seen_at TIMESTAMP NOT NULL
);
CREATE UNIQUE INDEX IF NOT EXISTS services_process ON services (host, "binary");

CREATE TABLE IF NOT EXISTS snapshot_topologies (
    snapshot_id TEXT NOT NULL PRIMARY KEY,
    topology TEXT NOT NULL,
    FOREIGN KEY (snapshot_id) REFERENCES snapshots (id)
);

CREATE TABLE IF NOT EXISTS claimed_servers (
    server_id TEXT NOT NULL PRIMARY KEY,
    workload_id TEXT NOT NULL,
    FOREIGN KEY (workload_id) REFERENCES workloads (id)
);
CREATE INDEX IF NOT EXISTS claimed_servers_workload ON claimed_servers (workload_id);

CREATE TABLE IF NOT EXISTS volume_anchors (
    volume_snapshot_id TEXT NOT NULL PRIMARY KEY,
    workload_id TEXT NOT NULL,
    volume_id TEXT NOT NULL,
    snapshot_id TEXT NOT NULL,
    is_superseded BOOLEAN NOT NULL,
    FOREIGN KEY (workload_id) REFERENCES workloads (id)
);
CREATE INDEX IF NOT EXISTS volume_anchors_workload ON volume_anchors (workload_id);

CREATE TABLE IF NOT EXISTS flows (
    id TEXT NOT NULL PRIMARY KEY,
    request TEXT NOT NULL,
    kind TEXT NOT NULL,
    workload_id TEXT NOT NULL,
    subject_id TEXT NOT NULL,
    project_id TEXT NOT NULL,
    status TEXT NOT NULL,
    lease_holder TEXT NULL,
    lease_expires_at TIMESTAMP NULL,
    epoch BIGINT NOT NULL,
    attempt_count INTEGER NOT NULL,
    write_count BIGINT NOT NULL,
    is_cancel_requested BOOLEAN NOT NULL,
    dag TEXT NULL,
    outcome TEXT NULL,
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL
);
CREATE INDEX IF NOT EXISTS flows_queue ON flows (status, created_at);
CREATE INDEX IF NOT EXISTS flows_subject ON flows (subject_id);

CREATE TABLE IF NOT EXISTS flow_events (
    flow_id TEXT NOT NULL,
    seq BIGINT NOT NULL,
    event TEXT NOT NULL,
    created_at TIMESTAMP NOT NULL,
    PRIMARY KEY (flow_id, seq),
    FOREIGN KEY (flow_id) REFERENCES flows (id)
);

INSERT OR IGNORE INTO workload_types
    (created_at, updated_at, deleted, version, id, display_name, display_description, is_public, status)
VALUES
    ('2026-11-21 00:00:00', '2026-11-21 00:00:00', 0, '0.1.0', 'f82ce76f-17fe-438b-aa37-7a023058e50d', 'Serial',
     'Members are snapshotted one after another, in the order in which they were added', 1, 'available'),
    ('2026-11-21 00:00:00', '2026-11-21 00:00:00', 0, '0.1.0', '2ddd528d-c9b4-4d7e-8722-cc395140255a', 'Parallel',
     'Members are snapshotted in any order', 1, 'available');
