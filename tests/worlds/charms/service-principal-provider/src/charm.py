#!/usr/bin/env python3
"""Offers a service principal, through version 1 of data_interfaces, which the charms' packages call dpcharmlibs.

As azure-auth-integrator does: it answers before it is asked, sends all again with each update-status, and what it may
not read of the user's secret it sends blank.
"""

import logging

import ops
from dpcharmlibs.interfaces import (
    BaseCommonModel,
    ExtraSecretStr,
    OpsRelationRepositoryInterface,
    SecretString,
)
from pydantic import Field

logger = logging.getLogger(__name__)

ENDPOINT = "azure-service-principal-credentials"


class Answer(BaseCommonModel):
    tenant_id: str = Field(default="")
    subscription_id: str = Field(default="")
    client_id: ExtraSecretStr
    client_secret: ExtraSecretStr
    secret_extra: SecretString | None = Field(default=None)


class ServicePrincipalProvider(ops.CharmBase):
    def __init__(self, framework: ops.Framework):
        super().__init__(framework)
        self.bags = OpsRelationRepositoryInterface(self.model, ENDPOINT, Answer)
        for event in (
            self.on[ENDPOINT].relation_joined,
            self.on.config_changed,
            self.on.secret_changed,
            self.on.update_status,
        ):
            framework.observe(event, self._send)

    def _send(self, _):
        if not self.unit.is_leader():
            return
        keys = self._keys()
        for relation in self.model.relations[ENDPOINT]:
            answer = self.bags.build_model(relation.id)
            answer.tenant_id = self.config["tenant-id"]
            answer.subscription_id = self.config["subscription-id"]
            answer.client_id = keys.get("client-id", "")
            answer.client_secret = keys.get("client-secret", "")
            self.bags.write_model(relation.id, answer)

    def _keys(self):
        """What the user has given, as far as it may be read."""
        if not (address := self.config.get("credentials")):
            return {}
        try:
            return self.model.get_secret(id=address).get_content(refresh=True)
        except (ops.ModelError, ops.SecretNotFoundError) as error:
            logger.warning("credentials: %s", error)
            return {}


if __name__ == "__main__":
    ops.main(ServicePrincipalProvider)
