package doctor

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Level is how bad a finding is.
type Level string

// The levels. An error lets requests pass that were not allowed, or refuses all.
const (
	LevelError   Level = "error"
	LevelWarning Level = "warning"
)

// Finding is one thing that is not as it should be.
type Finding struct {
	Level Level  `json:"level"`
	Code  string `json:"code"` // "failure_mode_allow"
	At    string `json:"at"`   // what it is about: a listener, a cluster, Envoy
	What  string `json:"what"`
	Want  string `json:"want"` // what would be right
}

// Documents are answers of Envoy's admin page, as they came.
type Documents struct {
	ConfigDump []byte // /config_dump
	ServerInfo []byte // /server_info
	Clusters   []byte // /clusters?format=json
}

// Report is what was found. A report without findings is a clean bill of health.
type Report struct {
	Version  string    `json:"envoy"`   // "1.40.0"; "" when Envoy does not say
	Filters  int       `json:"filters"` // ext_authz filters that were looked at, of requests and of connections
	Findings []Finding `json:"findings"`
}

// Errors says how many of the findings are errors.
func (r Report) Errors() int {
	n := 0
	for _, f := range r.Findings {
		if f.Level == LevelError {
			n++
		}
	}
	return n
}

// Types of what is looked for. Names of filters are their users' choice.
const (
	typeManager  = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
	typeExtAuthz = "envoy.extensions.filters.http.ext_authz.v3.ExtAuthz"
	typeRouter   = "envoy.extensions.filters.http.router.v3.Router"
	typePerRoute = "envoy.extensions.filters.http.ext_authz.v3.ExtAuthzPerRoute"
	typeNetwork  = "envoy.extensions.filters.network.ext_authz.v3.ExtAuthz" // asks about connections
)

// Examine looks through the documents. The error says which of them is none.
func Examine(d Documents) (Report, error) {
	var dump, info, statuses any
	for _, doc := range []struct {
		name string
		text []byte
		into *any
	}{{"config_dump", d.ConfigDump, &dump}, {"server_info", d.ServerInfo, &info}, {"clusters", d.Clusters, &statuses}} {
		if err := json.Unmarshal(doc.text, doc.into); err != nil {
			return Report{}, fmt.Errorf("read Envoy's %s: %w", doc.name, err)
		}
	}
	e := &examination{clusters: map[string]any{}, statuses: map[string]any{}}
	e.version(info)
	for _, c := range ofType(dump, "envoy.config.cluster.v3.Cluster") {
		e.clusters[text(c, "name")] = c
	}
	for _, s := range list(statuses, "cluster_statuses") {
		e.statuses[text(s, "name")] = s
	}
	e.listeners(dump)
	e.routes(dump)
	return e.Report, nil
}

type examination struct {
	Report
	clusters, statuses map[string]any
}

func (e *examination) find(level Level, code, at, what, want string) {
	e.Findings = append(e.Findings, Finding{level, code, at, what, want})
}

func (e *examination) fail(code, at, what, want string) { e.find(LevelError, code, at, what, want) }
func (e *examination) warn(code, at, what, want string) { e.find(LevelWarning, code, at, what, want) }

// version looks at Envoy's own: "9e55…/1.40.0/Clean/RELEASE/BoringSSL".
func (e *examination) version(info any) {
	parts := strings.Split(text(info, "version"), "/")
	if len(parts) < 2 {
		return
	}
	e.Version = parts[1]
	var major, minor int
	if n, err := fmt.Sscanf(e.Version, "%d.%d", &major, &minor); err == nil && n == 2 && (major < 1 || major == 1 && minor < 37) {
		e.warn("envoy_old", "envoy", "Envoy "+e.Version+" takes an error_response for a plain 403",
			"Envoy 1.37 or later, so that users can tell an outage from a denial")
	}
}

