// Command kube is a Kubernetes API server with its store on one machine, and what applies
// manifests to it: their judge, and a cluster for istiod in which nothing runs.
package main

import (
	"errors"
	"fmt"
	"os"
	_ "time/tzdata"

	"postern.dev/kube/internal/apply"
	"postern.dev/kube/internal/serve"
)

const usage = "usage: kube serve|apply …"

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "kube:", err)
		os.Exit(1)
	}
}

func run(arguments []string) error {
	if len(arguments) == 0 {
		return errors.New(usage)
	}
	switch command, rest := arguments[0], arguments[1:]; command {
	case "serve":
		return serve.Run(rest)
	case "apply":
		return apply.Run(rest)
	default:
		return fmt.Errorf("there is no command %q; %s", command, usage)
	}
}
