// A stand-in for a storage vendor's CSI driver, written to the specification: volumes are folders of the node,
// snapshots are copies of them.
//
// It has no notion of space: a volume is as large as was asked for, and nothing keeps to it. A copy is no picture of
// one moment if something writes meanwhile.
package main

import (
	"flag"
	"log"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc"
	registration "k8s.io/kubelet/pkg/apis/pluginregistration/v1"
)

const version = "1"

func main() {
	name := flag.String("name", "", "of the driver")
	folder := flag.String("folder", "", "where volumes and snapshots are")
	kubelet := flag.String("kubelet", "/var/lib/kubelet", "the kubelet's folder")
	node := flag.String("node", "", "name of the node")
	flag.Parse()

	volumes, err := newShelf(filepath.Join(*folder, "volumes"))
	check(err)
	snapshots, err := newShelf(filepath.Join(*folder, "snapshots"))
	check(err)

	own := filepath.Join(*kubelet, "plugins", *name, "csi.sock")
	driver := grpc.NewServer(grpc.UnaryInterceptor(logged))
	csi.RegisterIdentityServer(driver, identity{name: *name})
	csi.RegisterControllerServer(driver, &controller{volumes: volumes, snapshots: snapshots, now: time.Now})
	csi.RegisterNodeServer(driver, nodes{name: *node, volumes: volumes})
	go serve(driver, own)

	// The kubelet calls what it finds in this folder.
	known := filepath.Join(*kubelet, "plugins_registry", *name+"-reg.sock")
	registry := grpc.NewServer()
	registration.RegisterRegistrationServer(registry, registrar{name: *name, endpoint: own})
	serve(registry, known)
}

func serve(server *grpc.Server, socket string) {
	check(os.MkdirAll(filepath.Dir(socket), 0o755))
	check(os.RemoveAll(socket))
	listener, err := net.Listen("unix", socket)
	check(err)
	check(server.Serve(listener))
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
