package istiod

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sort"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	kubeyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"

	"istio.io/istio/pilot/pkg/config/kube/crd"
	"istio.io/istio/pkg/config"
	"istio.io/istio/pkg/config/schema/collections"
	"istio.io/istio/pkg/config/schema/resource"
	"istio.io/istio/pkg/kube"
)

// key names an object.
type key struct {
	kind            config.GroupVersionKind
	namespace, name string
}

func (k key) String() string { return k.kind.Kind + " " + k.namespace + "/" + k.name }

// Report says what became of a folder.
type Report struct {
	// How often the folder was read.
	Generation int `json:"generation"`
	// Objects that istiod reads as its configuration, and others of Kubernetes.
	Istio int `json:"istio"`
	Kube  int `json:"kube"`
	// Objects of kinds that neither knows.
	Ignored []string `json:"ignored"`
	Errors  []string `json:"errors"`
}

// contents is what a folder holds.
type contents struct {
	configs map[key]config.Config
	objects map[key]runtime.Object
	report  *Report
}

// read reads every YAML file of a folder.
func read(folder string) *contents {
	found := &contents{
		configs: map[key]config.Config{},
		objects: map[key]runtime.Object{},
		report:  &Report{Ignored: []string{}, Errors: []string{}},
	}
	var files []string
	err := filepath.WalkDir(folder, func(path string, entry os.DirEntry, err error) error {
		if err == nil && !entry.IsDir() && filepath.Ext(path) == ".yaml" {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		found.fail("%v", err)
	}
	sort.Strings(files)
	for _, file := range files {
		if err := found.readFile(file); err != nil {
			found.fail("%s: %v", filepath.Base(file), err)
		}
	}
	found.report.Istio, found.report.Kube = len(found.configs), len(found.objects)
	return found
}

func (c *contents) fail(format string, arguments ...any) {
	c.report.Errors = append(c.report.Errors, fmt.Sprintf(format, arguments...))
}

func (c *contents) readFile(file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	documents := kubeyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(text)))
	for {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		head := struct {
			metav1.TypeMeta `json:",inline"`
			Metadata        metav1.ObjectMeta `json:"metadata"`
		}{}
		if err := yaml.Unmarshal(document, &head); err != nil {
			return err
		}
		if head.Kind == "" {
			continue // comments alone
		}
		if err := c.add(document, head.TypeMeta); err != nil {
			c.fail("%s: %s %s: %v", filepath.Base(file), head.Kind, head.Metadata.Name, err)
		}
	}
}

func (c *contents) add(document []byte, head metav1.TypeMeta) error {
	kind := head.GroupVersionKind()
	schemas := collections.PilotGatewayAPI()
	if _, known := schemas.FindByGroupVersionAliasesKind(resource.FromKubernetesGVK(&kind)); known {
		// Istio's own reader: validates as its webhook does, and makes older versions of a kind
		// the one that istiod watches.
		read, _, err := crd.ParseInputs(string(document))
		if err != nil {
			return err
		}
		for _, one := range read {
			schema, _ := schemas.FindByGroupVersionKind(one.GroupVersionKind)
			if one.Namespace == "" && !schema.IsClusterScoped() {
				one.Namespace = metav1.NamespaceDefault
			}
			c.configs[key{one.GroupVersionKind, one.Namespace, one.Name}] = one
		}
		return nil
	}
	object, _, err := kube.IstioCodec.UniversalDeserializer().Decode(document, nil, nil)
	if runtime.IsNotRegisteredError(err) {
		c.report.Ignored = append(c.report.Ignored, kind.GroupKind().String())
		return nil
	}
	if err != nil {
		return err
	}
	if secret, ok := object.(*corev1.Secret); ok {
		storeText(secret)
	}
	named, err := meta.Accessor(object)
	if err != nil {
		return err
	}
	if named.GetNamespace() == "" && isNamespaced(kind.Kind) {
		named.SetNamespace(metav1.NamespaceDefault)
	}
	at := key{config.FromKubernetesGVK(kind), named.GetNamespace(), named.GetName()}
	c.objects[at] = object
	return nil
}

// storeText does with the text of a Secret what an API server does.
func storeText(secret *corev1.Secret) {
	for name, text := range secret.StringData {
		if secret.Data == nil {
			secret.Data = map[string][]byte{}
		}
		secret.Data[name] = []byte(text)
	}
	secret.StringData = nil
}

func isNamespaced(kind string) bool {
	switch kind {
	case "Namespace", "ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition", "Node",
		"PriorityClass", "ValidatingWebhookConfiguration", "MutatingWebhookConfiguration":
		return false
	default:
		return true
	}
}
