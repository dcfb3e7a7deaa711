package proxy

import (
	"fmt"
	"strings"
	"time"
)

// OnError is what becomes of a request that could not be decided.
type OnError string

// The choices. The zero value denies a policy error with 403 and everything else
// (a timeout, no bundle yet) with 503, each as a denial, so that no setting of
// Envoy's can turn it into an allow.
const (
	OnErrorDefault OnError = ""
	OnErrorDeny    OnError = "deny"  // always 403
	OnErrorFault   OnError = "error" // always 503, told to Envoy as an error: its failure_mode_allow applies
)

// Config is how a gate answers. The zero value works.
type Config struct {
	// MaxTime bounds one check; 0 means 200 ms, Envoy's own default. A caller's
	// earlier deadline counts too.
	MaxTime time.Duration `yaml:"max_time"`
	// OnPolicyError: "" , "deny" or "error".
	OnPolicyError OnError `yaml:"on_policy_error"`
	// RetryAfter is told with a 503, in whole seconds; 0 means 1 s.
	RetryAfter time.Duration `yaml:"retry_after"`
	// Challenge is the WWW-Authenticate of a 401; "" means "Bearer".
	Challenge string `yaml:"challenge"`
	// ReservedHeaders are further names (x-user, say) that an upstream believes and
	// that no client may send: they are taken out in every spelling. Names that
	// begin with x-rolegate- always are.
	ReservedHeaders []string `yaml:"reserved_headers"`
	// RefuseMethodOverride refuses requests that ask for another method in a header
	// (x-http-method-override and its kin). Decisions are about the method of the request
	// line in any case: it is for applications that believe such a header.
	RefuseMethodOverride bool `yaml:"refuse_method_override"`
	// StrictPaths has a profile that gives policies requests as they were sent refuse
	// those that have more than one reading, as the profile rolegate does.
	StrictPaths bool `yaml:"strict_paths"`

	Profile Profile `yaml:"-"` // whose policies are asked
	// DryRun lets through what policies deny. Who could not be answered is denied still.
	DryRun bool `yaml:"-"`
}

const (
	defaultMaxTime    = 200 * time.Millisecond
	defaultRetryAfter = time.Second
	defaultChallenge  = "Bearer"
)

// checked fills in what was left out and refuses what cannot be meant.
func (cfg Config) checked() (Config, error) {
	switch cfg.OnPolicyError {
	case OnErrorDefault, OnErrorDeny, OnErrorFault:
	default:
		return cfg, fmt.Errorf("on_policy_error is %q, want deny or error", cfg.OnPolicyError)
	}
	if cfg.MaxTime == 0 {
		cfg.MaxTime = defaultMaxTime
	}
	if cfg.RetryAfter == 0 {
		cfg.RetryAfter = defaultRetryAfter
	}
	if cfg.MaxTime < 0 || cfg.RetryAfter < time.Second {
		return cfg, fmt.Errorf("max_time is %v and retry_after %v, want a positive time and at least 1s", cfg.MaxTime, cfg.RetryAfter)
	}
	if cfg.Challenge == "" {
		cfg.Challenge = defaultChallenge
	}
	if !validValue(cfg.Challenge) || len(cfg.Challenge) > maxHeaderBytes/2 {
		return cfg, fmt.Errorf("challenge cannot be the value of a header")
	}
	spellings := make([]string, 0, len(cfg.ReservedHeaders))
	for _, name := range cfg.ReservedHeaders {
		if !validName(name) || (unsettable(spelling(name)) && !reserved(spelling(name))) {
			return cfg, fmt.Errorf("reserved_headers: %q cannot be taken out of a request", strings.ToLower(name))
		}
		spellings = append(spellings, spelling(name))
	}
	cfg.ReservedHeaders = spellings
	return cfg, nil
}
