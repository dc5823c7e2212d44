"""What Keystone must know of Backstay: two service users, two services and their endpoints.
Safe to repeat: a password that still works stays."""
import secrets
import time

import openstack
from keystoneauth1.exceptions import Unauthorized


class Registration:
    """Makes entries in the Keystone of an admin's connection."""

    def __init__(self, admin):
        self.admin, self.keystone = admin, admin.identity
        self.project = self.keystone.find_project("service", ignore_missing=False)
        self.region = admin.config.get_region_name() or "RegionOne"

    def user(self, name, password, roles):
        """A service user in the project service; returns its password."""
        user = self.keystone.find_user(name)
        if not user:
            password = secrets.token_urlsafe(24)
            user = self.keystone.create_user(name=name, domain_id=self.project.domain_id, password=password,
                                             default_project_id=self.project.id, description="Backstay")
        for role in roles:
            found = self.keystone.find_role(role) or self.keystone.create_role(name=role)
            self.keystone.assign_project_role_to_user(self.project, user, found)
        if not (password and self._accepted(name, password)):
            password = secrets.token_urlsafe(24)
            self.keystone.update_user(user, password=password)
            limit = time.monotonic() + 30
            while not self._accepted(name, password):
                if time.monotonic() > limit:
                    raise RuntimeError(f"Keystone does not take the new password of {name}")
                time.sleep(0.2)
        return password

    def _accepted(self, name, password):
        """Can the user log in? A token of the very second in which the password changed is revoked again: so it is used, too."""
        trial = openstack.connect(load_envvars=False, load_yaml_config=False, region_name=self.region, auth={
            "auth_url": self.admin.config.auth["auth_url"], "username": name, "password": password,
            "user_domain_id": self.project.domain_id, "project_id": self.project.id})
        try:
            trial.authorize()
            return trial.identity.get("/auth/projects").ok
        except (Unauthorized, openstack.exceptions.SDKException):
            return False
        finally:
            trial.close()

    def service(self, kind, name, description, url):
        """A service and its three endpoints, at this url and at no older one."""
        service = next((s for s in self.keystone.services(type=kind) if s.name == name), None) or \
            self.keystone.create_service(type=kind, name=name, description=description)
        have = {e.interface: e for e in self.keystone.endpoints(service_id=service.id) if e.region_id == self.region}
        for interface in ("public", "internal", "admin"):
            endpoint = have.get(interface)
            if not endpoint:
                self.keystone.create_endpoint(service_id=service.id, interface=interface, url=url, region_id=self.region)
            elif endpoint.url != url:
                self.keystone.update_endpoint(endpoint, url=url)

    def forget(self):
        """Takes away what the other methods made."""
        for kind, name in (("workloads", "backstay"), ("datamover", "dmapi")):
            for service in self.keystone.services(type=kind):
                if service.name == name:
                    self.keystone.delete_service(service)
        for name in ("backstay", "datamover"):
            user = self.keystone.find_user(name)
            if user:
                self.keystone.delete_user(user)
