# `make help` lists the targets. README.md explains the two that a new user needs: `up` and `test`.
SHELL := /bin/bash
.DEFAULT_GOAL := help

CARGO ?= cargo
# ccache makes the second compilation of RocksDB's C++ (release after dev) nearly free.
ifneq ($(shell command -v ccache 2>/dev/null),)
export CC ?= ccache cc
export CXX ?= ccache c++
ifeq ($(origin CC),default)
export CC := ccache cc
endif
ifeq ($(origin CXX),default)
export CXX := ccache c++
endif
endif
TARGET_DIR := $(if $(CARGO_TARGET_DIR),$(CARGO_TARGET_DIR),target)
# BIN=/path/to/highwater uses a binary that is there already instead of building one.
ifeq ($(origin BIN),undefined)
BIN := $(TARGET_DIR)/release/highwater
BUILT := build
endif
DIST := $(TARGET_DIR)/dist
SEEDS ?= 1000

.PHONY: help deps build up down test verify fix sim mutants-sim clients metrics-check operations faults bench bench-vs-kafka bench-micro demo fuzz mutants \
  deb tarball deploy-check deploy-test guide

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

deps: ## install what building needs (Debian packages); says what to do for the rest
	@deploy/local/install-dependencies build

build: deps ## build the release binary
	$(CARGO) build --release --package highwater-broker --bin highwater

up: build ## build, then run three nodes on this machine and print an example that works
	@deploy/local/cluster up $(BIN)

down: ## stop the nodes of `make up` (their data stays in .highwater/)
	@deploy/local/cluster down

test: deps ## run every test that needs nothing but this repository
	$(CARGO) test --workspace --no-fail-fast

verify: ## formatting, lints, layers, licences; changes nothing
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	$(CARGO) xtask tidy
	@deploy/local/install-dependencies verify
	$(CARGO) deny --log-level error check licenses bans sources

fix: ## repair what can be repaired: formatting, simple lints, generated documents
	$(CARGO) fmt --all
	$(CARGO) clippy --workspace --all-targets --fix --allow-dirty --allow-staged
	$(CARGO) xtask api-matrix > docs/api-matrix.md
	$(CARGO) run --quiet --package highwater-broker --bin highwater -- reference > docs/cli-reference.md
	$(CARGO) xtask metrics > docs/metrics.md

sim: ## simulate whole clusters under faults: SEEDS=n many from FIRST=n on, or SEED=n to replay one; ARGS=--power-loss, ARGS=--disks
	@if [ -n "$(SEED)" ]; then \
	  $(CARGO) run --quiet --package highwater-sim --bin highwater-sim -- replay $(SEED) $(ARGS); \
	else \
	  $(CARGO) run --quiet --package highwater-sim --bin highwater-sim -- sweep --seeds $(SEEDS) $(if $(FIRST),--first $(FIRST)) $(ARGS); \
	fi

mutants-sim: ## nodes with deliberate defects, one at a time, until a simulated seed catches each: ARGS="--seeds n"
	$(CARGO) run --quiet --package highwater-sim --bin highwater-sim -- mutants $(ARGS)

clients: build ## run client libraries that nobody here wrote against three nodes
	@deploy/local/install-dependencies clients
	$(CARGO) run --quiet --release --package highwater-clients-test -- --binary $(BIN) $(ONLY)

metrics-check: build ## dashboards and alert rules against a real Prometheus that scrapes three nodes; ONLY=cost measures a scrape
	@deploy/local/install-dependencies metrics
	$(CARGO) run --quiet --release --package highwater-metrics-test -- --binary $(BIN) $(ONLY)

faults: $(BUILT) ## kill, cut off, corrupt and unplug real processes under real clients and check the history: ONLY=words, LONG=1 for all cells, HIGHWATER_EARLIER=binary for a rolling upgrade (root)
	@deploy/local/install-dependencies faults
	$(CARGO) run --quiet --release --package highwater-faults-test -- --binary $(BIN) $(if $(LONG),--long) $(ONLY)

operations: build ## run the commands of docs/operations against real nodes: ONLY=page
	@deploy/local/install-dependencies clients
	$(CARGO) run --quiet --release --package highwater-operations-test -- --binary $(BIN) $(ONLY)

demo: build ## a million lines of real text through three nodes while leaders are killed
	$(CARGO) run --quiet --release --package highwater-demo -- --binary $(BIN)

guide: $(BUILT) ## docs/guides/clickstream.md from end to end: a web server's log through three nodes to two groups, with kills and a replay
	@deploy/local/install-dependencies guide
	@python3 docs/guides/clickstream/run.py $(BIN)

BENCH_OPTIONS = --binary $(BIN) --directory $(TARGET_DIR)/bench --only "$(ONLY)" --systems "$(SYSTEMS)" \
  --sizes "$(SIZES)" $(if $(RUNS),--runs $(RUNS)) $(if $(QUICK),--quick)

bench: $(BUILT) ## Highwater's figures: ONLY="a e" SYSTEMS=strict RUNS=n QUICK=1 SIZES="gigabytes=4"
	$(CARGO) run --quiet --release --package highwater-bench -- $(BENCH_OPTIONS)

bench-vs-kafka: $(BUILT) ## the same beside Apache Kafka's (KAFKA_LIBS=directory of its jars); rewrites docs/PERFORMANCE.md
	@[ -n "$(KAFKA_LIBS)" ] || { echo "make bench-vs-kafka: KAFKA_LIBS=directory with the jars of an Apache Kafka release"; exit 1; }
	$(CARGO) run --quiet --release --package highwater-bench -- $(BENCH_OPTIONS) --kafka-libs "$(KAFKA_LIBS)" \
	  --results docs/performance/results.json --documents docs

bench-micro: ## what single steps of the log cost (criterion): ARGS=recover for some of them
	$(CARGO) bench --package highwater-log --bench log -- $(ARGS)

deb: $(BUILT) ## build the Debian package: binary, systemd unit, configuration, manual page
	@deploy/local/install-dependencies package
	@deploy/debian/build $(BIN) $(DIST)

tarball: $(BUILT) ## the same without Debian's package manager: binary, sample configurations, unit, documents
	@deploy/tarball/build $(BIN) $(DIST)

deploy-check: ## check the files of deploy/ against schemas and rules: shell, systemd, Dockerfile, compose, Kubernetes
	@deploy/local/install-dependencies deploy-check
	@deploy/check/validate

deploy-test: $(BUILT) ## install the package in a clean Debian, run the samples, the tarball, compose.yaml and the Kubernetes pods (root)
	@deploy/local/install-dependencies package deploy-test deploy-check
	@deploy/samples/test $(BIN)
	@deploy/tarball/test $(BIN)
	@deploy/debian/test $(BIN)
	@deploy/check/validate
	@deploy/check/containers $(BIN)

fuzz: deps ## damaged files and hostile batches, looked for with coverage: ONLY="recovery codecs" EACH=seconds (60), KEEP=1 for new seeds
	@KEEP=$(KEEP) tests/fuzz/run "$(ONLY)" $(EACH)

mutants: ## cargo-mutants over the pure crates (slow)
	@command -v cargo-mutants >/dev/null || $(CARGO) install --locked cargo-mutants
	$(CARGO) mutants --package highwater-types --package highwater-records --package highwater-partition \
	  --package highwater-controller --package highwater-group --package highwater-metadata
