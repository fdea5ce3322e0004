package sds

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"

	secret "github.com/envoyproxy/go-control-plane/envoy/service/secret/v3"
	"google.golang.org/grpc"

	"postern.dev/mesh/internal/authority"
)

// Run is `mesh sds`: makes the run's authority, leaves it where istiod looks for it, and serves.
func Run(arguments []string) error {
	flags := flag.NewFlagSet("sds", flag.ContinueOnError)
	folder := flags.String("authority", "", "folder to write the authority to (istiod's ROOT_CA_DIR)")
	listen := flags.String("listen", "127.0.0.1:15011", "where Envoys ask")
	control := flags.String("control", "127.0.0.1:15098",
		"POST /rotate, POST /certificate?namespace=N&service-account=S|host=H[&foreign=true], GET /refused")
	trustDomain := flags.String("trust-domain", "cluster.local", "the mesh's")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	if *folder == "" {
		return errors.New("-authority is missing")
	}
	signer, err := authority.New("the mesh tests' authority")
	if err != nil {
		return err
	}
	if err := signer.Write(*folder); err != nil {
		return err
	}
	foreign, err := authority.New("an authority that the mesh does not know")
	if err != nil {
		return err
	}
	server := New(signer, *trustDomain)

	envoys, err := net.Listen("tcp", *listen)
	if err != nil {
		return err
	}
	asked, err := net.Listen("tcp", *control)
	if err != nil {
		return err
	}
	grpcServer := grpc.NewServer()
	secret.RegisterSecretDiscoveryServiceServer(grpcServer, server)
	failed := make(chan error, 2)
	go func() { failed <- grpcServer.Serve(envoys) }()
	go func() { failed <- http.Serve(asked, server.control(foreign)) }()
	fmt.Println("ready")

	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGINT, syscall.SIGTERM)
	select {
	case err := <-failed:
		return err
	case <-stop:
		return nil
	}
}

// control is what tests ask for.
func (s *Server) control(foreign *authority.Authority) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /rotate", func(w http.ResponseWriter, _ *http.Request) {
		s.Rotate()
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("GET /refused", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, s.Refused())
	})
	mux.HandleFunc("POST /certificate", func(w http.ResponseWriter, r *http.Request) {
		query, signer := r.URL.Query(), s.authority
		if query.Get("foreign") == "true" {
			signer = foreign
		}
		var pair *authority.Pair
		var err error
		if host := query.Get("host"); host != "" {
			pair, err = signer.Server(host)
		} else {
			pair, err = signer.Workload(s.trustDomain, query.Get("namespace"), query.Get("service-account"))
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		answer(w, map[string]string{
			"certificate": string(pair.Certificate),
			"key":         string(pair.Key),
			"root":        string(s.authority.Root),
		})
	})
	return mux
}

func answer(w http.ResponseWriter, what any) {
	w.Header().Set("content-type", "application/json")
	// A client that is gone gets nothing, and nobody else misses it.
	_ = json.NewEncoder(w).Encode(what)
}
