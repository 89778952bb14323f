module kube-stack/csi-stand-in

go 1.26.0

tool kube-stack/csi-stand-in

require (
	github.com/container-storage-interface/spec v1.12.0
	golang.org/x/sys v0.44.0
	google.golang.org/grpc v1.81.1
	google.golang.org/protobuf v1.36.11
	k8s.io/kubelet v0.35.4
)

require (
	golang.org/x/net v0.51.0 // indirect
	golang.org/x/text v0.34.0 // indirect
	google.golang.org/genproto/googleapis/rpc v0.0.0-20260226221140-a57be14db171 // indirect
)
