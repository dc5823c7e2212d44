-- MariaDB commits each of these by itself: every statement must be safe to repeat after a crash half way.
-- The same tables as in ../../sqlite; `src/schema.rs` is both.

CREATE TABLE IF NOT EXISTS workload_types (
    created_at DATETIME(6) NOT NULL,
    updated_at DATETIME(6) NOT NULL,
    deleted_at DATETIME(6) NULL,
    deleted BOOL NOT NULL,
    version VARCHAR(255) NOT NULL,
    id VARCHAR(36) NOT NULL PRIMARY KEY,
    display_name VARCHAR(255) NOT NULL,
    display_description LONGTEXT NOT NULL,
    is_public BOOL NOT NULL,
    status VARCHAR(64) NOT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE IF NOT EXISTS workloads (
    created_at DATETIME(6) NOT NULL,
    updated_at DATETIME(6) NOT NULL,
    deleted_at DATETIME(6) NULL,
    deleted BOOL NOT NULL,
    version VARCHAR(255) NOT NULL,
    id VARCHAR(36) NOT NULL PRIMARY KEY,
    user_id VARCHAR(255) NOT NULL,
    project_id VARCHAR(255) NOT NULL,
    display_name VARCHAR(255) NOT NULL,
    display_description LONGTEXT NOT NULL,
    workload_type_id VARCHAR(36) NOT NULL,
    source_platform VARCHAR(255) NULL,
    status VARCHAR(64) NOT NULL,
    error_msg LONGTEXT NULL,
    jobschedule LONGTEXT NOT NULL,
    availability_zone VARCHAR(255) NULL,
    locked_by_flow VARCHAR(36) NULL,
    revision BIGINT NOT NULL,
    KEY workloads_project (project_id),
    FOREIGN KEY (workload_type_id) REFERENCES workload_types (id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE IF NOT EXISTS workload_vms (
    created_at DATETIME(6) NOT NULL,
    updated_at DATETIME(6) NOT NULL,
    deleted_at DATETIME(6) NULL,
    deleted BOOL NOT NULL,
    version VARCHAR(255) NOT NULL,
    id VARCHAR(36) NOT NULL PRIMARY KEY,
    workload_id VARCHAR(36) NOT NULL,
    vm_id VARCHAR(255) NOT NULL,
    vm_name VARCHAR(255) NOT NULL,
    status VARCHAR(64) NOT NULL,
    `position` INT NOT NULL,
    KEY workload_vms_workload (workload_id),
    FOREIGN KEY (workload_id) REFERENCES workloads (id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE IF NOT EXISTS workload_metadata (
    created_at DATETIME(6) NOT NULL,
    updated_at DATETIME(6) NOT NULL,
    deleted_at DATETIME(6) NULL,
    deleted BOOL NOT NULL,
    version VARCHAR(255) NOT NULL,
    id VARCHAR(36) NOT NULL PRIMARY KEY,
    workload_id VARCHAR(36) NOT NULL,
    `key` VARCHAR(255) NOT NULL,
    value LONGTEXT NOT NULL,
    KEY workload_metadata_workload (workload_id),
    FOREIGN KEY (workload_id) REFERENCES workloads (id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE IF NOT EXISTS snapshots (
    created_at DATETIME(6) NOT NULL,
    updated_at DATETIME(6) NOT NULL,
    deleted_at DATETIME(6) NULL,
    deleted BOOL NOT NULL,
    version VARCHAR(255) NOT NULL,
    id VARCHAR(36) NOT NULL PRIMARY KEY,
    workload_id VARCHAR(36) NOT NULL,
    user_id VARCHAR(255) NOT NULL,
    project_id VARCHAR(255) NOT NULL,
    snapshot_type VARCHAR(64) NOT NULL,
    display_name VARCHAR(255) NOT NULL,
    display_description LONGTEXT NOT NULL,
    status VARCHAR(64) NOT NULL,
    host VARCHAR(255) NULL,
    size BIGINT NOT NULL,
    uploaded_size BIGINT NOT NULL,
    restore_size BIGINT NOT NULL,
    progress_percent INT NOT NULL,
    progress_msg LONGTEXT NULL,
    warning_msg LONGTEXT NULL,
    error_msg LONGTEXT NULL,
    finished_at DATETIME(6) NULL,
    time_taken BIGINT NOT NULL,
    due_at DATETIME(6) NULL,
    backing_snapshot_id VARCHAR(36) NULL,
    is_kept_for_chain BOOL NOT NULL,
    target_id VARCHAR(255) NULL,
    UNIQUE KEY snapshots_due (workload_id, due_at),
    KEY snapshots_project (project_id),
    KEY snapshots_backing (backing_snapshot_id),
    FOREIGN KEY (workload_id) REFERENCES workloads (id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE IF NOT EXISTS snapshot_vms (
    created_at DATETIME(6) NOT NULL,
    updated_at DATETIME(6) NOT NULL,
    deleted_at DATETIME(6) NULL,
    deleted BOOL NOT NULL,
    version VARCHAR(255) NOT NULL,
    id VARCHAR(36) NOT NULL PRIMARY KEY,
    snapshot_id VARCHAR(36) NOT NULL,
    vm_id VARCHAR(255) NOT NULL,
    vm_name VARCHAR(255) NOT NULL,
    status VARCHAR(64) NOT NULL,
    `position` INT NOT NULL,
    KEY snapshot_vms_snapshot (snapshot_id),
    FOREIGN KEY (snapshot_id) REFERENCES snapshots (id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE IF NOT EXISTS restores (
    created_at DATETIME(6) NOT NULL,
    updated_at DATETIME(6) NOT NULL,
    deleted_at DATETIME(6) NULL,
    deleted BOOL NOT NULL,
    version VARCHAR(255) NOT NULL,
    id VARCHAR(36) NOT NULL PRIMARY KEY,
    snapshot_id VARCHAR(36) NOT NULL,
    user_id VARCHAR(255) NOT NULL,
    project_id VARCHAR(255) NOT NULL,
    restore_type VARCHAR(64) NOT NULL,
    display_name VARCHAR(255) NOT NULL,
    display_description LONGTEXT NOT NULL,
    status VARCHAR(64) NOT NULL,
    host VARCHAR(255) NULL,
    size BIGINT NOT NULL,
    uploaded_size BIGINT NOT NULL,
    progress_percent INT NOT NULL,
    progress_msg LONGTEXT NULL,
    warning_msg LONGTEXT NULL,
    error_msg LONGTEXT NULL,
    finished_at DATETIME(6) NULL,
    time_taken BIGINT NOT NULL,
    restore_options LONGTEXT NOT NULL,
    KEY restores_snapshot (snapshot_id),
    KEY restores_project (project_id),
    FOREIGN KEY (snapshot_id) REFERENCES snapshots (id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE IF NOT EXISTS restored_vms (
    created_at DATETIME(6) NOT NULL,
    updated_at DATETIME(6) NOT NULL,
    deleted_at DATETIME(6) NULL,
    deleted BOOL NOT NULL,
    version VARCHAR(255) NOT NULL,
    id VARCHAR(36) NOT NULL PRIMARY KEY,
    restore_id VARCHAR(36) NOT NULL,
    vm_id VARCHAR(255) NOT NULL,
    vm_name VARCHAR(255) NOT NULL,
    status VARCHAR(64) NOT NULL,
    original_vm_id VARCHAR(255) NOT NULL,
    `position` INT NOT NULL,
    KEY restored_vms_restore (restore_id),
    FOREIGN KEY (restore_id) REFERENCES restores (id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE IF NOT EXISTS settings (
    created_at DATETIME(6) NOT NULL,
    updated_at DATETIME(6) NOT NULL,
    deleted_at DATETIME(6) NULL,
    deleted BOOL NOT NULL,
    version VARCHAR(255) NOT NULL,
    name VARCHAR(255) NOT NULL,
    project_id VARCHAR(255) NOT NULL,
    user_id VARCHAR(255) NOT NULL,
    value LONGTEXT NOT NULL,
    description LONGTEXT NOT NULL,
    category VARCHAR(64) NOT NULL,
    `type` VARCHAR(64) NOT NULL,
    `public` BOOL NOT NULL,
    `hidden` BOOL NOT NULL,
    status VARCHAR(64) NOT NULL,
    PRIMARY KEY (name, project_id),
    KEY settings_owner (project_id, user_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE IF NOT EXISTS setting_metadata (
    created_at DATETIME(6) NOT NULL,
    updated_at DATETIME(6) NOT NULL,
    deleted_at DATETIME(6) NULL,
    deleted BOOL NOT NULL,
    version VARCHAR(255) NOT NULL,
    id VARCHAR(36) NOT NULL PRIMARY KEY,
    settings_name VARCHAR(255) NOT NULL,
    settings_project_id VARCHAR(255) NOT NULL,
    `key` VARCHAR(255) NOT NULL,
    value LONGTEXT NOT NULL,
    KEY setting_metadata_setting (settings_name, settings_project_id),
    FOREIGN KEY (settings_name, settings_project_id) REFERENCES settings (name, project_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE IF NOT EXISTS services (
    created_at DATETIME(6) NOT NULL,
    updated_at DATETIME(6) NOT NULL,
    deleted_at DATETIME(6) NULL,
    deleted BOOL NOT NULL,
    version VARCHAR(255) NOT NULL,
    id VARCHAR(36) NOT NULL PRIMARY KEY,
    host VARCHAR(255) NOT NULL,
    `binary` VARCHAR(255) NOT NULL,
    disabled BOOL NOT NULL,
    disabled_reason LONGTEXT NULL,
    last_seen_at DATETIME(6) NOT NULL,
    UNIQUE KEY services_process (host, `binary`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE IF NOT EXISTS snapshot_topologies (
    snapshot_id VARCHAR(36) NOT NULL PRIMARY KEY,
    topology LONGTEXT NOT NULL,
    FOREIGN KEY (snapshot_id) REFERENCES snapshots (id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE IF NOT EXISTS claimed_servers (
    server_id VARCHAR(255) NOT NULL PRIMARY KEY,
    workload_id VARCHAR(36) NOT NULL,
    KEY claimed_servers_workload (workload_id),
    FOREIGN KEY (workload_id) REFERENCES workloads (id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE IF NOT EXISTS volume_anchors (
    volume_snapshot_id VARCHAR(255) NOT NULL PRIMARY KEY,
    workload_id VARCHAR(36) NOT NULL,
    volume_id VARCHAR(255) NOT NULL,
    snapshot_id VARCHAR(36) NOT NULL,
    is_superseded BOOL NOT NULL,
    KEY volume_anchors_workload (workload_id),
    FOREIGN KEY (workload_id) REFERENCES workloads (id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE IF NOT EXISTS flows (
    id VARCHAR(36) NOT NULL PRIMARY KEY,
    request LONGTEXT NOT NULL,
    kind VARCHAR(64) NOT NULL,
    workload_id VARCHAR(36) NOT NULL,
    subject_id VARCHAR(36) NOT NULL,
    project_id VARCHAR(255) NOT NULL,
    status VARCHAR(64) NOT NULL,
    lease_holder VARCHAR(255) NULL,
    lease_expires_at DATETIME(6) NULL,
    epoch BIGINT NOT NULL,
    attempt_count INT NOT NULL,
    write_count BIGINT NOT NULL,
    is_cancel_requested BOOL NOT NULL,
    dag LONGTEXT NULL,
    outcome LONGTEXT NULL,
    created_at DATETIME(6) NOT NULL,
    updated_at DATETIME(6) NOT NULL,
    KEY flows_queue (status, created_at),
    KEY flows_subject (subject_id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE IF NOT EXISTS flow_events (
    flow_id VARCHAR(36) NOT NULL,
    seq BIGINT NOT NULL,
    event LONGTEXT NOT NULL,
    created_at DATETIME(6) NOT NULL,
    PRIMARY KEY (flow_id, seq),
    FOREIGN KEY (flow_id) REFERENCES flows (id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

INSERT IGNORE INTO workload_types
    (created_at, updated_at, deleted, version, id, display_name, display_description, is_public, status)
VALUES
    ('2026-11-21 00:00:00', '2026-11-21 00:00:00', 0, '0.1.0', 'f82ce76f-17fe-438b-aa37-7a023058e50d', 'Serial',
     'Members are snapshotted one after another, in the order in which they were added', 1, 'available'),
    ('2026-11-21 00:00:00', '2026-11-21 00:00:00', 0, '0.1.0', '2ddd528d-c9b4-4d7e-8722-cc395140255a', 'Parallel',
     'Members are snapshotted in any order', 1, 'available');
