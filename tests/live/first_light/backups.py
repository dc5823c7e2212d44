"""What an earlier run left in Backstay."""
from wlm import Workloadmgr

ENDED = ("available", "error", "cancelled")


def forget(wlm: Workloadmgr):
    """All workloads of the tenant, newest snapshot first; what is under way is cancelled."""
    for workload in wlm("workload-list"):
        for snapshot in newest_first(wlm, workload["ID"]):
            if wlm.quietly("snapshot-show", snapshot)["status"] not in ENDED:
                wlm.say("snapshot-cancel", snapshot)
                wlm.wait_for("snapshot", snapshot, ENDED)
            for restore in wlm.quietly("restore-list", "--snapshot_id", snapshot):
                wlm.say("restore-delete", restore["ID"])
            wlm.say("snapshot-delete", snapshot)
            wlm.wait_until_gone("snapshot", "snapshot-list", "--workload_id", workload["ID"], gone=snapshot)
        wlm.say("workload-delete", workload["ID"])
        wlm.wait_until_gone("workload", "workload-list", gone=workload["ID"])


def newest_first(wlm, workload_id):
    ids = [row["ID"] for row in wlm.quietly("snapshot-list", "--workload_id", workload_id)]
    return sorted(ids, key=lambda i: wlm.quietly("snapshot-show", i)["created_at"], reverse=True)
