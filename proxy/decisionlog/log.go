// Package decisionlog writes decisions as lines of JSON. It never makes a request
// wait: what the disk cannot take in time is dropped, and counted.
package decisionlog

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/rolegate/rolegate/proxy"
)

// Config is where the log goes. The zero value writes to standard output.
type Config struct {
	// Path of a file, which is appended to, or "-" (also ""): standard output. A file
	// that is moved away is begun anew within a second, so that it can be rotated.
	Path string `yaml:"path"`
	// Queue is how many records may wait for the disk; 0 means 8,192, which is
	// about 4 MB and a second of a busy instance.
	Queue int `yaml:"queue"`
}

const (
	defaultQueue = 8 << 10
	bufferBytes  = 64 << 10
	fileMode     = 0o640
	rotateEvery  = time.Second // how often a file's place is looked at
)

// Log is a [proxy.Recorder]. Record may be called at any time and from anywhere;
// what comes before Run waits in the queue.
type Log struct {
	cfg     Config
	queue   chan proxy.Record
	dropped prometheus.Counter
	log     *zap.Logger

	out    io.Writer // of the file or standard output; nil before Open
	file   *os.File  // nil for standard output
	buffer *bufio.Writer
	encode *json.Encoder // into buffer
	unsent uint64        // records in the buffer, lost if it cannot be written
	failed bool          // the last write did, and it was said
}

// New makes a log. reg may be nil: nothing is registered then.
func New(cfg Config, reg prometheus.Registerer, log *zap.Logger) (*Log, error) {
	if cfg.Queue == 0 {
		cfg.Queue = defaultQueue
	}
	if cfg.Queue < 0 {
		return nil, fmt.Errorf("decision log: queue is %d, want a positive number", cfg.Queue)
	}
	l := &Log{
		cfg: cfg, queue: make(chan proxy.Record, cfg.Queue), log: log.Named("decisionlog"),
		dropped: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "rolegate_decision_log_dropped_total",
			Help: "Decisions that are missing from the log: the queue was full, or writing failed.",
		}),
	}
	if reg != nil {
		if err := reg.Register(l.dropped); err != nil {
			return nil, fmt.Errorf("register the decision log's metric: %w", err)
		}
	}
	return l, nil
}

// Record implements [proxy.Recorder].
func (l *Log) Record(r proxy.Record) {
	select {
	case l.queue <- r:
	default:
		l.dropped.Inc()
	}
}

// Open opens the file, so that a bad path ends the program before anything reports
// ready.
func (l *Log) Open() error {
	if l.out != nil {
		return nil
	}
	l.out = os.Stdout
	if l.cfg.Path != "" && l.cfg.Path != "-" {
		file, err := os.OpenFile(l.cfg.Path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, fileMode)
		if err != nil {
			l.out = nil
			return fmt.Errorf("open the decision log: %w", err)
		}
		l.file, l.out = file, file
	}
	l.buffer = bufio.NewWriterSize(l.out, bufferBytes)
	l.encode = json.NewEncoder(l.buffer)
	l.encode.SetEscapeHTML(false)
	return nil
}

// Run writes until ctx ends, and then what is left in the queue. End ctx only after
// every surface has stopped: what is recorded afterwards is not written.
func (l *Log) Run(ctx context.Context) error {
	if err := l.Open(); err != nil {
		return err
	}
	ticker := time.NewTicker(rotateEvery)
	defer ticker.Stop()
	for {
		select {
		case r := <-l.queue:
			l.write(r)
		case <-ticker.C:
			l.rotate()
		case <-ctx.Done():
			return l.end()
		}
		if len(l.queue) == 0 {
			l.flush()
		}
	}
}

// end writes what is left, and closes.
func (l *Log) end() error {
	for {
		select {
		case r := <-l.queue:
			l.write(r)
			continue
		default:
		}
		break
	}
	l.flush()
	if l.file == nil {
		return nil
	}
	if err := l.file.Close(); err != nil {
		return fmt.Errorf("close the decision log: %w", err)
	}
	return nil
}

func (l *Log) write(r proxy.Record) {
	l.unsent++
	if err := l.encode.Encode(entryOf(r)); err != nil {
		l.lost(err)
	}
}

func (l *Log) flush() {
	if err := l.buffer.Flush(); err != nil {
		l.lost(err)
		return
	}
	l.unsent, l.failed = 0, false
}

// lost counts what the buffer held, and begins with an empty one: a bufio.Writer
// that has failed once fails for ever. It says so once until writing works again.
func (l *Log) lost(err error) {
	l.dropped.Add(float64(l.unsent))
	l.unsent = 0
	l.buffer.Reset(l.out)
	if !l.failed {
		l.log.Error("decisions are lost: the log cannot be written", zap.Error(err))
	}
	l.failed = true
}

// rotate opens the file anew when another one, or none, stands at its path.
func (l *Log) rotate() {
	if l.file == nil {
		return
	}
	mine, err := l.file.Stat()
	if err != nil {
		return
	}
	there, err := os.Stat(l.cfg.Path)
	if err == nil && os.SameFile(mine, there) || err != nil && !errors.Is(err, os.ErrNotExist) {
		return
	}
	file, err := os.OpenFile(l.cfg.Path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, fileMode)
	if err != nil {
		l.log.Error("the decision log was moved away and cannot be begun anew", zap.Error(err))
		return
	}
	l.flush()
	if err := l.file.Close(); err != nil {
		l.log.Error("close the decision log that was moved away", zap.Error(err))
	}
	l.file, l.out = file, file
	l.buffer.Reset(file)
}
