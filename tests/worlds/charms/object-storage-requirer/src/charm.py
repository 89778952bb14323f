#!/usr/bin/env python3
"""Asks for a store through the library's own requirers, and says in its status what it got."""

import ops
from object_storage import AzureStorageRequirer, S3Requirer


class ObjectStorageRequirer(ops.CharmBase):
    def __init__(self, framework: ops.Framework):
        super().__init__(framework)
        self.s3 = S3Requirer(self, "s3-credentials", bucket="wished")
        self.azure = AzureStorageRequirer(self, "azure-storage-credentials")
        for requirer in (self.s3, self.azure):
            framework.observe(requirer.on.storage_connection_info_changed, self._on_changed)
            framework.observe(requirer.on.storage_connection_info_gone, self._on_gone)

    def _on_changed(self, event):
        requirer = self.s3 if event.relation.name == "s3-credentials" else self.azure
        info = requirer.get_storage_connection_info(event.relation)
        said = " ".join(f"{key}={value}" for key, value in sorted(info.items()) if key != "data")
        self.unit.status = ops.ActiveStatus(said)

    def _on_gone(self, _):
        self.unit.status = ops.BlockedStatus("no store")


if __name__ == "__main__":
    ops.main(ObjectStorageRequirer)
