"""Borg and restic: their commands, and what must be done around them, as a shell understands it."""

CONTENT_DEFINED = "buzhash,19,23,21,4095"
FIXED = "fixed,65536"


class Peer:
    """A repository below `folder`, with the caches that belong to it, and a place to restore to beside it."""

    def __init__(self, folder, disk):
        self.folder, self.disk = folder, disk
        self.repository, self.out = folder / "repository", f"{folder}.out"

    def remove(self):
        return f"rm -rf {self.folder} {self.folder}.kept {self.out}"

    def keep(self):
        """What `as_kept` comes back to, often: the first run takes far longer than a copy of it."""
        return f"rm -rf {self.folder}.kept; cp -r {self.folder} {self.folder}.kept"

    def as_kept(self):
        return f"rm -rf {self.folder}; cp -r {self.folder}.kept {self.folder}; sync -f {self.folder}"

    def make_room(self):
        return f"rm -rf {self.out}"

    def same(self, disk):
        """Check: both keep the disk's path below the place they restore to."""
        return f"cmp {self.out}{self.disk} {disk}"

    def shows(self, archive, disk):
        return f"{self.make_room()}; {self.restore(archive)}; {self.same(disk)}; {self.make_room()}"


class Borg(Peer):
    def __init__(self, folder, disk, chunker=CONTENT_DEFINED):
        super().__init__(folder, disk)
        self.chunker = chunker
        self.name = f"borg (zstd,1; {chunker})"
        self.environment = (
            f"export BORG_PASSPHRASE=x BORG_BASE_DIR={folder} "
            "BORG_RELOCATED_REPO_ACCESS_IS_OK=yes BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK=yes; "
        )

    def initialise(self):
        return f"{self.environment}{self.remove()}; mkdir {self.folder}; borg init -e repokey {self.repository}"

    def backup(self, archive):
        return (
            f"{self.environment}borg create -C zstd,1 --chunker-params {self.chunker} "
            f"{self.repository}::{archive} {self.disk}; sync -f {self.repository}"
        )

    def restore(self, archive):
        # In a shell of its own: it restores to where it is.
        return (
            f"{self.environment}mkdir {self.out}; "
            f"(cd {self.out}; borg extract --sparse {self.repository}::{archive}); sync -f {self.out}"
        )


class Restic(Peer):
    name = "restic"

    def __init__(self, folder, disk):
        super().__init__(folder, disk)
        self.restic = f"RESTIC_PASSWORD=x RESTIC_CACHE_DIR={folder}/cache restic -q -r {self.repository}"

    def initialise(self):
        return f"{self.remove()}; mkdir {self.folder}; {self.restic} init"

    def backup(self, _archive):
        return f"{self.restic} backup --compression auto {self.disk}; sync -f {self.repository}"

    def restore(self, _archive):
        """The newest one: all that is asked for."""
        return f"mkdir {self.out}; {self.restic} restore latest --target {self.out}; sync -f {self.out}"
