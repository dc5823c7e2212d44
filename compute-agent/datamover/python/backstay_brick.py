#!/usr/bin/python3
"""Connects volumes to this host with os-brick, for backstay-datamover.

One JSON object on standard input, one on standard output, then the end:

    {"verb": "connector", ...}                            -> {"connector": {...}}
    {"verb": "connect", "connection_info": {...}, ...}    -> {"device_info": {...}, "path": "/..."}
    {"verb": "disconnect", "connection_info": {...}, "device_info": {...} or null, ...}  -> {}

and {"error": "...", "kind": "setup" | "invalid" | "unavailable"} where it failed: os-brick cannot be used here,
it knows no such storage, anything else. Every request also has "settings": host, my_ip, multipath,
mount_path, lock_path, root_helper, config_file and uid (who reads and writes the device).

It runs as the datamover's user. What needs root is done by os-brick's own privileged daemon
(oslo.privsep), which root_helper starts; run as root, it needs none. connection_info may hold
secrets: nothing is logged, and errors are told without them.
"""
import json
import logging
import os
import shlex
import stat
import sys

SECRET_WORDS = ("password", "secret", "key", "token", "auth", "passphrase")


def secrets_in(value, is_secret=False):
    """The values, at any depth, under names that promise a secret."""
    if isinstance(value, dict):
        for name, inner in value.items():
            named = any(word in str(name).lower() for word in SECRET_WORDS)
            yield from secrets_in(inner, is_secret or named)
    elif isinstance(value, list):
        for inner in value:
            yield from secrets_in(inner, is_secret)
    elif is_secret and isinstance(value, str) and len(value) > 3:
        yield value


def without_secrets(text, request):
    # The longest first: one may be a part of another.
    for secret in sorted(secrets_in(request.get("connection_info")), key=len, reverse=True):
        text = text.replace(secret, "***")
    return text


def prepare(settings):
    """Configures oslo's libraries, which os-brick takes its locks and its privileges from."""
    import os_brick
    from os_brick import privileged
    from oslo_concurrency import lockutils
    from oslo_config import cfg
    from oslo_privsep import priv_context

    config_file = settings.get("config_file")
    arguments = ["--config-file", config_file] if config_file else []
    # Locks are shared with Nova on this host where its configuration names their folder.
    lockutils.set_defaults(settings["lock_path"])
    cfg.CONF(arguments, project="backstay-brick", default_config_files=[], default_config_dirs=[])
    os_brick.setup(cfg.CONF)
    if os.geteuid() == 0:
        privileged.default.set_client_mode(False)
    else:
        priv_context.init(root_helper=shlex.split(settings["root_helper"]))


def properties(request):
    """What os-brick calls connection_properties; attachments have it flat, old calls below `data`."""
    info = request["connection_info"]
    return info["data"] if isinstance(info.get("data"), dict) else info


def connector_for(request):
    from os_brick.initiator import connector

    settings = request["settings"]
    info = request["connection_info"]
    protocol = info["driver_volume_type"]
    conn = dict(properties(request), mount_point_base=settings["mount_path"])
    extra = {f"{protocol.lower()}_mount_point_base": settings["mount_path"]}
    return connector.InitiatorConnector.factory(
        protocol, settings["root_helper"], use_multipath=settings["multipath"],
        device_scan_attempts=5, conn=conn, **extra)


def tell_connector(request):
    from os_brick.initiator import connector
    from oslo_utils import netutils

    settings = request["settings"]
    my_ip = settings.get("my_ip") or netutils.get_my_ipv4()
    return {"connector": connector.get_connector_properties(
        settings["root_helper"], my_ip, settings["multipath"], False, host=settings["host"])}


def connect(request):
    settings = request["settings"]
    os.makedirs(settings["mount_path"], exist_ok=True)
    device_info = connector_for(request).connect_volume(properties(request))
    path = os.path.realpath(device_info["path"])
    if stat.S_ISBLK(os.stat(path).st_mode) and not os.access(path, os.R_OK | os.W_OK):
        from os_brick.privileged import rootwrap
        rootwrap.execute("chown", str(settings["uid"]), path, run_as_root=True,
                         root_helper=settings["root_helper"])
    return {"device_info": device_info, "path": path}


def disconnect(request):
    """Gently first, so that what is cached is written; then in any case."""
    arguments = (properties(request), request.get("device_info"))
    connector = connector_for(request)
    try:
        connector.disconnect_volume(*arguments)
    except Exception:
        connector.disconnect_volume(*arguments, force=True, ignore_errors=True)
    return {}


VERBS = {"connector": tell_connector, "connect": connect, "disconnect": disconnect}


def kind_of(error):
    if isinstance(error, ImportError):
        return "setup"
    # Nothing was begun then; of any other error that cannot be said.
    if type(error).__name__ == "InvalidConnectorProtocol":
        return "invalid"
    return "unavailable"


def answer(request):
    try:
        prepare(request["settings"])
        return VERBS[request["verb"]](request)
    except Exception as error:
        said = f"{type(error).__name__}: {error}"
        return {"error": without_secrets(said, request)[:2000], "kind": kind_of(error)}


def main():
    # Programs below may print; standard output is ours alone.
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    logging.disable(logging.CRITICAL)
    json.dump(answer(json.load(sys.stdin)), out)
    out.flush()


if __name__ == "__main__":
    main()
