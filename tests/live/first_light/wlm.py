"""The `workloadmgr` command, as the tenant types it."""
import json
import os
import subprocess
import time

from progress import say

WAIT = ("--wait", "--poll", "1", "--timeout", "600")


class CommandFailed(Exception):
    """The command ended with another code than 0; it has said why."""


class Workloadmgr:
    """Runs the CLI with the tenant's credentials; what it says on stderr, progress included, passes through."""

    def __init__(self, program, environment):
        self.program = program
        self.environment = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", **environment}

    def __call__(self, *arguments):
        """Runs one command with -f json; returns what it printed, parsed."""
        say("$ workloadmgr " + " ".join(arguments))
        return self.quietly(*arguments)

    def say(self, *arguments):
        """Runs one command that prints nothing of use."""
        say("$ workloadmgr " + " ".join(arguments))
        if subprocess.run([self.program, *arguments], env=self.environment, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL).returncode:
            raise CommandFailed(f"workloadmgr {arguments[0]} failed")

    def new(self, kind, list_command, make_command):
        """The id of what make_command makes: the one that list_command did not have before."""
        before = {row["ID"] for row in self.quietly(*list_command)}
        self(*make_command)
        made = [row["ID"] for row in self.quietly(*list_command) if row["ID"] not in before]
        if len(made) != 1:
            raise CommandFailed(f"{make_command[0]} made {len(made)} {kind}s")
        return made[0]

    def wait_for(self, kind, item_id, wanted=("available",), seconds=120):
        """Until `KIND-show` has one of the wanted statuses; an error ends it early. Returns what it showed."""
        limit = time.monotonic() + seconds
        while True:
            shown = self.quietly(f"{kind}-show", item_id)
            if shown["status"] in wanted:
                return shown
            if shown["status"] == "error" or time.monotonic() > limit:
                raise CommandFailed(f"{kind} {item_id} is {shown['status']}: {shown.get('error_msg')}")
            time.sleep(0.5)

    def wait_until_gone(self, kind, *list_command, gone, seconds=120):
        """Until a list no longer has an id; an error ends it early."""
        limit = time.monotonic() + seconds
        while left := [row["Status"] for row in self.quietly(*list_command) if row["ID"] == gone]:
            if left == ["error"] or time.monotonic() > limit:
                shown = self.quietly(f"{kind}-show", gone)
                raise CommandFailed(f"{kind} {gone} is still there, {left[0]}: {shown.get('error_msg')}")
            time.sleep(0.5)

    def quietly(self, *arguments):
        """The same without saying so, for looking things up."""
        run = subprocess.run([self.program, *arguments, "-f", "json"], env=self.environment, stdout=subprocess.PIPE,
                             stdin=subprocess.DEVNULL, text=True)
        if run.returncode:
            raise CommandFailed(f"workloadmgr {' '.join(arguments)} ended with {run.returncode}")
        return json.loads(run.stdout) if run.stdout.strip() else []
