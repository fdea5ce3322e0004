// Package istiod runs Istio's control plane, as it is, without Kubernetes.
//
// istiod needs a client of Kubernetes even where its configuration comes from elsewhere. It gets
// the one in memory that Istio's own tests use, and that is kept equal to a folder of YAML files:
// Istio's kinds, the Gateway API's, and Kubernetes' own as far as istiod reads them. Everything
// behind that client is istiod itself: validation, translation, discovery, its authority.
package istiod

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
	"time"

	"k8s.io/client-go/kubernetes/fake"
	gatewayfake "sigs.k8s.io/gateway-api/pkg/client/clientset/versioned/fake"

	"istio.io/istio/pilot/pkg/bootstrap"
	"istio.io/istio/pkg/kube"
	istiolog "istio.io/istio/pkg/log"
)

type options struct {
	folder, mesh, kubeconfig                    string
	grpc, secureGRPC, http, monitoring, control string
	verbose                                     bool
}

// Run is `mesh istiod`.
func Run(arguments []string) error {
	if err := ensureFeatures(); err != nil {
		return err
	}
	var o options
	flags := flag.NewFlagSet("istiod", flag.ContinueOnError)
	flags.StringVar(&o.folder, "config", "", "folder of YAML files: Istio, Gateway API, Kubernetes")
	flags.StringVar(&o.mesh, "mesh", "", "file with the MeshConfig")
	flags.StringVar(&o.kubeconfig, "kubeconfig", "", "a real API server instead of -config")
	flags.StringVar(&o.grpc, "grpc", "127.0.0.1:15010", "xDS in plain text")
	flags.StringVar(&o.secureGRPC, "secure-grpc", "127.0.0.1:15012", "xDS by mutual TLS")
	flags.StringVar(&o.http, "http", "127.0.0.1:15080", "/ready and /debug")
	flags.StringVar(&o.monitoring, "monitoring", "127.0.0.1:15014", "/metrics")
	flags.StringVar(&o.control, "control", "127.0.0.1:15099",
		"POST /apply reads the folder again, GET /report, GET /gateway-api")
	flags.BoolVar(&o.verbose, "verbose", false, "istiod's log from level info on")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	if (o.folder == "") == (o.kubeconfig == "") {
		return errors.New("either -config or -kubeconfig")
	}
	return o.run()
}

func (o *options) run() error {
	if err := configureLog(o.verbose); err != nil {
		return err
	}
	arguments := o.pilotArguments()
	if err := arguments.Complete(); err != nil {
		return err
	}
	if o.kubeconfig != "" {
		server, err := bootstrap.NewServer(arguments)
		if err != nil {
			return err
		}
		return serve(server)
	}

	client, err := newCluster()
	if err != nil {
		return err
	}
	core, ok := client.Kube().(*fake.Clientset)
	if !ok {
		return errors.New("the client of Kubernetes is another one than it was")
	}
	files := newFolder(o.folder, core.Tracker())
	files.apply()
	var unset error
	server, err := bootstrap.NewServer(arguments, func(s *bootstrap.Server) {
		unset = setCluster(s, client)
	})
	if err = errors.Join(unset, err); err != nil {
		return err
	}
	files.store = server.RWConfigStore
	for _, problem := range files.apply().Errors {
		fmt.Fprintln(os.Stderr, "config:", problem)
	}
	listener, err := net.Listen("tcp", o.control)
	if err != nil {
		return err
	}
	go func() { _ = http.Serve(listener, control(files, client)) }()
	return serve(server)
}

func (o *options) pilotArguments() *bootstrap.PilotArgs {
	return bootstrap.NewPilotArgs(func(p *bootstrap.PilotArgs) {
		p.ServerOptions = bootstrap.DiscoveryServerOptions{
			HTTPAddr:       o.http,
			HTTPSAddr:      "", // webhooks, of which there are none
			GRPCAddr:       o.grpc,
			SecureGRPCAddr: o.secureGRPC,
			MonitoringAddr: o.monitoring,
		}
		p.ServerOptions.TLSOptions.TLSMinVersion = bootstrap.TLSMinVersion1_2
		p.MeshConfigFile = o.mesh
		p.NetworksConfigFile = ""
		p.RegistryOptions.Registries = []string{"Kubernetes"}
		p.RegistryOptions.KubeConfig = o.kubeconfig
		p.RegistryOptions.KubeOptions.DomainSuffix = "cluster.local"
		p.RegistryOptions.KubeOptions.KubernetesAPIQPS = 200
		p.RegistryOptions.KubeOptions.KubernetesAPIBurst = 400
		p.InjectionOptions.InjectionDirectory = ""
		p.CtrlZOptions = nil
		p.ShutdownDuration = time.Second
	})
}

func configureLog(verbose bool) error {
	log := istiolog.DefaultOptions()
	level := istiolog.WarnLevel
	if verbose {
		level = istiolog.InfoLevel
	}
	log.SetDefaultOutputLevel(istiolog.OverrideScopeName, level)
	return istiolog.Configure(log)
}

// serve runs istiod until it is told to end.
func serve(server *bootstrap.Server) error {
	stop := make(chan struct{})
	if err := server.Start(stop); err != nil {
		return err
	}
	fmt.Println("ready") // for whoever started this program
	told := make(chan os.Signal, 1)
	signal.Notify(told, syscall.SIGINT, syscall.SIGTERM)
	<-told
	close(stop)
	server.WaitUntilCompletion()
	return nil
}

// control is what tests ask for.
func control(files *folder, client kube.Client) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /apply", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, files.apply())
	})
	mux.HandleFunc("GET /report", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, files.report())
	})
	mux.HandleFunc("GET /gateway-api", func(w http.ResponseWriter, _ *http.Request) {
		gateways, ok := client.GatewayAPI().(*gatewayfake.Clientset)
		if !ok {
			http.Error(w, "the client is another one than it was", http.StatusInternalServerError)
			return
		}
		found, err := conditions(gateways.Tracker())
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		answer(w, found)
	})
	return mux
}

func answer(w http.ResponseWriter, what any) {
	w.Header().Set("content-type", "application/json")
	// A client that is gone gets nothing, and nobody else misses it.
	_ = json.NewEncoder(w).Encode(what)
}
