"""What happens in a guest of the lab, by way of libvirt and its agent. Needs root."""
import base64
import json
import subprocess
import time

VIRSH = ("virsh", "-c", "qemu:///system")


def sh(*cmd, check=True):
    r = subprocess.run(cmd, capture_output=True, text=True)
    if check and r.returncode:
        raise RuntimeError(f"{cmd}: {r.stderr.strip()}")
    return r.stdout.strip()


def until(what, seconds, probe):
    end = time.time() + seconds
    while time.time() < end:
        value = probe()
        if value:
            return value
        time.sleep(0.5)
    raise TimeoutError(f"waited {seconds} s in vain for {what}")


def agent(domain, command, **arguments):
    request = {"execute": command, **({"arguments": arguments} if arguments else {})}
    return json.loads(sh(*VIRSH, "qemu-agent-command", domain, json.dumps(request)))["return"]


def guest(domain, script, seconds=120):
    """Runs a shell script in the guest; returns what it printed."""
    pid = agent(domain, "guest-exec", path="/bin/sh", arg=["-ec", "export PATH=/bin:/sbin:/usr/bin:/usr/sbin\n" + script],
                **{"capture-output": True})["pid"]
    r = until("guest command", seconds, lambda: (lambda s: s if s["exited"] else None)(agent(domain, "guest-exec-status", pid=pid)))
    out, err = (base64.b64decode(r.get(k, "")).decode() for k in ("out-data", "err-data"))
    if r.get("exitcode"):
        raise RuntimeError(f"in the guest: {script!r}: {out}{err}")
    return out.strip()


def domain_of(server_id):
    return sh(*VIRSH, "domname", server_id)


def agent_answers(domain):
    return sh(*VIRSH, "qemu-agent-command", domain, '{"execute":"guest-ping"}', check=False) != ""
