package checks

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"istio.io/istio/pkg/wasm"
)

const (
	repository = "postern-bundle"
	// What an image layout calls its images by.
	tagged = "org.opencontainers.image.ref.name"
)

// Fetch is `mesh fetch`: puts an image of a layout into a registry in memory, has pilot-agent's
// own code fetch the module from there, and prints the SHA-256 of what came.
func Fetch(arguments []string) error {
	flags := flag.NewFlagSet("fetch", flag.ContinueOnError)
	folder := flags.String("layout", "", "OCI image layout")
	tag := flags.String("tag", "", "which image of it")
	pin := flags.String("sha256", "", "what the plugin is pinned to; empty: nothing")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	if *folder == "" || *tag == "" {
		return errors.New("-layout or -tag is missing")
	}
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	defer server.Close()
	host := strings.TrimPrefix(server.URL, "http://")
	if err := push(*folder, *tag, host); err != nil {
		return err
	}

	modules, err := os.MkdirTemp("", "mesh-fetch")
	if err != nil {
		return err
	}
	defer os.RemoveAll(modules)
	cache := wasm.NewLocalFileCache(modules, wasm.Options{})
	defer cache.Cleanup()
	path, err := cache.Get(
		fmt.Sprintf("oci://%s/%s:%s", host, repository, *tag),
		wasm.GetOptions{Checksum: *pin, RequestTimeout: 30 * time.Second},
	)
	if err != nil {
		return err
	}
	module, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	hash := sha256.Sum256(module)
	fmt.Println(hex.EncodeToString(hash[:]))
	return nil
}

func push(folder, tag, host string) error {
	index, err := layout.ImageIndexFromPath(folder)
	if err != nil {
		return err
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		return err
	}
	for _, descriptor := range manifest.Manifests {
		if descriptor.Annotations[tagged] != tag {
			continue
		}
		image, err := index.Image(descriptor.Digest)
		if err != nil {
			return err
		}
		to, err := name.ParseReference(fmt.Sprintf("%s/%s:%s", host, repository, tag), name.Insecure)
		if err != nil {
			return err
		}
		return remote.Write(to, image)
	}
	return fmt.Errorf("%s holds no image %q", folder, tag)
}
