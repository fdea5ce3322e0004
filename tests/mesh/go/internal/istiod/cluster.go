package istiod

import (
	"errors"
	"fmt"
	"reflect"
	"unsafe"

	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	metadatafake "k8s.io/client-go/metadata/fake"
	k8stesting "k8s.io/client-go/testing"
	gatewayfake "sigs.k8s.io/gateway-api/pkg/client/clientset/versioned/fake"

	istiofake "istio.io/client-go/pkg/clientset/versioned/fake"
	"istio.io/istio/pilot/pkg/bootstrap"
	"istio.io/istio/pkg/config/schema/collections"
	"istio.io/istio/pkg/config/schema/gvr"
	"istio.io/istio/pkg/kube"
)

// What the Gateway API's CRDs say they are; istiod ignores those of before 1.5.
const gatewayAPIVersion = "v1.6.0"

// newCluster makes a Kubernetes in memory, the one of Istio's own tests: objects can be stored
// and watched, and nothing runs.
func newCluster() (kube.Client, error) {
	client := kube.NewFakeClient()
	core, ok := client.Kube().(*fake.Clientset)
	if !ok {
		return nil, errors.New("the client of Kubernetes is another one than it was")
	}
	// Without this, istiod gives no gateway its certificates.
	core.PrependReactor("create", "subjectaccessreviews",
		func(k8stesting.Action) (bool, runtime.Object, error) {
			return true, &authorizationv1.SubjectAccessReview{
				Status: authorizationv1.SubjectAccessReviewStatus{Allowed: true},
			}, nil
		})
	gateways, ok := client.GatewayAPI().(*gatewayfake.Clientset)
	if !ok {
		return nil, errors.New("the client of the Gateway API is another one than it was")
	}
	gateways.PrependReactor("update", "*", keepSpec(gateways.Tracker()))
	own, ok := client.Istio().(*istiofake.Clientset)
	if !ok {
		return nil, errors.New("the client of Istio's kinds is another one than it was")
	}
	own.PrependReactor("update", "*", keepSpec(own.Tracker()))
	return client, declareCRDs(client)
}

// keepSpec makes writing a status do what it does in Kubernetes: change the status and nothing
// else. The fake client takes the object as it comes, and istiod's have a status alone.
func keepSpec(tracker k8stesting.ObjectTracker) k8stesting.ReactionFunc {
	return func(action k8stesting.Action) (bool, runtime.Object, error) {
		update, ok := action.(k8stesting.UpdateAction)
		if !ok || action.GetSubresource() != "status" {
			return false, nil, nil
		}
		told, err := meta.Accessor(update.GetObject())
		if err != nil {
			return true, nil, err
		}
		stored, err := tracker.Get(action.GetResource(), told.GetNamespace(), told.GetName())
		if err != nil {
			return true, nil, err
		}
		merged := stored.DeepCopyObject()
		to := reflect.Indirect(reflect.ValueOf(merged)).FieldByName("Status")
		from := reflect.Indirect(reflect.ValueOf(update.GetObject())).FieldByName("Status")
		if !to.IsValid() || !from.IsValid() {
			return true, nil, fmt.Errorf("%T has no status", merged)
		}
		to.Set(from)
		return true, merged, tracker.Update(action.GetResource(), merged, told.GetNamespace())
	}
}

// declareCRDs has istiod know that every kind exists; it looks at metadata alone.
func declareCRDs(client kube.Client) error {
	metadata, ok := client.Metadata().(*metadatafake.FakeMetadataClient)
	if !ok {
		return errors.New("the client of metadata is another one than it was")
	}
	crds, ok := metadata.Resource(gvr.CustomResourceDefinition).(metadatafake.MetadataClient)
	if !ok {
		return errors.New("the client of metadata cannot create any more")
	}
	for _, kind := range collections.PilotGatewayAPI().All() {
		crd := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{
			Name:        kind.Plural() + "." + kind.Group(),
			Annotations: map[string]string{"gateway.networking.k8s.io/bundle-version": gatewayAPIVersion},
		}}
		if _, err := crds.CreateFake(crd, metav1.CreateOptions{}); err != nil {
			return fmt.Errorf("declare %s: %w", crd.Name, err)
		}
	}
	return nil
}

// setCluster gives istiod the cluster. istiod makes a client itself unless it has one, but only
// Istio's own tests can reach the field.
func setCluster(server *bootstrap.Server, client kube.Client) error {
	field := reflect.ValueOf(server).Elem().FieldByName("kubeClient")
	if !field.IsValid() {
		return errors.New("bootstrap.Server has no field kubeClient any more")
	}
	reflect.NewAt(field.Type(), unsafe.Pointer(field.UnsafeAddr())).Elem().Set(reflect.ValueOf(client))
	return nil
}
