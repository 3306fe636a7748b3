# Short names for the chores; `cargo xtask help` lists them all.
PREFIX ?= /usr/local

.PHONY: build test bench demo install bootstrap e2e kernel
build test bench demo bootstrap e2e kernel:
	@cargo xtask $@

install:
	@cargo xtask install --prefix "$(PREFIX)" --destdir "$(DESTDIR)"
