"""The tenant of the story: a project and a user of their own, no admin. Everything in the project
is the story's; an earlier run's things are cleared away before a new one begins."""
import os
import secrets
import sys
from pathlib import Path

import openstack

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lab" / "test"))
from guest import until  # noqa: E402

NAME = "first-light"
ROLES = ("member", "creator")


def password_file(name):
    return Path(os.environ.get("BACKSTAY_SITE", "/srv/backstay")) / "state" / f"{name}-password"


class Tenant:
    """Who makes the VM and asks for its backup."""

    def __init__(self, admin, name=NAME):
        self.admin, self.name = admin, name
        self.auth_url, self.region = admin.config.auth["auth_url"], admin.config.get_region_name() or "RegionOne"
        self.domain = admin.identity.find_project("service", ignore_missing=False).domain_id
        self.project = admin.identity.find_project(name) or admin.identity.create_project(name=name, domain_id=self.domain)
        self.user = admin.identity.find_user(name) or admin.identity.create_user(name=name, domain_id=self.domain)
        for role_name in ROLES:
            role = admin.identity.find_role(role_name)
            if role:
                admin.identity.assign_project_role_to_user(self.project, self.user, role)
        # two snapshots and as many volumes more a protected volume, and room for the restored ones
        admin.set_compute_quotas(name, cores=10, instances=10, ram=8192)
        admin.set_volume_quotas(name, volumes=20, snapshots=20, gigabytes=100)
        self.password = self._password()
        if not self._may_work():  # Keystone does not know this password: it is newer, or older
            admin.identity.update_user(self.user, password=self.password)
            until("Keystone to take the new password", 30, self._may_work)

    def _may_work(self):
        """Can we log in? A token of the very second in which the password changed is revoked again: so it is used, too."""
        self.cloud = self._connect()
        try:
            self.cloud.authorize()
            return self.cloud.identity.get("/auth/projects").ok
        except openstack.exceptions.SDKException:
            return False

    def _connect(self):
        return openstack.connect(load_envvars=False, load_yaml_config=False, region_name=self.region, auth={
            "auth_url": self.auth_url, "username": self.name, "password": self.password, "project_name": self.name,
            "user_domain_id": self.domain, "project_domain_id": self.domain})

    def _password(self):
        file = password_file(self.name)
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as f:
                f.write(secrets.token_urlsafe(24))
        return file.read_text()

    def environment(self):
        """OS_* variables, as in the tenant's own openrc file."""
        return {"OS_AUTH_URL": self.auth_url, "OS_IDENTITY_API_VERSION": "3", "OS_REGION_NAME": self.region,
                "OS_USERNAME": self.name, "OS_PASSWORD": self.password, "OS_PROJECT_NAME": self.name,
                "OS_USER_DOMAIN_ID": self.domain, "OS_PROJECT_DOMAIN_ID": self.domain}

    # --- losing things ---------------------------------------------------------
    def lose_servers(self):
        nova = self.cloud.compute
        for server in list(nova.servers()):
            nova.delete_server(server)
        until("servers to be gone", 120, lambda: not list(nova.servers()))

    def lose_volumes(self):
        """Snapshots first: Cinder keeps a volume that has some. A deletion that failed is asked for again, which an admin must allow."""
        cinder = self.cloud.block_storage
        for snapshot in list(cinder.snapshots()):
            if snapshot.status == "error_deleting":
                self.admin.block_storage.post(f"/snapshots/{snapshot.id}/action", json={"os-reset_status": {"status": "error"}}).raise_for_status()
            cinder.delete_snapshot(snapshot)
        until("volume snapshots to be gone", 120, lambda: not list(cinder.snapshots()))
        for volume in list(cinder.volumes()):
            cinder.delete_volume(volume)
        until("volumes to be gone", 120, lambda: not list(cinder.volumes()))

    def lose_networks(self):
        neutron = self.cloud.network
        mine = {"project_id": self.project.id}
        for port in neutron.ports(**mine):
            if not port.device_owner.startswith("network:"):
                neutron.delete_port(port)
        for network in neutron.networks(**mine):
            neutron.delete_network(network)
        for group in neutron.security_groups(**mine):
            if group.name != "default":
                neutron.delete_security_group(group)
        for key in self.cloud.compute.keypairs():
            self.cloud.compute.delete_keypair(key)
