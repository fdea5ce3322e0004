package istiod

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

func contentsOf(t *testing.T, text string) *contents {
	t.Helper()
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "a.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return read(folder)
}

func TestWhatAFolderHoldsIsToldApart(t *testing.T) {
	found := contentsOf(t, `
# Comments alone are no object.
---
apiVersion: networking.istio.io/v1beta1
kind: WorkloadEntry
metadata: {name: a, namespace: shop}
spec: {address: 127.64.0.1}
---
apiVersion: v1
kind: Service
metadata: {name: a}
---
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {name: a}
`)
	if found.report.Istio != 1 || found.report.Kube != 1 || len(found.report.Errors) != 0 {
		t.Errorf("%+v", found.report)
	}
	if len(found.report.Ignored) != 1 || found.report.Ignored[0] != "Certificate.cert-manager.io" {
		t.Errorf("%v", found.report.Ignored)
	}
	for at := range found.configs {
		if at.kind.Version != "v1" {
			t.Errorf("%v is not of the version that istiod watches", at)
		}
	}
	for at := range found.objects {
		if at.namespace != "default" {
			t.Errorf("%v is in no namespace", at)
		}
	}
}

func TestWhatIstioRefusesIsNamed(t *testing.T) {
	found := contentsOf(t, `
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: broken, namespace: shop}
spec: {address: ""}
`)
	if len(found.report.Errors) != 1 || !strings.Contains(found.report.Errors[0], "WorkloadEntry broken") {
		t.Errorf("%v", found.report.Errors)
	}
}

func TestTextOfSecretsIsStored(t *testing.T) {
	found := contentsOf(t, `
apiVersion: v1
kind: Secret
metadata: {name: a, namespace: shop}
stringData: {tls.key: x}
`)
	for _, object := range found.objects {
		secret, ok := object.(*corev1.Secret)
		if !ok || string(secret.Data["tls.key"]) != "x" || len(secret.StringData) != 0 {
			t.Errorf("%+v", object)
		}
	}
	if len(found.objects) != 1 {
		t.Error("no Secret")
	}
}
