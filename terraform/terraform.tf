terraform {
  required_version = ">= 1.6.6"
  required_providers {
    juju = {
      source = "juju/juju"
      # Juju 4 needs version 2; what is set here is the same in both.
      version = ">= 1.0.0, < 3.0.0"
    }
  }
}
