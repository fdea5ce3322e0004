// Command mesh holds the parts of Istio that Postern's mesh tests run: the control plane itself,
// and what checks manifests. See CONTRIBUTING.md.
package main

import (
	"errors"
	"fmt"
	"os"
	"runtime/debug"

	"postern.dev/mesh/internal/checks"
	"postern.dev/mesh/internal/istiod"
	"postern.dev/mesh/internal/sds"
)

const usage = "usage: mesh istiod|sds|validate|analyze|crdcheck|kustomize|fetch|version …"

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "mesh:", err)
		os.Exit(1)
	}
}

func run(arguments []string) error {
	if len(arguments) == 0 {
		return errors.New(usage)
	}
	switch command, rest := arguments[0], arguments[1:]; command {
	case "istiod":
		return istiod.Run(rest)
	case "sds":
		return sds.Run(rest)
	case "validate":
		return checks.Validate(rest)
	case "analyze":
		return checks.Analyze(rest)
	case "crdcheck":
		return checks.CRDs(rest)
	case "kustomize":
		return checks.Kustomize(rest)
	case "fetch":
		return checks.Fetch(rest)
	case "version":
		return version()
	default:
		return fmt.Errorf("there is no command %q; %s", command, usage)
	}
}

// version prints which Istio this is, as the module says that was built in.
func version() error {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return errors.New("this program was built without modules")
	}
	for _, module := range info.Deps {
		if module.Path == "istio.io/istio" {
			fmt.Println(module.Version)
			return nil
		}
	}
	return errors.New("this program holds no Istio")
}
