"""Says what is going on, and how long each phase took."""
import time

STARTED = time.monotonic()


def say(text):
    print(f"[{time.monotonic() - STARTED:6.1f}s] {text}", flush=True)


class Phases:
    """`with phases("name"):` times a part of the story."""

    def __init__(self):
        self.seconds = {}

    def __call__(self, name):
        self.name = name
        return self

    def __enter__(self):
        say(self.name)
        self.since = time.monotonic()

    def __exit__(self, kind, value, trace):
        self.seconds[self.name] = time.monotonic() - self.since


def mib(size_bytes):
    return f"{size_bytes / (1 << 20):.1f} MiB"
