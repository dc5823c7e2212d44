"""Writes the daemons' configuration: the samples of packaging/etc with this site's values in
place, so that a key nobody has documented cannot be set."""
import os
import pwd
import re
from configparser import ConfigParser

from places import ETC, ROOT

SAMPLES = ROOT / "packaging" / "etc"
KEY = re.compile(r"#?([a-z_]+) =( .*)?$")


def fill(sample, values):
    """The text of a sample with {(section, key): value} put in, commented keys included."""
    left, section, lines = dict(values), None, []
    for line in sample.splitlines():
        key = KEY.match(line)
        if line.startswith("["):
            section = line.strip("[]")
        elif key and (section, key[1]) in left:
            line = f"{key[1]} = {left.pop((section, key[1]))}"
        lines.append(line)
    if left:
        raise KeyError(f"the sample does not know {sorted(left)}")
    return "\n".join(lines) + "\n"


def write(name, user, values):
    """Writes ETC/name, readable by that user alone."""
    text = fill((SAMPLES / name).read_text(), values)
    new = ETC / (name + ".new")
    new.unlink(missing_ok=True)
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as f:
        f.write(text)
    account = pwd.getpwnam(user)
    os.chown(new, account.pw_uid, account.pw_gid)
    new.rename(ETC / name)


def read(name):
    """What was written before, or nothing."""
    parser = ConfigParser(interpolation=None, strict=False)
    parser.read(ETC / name)
    return parser


def password_of(name):
    """The service user's password that an earlier start chose, or None."""
    return read(name).get("keystone", "password", fallback=None) or None
