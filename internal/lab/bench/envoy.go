package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"time"

	"github.com/rolegate/rolegate/internal/lab/envoy"
	"github.com/rolegate/rolegate/internal/lab/load"
)

// startEnvoy runs the configuration that ships in front of one server. Allowed
// requests are answered by Envoy itself, so that no application's time is measured,
// and nothing is logged.
func startEnvoy(ctx context.Context, address string) (*envoy.Envoy, error) {
	const hcm = "static_resources/listeners/0/filter_chains/0/filters/0/typed_config/"
	cfg, err := envoy.Shipped("envoy.yaml")
	if err != nil {
		return nil, err
	}
	err = errors.Join(cfg.Loopback(), cfg.Point("rolegate", address),
		cfg.Set(hcm+"access_log", []any{}),
		cfg.Set(hcm+"route_config/virtual_hosts/0/routes/0", object{
			"match": object{"prefix": "/"}, "direct_response": object{"status": http.StatusOK},
		}))
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "bench-envoy-")
	if err != nil {
		return nil, err
	}
	e, err := envoy.Start(ctx, cfg, dir)
	return e, errors.Join(err, os.RemoveAll(dir)) // Envoy has read it when it is ready
}

// throughEnvoy measures the server behind an Envoy. Only allowed questions are asked:
// a denial carries a body, which always-OK does not send.
func (s *server) throughEnvoy(ctx context.Context, e *envoy.Envoy, clients int, each time.Duration) (round, error) {
	transport := &http.Transport{MaxIdleConnsPerHost: clients}
	defer transport.CloseIdleConnections()
	c := &http.Client{Transport: transport}
	var allows []question
	for _, r := range s.client.corpus {
		if r.allow {
			allows = append(allows, r.question)
		}
	}
	limit, cancel := context.WithTimeout(ctx, each)
	defer cancel()
	report := load.Closed(limit, clients, func(ctx context.Context, _, _ int) string {
		q := allows[rand.IntN(len(allows))] //nolint:gosec // a workload, not a secret
		return get(ctx, c, e.URL(), q)
	})
	if bad := report.Requests - report.Outcomes[outcomeAllow]; bad > 0 {
		return round{}, fmt.Errorf("%d of %d answers are not 200: %s", bad, report.Requests, report)
	}
	return round{report: report}, nil
}

func get(ctx context.Context, c *http.Client, url string, q question) string {
	req, err := http.NewRequestWithContext(ctx, q.method, url+q.path, http.NoBody)
	if err != nil {
		return err.Error()
	}
	req.Host = host
	req.Header.Set("Authorization", "Bearer "+q.token)
	resp, err := c.Do(req)
	if err != nil {
		return err.Error()
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return err.Error()
	}
	if resp.StatusCode != http.StatusOK {
		return resp.Status
	}
	return outcomeAllow
}
