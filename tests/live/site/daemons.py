"""Starts, stops and watches the daemons: pid file, log and own session each, no supervisor."""
import grp
import os
import pwd
import shutil
import signal
import subprocess
import time

from places import BIN, BRICK, CLI, DAEMONS, ETC, LOG, ROOT, RUN


class DaemonDied(Exception):
    """A daemon ended, or does not do what it is for; the message has the end of its log."""


def install(target_directory):
    """Copies the programs that cargo built to where every user may read them."""
    for name in (*DAEMONS, CLI):
        built = os.path.join(target_directory, name)
        if not os.path.exists(built):
            raise DaemonDied(f"{built} is not built: cargo build --workspace --bins")
        new = BIN / (name + ".new")
        shutil.copy2(built, new)
        new.rename(BIN / name)  # a running program keeps its old file
    shutil.copy2(ROOT / "compute-agent" / "datamover" / "python" / BRICK, BIN / BRICK)


def pid_of(name):
    """The pid of the running daemon, or None; a pid that went to another program is not it."""
    try:
        pid = int((RUN / f"{name}.pid").read_text())
        program = os.readlink(f"/proc/{pid}/exe").removesuffix(" (deleted)")
    except (OSError, ValueError):
        return None
    return pid if program == str(BIN / name) else None


def _as_its_user(name):
    """The program with its configuration, and how to run it: its user, that user's groups, nothing of our environment."""
    user, conf = DAEMONS[name]
    account = pwd.getpwnam(user)
    return [str(BIN / name), "--config-file", str(ETC / conf)], {
        "user": account.pw_uid, "group": account.pw_gid, "extra_groups": [g.gr_gid for g in grp.getgrall() if user in g.gr_mem],
        "umask": 0o007, "cwd": "/", "stdin": subprocess.DEVNULL,
        "env": {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", "HOME": account.pw_dir}}


def start(name):
    """Starts a daemon; it outlives us."""
    command, how = _as_its_user(name)
    with open(LOG / f"{name}.log", "ab") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True, **how)
    (RUN / f"{name}.pid").write_text(f"{process.pid}\n")
    return process


def run(name, *options):
    """Runs a daemon's program for one thing that it does and then ends."""
    command, how = _as_its_user(name)
    done = subprocess.run([*command, *options], capture_output=True, text=True, **how)
    if done.returncode:
        raise DaemonDied(f"{name} {' '.join(options)} ended with {done.returncode}: {done.stdout}{done.stderr}")


def stop(name, seconds=20):
    """Asks a daemon to end, and ends it when it does not in time."""
    pid = pid_of(name)
    if pid:
        os.kill(pid, signal.SIGTERM)
        limit = time.monotonic() + seconds
        while pid_of(name) and time.monotonic() < limit:
            time.sleep(0.05)
        if pid_of(name):
            print(f"{name} did not end in {seconds} s: killed", flush=True)
            os.kill(pid, signal.SIGKILL)
    (RUN / f"{name}.pid").unlink(missing_ok=True)


def log_end(name, lines=15):
    """The last lines of its log."""
    try:
        return "\n".join((LOG / f"{name}.log").read_text(errors="replace").splitlines()[-lines:])
    except OSError:
        return "(no log)"


def wait(processes, what, seconds, probe):
    """Until the probe is true; gives up early when a daemon has died."""
    limit, last = time.monotonic() + seconds, None
    while time.monotonic() < limit:
        for name, process in processes.items():
            if process.poll() is not None:
                raise DaemonDied(f"{name} ended with {process.returncode}; the end of {LOG}/{name}.log:\n{log_end(name)}")
        try:
            if probe():
                return
        except Exception as error:  # kept for the message: it is what "does not answer" looks like
            last = error
        time.sleep(0.1)
    raise DaemonDied(f"waited {seconds} s in vain for {what} ({last}); logs are in {LOG}")
