package main

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"
)

type controller struct {
	csi.UnimplementedControllerServer
	// One call at a time: what is found missing is made before anybody else looks.
	alone     sync.Mutex
	volumes   shelf
	snapshots shelf
	now       func() time.Time
}

func (c *controller) ControllerGetCapabilities(context.Context, *csi.ControllerGetCapabilitiesRequest) (*csi.ControllerGetCapabilitiesResponse, error) {
	var all []*csi.ControllerServiceCapability
	for _, call := range []csi.ControllerServiceCapability_RPC_Type{
		csi.ControllerServiceCapability_RPC_CREATE_DELETE_VOLUME,
		csi.ControllerServiceCapability_RPC_CREATE_DELETE_SNAPSHOT,
		csi.ControllerServiceCapability_RPC_LIST_SNAPSHOTS,
	} {
		all = append(all, &csi.ControllerServiceCapability{Type: &csi.ControllerServiceCapability_Rpc{
			Rpc: &csi.ControllerServiceCapability_RPC{Type: call},
		}})
	}
	return &csi.ControllerGetCapabilitiesResponse{Capabilities: all}, nil
}

func (c *controller) CreateVolume(_ context.Context, request *csi.CreateVolumeRequest) (*csi.CreateVolumeResponse, error) {
	c.alone.Lock()
	defer c.alone.Unlock()
	if request.Name == "" {
		return nil, lacks("name")
	}
	if err := served(request.VolumeCapabilities); err != nil {
		return nil, err
	}
	least, most := request.CapacityRange.GetRequiredBytes(), request.CapacityRange.GetLimitBytes()
	if most != 0 && most < least {
		return nil, status.Error(codes.OutOfRange, "the limit is below what is required")
	}
	if content := request.VolumeContentSource; content != nil && content.GetSnapshot() == nil {
		return nil, status.Error(codes.InvalidArgument, "volumes are filled from snapshots alone")
	}
	source := request.VolumeContentSource.GetSnapshot().GetSnapshotId()

	found, err := c.volumes.find(idOf(request.Name))
	switch {
	case err == nil && (found.Source != source || found.Bytes < least || most != 0 && found.Bytes > most):
		return nil, status.Errorf(codes.AlreadyExists, "%q is another volume", request.Name)
	case err == nil:
		return answered(found, request.VolumeContentSource), nil
	case !errors.Is(err, fs.ErrNotExist):
		return nil, failed(err)
	}

	files := ""
	if source != "" {
		if _, err := c.snapshots.find(source); err != nil {
			return nil, missing("snapshot", source, err)
		}
		files = c.snapshots.files(source)
	}
	made := record{ID: idOf(request.Name), Name: request.Name, Source: source, Bytes: least, Created: c.now()}
	if err := c.volumes.add(made, files); err != nil {
		return nil, failed(err)
	}
	return answered(made, request.VolumeContentSource), nil
}

func answered(volume record, source *csi.VolumeContentSource) *csi.CreateVolumeResponse {
	return &csi.CreateVolumeResponse{Volume: &csi.Volume{
		VolumeId: volume.ID, CapacityBytes: volume.Bytes, ContentSource: source,
	}}
}

func (c *controller) DeleteVolume(_ context.Context, request *csi.DeleteVolumeRequest) (*csi.DeleteVolumeResponse, error) {
	c.alone.Lock()
	defer c.alone.Unlock()
	if request.VolumeId == "" {
		return nil, lacks("volume_id")
	}
	if err := c.volumes.remove(request.VolumeId); err != nil {
		return nil, failed(err)
	}
	return &csi.DeleteVolumeResponse{}, nil
}

func (c *controller) ValidateVolumeCapabilities(_ context.Context, request *csi.ValidateVolumeCapabilitiesRequest) (*csi.ValidateVolumeCapabilitiesResponse, error) {
	c.alone.Lock()
	defer c.alone.Unlock()
	if request.VolumeId == "" {
		return nil, lacks("volume_id")
	}
	if len(request.VolumeCapabilities) == 0 {
		return nil, lacks("volume_capabilities")
	}
	if _, err := c.volumes.find(request.VolumeId); err != nil {
		return nil, missing("volume", request.VolumeId, err)
	}
	if err := served(request.VolumeCapabilities); err != nil {
		return &csi.ValidateVolumeCapabilitiesResponse{Message: err.Error()}, nil
	}
	return &csi.ValidateVolumeCapabilitiesResponse{Confirmed: &csi.ValidateVolumeCapabilitiesResponse_Confirmed{
		VolumeCapabilities: request.VolumeCapabilities,
	}}, nil
}

