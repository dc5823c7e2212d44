//! Objects in the API's shapes.

use serde_json::{Value, json};

use crate::stub::PROJECT;

pub(crate) const WORKLOAD: &str = "aaaaaaaa-0000-4000-8000-000000000001";
pub(crate) const SNAPSHOT: &str = "bbbbbbbb-0000-4000-8000-000000000001";
pub(crate) const RESTORE: &str = "cccccccc-0000-4000-8000-000000000001";
pub(crate) const SERVER: &str = "dddddddd-0000-4000-8000-000000000001";
pub(crate) const SERIAL: &str = "f82ce76f-17fe-438b-aa37-7a023058e50d";
pub(crate) const TRUST: &str = "trust-eeeeeeee-0000-4000-8000-000000000001";

const WHEN: &str = "2026-11-21T09:30:00.000000";

pub(crate) fn workload(status: &str) -> Value {
    json!({"id": WORKLOAD, "name": "web", "description": "", "status": status,
        "project_id": PROJECT, "user_id": "u", "workload_type_id": SERIAL, "snapshots_info": "",
        "created_at": WHEN, "updated_at": WHEN, "scheduler_trust": null, "links": [],
        "error_msg": null, "instances": [{"id": SERVER, "name": "web-1", "metadata": {}}],
        "jobschedule": {"enabled": true, "nextrun": 3599}, "metadata": {"team": "a"}})
}

pub(crate) fn workload_type() -> Value {
    json!({"id": SERIAL, "name": "Serial", "description": "One after the other",
        "is_public": true, "status": "available", "metadata": []})
}

pub(crate) fn snapshot(status: &str) -> Value {
    json!({"id": SNAPSHOT, "name": "before", "description": null, "status": status,
        "snapshot_type": "full", "workload_id": WORKLOAD, "created_at": WHEN, "host": "node-1",
        "size": 2_147_483_648u64, "uploaded_size": 1_073_741_824u64, "progress_percent": 50,
        "progress_msg": "disk 1 of 2", "error_msg": null, "warning_msg": null,
        "metadata": [{"key": "quiesce", "value": "guest agent"}],
        "instances": [{"id": SERVER, "name": "web-1", "status": "available",
            "metadata": {"availability_zone": "nova"},
            "flavor": {"vcpus": 1, "ram": 128},
            "nics": [{"mac_address": "fa:16:3e:00:00:01", "ip_address": "10.0.0.5",
                "network": {"id": "n", "name": "private", "subnet": {"id": "s", "name": "private-v4"}}}],
            "vdisks": [{"volume_id": "v1", "volume_name": "root", "volume_size": 1,
                "volume_type": "ceph", "volume_mountpoint": "/dev/vda", "restore_size": 1024}]}]})
}

pub(crate) fn restore(status: &str) -> Value {
    json!({"id": RESTORE, "name": "back", "description": "", "status": status,
        "restore_type": "restore", "snapshot_id": SNAPSHOT, "created_at": WHEN, "size": 1024,
        "error_msg": null, "restore_options": {"restore_type": "oneclick"},
        "metadata": [{"key": "data_transfer_time", "value": "12"}],
        "instances": [{"id": SERVER, "name": "web-1", "status": "available", "metadata": {}}],
        "networks": [], "subnets": [],
        "links": [], "snapshot_details": snapshot("available")})
}

pub(crate) fn trust() -> Value {
    json!({"name": TRUST, "value": "0123456789abcdef", "user_id": "u", "project_id": PROJECT,
        "description": "token id for user u project p", "category": "identity",
        "type": "trust_id", "public": false, "status": "available", "created_at": WHEN,
        "metadata": [{"key": "role_name", "value": "member"}]})
}

/// The API's fault.
pub(crate) fn fault(code: u16, message: &str) -> Value {
    json!({"badRequest": {"code": code, "message": message}})
}
