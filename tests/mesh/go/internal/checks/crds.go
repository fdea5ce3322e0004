package checks

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"sort"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	kubeyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"

	"istio.io/istio/pkg/config/crd"
)

// Report says what was held against CRDs.
type Report struct {
	// Objects of the CRDs' kinds.
	Checked int `json:"checked"`
	// How many objects of other kinds there were, by kind.
	Others   map[string]int `json:"others"`
	Problems []string       `json:"problems"`
}

// CRDs is `mesh crdcheck`: holds resources against CRDs as an API server does, with its own code:
// schema, defaults, lists, unknown fields, and the rules in CEL.
func CRDs(arguments []string) error {
	flags := flag.NewFlagSet("crdcheck", flag.ContinueOnError)
	var crds []string
	flags.Func("crds", "file with CRDs; may be given more than once", func(file string) error {
		crds = append(crds, file)
		return nil
	})
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	if len(crds) == 0 || flags.NArg() == 0 {
		return errors.New("usage: mesh crdcheck -crds FILE [-crds FILE]… MANIFESTS…")
	}
	validator, err := crd.NewValidatorFromFiles(crds...)
	if err != nil {
		return err
	}
	report := &Report{Others: map[string]int{}, Problems: []string{}}
	for _, file := range flags.Args() {
		if err := report.check(validator, file); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
	}
	sort.Strings(report.Problems)
	// The last line: Istio's packages may have logged before.
	if err := json.NewEncoder(os.Stdout).Encode(report); err != nil {
		return err
	}
	if len(report.Problems) > 0 {
		return errors.New("the API server would refuse some of it")
	}
	return nil
}

func (r *Report) check(validator *crd.Validator, file string) error {
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
		object := &unstructured.Unstructured{}
		// A document of comments alone reads as null, and is no object.
		if err := yaml.Unmarshal(document, &object.Object); err != nil {
			return err
		}
		if len(object.Object) == 0 {
			continue
		}
		// Numbers as an API server reads them.
		if err := yaml.UnmarshalStrict(document, object); err != nil {
			return err
		}
		r.checkObject(validator, object)
	}
}

func (r *Report) checkObject(validator *crd.Validator, object *unstructured.Unstructured) {
	kind := object.GroupVersionKind()
	if !strings.HasSuffix(kind.Group, "istio.io") && kind.Group != "gateway.networking.k8s.io" {
		r.Others[kind.Kind]++
		return
	}
	r.Checked++
	if err := validator.ValidateCustomResource(object); err != nil {
		r.Problems = append(r.Problems, err.Error())
	}
}