func (c *controller) CreateSnapshot(_ context.Context, request *csi.CreateSnapshotRequest) (*csi.CreateSnapshotResponse, error) {
	c.alone.Lock()
	defer c.alone.Unlock()
	if request.Name == "" {
		return nil, lacks("name")
	}
	if request.SourceVolumeId == "" {
		return nil, lacks("source_volume_id")
	}
	found, err := c.snapshots.find(idOf(request.Name))
	switch {
	case err == nil && found.Source != request.SourceVolumeId:
		return nil, status.Errorf(codes.AlreadyExists, "%q is a snapshot of another volume", request.Name)
	case err == nil:
		return &csi.CreateSnapshotResponse{Snapshot: described(found)}, nil
	case !errors.Is(err, fs.ErrNotExist):
		return nil, failed(err)
	}

	volume, err := c.volumes.find(request.SourceVolumeId)
	if err != nil {
		return nil, missing("volume", request.SourceVolumeId, err)
	}
	made := record{ID: idOf(request.Name), Name: request.Name, Source: volume.ID, Bytes: volume.Bytes, Created: c.now()}
	if err := c.snapshots.add(made, c.volumes.files(volume.ID)); err != nil {
		return nil, failed(err)
	}
	return &csi.CreateSnapshotResponse{Snapshot: described(made)}, nil
}

func described(snapshot record) *csi.Snapshot {
	return &csi.Snapshot{
		SnapshotId:     snapshot.ID,
		SourceVolumeId: snapshot.Source,
		SizeBytes:      snapshot.Bytes,
		CreationTime:   timestamppb.New(snapshot.Created),
		ReadyToUse:     true,
	}
}

func (c *controller) DeleteSnapshot(_ context.Context, request *csi.DeleteSnapshotRequest) (*csi.DeleteSnapshotResponse, error) {
	c.alone.Lock()
	defer c.alone.Unlock()
	if request.SnapshotId == "" {
		return nil, lacks("snapshot_id")
	}
	if err := c.snapshots.remove(request.SnapshotId); err != nil {
		return nil, failed(err)
	}
	return &csi.DeleteSnapshotResponse{}, nil
}

// A page begins after the snapshot whose place in the list is its token.
func (c *controller) ListSnapshots(_ context.Context, request *csi.ListSnapshotsRequest) (*csi.ListSnapshotsResponse, error) {
	c.alone.Lock()
	defer c.alone.Unlock()
	all, err := c.snapshots.all()
	if err != nil {
		return nil, failed(err)
	}
	all = slices.DeleteFunc(all, func(one record) bool {
		return request.SnapshotId != "" && one.ID != request.SnapshotId ||
			request.SourceVolumeId != "" && one.Source != request.SourceVolumeId
	})
	begin := 0
	if request.StartingToken != "" {
		begin, err = strconv.Atoi(request.StartingToken)
		if err != nil || begin < 0 || begin > len(all) {
			return nil, status.Error(codes.Aborted, "no such token")
		}
	}
	answer := &csi.ListSnapshotsResponse{}
	end := len(all)
	if most := int(request.MaxEntries); most > 0 && begin+most < end {
		end = begin + most
		answer.NextToken = strconv.Itoa(end)
	}
	for _, one := range all[begin:end] {
		answer.Entries = append(answer.Entries, &csi.ListSnapshotsResponse_Entry{Snapshot: described(one)})
	}
	return answer, nil
}

// Folders are mounted on the one node that there is, by as many pods as want to.
func served(wanted []*csi.VolumeCapability) error {
	if len(wanted) == 0 {
		return lacks("volume_capabilities")
	}
	for _, one := range wanted {
		if one.GetBlock() != nil {
			return status.Error(codes.InvalidArgument, "folders are no block devices")
		}
	}
	return nil
}

func lacks(field string) error {
	return status.Errorf(codes.InvalidArgument, "%s is missing", field)
}

func missing(what, id string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return status.Errorf(codes.NotFound, "no %s %q", what, id)
	}
	return failed(err)
}

func failed(err error) error {
	return status.Error(codes.Internal, err.Error())
}
