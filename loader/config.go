package loader

import (
	"time"

	"github.com/rolegate/rolegate/loader/archive"
	"github.com/rolegate/rolegate/policy"
)

const (
	// defaultSettle is how long a folder must be quiet before it is read: longer than
	// the pauses between the writes of one unpacking.
	defaultSettle = 50 * time.Millisecond
	// maxSettle is how long a folder that never is quiet is waited for.
	maxSettle = time.Second
	// defaultResync is how often everything is looked at without an event: links
	// elsewhere, other hosts' writes and mounts on top make none.
	defaultResync = 2 * time.Second
	// firstRetry and lastRetry bound the pause before something torn is read again.
	firstRetry = 50 * time.Millisecond
	lastRetry  = time.Second
	// hashEvery is how many resyncs pass between those that read everything again,
	// for changes that leave size and times as they were.
	hashEvery = 30
	// clockTick is more than the coarsest clock of a file system that has one: a file
	// that changed less than this before it was read may change again unseen.
	clockTick = 20 * time.Millisecond
)

// Config is where bundles come from and how they are watched. The zero value works
// but for Dir.
type Config struct {
	Dir        string         `yaml:"dir"`        // one bundle, a folder of them, or one archive
	Settle     time.Duration  `yaml:"settle"`     // a folder is read when it was quiet this long; 0 means 50 ms
	Resync     time.Duration  `yaml:"resync"`     // everything is looked at this often, without an event; 0 means 2 s
	Limits     archive.Limits `yaml:"limits"`     // of one bundle, packed or not
	Entrypoint string         `yaml:"entrypoint"` // with slashes; "" means the role library's decision
	Lenient    bool           `yaml:"lenient"`    // builtin errors are undefined, as in OPA
	// V0 has Rego read as version 0 where a manifest does not say which it is.
	V0 bool `yaml:"v0_compatible"`
	// Builtins are allowed though they reach beyond input and data: http.send, say.
	Builtins []string `yaml:"builtins"`

	// RunTests has a bundle refused whose own tests and cases Verify finds wrong.
	RunTests bool `yaml:"run_tests"`

	// Verify runs the tests and cases of bundles before they decide; nil: nobody does.
	Verify  Verifier    `yaml:"-"`
	Observe func(Event) `yaml:"-"` // called after each attempt, by the goroutine of Run; nil: nobody watches
	Metrics *Metrics    `yaml:"-"` // nil: none
}

func (c Config) withDefaults() Config {
	if c.Settle == 0 {
		c.Settle = defaultSettle
	}
	if c.Resync == 0 {
		c.Resync = defaultResync
	}
	c.Limits = c.Limits.WithDefaults()
	return c
}

// Event is one attempt to decide on something newer.
type Event struct {
	Generation uint64          // that decides now, the new one or still the old one; 0: none
	Installed  bool            // the attempt made this generation
	Changed    []string        // what changed, in words: "rbac/roles changed: 1 role, 2 statements"
	Took       time.Duration   // from reading to deciding
	Problems   policy.Problems // what refused the attempt, or warnings of what was installed
	Err        error           // what went wrong beside the bundles; nil when nothing did
}
