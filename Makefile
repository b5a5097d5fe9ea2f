# The index of commands: `make` lists them. CI runs `make test`, nothing else.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

CARGO ?= cargo
# rustup looks for toolchains under HOME. With another HOME than the one it was
# installed for, they are still beside the rustup that PATH names.
ifeq ($(RUSTUP_HOME)$(wildcard $(HOME)/.rustup/toolchains/*),)
  RUSTUP_BESIDE := $(abspath $(dir $(realpath $(shell command -v rustup)))../../.rustup)
  ifneq ($(wildcard $(RUSTUP_BESIDE)),)
    export RUSTUP_HOME := $(RUSTUP_BESIDE)
  endif
endif
# What `make run` serves, and where.
EXAMPLE ?= getting-started
LISTEN ?= 127.0.0.1:5300
# A file that says which health checks are down, see docs/serve.md.
HEALTH ?=
# How long each fuzz target runs.
FUZZ_SECONDS ?= 20
# Which end-to-end suites run: all, or some of them.
SUITES := $(shell awk -F'"' '/^\[\[test\]\]/ {test = 1} test && /^name = / {print $$2; test = 0}' e2e/Cargo.toml)
SUITE ?= $(SUITES)
# Alone, the suites with figures run at full size on optimized programs; among
# the others at a tenth of that, as everything is built.
ifeq ($(SUITE),scale)
  E2E_PROFILE := --release
  export WATERSHED_SCALE ?= 10000
endif
ifeq ($(SUITE),health)
  E2E_PROFILE := --release
  export WATERSHED_ENDPOINTS ?= 5000
  export WATERSHED_CHECKERS ?= 10
endif
# Where cargo puts the programs of that profile.
E2E_TARGET := $(or $(CARGO_TARGET_DIR),target)/$(if $(E2E_PROFILE),release,debug)
# The development cluster to start or end.
NAME ?= dev

# Development tools are built once from crates.io, at these versions, into a
# cache outside the checkout, so that a clean clone finds them again.
CARGO_DENY_VERSION := 0.20.2
CARGO_FUZZ_VERSION := 0.13.2
CARGO_CYCLONEDX_VERSION := 0.5.7
MDBOOK_VERSION := 0.5.4
TOOLS := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/watershed/tools
CARGO_DENY := $(TOOLS)/cargo-deny-$(CARGO_DENY_VERSION)/bin/cargo-deny
CARGO_FUZZ := $(TOOLS)/cargo-fuzz-$(CARGO_FUZZ_VERSION)/bin/cargo-fuzz
CARGO_CYCLONEDX := $(TOOLS)/cargo-cyclonedx-$(CARGO_CYCLONEDX_VERSION)/bin/cargo-cyclonedx
MDBOOK := $(TOOLS)/mdbook-$(MDBOOK_VERSION)/bin/mdbook

# Always the whole workspace: another package set means other unified features
# and a second build of the dependencies.
PACKAGES := --workspace --locked
# Naming a test among the targets gives the dependencies the same features as
# `cargo test` does, so that they are not built twice.
BUILD_FOR_TESTS := $(CARGO) build $(PACKAGES) --test harness

##@ Using it

.PHONY: help
help: ## List the commands
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z0-9-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

.PHONY: run
# The addresses of the examples are those of documentation, which are not probed.
run: ## Serve an example on 127.0.0.1:5300 (EXAMPLE=NAME LISTEN=ADDRESS:PORT HEALTH=FILE)
	@echo "Building watershed (a minute or two the first time), then serving examples/$(EXAMPLE) ..."
	@$(CARGO) build --locked --package watershed
	@exec target/debug/watershed serve examples/$(EXAMPLE) --listen $(LISTEN) --state target/state/$(EXAMPLE) $(if $(HEALTH),--health $(HEALTH))

.PHONY: build
build: ## Build the command line tool, optimized: target/release/watershed
	$(CARGO) build --locked --release --package watershed

.PHONY: images
# A quick build has no list of what it is made of.
images: export CARGO_CYCLONEDX := $(CARGO_CYCLONEDX)
images: $(if $(filter debug,$(IMAGE_PROFILE)),,$(CARGO_CYCLONEDX)) ## Build container images: target/images (IMAGE_PROFILE=debug: quickly)
	@IMAGE_PROFILE=$(IMAGE_PROFILE) scripts/images

##@ Changing it

.PHONY: test
test: versions fmt-check lint doc book unit chart-test gitops-test deny advisories fuzz e2e ## Everything that CI checks
	@echo "All checks passed."

.PHONY: versions
versions: ## The versions of the toolchain in use
	@rustc --version && $(CARGO) --version && $(CARGO) fmt --version && $(CARGO) clippy --version

.PHONY: unit
unit: dig ## All tests: crates, cases, examples, documentation, real queries
	$(CARGO) test $(PACKAGES) --no-fail-fast

.PHONY: chart-test
chart-test: export WATERSHED_HELM ?= $(shell scripts/e2e-tools --where helm)/helm
chart-test: ## The chart: linted, rendered, compared; alerts and values checked
	@scripts/e2e-tools helm >/dev/null
	$(CARGO) test $(PACKAGES) --test helm

.PHONY: gitops-test
gitops-test: export WATERSHED_KUBECTL ?= $(shell scripts/e2e-tools --where kube)/kubectl
gitops-test: export WATERSHED_GITOPS ?= $(shell scripts/e2e-tools --where gitops)/gitops
gitops-test: ## What Argo CD and Flux make of statuses and of examples/gitops
	@scripts/e2e-tools kube gitops >/dev/null
	$(CARGO) build $(PACKAGES) --test gitops --bin watershed
	$(CARGO) test $(PACKAGES) --test gitops

.PHONY: lint
lint: ## Clippy without warnings
	$(CARGO) clippy $(PACKAGES) --all-targets -- -D warnings
	$(CARGO) clippy $(PACKAGES) $(SUITES:%=--test %) --test helm --test gitops --test book -- -D warnings

.PHONY: fmt
fmt: ## Format the code
	$(CARGO) fmt --all

.PHONY: fmt-check
fmt-check:
	$(CARGO) fmt --all -- --check

.PHONY: doc
doc: ## Build the API documentation without warnings: target/doc
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc $(PACKAGES) --no-deps

.PHONY: book
book: $(MDBOOK) ## Build the documentation site without warnings or broken links: target/book
	scripts/book $(MDBOOK)
	$(CARGO) test $(PACKAGES) --test book

.PHONY: generate
generate: ## Write generated files anew: crds/, the README's picture, sample outputs
	scripts/generate

.PHONY: deny
deny: $(CARGO_DENY) ## Licences, banned crates and sources of the dependencies
	$(CARGO_DENY) --workspace --locked check --hide-inclusion-graph licenses bans sources

.PHONY: advisories
advisories: $(CARGO_DENY) ## Known vulnerabilities, where the RustSec database can be had
	scripts/advisories $(CARGO_DENY)

.PHONY: fuzz
fuzz: $(CARGO_FUZZ) ## Run every fuzz target for FUZZ_SECONDS (20) each
	scripts/fuzz $(CARGO_FUZZ) $(FUZZ_SECONDS)

.PHONY: e2e
# The tests wait more than they compute.
e2e: export RUST_TEST_THREADS ?= 3
# What went wrong is the last thing that a test says, not the first of a hundred
# lines.
e2e: export RUST_LIB_BACKTRACE := 0
# Only pods need root and images.
e2e: e2e-tools $(if $(filter node chart,$(SUITE)),node-tools) e2e-binaries $(if $(filter chart,$(SUITE)),e2e-images)
e2e: ## Tests against a real control plane (SUITE=NAME for one suite)
	$(CARGO) test $(PACKAGES) $(E2E_PROFILE) --no-fail-fast $(SUITE:%=--test %)

.PHONY: bench
bench: ## All benchmarks, and the goal that is furthest from being reached (QUICK=1)
	CARGO=$(CARGO) bench/run

.PHONY: bench-peers
bench-peers: ## The same work on gdnsd, Knot, NSD, BIND, PowerDNS and CoreDNS (QUICK=1)
	bench/peers/run

.PHONY: bench-propagation
bench-propagation: ## A change on its way to 1,000 pods, among 100,000 records (QUICK=1)
	$(CARGO) build $(PACKAGES) --release --bin bench-propagation --bin watershed-dns
	target/release/bench-propagation $(if $(QUICK),--records 10000 --policies 100 --pods 100)

##@ A control plane to try things on

.PHONY: dev-cluster
dev-cluster: e2e-tools $(if $(NODE),node-tools) ## Start etcd, API server and controllers (NAME=dev OLDEST=1), with NODE=2 two nodes, with BARE=1 no definitions
	@$(BUILD_FOR_TESTS) --bin watershed-e2e
	@target/debug/watershed-e2e dev-cluster up --name $(NAME) $(if $(OLDEST),--oldest) $(if $(NODE),--nodes $(NODE)) $(if $(BARE),--bare)

.PHONY: dev-images
dev-images: e2e-images ## Import the images into its nodes (NAME=dev)
	@$(BUILD_FOR_TESTS) --bin watershed-e2e
	@target/debug/watershed-e2e dev-cluster import --name $(NAME) target/debug/images/*.tar

.PHONY: dev-cluster-down
dev-cluster-down: ## End it (NAME=dev)
	@$(BUILD_FOR_TESTS) --bin watershed-e2e
	@target/debug/watershed-e2e dev-cluster down --name $(NAME)

.PHONY: dev-fleet
dev-fleet: e2e-binaries ## Run operator and three nodes beside it, until Ctrl-C (NAME=dev)
	@$(BUILD_FOR_TESTS) --bin watershed-e2e
	@target/debug/watershed-e2e dev-fleet --name $(NAME)

.PHONY: node-tools
node-tools: ## What nodes need: containerd and the like, cluster DNS; root installs what is missing
	@scripts/node-packages
	@scripts/e2e-tools coredns pause helm >/dev/null

.PHONY: e2e-tools
e2e-tools: ## Build the control plane's programs, once: ten minutes
	@scripts/e2e-tools kube kube-oldest gitops >/dev/null

.PHONY: e2e-binaries
e2e-binaries: ## Build the programs under test: target/debug
	$(BUILD_FOR_TESTS) $(E2E_PROFILE) --bin watershed-operator --bin watershed-dns --bin watershed

.PHONY: e2e-images
e2e-images: e2e-next-images e2e-binaries ## Images of these, for the nodes of the tests: target/debug/images
	@IMAGE_PROFILE=debug IMAGE_PROGRAMS=$(E2E_TARGET) IMAGE_OUT=$(E2E_TARGET)/images scripts/images >/dev/null

.PHONY: e2e-next-images
# Another build, to upgrade to: only the programs themselves are compiled anew.
e2e-next-images: | e2e-binaries
	@WATERSHED_VERSION=next $(BUILD_FOR_TESTS) $(E2E_PROFILE) --bin watershed-operator --bin watershed-dns --bin watershed
	@mkdir -p $(E2E_TARGET)/next
	@cp $(E2E_TARGET)/watershed-operator $(E2E_TARGET)/watershed-dns $(E2E_TARGET)/watershed $(E2E_TARGET)/next
	@IMAGE_PROFILE=debug IMAGE_TAG=next IMAGE_PROGRAMS=$(E2E_TARGET)/next IMAGE_OUT=$(E2E_TARGET)/images/next scripts/images >/dev/null
	@$(BUILD_FOR_TESTS) $(E2E_PROFILE) --bin watershed-operator --bin watershed-dns

.PHONY: clean
clean: ## Remove what was built
	$(CARGO) clean
	rm -rf fuzz/target

# Tools. A missing one is built or installed, or the command that does it is
# named; no check is ever skipped silently.

$(CARGO_DENY):
	$(CARGO) install cargo-deny --version $(CARGO_DENY_VERSION) --locked --root $(TOOLS)/cargo-deny-$(CARGO_DENY_VERSION)

$(CARGO_FUZZ):
	$(CARGO) install cargo-fuzz --version $(CARGO_FUZZ_VERSION) --locked --root $(TOOLS)/cargo-fuzz-$(CARGO_FUZZ_VERSION)

$(CARGO_CYCLONEDX):
	$(CARGO) install cargo-cyclonedx --version $(CARGO_CYCLONEDX_VERSION) --locked --root $(TOOLS)/cargo-cyclonedx-$(CARGO_CYCLONEDX_VERSION)

$(MDBOOK):
	$(CARGO) install mdbook --version $(MDBOOK_VERSION) --locked --no-default-features --features search --root $(TOOLS)/mdbook-$(MDBOOK_VERSION)

.PHONY: dig
dig:
	@scripts/require-dig
