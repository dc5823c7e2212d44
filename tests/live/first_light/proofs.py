"""Proofs: each is one printed line, and none is taken back. The test runner counts these lines."""


class ProofFailed(Exception):
    """Going on would be senseless, or would destroy what shows the fault."""


class Proofs:
    """Collects what was proved; a failed proof is said at once and again at the end."""

    def __init__(self):
        self.ok, self.failed = 0, []

    def check(self, claim, is_true, detail=""):
        """States one claim."""
        line = f"{claim}{f' ({detail})' if detail else ''}"
        if is_true:
            self.ok += 1
            print(f"proof ok: {line}", flush=True)
        else:
            self.failed.append(line)
            print(f"proof FAILED: {line}", flush=True)

    def equal(self, claim, before, after):
        """States that something is as it was; says both where it is not."""
        self.check(claim, before == after, str(before) if before == after else f"before {before}, after {after}")

    def gate(self):
        """To be passed before anything is destroyed."""
        if self.failed:
            raise ProofFailed("; ".join(self.failed))
