package istiod

import (
	"fmt"
	"reflect"
	"strconv"
	"sync"

	kubeerrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	k8stesting "k8s.io/client-go/testing"

	"istio.io/istio/pilot/pkg/config/kube/crd"
	"istio.io/istio/pilot/pkg/model"
	"istio.io/istio/pkg/config"
	"istio.io/istio/pkg/config/schema/gvk"
)

// folder keeps the cluster equal to a folder of YAML files.
type folder struct {
	mu      sync.Mutex
	path    string
	tracker k8stesting.ObjectTracker
	// Set once istiod exists.
	store model.ConfigStoreController

	generation int
	configs    map[key]config.Config
	objects    map[key]runtime.Object
	last       *Report
}

func newFolder(path string, tracker k8stesting.ObjectTracker) *folder {
	return &folder{
		path:    path,
		tracker: tracker,
		configs: map[key]config.Config{},
		objects: map[key]runtime.Object{},
	}
}

// apply reads the folder. While there is no istiod it writes Kubernetes' own objects alone: istiod
// starts some of its watches while it is made, and the cluster in memory loses what happens
// between an informer's first look and its watch.
func (f *folder) apply() *Report {
	f.mu.Lock()
	defer f.mu.Unlock()
	found := read(f.path)
	f.generation++
	found.report.Generation = f.generation
	f.applyObjects(found)
	if f.store != nil {
		f.applyConfigs(found)
		if err := f.mark(); err != nil {
			found.fail("marking generation %d: %v", f.generation, err)
		}
	}
	f.last = found.report
	return found.report
}

func (f *folder) report() *Report {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.last
}

func (f *folder) applyObjects(found *contents) {
	for at, wanted := range found.objects {
		old, known := f.objects[at]
		if known && reflect.DeepEqual(old, wanted) {
			continue
		}
		if err := f.putObject(at, wanted); err != nil {
			found.fail("%s: %v", at, err)
			continue
		}
		f.objects[at] = wanted
	}
	for at := range f.objects {
		if _, wanted := found.objects[at]; wanted {
			continue
		}
		if err := f.tracker.Delete(resourceOf(at.kind), at.namespace, at.name); err != nil {
			found.fail("%s: %v", at, err)
		}
		delete(f.objects, at)
	}
}

func (f *folder) putObject(at key, wanted runtime.Object) error {
	put := wanted.DeepCopyObject()
	named, err := meta.Accessor(put)
	if err != nil {
		return err
	}
	// Informers may drop an object whose version they have seen.
	named.SetResourceVersion(strconv.Itoa(f.generation))
	err = f.tracker.Create(resourceOf(at.kind), put, at.namespace)
	if kubeerrors.IsAlreadyExists(err) {
		return f.tracker.Update(resourceOf(at.kind), put, at.namespace)
	}
	return err
}

func (f *folder) applyConfigs(found *contents) {
	for at, wanted := range found.configs {
		old, known := f.configs[at]
		if known && old.Equals(&wanted) {
			continue
		}
		if err := f.putConfig(wanted); err != nil {
			found.fail("%s: %v", at, err)
			continue
		}
		f.configs[at] = wanted
	}
	for at := range f.configs {
		if _, wanted := found.configs[at]; wanted {
			continue
		}
		if err := f.store.Delete(at.kind, at.name, at.namespace, nil); err != nil {
			found.fail("%s: %v", at, err)
		}
		delete(f.configs, at)
	}
}

func (f *folder) putConfig(wanted config.Config) error {
	wanted.ResourceVersion = strconv.Itoa(f.generation)
	_, err := f.store.Create(wanted)
	// istiod makes some itself, the GatewayClass `istio` for one.
	if kubeerrors.IsAlreadyExists(err) {
		_, err = f.store.Update(wanted)
	}
	return err
}

// Marker is how the cluster is called that every proxy has once istiod told it of a generation.
const Marker = "mesh-tests-generation-%d"

// mark gives every proxy a cluster that nobody uses, named after this generation: whoever has it
// has been told of everything that was written before.
func (f *folder) mark() error {
	marker, _, err := crd.ParseInputs(fmt.Sprintf(`
apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: {name: mesh-tests-generation, namespace: istio-system}
spec:
  configPatches:
  - applyTo: CLUSTER
    match: {context: ANY}
    patch: {operation: ADD, value: {name: `+Marker+`, type: STATIC, connect_timeout: 1s}}
`, f.generation))
	if err != nil {
		return err
	}
	for _, one := range marker {
		if err := f.putConfig(one); err != nil {
			return err
		}
	}
	return nil
}

func resourceOf(kind config.GroupVersionKind) schema.GroupVersionResource {
	if known, ok := gvk.ToGVR(kind); ok {
		if known.Group == "core" {
			known.Group = ""
		}
		return known
	}
	guessed, _ := meta.UnsafeGuessKindToResource(kind.Kubernetes())
	return guessed
}
