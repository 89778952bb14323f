// A stand-in for Velero's plugin for Microsoft Azure, whose own module is not to be had from a proxy: its
// object store, and no snapshots. It takes the same keys of a location and reads the same credential file,
// since both leave that to Velero's own client for Azure; the few calls of the SDK below are ours.
package main

import (
	"context"
	"errors"
	"io"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/sas"
	"github.com/sirupsen/logrus"
	"github.com/spf13/pflag"
	"github.com/vmware-tanzu/velero/pkg/plugin/framework"
	"github.com/vmware-tanzu/velero/pkg/util/azure"
)

// How far the clock of a store may be behind ours.
const skew = time.Minute

// What a location's config may say. The last is what Velero adds for a location with a credential.
var known = []string{
	azure.BSLConfigResourceGroup,
	azure.BSLConfigStorageAccount,
	azure.BSLConfigStorageAccountAccessKeyName,
	azure.BSLConfigSubscriptionID,
	azure.BSLConfigStorageAccountURI,
	azure.BSLConfigUseAAD,
	azure.BSLConfigActiveDirectoryAuthorityURI,
	"blockSizeInBytes",
	"credentialsFile",
}

type objectStore struct {
	log    logrus.FieldLogger
	client *azblob.Client
	// Of an account's key only; a service principal has none.
	key *azblob.SharedKeyCredential
}

func main() {
	make := func(log logrus.FieldLogger) (any, error) { return &objectStore{log: log}, nil }
	framework.NewServer().BindFlags(pflag.CommandLine).RegisterObjectStore("velero.io/azure", make).Serve()
}

func (s *objectStore) Init(config map[string]string) error {
	if err := framework.ValidateObjectStoreConfigKeys(config, known...); err != nil {
		return err
	}
	var err error
	s.client, s.key, err = azure.NewStorageClient(s.log, config)
	return err
}

func (s *objectStore) container(name string) *container.Client {
	return s.client.ServiceClient().NewContainerClient(name)
}

func (s *objectStore) blob(container, key string) *blob.Client {
	return s.container(container).NewBlobClient(key)
}

func (s *objectStore) PutObject(container, key string, body io.Reader) error {
	_, err := s.client.UploadStream(context.Background(), container, key, body, nil)
	return err
}

func (s *objectStore) ObjectExists(container, key string) (bool, error) {
	_, err := s.blob(container, key).GetProperties(context.Background(), nil)
	if bloberror.HasCode(err, bloberror.BlobNotFound) {
		return false, nil
	}
	return err == nil, err
}

func (s *objectStore) GetObject(container, key string) (io.ReadCloser, error) {
	answer, err := s.blob(container, key).DownloadStream(context.Background(), nil)
	return answer.Body, err
}

func (s *objectStore) ListCommonPrefixes(name, prefix, delimiter string) ([]string, error) {
	var prefixes []string
	options := container.ListBlobsHierarchyOptions{Prefix: &prefix}
	pages := s.container(name).NewListBlobsHierarchyPager(delimiter, &options)
	for pages.More() {
		page, err := pages.NextPage(context.Background())
		if err != nil {
			return nil, err
		}
		for _, one := range page.Segment.BlobPrefixes {
			prefixes = append(prefixes, *one.Name)
		}
	}
	return prefixes, nil
}

func (s *objectStore) ListObjects(name, prefix string) ([]string, error) {
	var keys []string
	pages := s.client.NewListBlobsFlatPager(name, &azblob.ListBlobsFlatOptions{Prefix: &prefix})
	for pages.More() {
		page, err := pages.NextPage(context.Background())
		if err != nil {
			return nil, err
		}
		for _, one := range page.Segment.BlobItems {
			keys = append(keys, *one.Name)
		}
	}
	return keys, nil
}

func (s *objectStore) DeleteObject(container, key string) error {
	_, err := s.client.DeleteBlob(context.Background(), container, key, nil)
	if bloberror.HasCode(err, bloberror.BlobNotFound) {
		return nil
	}
	return err
}

func (s *objectStore) CreateSignedURL(container, key string, ttl time.Duration) (string, error) {
	if s.key == nil {
		return "", errors.New("without the storage account's key no address can be signed")
	}
	url := s.blob(container, key).URL()
	protocol := sas.ProtocolHTTPS
	if strings.HasPrefix(url, "http://") {
		protocol = sas.ProtocolHTTPSandHTTP
	}
	now := time.Now().UTC()
	permissions := sas.BlobPermissions{Read: true}
	signed, err := sas.BlobSignatureValues{
		Protocol:      protocol,
		StartTime:     now.Add(-skew),
		ExpiryTime:    now.Add(ttl),
		Permissions:   permissions.String(),
		ContainerName: container,
		BlobName:      key,
	}.SignWithSharedKey(s.key)
	if err != nil {
		return "", err
	}
	return url + "?" + signed.Encode(), nil
}
