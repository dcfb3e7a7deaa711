// Package telemetry builds the metrics registry, once, and what in it belongs to no
// other package: the build, the runtime, and the state of whoever keeps plain
// counters because it knows no metrics.
package telemetry

import (
	"runtime/debug"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// Build says what this binary is. The zero value is an unknown build.
type Build struct {
	Version  string `json:"version"`  // of the module: "v1.2.0", or "(devel)"
	Revision string `json:"revision"` // of the source; "" when it was not stamped
	Modified bool   `json:"modified"` // the source had changes beside the revision
	Go       string `json:"go"`       // toolchain
	OPA      string `json:"opa"`      // version of the policy engine
}

// ReadBuild reads the build from the binary itself. info is what
// [debug.ReadBuildInfo] answers; nil is an unknown build.
func ReadBuild(info *debug.BuildInfo) Build {
	if info == nil {
		return Build{}
	}
	b := Build{Version: info.Main.Version, Go: info.GoVersion}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Revision = s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		}
	}
	for _, dep := range info.Deps {
		if dep.Path == "github.com/open-policy-agent/opa" {
			b.OPA = dep.Version
		}
	}
	return b
}

// NewRegistry makes a registry with the metrics of the build, the Go runtime and
// the process.
func NewRegistry(b Build) (*prometheus.Registry, error) {
	reg := prometheus.NewRegistry()
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "rolegate_build_info",
		Help: "1, with what this binary is as labels.",
		ConstLabels: prometheus.Labels{
			"version": b.Version, "revision": b.Revision, "go": b.Go, "opa": b.OPA,
		},
	})
	info.Set(1)
	for _, c := range []prometheus.Collector{
		info, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	} {
		if err := reg.Register(c); err != nil {
			return nil, err
		}
	}
	return reg, nil
}
