"""The bucket of the story, in Swift: made and looked into with Swift's own API, not with S3's."""
import logging
import os
import shlex
from pathlib import Path

NAME = "backstay-story"
logging.getLogger("keystoneauth").setLevel(logging.ERROR)  # each call warns that Swift has no list of versions


class Store:
    """Belongs to the admin's project."""

    def __init__(self, admin):
        self.admin, self.swift = admin, admin.object_store

    def prepare(self):
        """An empty bucket and new keys for it, as shell code for `site start`."""
        self.remove()
        self.swift.create_container(NAME)
        user, project = self.admin.current_user_id, self.admin.current_project_id
        made = self.admin.identity.post(f"/users/{user}/credentials/OS-EC2", json={"tenant_id": project})
        made.raise_for_status()
        keys = made.json()["credential"]
        endpoint = self.swift.get_endpoint().split("/v1/")[0]
        values = {"BACKSTAY_S3_URL": endpoint, "BACKSTAY_S3_BUCKET": NAME, "AWS_DEFAULT_REGION": self.admin.config.get_region_name(),
                  "AWS_ACCESS_KEY_ID": keys["access"], "AWS_SECRET_ACCESS_KEY": keys["secret"]}
        return "\n".join(f"export {key}={shlex.quote(value)}" for key, value in values.items())

    def remove(self):
        """The bucket, the parts of its large objects, and the keys that were made for it, where the environment has them."""
        for container in self._containers():
            for name in self.names(container):
                self.swift.delete_object(name, container=container, ignore_missing=True)
            self.swift.delete_container(container, ignore_missing=True)
        if key := os.environ.get("AWS_ACCESS_KEY_ID"):
            self.admin.identity.delete(f"/users/{self.admin.current_user_id}/credentials/OS-EC2/{key}").raise_for_status()

    def _containers(self):
        return [c.name for c in self.swift.containers() if c.name in (NAME, f"{NAME}+segments")]

    def names(self, container=NAME):
        return sorted(o.name for o in self.swift.objects(container))

    def parts(self):
        """What large objects are made of, and what unfinished uploads have left."""
        segments = f"{NAME}+segments"
        return self.names(segments) if segments in self._containers() else []

    def download(self, folder):
        """All of it, under its names. A large object is one, whatever its parts."""
        for name in self.names():
            path = Path(folder) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            answer = self.swift.get(f"/{NAME}/{name}", stream=True)
            answer.raise_for_status()
            with open(path, "wb") as file:
                for chunk in answer.iter_content(4 << 20):
                    file.write(chunk)