func (e *examination) listeners(dump any) {
	type manager struct {
		at     string
		config any
	}
	var managers []manager
	for _, l := range ofType(dump, "envoy.config.listener.v3.Listener") {
		e.connections(l)
		for _, m := range ofType(l, typeManager) {
			at := "listener " + text(l, "name")
			if prefix := text(m, "stat_prefix"); prefix != "" {
				at += " (" + prefix + ")"
			}
			managers = append(managers, manager{at, m})
		}
	}
	asked := map[int]bool{}
	for i, m := range managers {
		asked[i] = e.manager(m.at, m.config)
	}
	for i, m := range managers {
		switch {
		case asked[i]:
		case e.Filters == 0:
			e.fail("filter_missing", m.at, "nobody is asked: there is no ext_authz filter", "envoy.filters.http.ext_authz before the router")
		default:
			e.warn("filter_missing", m.at, "requests of this listener are not asked about, those of others are", "an ext_authz filter here, too, if its routes are not public")
		}
	}
	if len(managers) == 0 && e.Filters == 0 {
		e.fail("no_listener", "envoy", "no listener speaks HTTP", "one with an ext_authz filter")
	}
}

// manager looks at one HTTP connection manager, and says whether it asks.
func (e *examination) manager(at string, m any) (asks bool) {
	filters := list(m, "http_filters")
	last := -1
	for i, f := range filters {
		config := child(f, "typed_config")
		if !isType(config, typeExtAuthz) {
			continue
		}
		asks, last = true, i
		e.Filters++
		e.filter(at, f, config)
	}
	if !asks {
		return false
	}
	e.after(at, filters[last+1:])
	e.meaning(at, m)
	return true
}

// after looks at the filters between the last question and the router: what they change,
// nobody was asked about.
func (e *examination) after(at string, filters []any) {
	for _, f := range filters {
		config := child(f, "typed_config")
		if isType(config, typeRouter) {
			return
		}
		if !harmless(typeOf(config)) {
			e.warn("filter_not_last", at, fmt.Sprintf("filter %s runs after ext_authz and may change what was decided about", text(f, "name")),
				"ext_authz last before the router")
		}
	}
	e.warn("router_missing", at, "no router follows ext_authz", "the router as the last filter")
}

// harmless says whether a filter changes neither path nor headers of a request.
func harmless(typeName string) bool {
	for _, part := range []string{".rbac.", "ratelimit.", ".fault.", ".buffer.", ".grpc_stats.", ".compressor.", ".bandwidth_limit.", ".health_check.", ".admission_control."} {
		if strings.Contains(typeName, part) {
			return true
		}
	}
	return false
}

// meaning looks at what makes one request mean one thing to rolegate and the application.
func (e *examination) meaning(at string, m any) {
	for _, flag := range []struct{ field, why string }{
		{"normalize_path", "/x/../admin is another path to a policy than to many applications"},
		{"merge_slashes", "//admin is another path to a policy than to many applications"},
	} {
		if !truth(m, flag.field) {
			e.warn(flag.field, at, flag.why, flag.field+": true")
		}
	}
	switch action := text(m, "path_with_escaped_slashes_action"); action {
	case "REJECT_REQUEST", "UNESCAPE_AND_REDIRECT":
	default:
		e.warn("escaped_slashes", at, "nobody can say what %2f in a path means", "path_with_escaped_slashes_action: REJECT_REQUEST")
	}
	if action := text(m, "common_http_protocol_options", "headers_with_underscores_action"); action == "" || action == "ALLOW" {
		e.warn("underscores", at, "many applications read x_user as x-user", "headers_with_underscores_action: REJECT_REQUEST")
	}
	if !truth(m, "use_remote_address") {
		e.warn("remote_address", at, "x-forwarded-for and x-envoy-* of a client are believed", "use_remote_address: true at the edge")
	}
}

// routes looks for routes that switch the question off.
func (e *examination) routes(dump any) {
	each(dump, func(v any) {
		name := text(v, "name")
		for key, config := range members(child(v, "typed_per_filter_config")) {
			if isType(config, typePerRoute) && truth(config, "disabled") {
				if name == "" {
					name = "match " + compact(child(v, "match"))
				}
				e.warn("route_disabled", "route "+name, "nobody is asked about its requests: "+key+" is disabled",
					"a public route in data.routes, so that one place says what is public")
			}
		}
	})
}
