"""Known bytes in the guest: on the boot volume's file system and on the data volume."""
import tenant  # noqa: F401  (puts the lab's guest.py on the path)
from guest import guest

LIST_BOOT = "cd /root/first-light && sha256sum *"
LIST_DATA = "cd /data && sha256sum [a-z]*[0-9]"


def write(domain):
    """Makes a file system on the data volume and files on both; returns their checksums."""
    guest(domain, """
        mkdir -p /root/first-light /data; cd /root/first-light
        dd if=/dev/urandom of=boot1 bs=64k count=64 2>/dev/null
        dd if=/dev/urandom of=boot2 bs=64k count=32 2>/dev/null
        mke2fs -q -t ext4 -L data /dev/vdb; mount /dev/vdb /data; cd /data
        dd if=/dev/urandom of=data1 bs=1M count=48 2>/dev/null
        dd if=/dev/urandom of=data2 bs=1M count=16 2>/dev/null
        sync""", 300)
    return {"boot": checksums(domain, LIST_BOOT), "data": checksums(domain, LIST_DATA)}


def change(domain):
    """Overwrites in place, adds, removes; then the data volume is unmounted for good. Returns the checksums."""
    guest(domain, """
        cd /root/first-light
        dd if=/dev/urandom of=boot1 bs=64k seek=7 count=3 conv=notrunc 2>/dev/null
        dd if=/dev/urandom of=boot3 bs=64k count=8 2>/dev/null; rm boot2
        cd /data
        dd if=/dev/urandom of=data1 bs=1M seek=20 count=4 conv=notrunc 2>/dev/null
        dd if=/dev/urandom of=data3 bs=1M count=2 2>/dev/null; rm data2
        sync""")
    sums = {"boot": checksums(domain, LIST_BOOT), "data": checksums(domain, LIST_DATA)}
    guest(domain, "cd /; umount /data; sync")
    return sums


def change_again(domain):
    """Overwrites what was changed before and what was not; the data volume is unmounted again. Returns the checksums."""
    guest(domain, """
        cd /root/first-light
        dd if=/dev/urandom of=boot1 bs=64k seek=8 count=9 conv=notrunc 2>/dev/null
        mount /dev/vdb /data; cd /data
        dd if=/dev/urandom of=data1 bs=1M seek=22 count=4 conv=notrunc 2>/dev/null
        dd if=/dev/urandom of=data4 bs=1M count=3 2>/dev/null; rm data3
        sync""")
    sums = {"boot": checksums(domain, LIST_BOOT), "data": checksums(domain, LIST_DATA)}
    guest(domain, "cd /; umount /data; sync")
    return sums


def of_boot(domain):
    return checksums(domain, LIST_BOOT)


def of_data(domain):
    guest(domain, "mkdir -p /data; mount -o ro /dev/vdb /data")
    try:
        return checksums(domain, LIST_DATA)
    finally:
        guest(domain, "umount /data")


def checksums(domain, script):
    """{file: sha256}"""
    return dict(reversed(line.split()) for line in guest(domain, script, 300).splitlines())
