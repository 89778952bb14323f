#!/usr/bin/env python3
"""Asks to be backed up as its option says, through the library's own provider."""

import json

import ops
from charmlibs.interfaces.k8s_backup_target import K8sBackupTargetProvider, K8sBackupTargetSpec


class BackupTarget(ops.CharmBase):
    def __init__(self, framework: ops.Framework):
        super().__init__(framework)
        self.backup = K8sBackupTargetProvider(
            self,
            relation_name="backup",
            spec=K8sBackupTargetSpec(**json.loads(self.config["spec"])),
            refresh_event=[self.on.config_changed],
        )
        framework.observe(self.on.collect_unit_status, self._on_collect_status)

    def _on_collect_status(self, event: ops.CollectStatusEvent):
        event.add_status(ops.ActiveStatus())


if __name__ == "__main__":
    ops.main(BackupTarget)
