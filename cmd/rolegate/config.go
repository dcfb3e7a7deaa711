package main

import (
	"fmt"
	"io"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/rolegate/rolegate/internal/admin"
	"github.com/rolegate/rolegate/loader"
	"github.com/rolegate/rolegate/proxy"
	"github.com/rolegate/rolegate/proxy/decisionlog"
	"github.com/rolegate/rolegate/proxy/extauthz"
	"github.com/rolegate/rolegate/proxy/identity"
)

// config is every setting of a server. Each package says what its own mean; what
// is left out is the package's default.
type config struct {
	Profile     string              `yaml:"profile"` // rolegate or opa-envoy; "" is rolegate
	Loader      loader.Config       `yaml:"loader"`
	Cache       cacheConfig         `yaml:"cache"`
	Evaluations evaluationsConfig   `yaml:"evaluations"`
	Identity    identity.Config     `yaml:"identity"`
	Gate        proxy.Config        `yaml:"gate"`
	GRPC        extauthz.Config     `yaml:"grpc"`
	HTTP        extauthz.HTTPConfig `yaml:"http"`
	Admin       admin.Config        `yaml:"admin"`
	Bodies      bodiesConfig        `yaml:"bodies"`
	DecisionLog decisionlog.Config  `yaml:"decision_log"` // without a path nothing is written
	Log         logConfig           `yaml:"log"`
	OPAMetrics  *opaMetrics         `yaml:"-"` // nil: none
}

// cacheConfig is how decisions are remembered.
type cacheConfig struct {
	Entries  int           `yaml:"entries"`  // 0 means 100,000; below 0: nothing is remembered
	MaxAge   time.Duration `yaml:"max_age"`  // 0 means 5 minutes
	Negative bool          `yaml:"negative"` // remember denials too
	Timeout  time.Duration `yaml:"timeout"`  // of one evaluation; 0 means 150 ms
	// AuditEvery makes one decision in this many be evaluated again on the whole
	// request; 0 means 1,000; below 0: none.
	AuditEvery int `yaml:"audit_every"`
}

// evaluationsConfig bounds the work of an overloaded server. What memory answers is not
// bounded.
type evaluationsConfig struct {
	Concurrency int           `yaml:"concurrency"` // evaluations at a time; 0 means 4 for each processor
	QueueWait   time.Duration `yaml:"queue_wait"`  // for one of them to end, before a request is refused; 0 means 50 ms
}

// logConfig is what the program says of itself, on stderr.
type logConfig struct {
	Level  zapcore.Level `yaml:"level"`
	Format string        `yaml:"format"` // console or json; "" is console on a terminal, else json
}

// drainWait is two intervals of the health checks that deploy/ configures: before
// that, Envoy may still send what nobody would answer.
const drainWait = 2 * time.Second

func defaultConfig() config {
	return config{Loader: loader.Config{RunTests: true}, Cache: cacheConfig{Negative: true}, GRPC: extauthz.Config{DrainWait: drainWait}}
}

// check refuses what no package would.
func (c config) check() error {
	switch c.Log.Format {
	case "", "console", "json":
	default:
		return fmt.Errorf("log.format is %q, want console or json", c.Log.Format)
	}
	if c.Loader.Dir == "" {
		return hint(fmt.Errorf("no bundle: loader.dir is not set"), "-b DIR names the folder with the bundle or the bundles")
	}
	return nil
}

// newLogger logs to w.
func (c logConfig) newLogger(w io.Writer) *zap.Logger {
	format := c.Format
	if format == "" && terminal(w) {
		format = "console"
	}
	encoding := zap.NewProductionEncoderConfig()
	encoding.EncodeTime = zapcore.ISO8601TimeEncoder
	encoder := zapcore.NewJSONEncoder(encoding)
	if format == "console" {
		encoder = zapcore.NewConsoleEncoder(encoding)
	}
	return zap.New(zapcore.NewCore(encoder, zapcore.Lock(zapcore.AddSync(w)), c.Level))
}
