package sds

import (
	"crypto/x509"
	"encoding/pem"
	"testing"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tls "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"google.golang.org/protobuf/types/known/structpb"

	"postern.dev/mesh/internal/authority"
)

func node(t *testing.T, fields map[string]any) *core.Node {
	t.Helper()
	metadata, err := structpb.NewStruct(fields)
	if err != nil {
		t.Fatal(err)
	}
	return &core.Node{Id: "sidecar~127.64.0.1~a.n~n.svc.cluster.local", Metadata: metadata}
}

func server(t *testing.T) *Server {
	t.Helper()
	signer, err := authority.New("test")
	if err != nil {
		t.Fatal(err)
	}
	return New(signer, "cluster.local")
}

func shown(t *testing.T, s *Server, who identity) *x509.Certificate {
	t.Helper()
	_, packed, err := s.secrets(who, []string{own})
	if err != nil {
		t.Fatal(err)
	}
	secret := &tls.Secret{}
	if err := packed[0].UnmarshalTo(secret); err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(secret.GetTlsCertificate().GetCertificateChain().GetInlineBytes())
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return certificate
}

func TestAProxyIsWhoItsNodeSays(t *testing.T) {
	who, err := identify(node(t, map[string]any{"NAMESPACE": "shop", "SERVICE_ACCOUNT": "till"}))
	if err != nil || *who != (identity{"shop", "till"}) {
		t.Fatalf("%v %v", who, err)
	}
	for _, fields := range []map[string]any{
		{}, {"NAMESPACE": "shop"}, {"SERVICE_ACCOUNT": "till"}, {"NAMESPACE": "", "SERVICE_ACCOUNT": "till"},
	} {
		if who, err := identify(node(t, fields)); err == nil {
			t.Errorf("%v is %v", fields, who)
		}
	}
}

func TestACertificateNamesItsWorkloadAndHoldsUnderTheRoot(t *testing.T) {
	s := server(t)
	certificate := shown(t, s, identity{"shop", "till"})
	if got := certificate.URIs[0].String(); got != "spiffe://cluster.local/ns/shop/sa/till" {
		t.Error(got)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(s.authority.Root)
	for _, usage := range []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth} {
		options := x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{usage}}
		if _, err := certificate.Verify(options); err != nil {
			t.Error(err)
		}
	}
	stranger := server(t)
	options := x509.VerifyOptions{Roots: x509.NewCertPool()}
	options.Roots.AppendCertsFromPEM(stranger.authority.Root)
	if _, err := certificate.Verify(options); err == nil {
		t.Error("it holds under another root as well")
	}
}

func TestACertificateStaysUntilItIsReplaced(t *testing.T) {
	s, who := server(t), identity{"shop", "till"}
	first := shown(t, s, who).SerialNumber
	if second := shown(t, s, who).SerialNumber; second.Cmp(first) != 0 {
		t.Error("another certificate without a reason")
	}
	changed := s.changed
	s.Rotate()
	select {
	case <-changed:
	default:
		t.Error("nobody was woken")
	}
	if third := shown(t, s, who).SerialNumber; third.Cmp(first) == 0 {
		t.Error("the same certificate")
	}
}

func TestUnknownSecretsAreRefused(t *testing.T) {
	if _, _, err := server(t).secrets(identity{"shop", "till"}, []string{"another"}); err == nil {
		t.Error("there is a secret of any name")
	}
}
