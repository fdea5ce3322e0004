// Package apply does with manifests what `kubectl apply --server-side` does.
package apply

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"sort"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
)

const (
	manager = "mesh-tests"
	// Until the API server knows a kind whose CRD it has just been given.
	longest = 60 * time.Second
)

// Report says what became of manifests.
type Report struct {
	Applied int      `json:"applied"`
	Refused []string `json:"refused"`
}

// applier is a connection to an API server.
type applier struct {
	client dynamic.Interface
	mapper *restmapper.DeferredDiscoveryRESTMapper
	dryRun bool
}

// Run is `kube apply`.
func Run(arguments []string) error {
	flags := flag.NewFlagSet("apply", flag.ContinueOnError)
	server := flags.String("server", "", "the API server's URL")
	token := flags.String("token", "", "what it wants to see")
	dryRun := flags.Bool("dry-run", false, "judge, and store nothing")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	if *server == "" || flags.NArg() == 0 {
		return errors.New("usage: kube apply -server URL -token TOKEN [-dry-run] MANIFESTS…")
	}
	// A server of this machine that made its certificate itself a moment ago.
	config := &rest.Config{Host: *server, BearerToken: *token, QPS: 200, Burst: 400}
	config.Insecure = true
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return err
	}
	kinds, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return err
	}
	mapper := restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(kinds))
	to := &applier{client: client, mapper: mapper, dryRun: *dryRun}

	objects := []*unstructured.Unstructured{}
	for _, file := range flags.Args() {
		found, err := read(file)
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		objects = append(objects, found...)
	}
	sort.SliceStable(objects, func(a, b int) bool { return rank(objects[a]) < rank(objects[b]) })
	report := &Report{Refused: []string{}}
	for _, object := range objects {
		if err := to.apply(object); err != nil {
			report.Refused = append(report.Refused,
				fmt.Sprintf("%s %s/%s: %v", object.GetKind(), object.GetNamespace(), object.GetName(), err))
			continue
		}
		report.Applied++
	}
	return json.NewEncoder(os.Stdout).Encode(report)
}

// rank puts first what others need: definitions, then namespaces.
func rank(object *unstructured.Unstructured) int {
	switch object.GetKind() {
	case "CustomResourceDefinition":
		return 0
	case "Namespace", "PriorityClass":
		return 1
	default:
		return 2
	}
}

func read(file string) ([]*unstructured.Unstructured, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	objects := []*unstructured.Unstructured{}
	documents := yaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(text)))
	for {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return objects, nil
		}
		if err != nil {
			return nil, err
		}
		content, err := yaml.ToJSON(document)
		if err != nil {
			return nil, err
		}
		if string(content) == "null" {
			continue // comments alone
		}
		object := &unstructured.Unstructured{}
		if err := object.UnmarshalJSON(content); err != nil {
			return nil, err
		}
		objects = append(objects, object)
	}
}

func (a *applier) apply(object *unstructured.Unstructured) error {
	ctx, cancel := context.WithTimeout(context.Background(), longest)
	defer cancel()
	mapping, err := a.find(ctx, object)
	if err != nil {
		return err
	}
	var to dynamic.ResourceInterface = a.client.Resource(mapping.Resource)
	if mapping.Scope.Name() == meta.RESTScopeNameNamespace {
		namespace := object.GetNamespace()
		if namespace == "" {
			namespace = metav1.NamespaceDefault
		}
		to = a.client.Resource(mapping.Resource).Namespace(namespace)
	}
	content, err := object.MarshalJSON()
	if err != nil {
		return err
	}
	force := true
	options := metav1.PatchOptions{
		FieldManager: manager,
		Force:        &force,
		// A field that nobody knows is an error, and not left out.
		FieldValidation: metav1.FieldValidationStrict,
	}
	if a.dryRun {
		options.DryRun = []string{metav1.DryRunAll}
	}
	_, err = to.Patch(ctx, object.GetName(), types.ApplyPatchType, content, options)
	return err
}

// find waits for kinds whose definition is new.
func (a *applier) find(ctx context.Context, object *unstructured.Unstructured) (*meta.RESTMapping, error) {
	kind := object.GroupVersionKind()
	var mapping *meta.RESTMapping
	err := wait.PollUntilContextCancel(ctx, 200*time.Millisecond, true, func(context.Context) (bool, error) {
		found, err := a.mapper.RESTMapping(kind.GroupKind(), kind.Version)
		if meta.IsNoMatchError(err) {
			a.mapper.Reset()
			return false, nil
		}
		mapping = found
		return err == nil, err
	})
	if err != nil {
		return nil, fmt.Errorf("the API server does not know %s: %w", kind, err)
	}
	return mapping, nil
}
