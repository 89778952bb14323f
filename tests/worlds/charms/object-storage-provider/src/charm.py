#!/usr/bin/env python3
"""Offers a store that is described by options, through the library's own providers.

Keys are options too, for tests that are not about their way, or come from the user's secret that `credentials`
names, as those of the integrators on this library do. Those of S3 and Google send nothing while they may not read it,
and all again with each update-status; that of Azure sends a blank key, and nothing of its own accord.

A requirer is answered when it asks and again whenever an option changes. What is reset is taken out of the data bag
for S3, and stays in it for Azure and Google, as with the integrators. A bucket or container that the requirer asks for
counts where the option is empty.
"""

import logging

import ops
from object_storage import AzureStorageProvider, GCSProvider, S3Provider

logger = logging.getLogger(__name__)

S3_KEYS = ["access-key", "secret-key"]
S3_OPTIONS = ["bucket", "endpoint", "region", "path", "s3-uri-style"]
AZURE_KEYS = ["secret-key"]
AZURE_OPTIONS = [
    "container", "storage-account", "connection-protocol", "endpoint", "path", "resource-group",
]
GCS_KEYS = ["secret-key"]
GCS_OPTIONS = ["bucket", "path", "storage-class"]


class ObjectStorageProvider(ops.CharmBase):
    def __init__(self, framework: ops.Framework):
        super().__init__(framework)
        self.s3 = S3Provider(self, "s3-credentials")
        self.azure = AzureStorageProvider(self, "azure-storage-credentials")
        self.gcs = GCSProvider(self, "gcs-credentials")
        self.offers = [
            (self.s3, S3_KEYS, S3_OPTIONS, "bucket"),
            (self.azure, AZURE_KEYS, AZURE_OPTIONS, "container"),
            (self.gcs, GCS_KEYS, GCS_OPTIONS, "bucket"),
        ]
        for provider, *_ in self.offers:
            framework.observe(
                provider.on.storage_connection_info_requested, self._on_requested
            )
        framework.observe(self.on.config_changed, self._answer_all)
        framework.observe(self.on.secret_changed, self._on_secret_changed)
        framework.observe(self.on.update_status, self._on_update_status)
        framework.observe(self.on.collect_unit_status, self._on_collect_status)

    def _on_requested(self, event):
        for offer in self.offers:
            if offer[0].relation_name == event.relation.name:
                self._answer(offer, event.relation)

    def _on_secret_changed(self, event: ops.SecretChangedEvent):
        if event.secret.id == self.config.get("credentials"):
            self._answer_all(event)

    def _on_update_status(self, _):
        self._answer_all_of([offer for offer in self.offers if offer[0] is not self.azure])

    def _answer_all(self, _):
        self._answer_all_of(self.offers)

    def _answer_all_of(self, offers):
        for offer in offers:
            for relation in self.model.relations[offer[0].relation_name]:
                if offer[0].is_protocol_ready(relation):
                    self._answer(offer, relation)

    def _keys(self, names):
        """What the user has given, as far as it may be read."""
        if not (address := self.config.get("credentials")):
            return {name: self.config[name] for name in names if self.config[name]}
        try:
            content = self.model.get_secret(id=address).get_content(refresh=True)
        except (ops.ModelError, ops.SecretNotFoundError) as error:
            logger.warning("credentials: %s", error)
            return {}
        return {name: content[name] for name in names if content.get(name)}

    def _answer(self, offer, relation):
        provider, names, options, place = offer
        keys = self._keys(names)
        if provider is self.azure and self.config.get("credentials"):
            keys = {name: keys.get(name, "") for name in names}
        if not self.unit.is_leader() or "secret-key" not in keys:
            return
        data = {option: self.config[option] for option in options}
        if provider is not self.s3:
            data = {option: value for option, value in data.items() if value}
        data |= keys
        if provider is self.s3:
            chain = self.config["tls-ca-chain"]
            data["tls-ca-chain"] = [chain] if chain else ""
        if not data.get(place):
            asked = provider.fetch_relation_data([relation.id], [place], relation.name)
            if wish := asked.get(relation.id, {}).get(place):
                data[place] = wish
        logger.info("answering %s", relation)
        provider.set_storage_connection_info(relation.id, data)

    def _on_collect_status(self, event: ops.CollectStatusEvent):
        if self._keys(["secret-key"]):
            event.add_status(ops.ActiveStatus())
        else:
            event.add_status(ops.BlockedStatus("set secret-key"))


if __name__ == "__main__":
    ops.main(ObjectStorageProvider)
