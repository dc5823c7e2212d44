"""A full backup of a device that tells no holes."""

import ours
import workshop as shop
from rows import Limit, Row


def rows(workshop):
    device = shop.flat(workshop.path("base.raw"))
    image, target = workshop.scratch / "full.qcow2", workshop.scratch / "full"
    convert = f"qemu-img convert {{}} -f raw -O qcow2 {device} {image}; sync {image}"

    def row(work, peer, options, compression, limits, **more):
        return Row(
            work,
            peer,
            convert.format(options),
            ours.backup(device, target, compression=compression),
            limits,
            before_peer=f"rm -rf {image} {target}",
            before_ours=f"rm -f {image}; {ours.initialise(target)}",
            check_peer=f"qemu-img compare -q -f qcow2 -F raw {image} {device}",
            check_ours=ours.shows(target, device, workshop.scratch),
            stored_peer=str(image),
            stored_ours=str(target),
            **more,
        )

    zstd = "-c -o compression_type=zstd"
    try:
        yield row(
            "full, plain",
            "qemu-img convert -T none -t none",
            "-T none -t none",
            "none",
            [Limit("wall_s", 1.0), Limit("cpu_s", 1.1)],
        )
        yield row("full, plain", "qemu-img convert", "", "none", [])
        yield row(
            "full, zstd",
            "qemu-img convert -c zstd -W -m 16",
            f"-W -m 16 {zstd}",
            "zstd",
            [Limit("wall_s", 0.9), Limit("cpu_s", 0.6), Limit("stored", 1.03)],
            warmups=0,
        )
        yield row(
            "full, zstd",
            "qemu-img convert -c (zlib)",
            "-c",
            "zstd",
            [Limit("wall_s", 0.15)],
            warmups=0,
            runs=1,
        )
    finally:
        shop.detach(device)
