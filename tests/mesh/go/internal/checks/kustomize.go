package checks

import (
	"errors"
	"os"

	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

// Kustomize is `mesh kustomize FOLDER`: what `kubectl kustomize FOLDER` prints, by the same
// library and in the same order.
func Kustomize(arguments []string) error {
	if len(arguments) != 1 {
		return errors.New("usage: mesh kustomize FOLDER")
	}
	options := krusty.MakeDefaultOptions()
	options.Reorder = krusty.ReorderOptionLegacy
	built, err := krusty.MakeKustomizer(options).Run(filesys.MakeFsOnDisk(), arguments[0])
	if err != nil {
		return err
	}
	text, err := built.AsYaml()
	if err != nil {
		return err
	}
	// A separator first: Istio's packages may have logged before.
	_, err = os.Stdout.Write(append([]byte("---\n"), text...))
	return err
}
