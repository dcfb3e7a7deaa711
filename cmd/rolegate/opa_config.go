package main

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/rolegate/rolegate/cmd/rolegate/internal/strict"
)

// opaReader answers the keys of OPA's own configuration, each by its name: it is
// understood, ignored with a note, or refused with its place. They may stand in one file
// with ours.
type opaReader struct {
	file   string
	cfg    *config
	lookup func(string) (string, bool) // of the environment
	notes  []string
	faults []error
}

// take reads OPA's keys from a document and answers the document without them.
func (r *opaReader) take(doc *yaml.Node) *yaml.Node {
	if doc == nil || doc.Kind != yaml.MappingNode {
		return doc
	}
	ours := *doc
	ours.Content = nil
	for i := 0; i+1 < len(doc.Content); i += 2 {
		key, value := doc.Content[i], doc.Content[i+1]
		if !r.read(key, value) {
			ours.Content = append(ours.Content, key, value)
		}
	}
	return &ours
}

// read answers one key; false: it is none of OPA's.
func (r *opaReader) read(key, value *yaml.Node) bool {
	switch key.Value {
	case "plugins":
		r.plugins(value)
	case "decision_logs":
		r.decisionLogs(value)
	case "bundles":
		r.bundles(key, value)
	case "bundle":
		r.refuse(key, "bundle is of an OPA before 1.0", "name the folder with the bundle in loader.dir, or with -b")
	case "discovery":
		r.refuse(key, "discovery: the configuration is this file and nothing else", "write what discovery would bring into this file")
	case "keys":
		r.refuse(key, "keys: signatures of bundles are not verified here", "take the key out once something else verifies what is in loader.dir")
	case "services":
		r.ignore(key, "nothing is fetched from services")
	case "labels":
		r.ignore(key, "the decision log has no labels")
	case "status":
		r.ignore(key, "ask /status and /metrics of the admin listener")
	case "default_decision", "default_authorization_decision", "server":
		r.ignore(key, "of OPA's REST API, which is not here")
	case "caching", "nd_builtin_cache":
		r.ignore(key, "what may be remembered is found in the policy: rolegate footprint")
	case "persistence_directory", "storage":
		r.ignore(key, "bundles are on the disk already, and data is held in memory")
	case "distributed_tracing", "metrics_export":
		r.ignore(key, "nothing is sent to collectors")
	default:
		return false
	}
	return true
}

func (r *opaReader) ignore(key *yaml.Node, why string) { r.note(key.Value, why) }

func (r *opaReader) note(key, why string) { r.notes = append(r.notes, key+": "+why) }

func (r *opaReader) refuse(n *yaml.Node, message, help string) {
	r.faults = append(r.faults, strict.Fault{File: r.file, Line: n.Line, Column: n.Column, Message: message, Hint: help})
}

// into reads a node of OPA's, in which ${NAME} stands for the environment's NAME.
func (r *opaReader) into(n *yaml.Node, v any) bool {
	r.expand(n, 0)
	_, err := strict.Read(r.file, n, v)
	if err != nil {
		r.faults = append(r.faults, err)
	}
	return err == nil
}

// expand replaces ${NAME} in every text.
func (r *opaReader) expand(n *yaml.Node, depth int) {
	const deepest = 64
	if depth > deepest {
		return
	}
	if n.Kind == yaml.ScalarNode {
		var b strings.Builder
		rest := n.Value
		for {
			before, after, found := strings.Cut(rest, "${")
			name, tail, closed := strings.Cut(after, "}")
			if !found || !closed {
				break
			}
			v, _ := r.lookup(name)
			b.WriteString(before + v)
			rest = tail
		}
		n.Value = b.String() + rest
	}
	for _, child := range n.Content {
		r.expand(child, depth+1)
	}
}

// opaEnvoy is the configuration of opa-envoy-plugin.
type opaEnvoy struct {
	Addr                     string    `yaml:"addr"`
	Path                     string    `yaml:"path"`
	Query                    string    `yaml:"query"`
	DryRun                   bool      `yaml:"dry-run"`
	EnableReflection         bool      `yaml:"enable-reflection"`
	ProtoDescriptor          string    `yaml:"proto-descriptor"`
	MaxRecv                  int       `yaml:"grpc-max-recv-msg-size"`
	MaxSend                  int       `yaml:"grpc-max-send-msg-size"`
	SkipRequestBodyParse     bool      `yaml:"skip-request-body-parse"`
	EnablePerformanceMetrics bool      `yaml:"enable-performance-metrics"`
	Buckets                  []float64 `yaml:"grpc-request-duration-seconds-buckets"`
}

// plugins reads the one plugin that there is.
func (r *opaReader) plugins(n *yaml.Node) {
	const name = "envoy_ext_authz_grpc"
	each(n, func(key, value *yaml.Node) {
		if key.Value != name {
			r.refuse(key, fmt.Sprintf("plugins.%s is not here", key.Value), "plugins are a part of OPA's program; the one that is known is "+name)
			return
		}
		var p opaEnvoy
		r.into(value, &p) // what could be read is judged, so that all faults are told at once
		r.envoy(p, value)
	})
}

