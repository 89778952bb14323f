#!/usr/bin/env python3
"""Offers a store that is described by options, through the library's own providers.

A requirer is answered when it asks and again whenever an option changes. Options that are empty are
left out; a bucket or container that the requirer asks for counts where the option is empty.
"""

import logging

import ops
from object_storage import AzureStorageProvider, GCSProvider, S3Provider

logger = logging.getLogger(__name__)

S3_OPTIONS = [
    "access-key", "secret-key", "bucket", "endpoint", "region", "path", "s3-uri-style",
]
AZURE_OPTIONS = [
    "secret-key", "container", "storage-account", "connection-protocol", "endpoint", "path",
    "resource-group",
]
GCS_OPTIONS = ["secret-key", "bucket", "path", "storage-class"]


class ObjectStorageProvider(ops.CharmBase):
    def __init__(self, framework: ops.Framework):
        super().__init__(framework)
        self.s3 = S3Provider(self, "s3-credentials")
        self.azure = AzureStorageProvider(self, "azure-storage-credentials")
        self.gcs = GCSProvider(self, "gcs-credentials")
        self.offers = [
            (self.s3, S3_OPTIONS, "bucket"),
            (self.azure, AZURE_OPTIONS, "container"),
            (self.gcs, GCS_OPTIONS, "bucket"),
        ]
        for provider, _, _ in self.offers:
            framework.observe(
                provider.on.storage_connection_info_requested, self._on_requested
            )
        framework.observe(self.on.config_changed, self._on_config_changed)
        framework.observe(self.on.collect_unit_status, self._on_collect_status)

    def _on_requested(self, event):
        for provider, options, place in self.offers:
            if provider.relation_name == event.relation.name:
                self._answer(provider, options, place, event.relation)

    def _on_config_changed(self, _):
        for provider, options, place in self.offers:
            for relation in self.model.relations[provider.relation_name]:
                if provider.is_protocol_ready(relation):
                    self._answer(provider, options, place, relation)

    def _answer(self, provider, options, place, relation):
        if not self.unit.is_leader() or not self.config["secret-key"]:
            return
        data = {option: self.config[option] for option in options if self.config[option]}
        if chain := self.config["tls-ca-chain"]:
            data["tls-ca-chain"] = [chain]
        if place not in data:
            asked = provider.fetch_relation_data([relation.id], [place], relation.name)
            if wish := asked.get(relation.id, {}).get(place):
                data[place] = wish
        logger.info("answering %s", relation)
        provider.set_storage_connection_info(relation.id, data)

    def _on_collect_status(self, event: ops.CollectStatusEvent):
        if self.config["secret-key"]:
            event.add_status(ops.ActiveStatus())
        else:
            event.add_status(ops.BlockedStatus("set secret-key"))


if __name__ == "__main__":
    ops.main(ObjectStorageProvider)
