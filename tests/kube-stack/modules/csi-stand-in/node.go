package main

import (
	"context"
	"errors"
	"io/fs"
	"os"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"golang.org/x/sys/unix"
)

type nodes struct {
	csi.UnimplementedNodeServer
	name    string
	volumes shelf
}

func (n nodes) NodeGetInfo(context.Context, *csi.NodeGetInfoRequest) (*csi.NodeGetInfoResponse, error) {
	return &csi.NodeGetInfoResponse{NodeId: n.name}, nil
}

func (n nodes) NodeGetCapabilities(context.Context, *csi.NodeGetCapabilitiesRequest) (*csi.NodeGetCapabilitiesResponse, error) {
	return &csi.NodeGetCapabilitiesResponse{}, nil
}

func (n nodes) NodePublishVolume(_ context.Context, request *csi.NodePublishVolumeRequest) (*csi.NodePublishVolumeResponse, error) {
	if request.VolumeId == "" {
		return nil, lacks("volume_id")
	}
	if request.TargetPath == "" {
		return nil, lacks("target_path")
	}
	if request.VolumeCapability == nil {
		return nil, lacks("volume_capability")
	}
	if err := served([]*csi.VolumeCapability{request.VolumeCapability}); err != nil {
		return nil, err
	}
	if _, err := n.volumes.find(request.VolumeId); err != nil {
		return nil, missing("volume", request.VolumeId, err)
	}
	var access uintptr
	if request.Readonly {
		access = unix.MS_RDONLY
	}
	if err := bind(n.volumes.files(request.VolumeId), request.TargetPath, access); err != nil {
		return nil, failed(err)
	}
	return &csi.NodePublishVolumeResponse{}, nil
}

func (n nodes) NodeUnpublishVolume(_ context.Context, request *csi.NodeUnpublishVolumeRequest) (*csi.NodeUnpublishVolumeResponse, error) {
	if request.VolumeId == "" {
		return nil, lacks("volume_id")
	}
	if request.TargetPath == "" {
		return nil, lacks("target_path")
	}
	if err := unbind(request.TargetPath); err != nil {
		return nil, failed(err)
	}
	return &csi.NodeUnpublishVolumeResponse{}, nil
}

// Shows a folder in another place. Succeeds when it is shown there already.
func bind(source, target string, access uintptr) error {
	if err := os.MkdirAll(target, 0o755); err != nil {
		return err
	}
	mounted, err := isMounted(target)
	if mounted || err != nil {
		return err
	}
	if err := unix.Mount(source, target, "", unix.MS_BIND, ""); err != nil {
		return err
	}
	// The kernel takes the access of a bind mount only from a change of it.
	return unix.Mount("", target, "", unix.MS_REMOUNT|unix.MS_BIND|access, "")
}

// Succeeds when there is nothing.
func unbind(target string) error {
	mounted, err := isMounted(target)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if mounted {
		if err := unix.Unmount(target, 0); err != nil {
			return err
		}
	}
	return os.Remove(target)
}

func isMounted(target string) (bool, error) {
	var found unix.Statx_t
	err := unix.Statx(unix.AT_FDCWD, target, unix.AT_SYMLINK_NOFOLLOW, 0, &found)
	return found.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0, err
}
