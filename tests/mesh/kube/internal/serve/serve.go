// Package serve is a Kubernetes API server with its store, in one process.
package serve

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
	"k8s.io/component-base/cli"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
)

const (
	// A store on this machine's disk is there at once, or not at all.
	longest = 60 * time.Second
	port    = "6443"

	tokens          = "tokens.csv"
	serviceAccounts = "service-accounts.key"
)

// Run is `kube serve`. Whoever shows the token may do everything.
func Run(arguments []string) error {
	flags := flag.NewFlagSet("serve", flag.ContinueOnError)
	folder := flags.String("folder", "", "where everything is kept")
	address := flags.String("address", "127.0.0.1", "where everything listens: 6443, 2379, 2380")
	token := flags.String("token", "", "what callers show")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	if *folder == "" || *token == "" {
		return errors.New("-folder or -token is missing")
	}
	if err := prepare(*folder, *token); err != nil {
		return err
	}
	store, err := startStore(filepath.Join(*folder, "etcd"), *address)
	if err != nil {
		return fmt.Errorf("etcd: %w", err)
	}
	defer store.Close()
	command := app.NewAPIServerCommand()
	command.SetArgs(serverArguments(*folder, *address, store))
	if code := cli.Run(command); code != 0 {
		return fmt.Errorf("the API server ended with %d", code)
	}
	return nil
}

// prepare writes the files that an API server asks for.
func prepare(folder, token string) error {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return err
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der})
	if err := os.WriteFile(filepath.Join(folder, serviceAccounts), text, 0o600); err != nil {
		return err
	}
	line := token + ",admin,1,system:masters\n"
	return os.WriteFile(filepath.Join(folder, tokens), []byte(line), 0o600)
}

// startStore runs etcd within this process. Nothing is synchronised to disk: what it holds is of
// no use when this process has ended.
func startStore(folder, address string) (*embed.Etcd, error) {
	at := func(port string) []url.URL {
		return []url.URL{{Scheme: "http", Host: address + ":" + port}}
	}
	config := embed.NewConfig()
	config.Dir = folder
	config.LogLevel = "error"
	config.UnsafeNoFsync = true
	config.ListenClientUrls, config.AdvertiseClientUrls = at("2379"), at("2379")
	config.ListenPeerUrls, config.AdvertisePeerUrls = at("2380"), at("2380")
	config.InitialCluster = config.InitialClusterFromName(config.Name)
	store, err := embed.StartEtcd(config)
	if err != nil {
		return nil, err
	}
	select {
	case <-store.Server.ReadyNotify():
		return store, nil
	case <-time.After(longest):
		store.Close()
		return nil, errors.New("it is not ready")
	}
}

// serverArguments is the least that an API server starts with.
func serverArguments(folder, address string, store *embed.Etcd) []string {
	file := func(name string) string { return filepath.Join(folder, name) }
	return []string{
		"--etcd-servers=http://" + store.Clients[0].Addr().String(),
		"--bind-address=" + address,
		"--advertise-address=" + address,
		"--secure-port=" + port,
		"--cert-dir=" + file("certificates"),
		"--service-cluster-ip-range=10.0.0.0/24",
		"--authorization-mode=AlwaysAllow",
		"--token-auth-file=" + file(tokens),
		"--service-account-issuer=https://" + address + ":" + port,
		"--service-account-key-file=" + file(serviceAccounts),
		"--service-account-signing-key-file=" + file(serviceAccounts),
		// Nobody makes the account `default` of a namespace here.
		"--disable-admission-plugins=ServiceAccount",
		"--endpoint-reconciler-type=none",
		"--enable-priority-and-fairness=false",
	}
}
