// Package authority is the certificate authority of one run of the mesh tests: one root, which
// signs workloads' certificates as Istio's own authority does. istiod is given the same root, so
// that its servers and the proxies trust each other.
package authority

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/url"
	"os"
	"path/filepath"
	"time"
)

// Long enough for any run; what a run leaves behind is of no use the next day.
const lifetime = 24 * time.Hour

// Clocks do not differ within one machine; this is for clocks that step back.
const backdated = time.Hour

// Authority signs certificates.
type Authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	// Root is the authority's own certificate, PEM.
	Root []byte
}

// Pair is a certificate with its key, both PEM.
type Pair struct {
	Certificate []byte
	Key         []byte
}

// New makes an authority that nobody has seen before.
func New(name string) (*Authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template, err := certificate(name)
	if err != nil {
		return nil, err
	}
	template.IsCA = true
	template.BasicConstraintsValid = true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	signed, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return &Authority{certificate: signed, key: key, Root: encode("CERTIFICATE", der)}, nil
}

// Write leaves the authority where istiod looks for one (ROOT_CA_DIR).
func (a *Authority) Write(folder string) error {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	key, err := x509.MarshalECPrivateKey(a.key)
	if err != nil {
		return err
	}
	for name, content := range map[string][]byte{
		"ca-cert.pem":    a.Root,
		"cert-chain.pem": a.Root,
		"root-cert.pem":  a.Root,
		"ca-key.pem":     encode("EC PRIVATE KEY", key),
	} {
		if err := os.WriteFile(filepath.Join(folder, name), content, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// Workload is a certificate of a workload of the mesh, good at both ends of a connection.
func (a *Authority) Workload(trustDomain, namespace, serviceAccount string) (*Pair, error) {
	id := fmt.Sprintf("spiffe://%s/ns/%s/sa/%s", trustDomain, namespace, serviceAccount)
	uri, err := url.Parse(id)
	if err != nil {
		return nil, err
	}
	return a.sign(func(template *x509.Certificate) { template.URIs = []*url.URL{uri} })
}

// Server is a certificate that a host shows to clients from outside of the mesh.
func (a *Authority) Server(host string) (*Pair, error) {
	return a.sign(func(template *x509.Certificate) {
		template.Subject.CommonName = host
		template.DNSNames = []string{host}
	})
}

func (a *Authority) sign(fill func(*x509.Certificate)) (*Pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template, err := certificate("")
	if err != nil {
		return nil, err
	}
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	fill(template)
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, &key.PublicKey, a.key)
	if err != nil {
		return nil, err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return &Pair{Certificate: encode("CERTIFICATE", der), Key: encode("PRIVATE KEY", private)}, nil
}

func certificate(name string) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, err
	}
	now := time.Now()
	return &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    now.Add(-backdated),
		NotAfter:     now.Add(lifetime),
	}, nil
}

func encode(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}
