package main

import (
	"cmp"
	"fmt"
	"os"

	"go.uber.org/zap"

	"github.com/rolegate/rolegate/proxy"
	"github.com/rolegate/rolegate/proxy/extauthz"
	"github.com/rolegate/rolegate/proxy/parsed"
)

// The profiles: whose policies are asked, and with which habits.
const (
	profileRolegate = "rolegate"
	profileOPAEnvoy = "opa-envoy"
)

// Defaults of the profile opa-envoy, where they differ: those of opa-envoy-plugin.
const (
	opaEntrypoint = "envoy/authz/allow"
	opaMaxMessage = 4 << 20
)

// bodiesConfig is how policies see the bodies that Envoy sends.
type bodiesConfig struct {
	// Skip leaves input.parsed_body and input.truncated_body out.
	Skip bool `yaml:"skip"`
	// ProtoDescriptor is a file with a FileDescriptorSet, imports included: messages of the
	// gRPC services in it are read.
	ProtoDescriptor string `yaml:"proto_descriptor"`
}

// profiled is the configuration with the habits of its profile.
func (c config) profiled() (config, error) {
	switch c.Profile {
	case "", profileRolegate:
		return c, nil
	case profileOPAEnvoy:
	default:
		return c, fmt.Errorf("profile is %q, want %s or %s", c.Profile, profileRolegate, profileOPAEnvoy)
	}
	c.Gate.Profile = proxy.ProfileOPAEnvoy
	c.Loader.Lenient = true
	c.Loader.Entrypoint = cmp.Or(c.Loader.Entrypoint, opaEntrypoint)
	c.GRPC.MaxMessage = cmp.Or(c.GRPC.MaxMessage, opaMaxMessage)
	c.HTTP.Addr = cmp.Or(c.HTTP.Addr, extauthz.HTTPOff) // nobody expects another port
	return c, nil
}

// documents is how policies see requests.
func (c config) documents() (extauthz.Documents, error) {
	d := extauthz.Documents{Raw: c.Profile == profileOPAEnvoy, SkipBody: c.Bodies.Skip}
	if c.Bodies.ProtoDescriptor == "" {
		return d, nil
	}
	set, err := os.ReadFile(c.Bodies.ProtoDescriptor)
	if err != nil {
		return d, fmt.Errorf("read the descriptors of gRPC services: %w", err)
	}
	if d.Services, err = parsed.ReadServices(set); err != nil {
		return d, fmt.Errorf("%s: %w", c.Bodies.ProtoDescriptor, err)
	}
	return d, nil
}

// announce says at the start what an operator must know of the configuration.
func (c config) announce(notes []string, log *zap.Logger) {
	for _, note := range notes {
		log.Warn("a key of OPA's configuration is ignored", zap.String("key", note))
	}
	if c.Profile == profileOPAEnvoy {
		log.Info("policies are asked as opa-envoy-plugin asks them", zap.String("entrypoint", c.Loader.Entrypoint))
		if !c.Gate.StrictPaths {
			log.Warn("policies see paths as they were sent: have Envoy normalize_path, merge_slashes and " +
				"path_with_escaped_slashes_action: REJECT_REQUEST, or set gate.strict_paths")
		}
	}
	if c.Gate.DryRun {
		log.Error("DRY RUN: nothing that a policy denies is stopped; take dry-run out of the configuration to enforce")
	}
}