func (r *opaReader) envoy(p opaEnvoy, at *yaml.Node) {
	place := func(name string) *yaml.Node {
		found := at
		each(at, func(key, _ *yaml.Node) {
			if key.Value == name {
				found = key
			}
		})
		return found
	}
	if p.Query != "" {
		help := "write path, with slashes: path: envoy/authz/allow"
		if segments := strings.Split(p.Query, "."); segments[0] == "data" && len(segments) > 1 && !strings.ContainsAny(p.Query, "[]\"; =") {
			help = "write path: " + strings.Join(segments[1:], "/")
		}
		r.refuse(place("query"), "query is not read", help)
	}
	addr, err := opaAddr(p.Addr)
	if err != nil {
		r.refuse(place("addr"), err.Error(), "host:port, grpc://host:port, unix:///path or unix://@name")
	}
	if p.MaxRecv < 0 {
		r.refuse(place("grpc-max-recv-msg-size"), "grpc-max-recv-msg-size is below 0", "")
	}
	if p.MaxSend != 0 {
		r.note("plugins.envoy_ext_authz_grpc.grpc-max-send-msg-size", "answers are bounded well below")
	}
	if slices.ContainsFunc(p.Buckets, func(b float64) bool { return b <= 0 }) || !slices.IsSorted(p.Buckets) {
		r.refuse(place("grpc-request-duration-seconds-buckets"), "the buckets are not ascending numbers above 0", "")
	}
	c := r.cfg
	c.Profile = profileOPAEnvoy
	c.GRPC.Addr, c.GRPC.Reflection, c.GRPC.MaxMessage = addr, p.EnableReflection, p.MaxRecv
	c.Loader.Entrypoint = strings.Join(strings.FieldsFunc(p.Path, func(c rune) bool { return c == '/' }), "/")
	c.Gate.DryRun = p.DryRun
	c.Bodies = bodiesConfig{Skip: p.SkipRequestBodyParse, ProtoDescriptor: p.ProtoDescriptor}
	if p.EnablePerformanceMetrics {
		c.OPAMetrics = &opaMetrics{Buckets: p.Buckets}
	}
}

// opaAddr is an address of the plugin's as one of ours.
func opaAddr(addr string) (string, error) {
	scheme, rest, ok := strings.Cut(addr, "://")
	switch {
	case !ok:
		return addr, nil
	case scheme == "grpc":
		return rest, nil
	case scheme == "unix":
		return addr, nil
	default:
		return "", fmt.Errorf("addr: nothing listens at %s://", scheme)
	}
}

// decisionLogs reads where decisions are told.
func (r *opaReader) decisionLogs(n *yaml.Node) {
	each(n, func(key, value *yaml.Node) {
		switch key.Value {
		case "console":
			var on struct {
				Console bool `yaml:"console"`
			}
			pair := yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{key, value}, Line: key.Line, Column: key.Column}
			if r.into(&pair, &on) && on.Console && r.cfg.DecisionLog.Path == "" {
				r.cfg.DecisionLog.Path = "-"
			}
		case "service", "plugin", "resource", "partition_name":
			r.refuse(key, "decision_logs."+key.Value+": decisions are not sent anywhere from here",
				"write them to a file that a collector follows: decision_log.path, or decision_logs.console: true")
		case "mask_decision", "drop_decision":
			r.note("decision_logs."+key.Value, "the log holds no input: there is nothing to mask, and nothing is dropped")
		default:
			r.note("decision_logs."+key.Value, "a line is written for every decision")
		}
	})
}

// bundles reads where the one bundle is, if it is a file.
func (r *opaReader) bundles(key, n *yaml.Node) {
	const help = "have the bundles put into one folder and name it in loader.dir, or with -b"
	if len(n.Content) > 2 {
		r.refuse(key, "bundles: more than one, and they are not fetched from here", help)
		return
	}
	each(n, func(name, value *yaml.Node) {
		resource := ""
		each(value, func(key, value *yaml.Node) {
			switch key.Value {
			case "resource":
				resource = value.Value
			case "service", "polling", "trigger", "persist", "size_limit_bytes":
			default:
				r.refuse(key, "bundles."+name.Value+"."+key.Value+" is not read here", "")
			}
		})
		u, err := url.Parse(resource)
		if err != nil || u.Scheme != "file" || u.Path == "" {
			r.refuse(name, "bundles."+name.Value+" is not a file: nothing is fetched from here", help)
			return
		}
		if r.cfg.Loader.Dir == "" {
			r.cfg.Loader.Dir = u.Path
		}
	})
}

// each walks a mapping.
func each(n *yaml.Node, visit func(key, value *yaml.Node)) {
	for i := 0; n.Kind == yaml.MappingNode && i+1 < len(n.Content); i += 2 {
		visit(n.Content[i], n.Content[i+1])
	}
}
