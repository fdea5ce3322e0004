// Package sds gives each Envoy of the mesh its certificate and the mesh's root, as pilot-agent
// does: by Envoy's secret discovery service, under the names that istiod's configuration uses.
package sds

import (
	"fmt"
	"io"
	"strconv"
	"sync"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tls "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	secret "github.com/envoyproxy/go-control-plane/envoy/service/secret/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/anypb"

	"postern.dev/mesh/internal/authority"
)

const (
	own  = "default"
	root = "ROOTCA"

	typeURL = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"
)

// identity is who a proxy is in the mesh, by the node that it names.
type identity struct{ namespace, serviceAccount string }

// Server answers Envoys.
type Server struct {
	secret.UnimplementedSecretDiscoveryServiceServer

	authority   *authority.Authority
	trustDomain string

	mu      sync.Mutex
	pairs   map[identity]*authority.Pair
	version uint64
	// Closed and replaced when certificates change.
	changed chan struct{}
	refused []string
}

// New makes a server of one authority.
func New(signer *authority.Authority, trustDomain string) *Server {
	return &Server{
		authority:   signer,
		trustDomain: trustDomain,
		pairs:       map[identity]*authority.Pair{},
		version:     1,
		changed:     make(chan struct{}),
	}
}

// Rotate replaces every certificate; proxies get the new ones at once.
func (s *Server) Rotate() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pairs = map[identity]*authority.Pair{}
	s.version++
	close(s.changed)
	s.changed = make(chan struct{})
}

// Refused lists what proxies did not take.
func (s *Server) Refused() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string{}, s.refused...)
}

// StreamSecrets answers each question once, and again when certificates change.
func (s *Server) StreamSecrets(stream secret.SecretDiscoveryService_StreamSecretsServer) error {
	questions := make(chan *discovery.DiscoveryRequest)
	ended := make(chan error, 1)
	go func() {
		for {
			question, err := stream.Recv()
			if err != nil {
				ended <- err
				return
			}
			select {
			case questions <- question:
			case <-stream.Context().Done():
				return
			}
		}
	}()

	talk := &conversation{server: s, stream: stream}
	for {
		s.mu.Lock()
		changed := s.changed
		s.mu.Unlock()
		select {
		case err := <-ended:
			if err == io.EOF {
				return nil
			}
			return err
		case <-changed:
			if err := talk.answer(); err != nil {
				return err
			}
		case question := <-questions:
			if err := talk.hear(question); err != nil {
				return err
			}
		}
	}
}

// conversation is one stream: who asks, what for, and what was said last.
type conversation struct {
	server *Server
	stream secret.SecretDiscoveryService_StreamSecretsServer
	who    *identity
	names  []string
	nonce  uint64
}

func (c *conversation) hear(question *discovery.DiscoveryRequest) error {
	if c.who == nil {
		who, err := identify(question.GetNode())
		if err != nil {
			return err
		}
		c.who = who
	}
	if detail := question.GetErrorDetail(); detail != nil {
		c.server.refuse(fmt.Sprintf("%s/%s %v: %s", c.who.namespace, c.who.serviceAccount,
			question.GetResourceNames(), detail.GetMessage()))
		return nil
	}
	names := question.GetResourceNames()
	agreed := question.GetResponseNonce() == strconv.FormatUint(c.nonce, 10)
	if agreed && equal(names, c.names) {
		return nil
	}
	c.names = names
	return c.answer()
}

func (c *conversation) answer() error {
	if c.who == nil || len(c.names) == 0 {
		return nil
	}
	version, resources, err := c.server.secrets(*c.who, c.names)
	if err != nil {
		return err
	}
	c.nonce++
	return c.stream.Send(&discovery.DiscoveryResponse{
		VersionInfo: strconv.FormatUint(version, 10),
		TypeUrl:     typeURL,
		Nonce:       strconv.FormatUint(c.nonce, 10),
		Resources:   resources,
	})
}

func (s *Server) refuse(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refused = append(s.refused, what)
}

func (s *Server) secrets(who identity, names []string) (uint64, []*anypb.Any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var resources []*anypb.Any
	for _, name := range names {
		made, err := s.secret(who, name)
		if err != nil {
			return 0, nil, err
		}
		packed, err := anypb.New(made)
		if err != nil {
			return 0, nil, err
		}
		resources = append(resources, packed)
	}
	return s.version, resources, nil
}

// secret is called with the lock held.
func (s *Server) secret(who identity, name string) (*tls.Secret, error) {
	switch name {
	case root:
		return &tls.Secret{Name: name, Type: &tls.Secret_ValidationContext{
			ValidationContext: &tls.CertificateValidationContext{TrustedCa: inline(s.authority.Root)},
		}}, nil
	case own:
		pair, err := s.pair(who)
		if err != nil {
			return nil, err
		}
		return &tls.Secret{Name: name, Type: &tls.Secret_TlsCertificate{
			TlsCertificate: &tls.TlsCertificate{
				CertificateChain: inline(pair.Certificate),
				PrivateKey:       inline(pair.Key),
			},
		}}, nil
	default:
		return nil, status.Errorf(codes.NotFound, "there is no secret %q", name)
	}
}

func (s *Server) pair(who identity) (*authority.Pair, error) {
	if pair, known := s.pairs[who]; known {
		return pair, nil
	}
	pair, err := s.authority.Workload(s.trustDomain, who.namespace, who.serviceAccount)
	if err != nil {
		return nil, err
	}
	s.pairs[who] = pair
	return pair, nil
}

func identify(node *core.Node) (*identity, error) {
	fields := node.GetMetadata().GetFields()
	who := &identity{
		namespace:      fields["NAMESPACE"].GetStringValue(),
		serviceAccount: fields["SERVICE_ACCOUNT"].GetStringValue(),
	}
	if who.namespace == "" || who.serviceAccount == "" {
		return nil, status.Errorf(codes.InvalidArgument,
			"node %q names no NAMESPACE or no SERVICE_ACCOUNT", node.GetId())
	}
	return who, nil
}

func inline(content []byte) *core.DataSource {
	return &core.DataSource{Specifier: &core.DataSource_InlineBytes{InlineBytes: content}}
}

func equal(a, b []string) bool {
	if len(a) != len(b) {
		return false
	}
	for at := range a {
		if a[at] != b[at] {
			return false
		}
	}
	return true
}
