"""Where the site lies, and who its daemons are. One folder, machine-wide like the lab, because
the daemons' users cannot read a checkout below /root."""
import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]          # the checkout
SITE = Path(os.environ.get("BACKSTAY_SITE", "/srv/backstay"))
BIN, ETC, LOG, RUN, STATE, TARGET = (SITE / n for n in ("bin", "etc", "log", "run", "state", "target"))
TARGET_ID = "main"

API_PORT, DATAMOVER_API_PORT = 8780, 8784

# In the order of starting. The datamover is nova: it reads Ceph, asks libvirt, and shares the
# target with backstay by that group.
DAEMONS = {
    "backstay-api": ("backstay", "appliance.conf"),
    "backstay-scheduler": ("backstay", "appliance.conf"),
    "backstay-engine": ("backstay", "appliance.conf"),
    "backstay-datamover-api": ("backstay", "datamover-api.conf"),
    "backstay-datamover": ("nova", "datamover.conf"),
}
CLI = "workloadmgr"
BRICK = "backstay_brick.py"  # what the datamover calls os-brick by
