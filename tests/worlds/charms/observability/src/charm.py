#!/usr/bin/env python3
"""Reads what COS takes by COS's own library, and writes down what that makes of it.

What COS's charms do with it beyond that (their libraries are in no package index) is played: jobs get the labels
that Prometheus's charm gives them, and an `event` carries a complaint back.
"""

import json
import pathlib
import warnings

import ops
from cosl import DashboardPath40UID, GrafanaDashboard, JujuTopology, LZMABase64
from cosl.rules import AlertRules

# All that such targets have in common: what tells them apart is theirs to say.
INSTANCE = {
    "source_labels": ["juju_model", "juju_model_uuid", "juju_application"],
    "separator": "_",
    "target_label": "instance",
    "regex": "(.*)",
}


class Observability(ops.CharmBase):
    def __init__(self, framework: ops.Framework):
        super().__init__(framework)
        for endpoint in ("metrics-endpoint", "grafana-dashboard", "logging"):
            events = self.on[endpoint]
            for event in (events.relation_changed, events.relation_broken):
                framework.observe(event, self._look)
        framework.observe(self.on.config_changed, self._look)

    def _look(self, event):
        seen = {"metrics": [], "dashboards": []}
        for relation in self.model.relations["metrics-endpoint"]:
            if relation.app and relation.data[relation.app]:
                seen["metrics"].append(self._metrics(relation))
        for relation in self.model.relations["grafana-dashboard"]:
            if relation.app and "dashboards" in relation.data[relation.app]:
                seen["dashboards"].append(self._dashboards(relation))
        for relation in self.model.relations["logging"]:
            relation.data[self.unit]["endpoint"] = json.dumps({"url": self.config["loki"]})
            metadata = relation.app and relation.data[relation.app].get("metadata")
            if metadata:
                seen["logs"] = JujuTopology.from_dict(json.loads(metadata)).identifier
        pathlib.Path("seen.json").write_text(json.dumps(seen))
        self._complain()
        self.unit.status = ops.ActiveStatus()

    def _metrics(self, relation):
        bag = relation.data[relation.app]
        topology = JujuTopology.from_dict(json.loads(bag["scrape_metadata"]))
        sent = json.loads(bag["alert_rules"])
        rules = AlertRules(query_type="promql", topology=topology)
        rules.add(sent)
        units = {}
        for unit in relation.units:
            own = relation.data[unit]
            units[own.get("prometheus_scrape_unit_name")] = own.get("prometheus_scrape_unit_address")
        jobs = json.loads(bag["scrape_jobs"])
        for job in jobs:
            for config in job["static_configs"]:
                for target in config["targets"]:
                    host, port = target.split(":")
                config.setdefault("labels", {}).update(topology.label_matcher_dict)
            job["relabel_configs"] = [INSTANCE]
        return {"units": units, "jobs": jobs, "sent": sent, "rules": rules.as_dict()}

    def _dashboards(self, relation):
        bag = relation.data[relation.app]
        found = []
        for name, template in json.loads(bag["dashboards"])["templates"].items():
            dashboard = json.loads(LZMABase64.decompress(template["content"]))
            alternative = DashboardPath40UID._hash((template["charm"], name), 8)
            found.append({
                "name": name,
                "topology": template["juju_topology"],
                "dashboard": dashboard,
                "uid_is_valid": DashboardPath40UID.is_valid(dashboard["uid"]),
                "alternative_is_of_its_name": template["dashboard_alt_uid"] == alternative,
            })
        return found

    def _complain(self):
        complaint = self.config["complaint"]
        metrics = {"valid": not complaint, "errors": complaint}
        errors = [{"dashboard_id": "file:velero", "error": complaint}] if complaint else []
        dashboards = {"valid": not complaint, "errors": errors}
        for endpoint, event in (("metrics-endpoint", metrics), ("grafana-dashboard", dashboards)):
            for relation in self.model.relations[endpoint]:
                relation.data[self.app]["event"] = json.dumps(event)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    ops.main(Observability)
