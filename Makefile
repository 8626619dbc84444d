# Kestrel. `make help` lists the targets.

GO       ?= go
TARGET   ?= arm64
KERNEL   ?= 5.10,6.1,6.12,7.x
ARCH     ?= amd64
VERSION  ?= 0.1.0-dev
COMMIT   := $(shell git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)
MODULE   := github.com/kestrel-detection/kestrel
LDFLAGS  := -s -w -buildid= -X $(MODULE)/version.Version=$(VERSION) -X $(MODULE)/version.Commit=$(COMMIT)
# Static, reproducible, for the oldest processors of each architecture. No PIE: it needs a loader that firmware lacks.
BUILD    := CGO_ENABLED=0 GOARM64=v8.0 GOAMD64=v1 $(GO) build -trimpath -buildvcs=false -ldflags '$(LDFLAGS)'
STATICCHECK := $(GO) run honnef.co/go/tools/cmd/staticcheck@v0.6.1
# Packages in testdata folders are not matched by ./... .
PACKAGES := ./... ./testdata ./testdata/trim

.DEFAULT_GOAL := help

.PHONY: help
help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 14

.PHONY: build
build: ## build/kestrel, also as build/kestrel-benchmark, and build/kestrel-agent for this machine
	$(BUILD) -o build/kestrel ./cmd/kestrel
	ln -sf kestrel build/kestrel-benchmark
	$(BUILD) -o build/kestrel-agent ./cmd/kestrel-agent

.PHONY: run
run: build ## watch this machine with the default rules; without privileges, replay the recorded capture
	build/kestrel run --demo

.PHONY: test
test: ## every test; what is skipped is listed with the reason at the end
	@$(GO) test -json $(TESTFLAGS) $(PACKAGES) | $(GO) run ./internal/testreport

.PHONY: check
check: ## format, vet, staticcheck, and that generated files are what `make generate` makes
	@test -z "$$(gofmt -l .)" || { echo "not formatted:"; gofmt -l .; exit 1; }
	$(GO) vet $(PACKAGES)
	GOARCH=arm64 $(GO) vet $(PACKAGES)
	$(STATICCHECK) $(PACKAGES)
	sh internal/generated.sh

.PHONY: generate
generate: ## kernel programs (clang 14), C header, docs/FIELDS.md, the image of the default rules
	$(GO) generate ./event
	$(GO) generate ./bpf
	$(GO) run ./cmd/kestrel compile --rules rules/default --output image/defaults/default.kri

.PHONY: firmware
firmware: ## kestrel-agent for a device: make firmware TARGET=arm64|amd64
	GOOS=linux GOARCH=$(TARGET) $(BUILD) -o build/firmware/kestrel-agent-linux-$(TARGET) ./cmd/kestrel-agent
	@ls -l build/firmware/kestrel-agent-linux-$(TARGET)
	@sha256sum build/firmware/kestrel-agent-linux-$(TARGET)

.PHONY: firmware-verify
firmware-verify: firmware ## the same firmware again, from a copy of the tree with an empty cache, must be the same bytes
	sh internal/reproducible.sh $(TARGET)

.PHONY: bench
bench: ## every benchmark, over the recorded capture; BENCH=regexp chooses
	$(GO) test -run '^$$' -bench '$(or $(BENCH),.)' -benchmem $(PACKAGES)

.PHONY: bench-hyperscan
bench-hyperscan: ## build/kestrel-bench-hyperscan for `kestrel bench`: needs libhyperscan-dev or libvectorscan-dev
	mkdir -p build
	$(CC) -O2 -Wall -Wextra -o build/kestrel-bench-hyperscan bench/hyperscan/hyperscan.c $$(pkg-config --cflags --libs libhs)

.PHONY: vm-test
vm-test: ## kernel tests under QEMU: make vm-test KERNEL=6.1,6.12 ARCH=amd64,arm64
	$(GO) run ./cross/vm -kernel $(KERNEL) -arch $(ARCH) $(VMFLAGS)

.PHONY: clean
clean: ## remove build/
	rm -rf build
