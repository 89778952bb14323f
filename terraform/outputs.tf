output "application_name" {
  description = "Name of the application"
  value       = juju_application.velero_operator.name
}

output "offers" {
  description = "URL of each offer, by its endpoint"
  value       = { for endpoint, offer in juju_offer.provides : endpoint => offer.url }
}

# The two maps hold what charmcraft.yaml declares; a test compares them.
output "provides" {
  description = "Endpoints that the charm provides, by their name with `_`"
  value = {
    grafana_dashboard = "grafana-dashboard"
    metrics_endpoint  = "metrics-endpoint"
  }
}

output "requires" {
  description = "Endpoints that the charm requires, by their name with `_`"
  value = {
    azure_service_principal = "azure-service-principal"
    azure_storage           = "azure-storage"
    gcs_credentials         = "gcs-credentials"
    k8s_backup_target       = "k8s-backup-target"
    logging                 = "logging"
    s3_credentials          = "s3-credentials"
    velero_backups          = "velero-backups"
  }
}
