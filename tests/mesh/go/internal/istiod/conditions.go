package istiod

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	k8stesting "k8s.io/client-go/testing"
	gateway "sigs.k8s.io/gateway-api/apis/v1"

	"istio.io/istio/pkg/config/schema/gvk"
	"istio.io/istio/pkg/config/schema/gvr"
)

// Condition is one sentence that istiod says of a Gateway or of an HTTPRoute.
type Condition struct {
	Of      string `json:"of"`
	Type    string `json:"type"`
	Status  string `json:"status"`
	Reason  string `json:"reason"`
	Message string `json:"message"`
}

// conditions lists what istiod says of the Gateway API's objects. It asks the tracker, since
// listing by the client would have the cluster wait for a watch that nobody starts.
func conditions(tracker k8stesting.ObjectTracker) ([]Condition, error) {
	found := []Condition{}
	listed, err := tracker.List(gvr.KubernetesGateway, gvk.KubernetesGateway.Kubernetes(), metav1.NamespaceAll)
	if err != nil {
		return nil, err
	}
	gateways, ok := listed.(*gateway.GatewayList)
	if !ok {
		return nil, fmt.Errorf("a list of Gateways is a %T", listed)
	}
	for _, one := range gateways.Items {
		of := "Gateway " + one.Namespace + "/" + one.Name
		found = appendConditions(found, of, one.Status.Conditions)
		for _, listener := range one.Status.Listeners {
			found = appendConditions(found, of+" "+string(listener.Name), listener.Conditions)
		}
	}
	listed, err = tracker.List(gvr.HTTPRoute, gvk.HTTPRoute.Kubernetes(), metav1.NamespaceAll)
	if err != nil {
		return nil, err
	}
	routes, ok := listed.(*gateway.HTTPRouteList)
	if !ok {
		return nil, fmt.Errorf("a list of HTTPRoutes is a %T", listed)
	}
	for _, one := range routes.Items {
		for _, parent := range one.Status.Parents {
			of := "HTTPRoute " + one.Namespace + "/" + one.Name + " " + string(parent.ParentRef.Name)
			found = appendConditions(found, of, parent.Conditions)
		}
	}
	return found, nil
}

func appendConditions(to []Condition, of string, conditions []metav1.Condition) []Condition {
	for _, one := range conditions {
		to = append(to, Condition{
			Of: of, Type: one.Type, Status: string(one.Status), Reason: one.Reason, Message: one.Message,
		})
	}
	return to
}
