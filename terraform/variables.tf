variable "app_name" {
  description = "Name of the application in its model"
  type        = string
  default     = "velero-operator"
}

variable "base" {
  description = "Base of the charm's container"
  type        = string
  default     = "ubuntu@24.04"
}

variable "channel" {
  description = "Channel of the charm"
  type        = string
  default     = "latest/stable"
}

variable "config" {
  description = "Options of the charm, as in its charmcraft.yaml"
  type        = map(string)
  default     = {}
}

variable "constraints" {
  description = "Constraints of the application, such as `arch=amd64`; a change makes it anew"
  type        = string
  default     = null
}

variable "model_uuid" {
  description = "UUID of the model, best one of its own"
  type        = string
  nullable    = false
}

variable "offers" {
  description = "Endpoints, of those that the charm provides, to offer to other models"
  type        = set(string)
  default     = []
}

variable "revision" {
  description = "Revision of the charm; the channel's newest if it is not set"
  type        = number
  default     = null
}

variable "units" {
  description = "Number of units; one works, and the others stand by"
  type        = number
  default     = 1
}
