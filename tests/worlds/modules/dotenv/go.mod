module velero-operator/stack/dotenv

go 1.26.0

require (
	github.com/joho/godotenv v1.4.0
	github.com/vmware-tanzu/velero v1.18.3
)
