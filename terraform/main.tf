resource "juju_application" "velero_operator" {
  name       = var.app_name
  model_uuid = var.model_uuid

  charm {
    name     = "velero-operator"
    channel  = var.channel
    revision = var.revision
    base     = var.base
  }

  # Velero restores objects of every kind, so the charm binds it to `cluster-admin`.
  trust       = true
  units       = var.units
  constraints = var.constraints
  config      = var.config
}

resource "juju_offer" "provides" {
  for_each = var.offers

  name             = "${var.app_name}-${each.key}"
  model_uuid       = var.model_uuid
  application_name = juju_application.velero_operator.name
  endpoints        = [each.key]
}
