// Package checks holds what can be said of manifests without a control plane.
package checks

import (
	"github.com/spf13/cobra"

	"istio.io/istio/istioctl/pkg/cli"
	"istio.io/istio/istioctl/pkg/validate"
)

// Validate runs `istioctl validate` with the arguments that it has.
func Validate(arguments []string) error {
	root := &cobra.Command{Use: "mesh", SilenceUsage: true, SilenceErrors: true}
	context := cli.NewCLIContext(cli.AddRootFlags(root.PersistentFlags()))
	root.AddCommand(validate.NewValidateCommand(context))
	root.SetArgs(append([]string{"validate"}, arguments...))
	return root.Execute()
}
