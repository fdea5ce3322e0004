package checks

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"

	"istio.io/istio/pkg/config/analysis/analyzers"
	"istio.io/istio/pkg/config/analysis/local"
	"istio.io/istio/pkg/config/resource"
	istiolog "istio.io/istio/pkg/log"
)

// Finding is one message of Istio's analysis.
type Finding struct {
	Level string `json:"level"`
	Code  string `json:"code"`
	// What it is about, with the file and the line.
	Of   string `json:"of"`
	Text string `json:"text"`
}

// Analysis is what Istio's analysis says of a set of manifests.
type Analysis struct {
	Findings []Finding `json:"findings"`
	// Analysers that had nothing to look at.
	Skipped []string `json:"skipped"`
}

// Analyze is `mesh analyze`: the analysis of `istioctl analyze --use-kube=false -A`, over all that
// the files hold. istioctl itself takes Services, Pods and Namespaces from a cluster alone, and
// skips every analyser that looks at them.
func Analyze(arguments []string) error {
	flags := flag.NewFlagSet("analyze", flag.ContinueOnError)
	meshConfig := flags.String("mesh", "", "file with the MeshConfig")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	if flags.NArg() == 0 {
		return errors.New("usage: mesh analyze [-mesh FILE] MANIFESTS…")
	}
	log := istiolog.DefaultOptions()
	log.SetDefaultOutputLevel(istiolog.OverrideScopeName, istiolog.ErrorLevel)
	if err := istiolog.Configure(log); err != nil {
		return err
	}
	source := local.NewIstiodAnalyzer(analyzers.AllCombined(), "", resource.Namespace("istio-system"), nil)
	if *meshConfig != "" {
		if err := source.AddFileKubeMeshConfig(*meshConfig); err != nil {
			return fmt.Errorf("%s: %w", *meshConfig, err)
		}
	}
	var readers []local.ReaderSource
	for _, name := range flags.Args() {
		file, err := os.Open(name)
		if err != nil {
			return err
		}
		defer file.Close()
		readers = append(readers, local.ReaderSource{Name: name, Reader: file})
	}
	// Its name says what Istio uses it for: the other one leaves out what runs in a cluster, and
	// the first one called decides.
	if err := source.AddTestReaderKubeSource(readers); err != nil {
		return err
	}
	if err := source.AddDefaultResources(); err != nil {
		return err
	}
	cancel := make(chan struct{})
	defer close(cancel)
	result, err := source.Analyze(cancel)
	if err != nil {
		return err
	}
	analysis := Analysis{Findings: []Finding{}, Skipped: append([]string{}, result.SkippedAnalyzers...)}
	for _, message := range result.Messages {
		of := "all of it"
		if message.Resource != nil {
			of = message.Resource.Origin.FriendlyName()
		}
		analysis.Findings = append(analysis.Findings, Finding{
			Level: message.Type.Level().String(),
			Code:  message.Type.Code(),
			Of:    of,
			Text:  fmt.Sprintf(message.Type.Template(), message.Parameters...),
		})
	}
	// The last line: Istio's packages may have logged before.
	return json.NewEncoder(os.Stdout).Encode(analysis)
}
