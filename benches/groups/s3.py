"""An image of 1 GiB onto a server that speaks S3 on loopback, and back. The server (peers/s3sink.py) costs
little more than the socket and the page cache; the peers stage the image on the local disk."""

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request

import measure
import ours
from rows import Limit, Row
from workshop import HERE

PORT = 8014
URL = f"http://127.0.0.1:{PORT}"
KEYS = {"AWS_ACCESS_KEY_ID": "benchkey", "AWS_SECRET_ACCESS_KEY": "benchsecret", "AWS_DEFAULT_REGION": "us-east-1"}
START_LIMIT_S = 20


def rows(workshop):
    python = boto3(workshop)
    store = workshop.scratch / "s3"
    (store / "bkt").mkdir(parents=True)
    os.environ.update(KEYS)
    server = subprocess.Popen([sys.executable, f"{HERE}/peers/s3sink.py", store, str(PORT)], stderr=subprocess.DEVNULL)
    try:
        until_it_answers(server)
        yield from with_server(workshop, python, store)
    finally:
        server.terminate()
        server.wait()


def with_server(workshop, python, store):
    disk, image, out = (workshop.scratch / name for name in ("s3.raw", "s3.qcow2", "s3.out"))
    # A GiB with few holes.
    measure.quiet(
        f"dd if={workshop.path('base.raw')} of={disk} bs=1M skip=300 count=1024 status=none; "
        f"qemu-img convert -f raw -O qcow2 {disk} {image}; sync {disk} {image}"
    )
    part = f"{python} {HERE}/peers/s3part.py"
    target = "s3://bkt/ours"
    options = ("--s3-endpoint", URL)
    state = workshop.scratch / "s3.state"
    empty = f"rm -rf {store}/bkt/* {store}/.up {state} {out}"
    backup = ours.backup(disk, target, *options, state=state)
    stored = f"cat {store}/bkt/x.parts/*"
    yield Row(
        "1 GiB of disk up to S3",
        "qemu-img convert to a file, then boto3, 8 x 32 MiB",
        f"qemu-img convert -f raw -O qcow2 {disk} {out}; {part} put {URL} {out} bkt/x 8",
        backup,
        [Limit("wall_s", 0.9)],
        before_peer=empty,
        before_ours=empty,
        check_peer=f"{stored} | cmp - {image}",
        check_ours=ours.shows(target, disk, workshop.scratch, *options, state=state),
    )
    measure.quiet(f"{empty}; {backup}; {part} put {URL} {image} bkt/x 8")
    yield Row(
        "1 GiB of disk down from S3",
        "boto3, 8 x 32 MiB, the image only",
        f"{part} get {URL} bkt/x {out} 8; sync {out}",
        ours.restore(target, out, *options, state=state),
        [Limit("wall_s", 1.0)],
        before_peer=f"rm -f {out}",
        before_ours=f"rm -f {out}",
        check_peer=f"cmp {out} {image}",
        check_ours=f"cmp {out} {disk}",
    )
    measure.quiet(f"rm -rf {workshop.scratch}/*")


def until_it_answers(server):
    deadline = time.monotonic() + START_LIMIT_S
    while True:
        try:
            urllib.request.urlopen(URL, timeout=5).close()
            return
        except urllib.error.HTTPError:
            return
        except OSError as error:
            if server.poll() is not None or time.monotonic() > deadline:
                raise measure.Failed(f"the S3 server of the benchmark does not answer: {error}") from error
            time.sleep(0.05)


def boto3(workshop):
    """A Python with boto3 in a folder of its own."""
    folder = workshop.path("boto3")
    if not (folder / "made").exists():
        measure.quiet(f"rm -rf {folder}; python3 -m venv {folder}; {folder}/bin/pip -q install boto3; touch {folder}/made")
    return folder / "bin/python"
