package envoy

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Config is an Envoy configuration that can be edited in place.
type Config struct {
	doc yaml.Node
}

// Shipped reads a configuration of deploy/envoy by its file name.
func Shipped(name string) (*Config, error) {
	root, err := Root()
	if err != nil {
		return nil, err
	}
	return Read(filepath.Join(root, "deploy", "envoy", name))
}

// Read reads a configuration file.
func Read(path string) (*Config, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read an Envoy configuration: %w", err)
	}
	c := &Config{}
	if err := yaml.Unmarshal(raw, &c.doc); err != nil {
		return nil, fmt.Errorf("read an Envoy configuration %s: %w", path, err)
	}
	return c, nil
}

// YAML is the configuration as Envoy reads it.
func (c *Config) YAML() ([]byte, error) { return yaml.Marshal(&c.doc) }

// Set replaces the value at path, which must be there: an edit of something that the
// file no longer has is an error, not a test of nothing. A path is keys joined by
// "/"; in a list, "name=x" is the item with that name, and a number an index.
func (c *Config) Set(path string, value any) error {
	node, err := c.at(path)
	if err != nil {
		return err
	}
	return node.Encode(value)
}

// Get decodes the value at path into a pointer.
func (c *Config) Get(path string, into any) error {
	node, err := c.at(path)
	if err != nil {
		return err
	}
	return node.Decode(into)
}

// Point has a cluster's only endpoint be address: "host:port", or a path that begins
// with "/" for a unix socket.
func (c *Config) Point(cluster, address string) error {
	value, err := endpoint(address)
	if err != nil {
		return err
	}
	return c.Set("static_resources/clusters/name="+cluster+"/load_assignment/endpoints/0/lb_endpoints/0/endpoint/address", value)
}

// PointHealth has the health of a cluster's only endpoint be asked at an address.
func (c *Config) PointHealth(cluster, address string) error {
	value, err := endpoint(address)
	if err != nil {
		return err
	}
	return c.Set("static_resources/clusters/name="+cluster+"/load_assignment/endpoints/0/lb_endpoints/0/endpoint/health_check_config/address", value)
}

// TLSFiles has a cluster or a filter chain, by its path, prove who Envoy is, and check
// who the others are, with these files.
func (c *Config) TLSFiles(path, cert, key, authority string) error {
	common := path + "/transport_socket/typed_config/common_tls_context/"
	return errors.Join(
		c.Set(common+"tls_certificates/0/certificate_chain/filename", cert),
		c.Set(common+"tls_certificates/0/private_key/filename", key),
		c.Set(common+"validation_context/trusted_ca/filename", authority),
	)
}

// Loopback moves the listener and the admin page to free ports of the loopback
// address; Envoy chooses them, so that two never collide.
func (c *Config) Loopback() error {
	free := map[string]any{"socket_address": map[string]any{"address": "127.0.0.1", "port_value": 0}}
	for _, path := range []string{"admin/address", "static_resources/listeners/0/address"} {
		if err := c.Set(path, free); err != nil {
			return err
		}
	}
	return nil
}

// Patient has Envoy wait for rolegate longer than any machine is busy, in every place
// where the configurations that ship bound that: for an answer, for each try of one, for
// health and for a connection. For tests of what is decided, not of how soon.
func (c *Config) Patient() error {
	const (
		patience = "60s"
		gate     = "static_resources/clusters/name=rolegate/"
		filters  = "static_resources/listeners/0/filter_chains/0/filters/0/typed_config/"
		authz    = filters + "http_filters/name=envoy.filters.http.ext_authz/typed_config/"
	)
	places := []string{gate + "health_checks/0/timeout", gate + "connect_timeout"}
	for _, some := range [][]string{
		{authz + "grpc_service/timeout", authz + "grpc_service/retry_policy/retry_back_off/max_interval"},
		{authz + "http_service/server_uri/timeout", authz + "http_service/retry_policy/retry_back_off/max_interval"},
		{filters + "grpc_service/timeout"},
	} {
		if _, err := c.at(some[0]); err == nil {
			places = append(places, some...)
		}
	}
	var errs []error
	for _, place := range places {
		errs = append(errs, c.Set(place, patience))
	}
	return errors.Join(errs...)
}

func endpoint(address string) (any, error) {
	if strings.HasPrefix(address, "/") {
		return map[string]any{"pipe": map[string]any{"path": address}}, nil
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("endpoint %q: %w", address, err)
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("endpoint %q: %w", address, err)
	}
	return map[string]any{"socket_address": map[string]any{"address": host, "port_value": n}}, nil
}

var errNoValue = errors.New("no such value")

func (c *Config) at(path string) (*yaml.Node, error) {
	if len(c.doc.Content) == 0 {
		return nil, fmt.Errorf("%w: %s in an empty configuration", errNoValue, path)
	}
	node := c.doc.Content[0]
	for step := range strings.SplitSeq(path, "/") {
		next := child(node, step)
		if next == nil {
			return nil, fmt.Errorf("%w: %s, at %s", errNoValue, path, step)
		}
		node = next
	}
	return node, nil
}

// child is nil where there is none.
func child(node *yaml.Node, step string) *yaml.Node {
	switch node.Kind {
	case yaml.MappingNode:
		return member(node, step)
	case yaml.SequenceNode:
		if name, ok := strings.CutPrefix(step, "name="); ok {
			for _, item := range node.Content {
				if n := member(item, "name"); n != nil && n.Value == name {
					return item
				}
			}
			return nil
		}
		if i, err := strconv.Atoi(step); err == nil && i >= 0 && i < len(node.Content) {
			return node.Content[i]
		}
		return nil
	case yaml.DocumentNode, yaml.ScalarNode, yaml.AliasNode:
		return nil
	default:
		return nil
	}
}

// member is nil where there is none. Keys and values alternate in a mapping.
func member(node *yaml.Node, key string) *yaml.Node {
	if node.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(node.Content); i += 2 {
		if node.Content[i].Value == key {
			return node.Content[i+1]
		}
	}
	return nil
}
