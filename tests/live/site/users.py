"""The unprivileged users that the daemons run as, and the folders that are theirs."""
import grp
import pwd
import subprocess

from places import BIN, ETC, LOG, RUN, SITE, STATE, TARGET


def make_users():
    """backstay, and nova where no nova-compute has made it; nova joins the groups it works with."""
    for user in ("backstay", "nova"):
        try:
            pwd.getpwnam(user)
        except KeyError:
            subprocess.run(["useradd", "--system", "--user-group", "--home-dir", "/nonexistent",
                            "--no-create-home", "--shell", "/usr/sbin/nologin", user], check=True)
    for group in ("backstay", "kvm", "libvirt"):
        try:
            members = grp.getgrnam(group).gr_mem
        except KeyError:
            continue  # a host without libvirt has no such group
        if "nova" not in members:
            subprocess.run(["usermod", "-aG", group, "nova"], check=True)


def make_folders():
    """The target is written by both users: what is made in it keeps the group backstay."""
    for path, user, mode in (
            (SITE, "root", 0o755), (BIN, "root", 0o755), (ETC, "root", 0o755), (RUN, "root", 0o755), (LOG, "root", 0o755),
            (STATE, "root", 0o755), (STATE / "appliance", "backstay", 0o700), (STATE / "datamover", "nova", 0o700),
            (STATE / "points", "nova", 0o755), (STATE / "mnt", "nova", 0o755),
            (TARGET, "backstay", 0o2770)):
        path.mkdir(parents=True, exist_ok=True)
        account = pwd.getpwnam(user)
        subprocess.run(["chown", f"{account.pw_uid}:{account.pw_gid}", str(path)], check=True)
        path.chmod(mode)
