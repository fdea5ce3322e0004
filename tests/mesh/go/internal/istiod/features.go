package istiod

import (
	"os"
	"syscall"
)

// marker says that this process has the environment below already.
const marker = "POSTERN_MESH_ISTIOD"

// Istio reads its features while packages are initialised, before any flag is read: what they
// must be has to stand in the environment when the process starts. What the caller has set stays.
var features = map[string]string{
	"POD_NAME":      "istiod-mesh-tests",
	"POD_NAMESPACE": "istio-system",
	// Filters that Istio's build of Envoy has and Envoy's own has not.
	"PILOT_ENABLE_METADATA_EXCHANGE": "false",
	"PILOT_ENABLE_ALPN_FILTER":       "false",
	// What takes a cluster to do.
	"ENABLE_LEADER_ELECTION":                         "false",
	"PILOT_ENABLE_GATEWAY_API_DEPLOYMENT_CONTROLLER": "false",
	"PILOT_ENABLE_IP_AUTOALLOCATE":                   "false",
	"INJECTION_WEBHOOK_CONFIG_NAME":                  "",
	"VALIDATION_WEBHOOK_CONFIG_NAME":                 "",
	// Tests wait for pushes.
	"PILOT_DEBOUNCE_AFTER": "10ms",
	"PILOT_DEBOUNCE_MAX":   "200ms",
}

// ensureFeatures starts this program again, once, with the features in its environment.
func ensureFeatures() error {
	if os.Getenv(marker) != "" {
		return nil
	}
	for name, value := range features {
		if _, set := os.LookupEnv(name); set {
			continue
		}
		if err := os.Setenv(name, value); err != nil {
			return err
		}
	}
	if err := os.Setenv(marker, "1"); err != nil {
		return err
	}
	return syscall.Exec("/proc/self/exe", os.Args, os.Environ())
}
